"""What the requests of one cell and slot would take at each position of each queue."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from offload.algorithms.matching import IMPOSSIBLE
from offload.entities import Observation, Plan, Question, Report
from offload.planning.columns import Columns, Flags, Floats
from offload.planning.price import price
from offload.planning.slot import alone_bps, work

FAR_S = 1e3  # a backlog that outlasts any transfer


@dataclass(frozen=True, slots=True, eq=False)
class Bid:
    """A request's plans and how their latency depends on what others do; one entry a plan in a column.

    If n leave the devices of the cell, sending takes `up_s` (n - 1) longer. At a node where nobody is
    before it, it waits until the backlog is done, unless it comes later, at `arrives_s`. `share` is how
    often it comes at all (a network with exits may leave before); 1 on the device.
    """

    question: Question
    seen: Observation
    table: Columns
    idle_s: Floats
    up_s: Floats
    arrives_s: Floats
    share: Floats
    worth: Floats

    @classmethod
    def of(cls, question: Question, seen: Observation) -> "Bid":
        """Take prices apart: without backlogs, with half the air, with very long backlogs."""
        request, serving = question.request, seen.serving or ""
        idle = price(request, _waiting(seen, 0.0))
        uplink = seen.uplinks[serving]
        slow = {**seen.uplinks, serving: replace(uplink, rate_bps=uplink.rate_bps / 2)}
        halved = price(request, _waiting(replace(seen, uplinks=slow), 0.0))
        far, farther = (price(request, _waiting(seen, times * FAR_S)).latency_s for times in (1, 2))
        share = (farther - far) / FAR_S
        comes = share > 1e-6
        arrives_s = np.where(comes, FAR_S - (far - idle.latency_s) / np.where(comes, share, 1.0), 0.0)
        more = uplink.rate_bps / alone_bps(seen, serving) if seen.facts.cells[serving].shared else 0.0
        up_s = more * (halved.latency_s - idle.latency_s)
        share = np.where(idle.at["device"], 1.0, np.maximum(share, 1e-6))
        worth = _worth(idle.table)
        return cls(question, seen, idle.table, idle.latency_s, up_s, arrives_s, share, worth)

    def latency_s(self, rows: Flags, leaving: Floats, backlog_s: float, behind_s: Floats) -> Floats:
        """Return how long plans take; shape (leaving, behind, plans).

        For each number of requests that leave, and each time that those before it in the queue take.
        """
        share, up_s = self.share[rows], (leaving - 1)[:, None, None] * self.up_s[rows]
        wait_s = np.maximum(0.0, backlog_s - self.arrives_s[rows] - up_s / share)
        return self.idle_s[rows] + up_s + share * (wait_s + behind_s[None, :, None])

    def cost(self, rows: Flags, latency_s: Floats, margin_s: float) -> Floats:
        """Return what plans cost: less their accuracy if on time, and a thousandth for each second."""
        on_time = latency_s <= self.question.request.deadline_s - margin_s
        return np.where(on_time, -self.worth[rows], 0.0) + 1e-3 * latency_s


class Spot(NamedTuple):
    """A position in a queue: `level` mean services after the first. At home it is one device's."""

    place: str
    level: int
    device: str | None


class Positions:
    """What each request costs at each position, `home` and `away` as in `offload.algorithms.matching`.

    Position i on a device waits for i mean services there. Position k at a node of m servers waits for
    its backlog and then floor(k / m) mean services: exact if these are equal and all come at once. At
    each, a request has the plan that costs it least among those that compute there, and at no other
    place but the device.
    """

    def __init__(self, bids: Sequence[Bid], margin_s: float = 0.0) -> None:
        self.bids, self.margin_s = bids, margin_s
        self.leaving = np.arange(1.0, len(bids) + 1)
        nodes = {name: node for bid in bids for name, node in bid.seen.facts.nodes.items()}
        self.service_s = {place: self._mean_service_s(place) for place in ("device", *nodes)}
        own = Counter(bid.question.asker for bid in bids)
        spots = [Spot("device", level, device) for device in own for level in range(own[device])]
        at_home = len(spots)
        spots += [
            Spot(n, k // node.servers, None) for n, node in nodes.items() for k in range(len(bids))
        ]
        self.spots = spots
        costs = np.full((len(bids), len(bids), len(spots)), IMPOSSIBLE)  # (leaving, job, spot)
        for job, bid in enumerate(bids):
            least = {
                place: self._costs(bid, place).min(axis=2, initial=IMPOSSIBLE)  # a node may be down
                for place in self._places(bid)
            }
            for column, spot in enumerate(spots):
                if spot.place in least and spot.device in (None, bid.question.asker):
                    costs[:, job, column] = least[spot.place][:, spot.level]
        self.home, self.away = costs[0, :, :at_home], list(costs[:, :, at_home:])

    def chosen(self, job: int, column: int, leaving: int) -> tuple[Plan, float]:
        """Return the plan of a job at a position if so many leave, and how long it takes."""
        bid, spot = self.bids[job], self.spots[column]
        number = max(leaving, 1) - 1
        best = int(self._costs(bid, spot.place)[number, spot.level].argmin())
        latency_s = self._latency_s(bid, spot.place)[number, spot.level, best]
        row = int(np.flatnonzero(_rows(bid.table, spot.place))[best])
        return bid.table.plans[row], float(latency_s)

    def _places(self, bid: Bid) -> list[str]:
        return [place for place in self.service_s if _rows(bid.table, place).any()]

    def _latency_s(self, bid: Bid, place: str) -> Floats:
        report = bid.seen.reports.get(place)
        behind_s = self.service_s[place] * np.arange(len(self.bids), dtype=np.float64)
        backlog_s = report.backlog_s if report is not None else 0.0
        return bid.latency_s(_rows(bid.table, place), self.leaving, backlog_s, behind_s)

    def _costs(self, bid: Bid, place: str) -> Floats:
        return bid.cost(_rows(bid.table, place), self._latency_s(bid, place), self.margin_s)

    def _mean_service_s(self, place: str) -> float:
        """What these requests take at a place, each by its quickest plan there."""
        services = []
        for bid in self.bids:
            rows = np.flatnonzero(_rows(bid.table, place))
            if len(rows):
                plan = bid.table.plans[int(rows[bid.idle_s[rows].argmin()])]
                asks = work(bid.seen.facts, plan)
                services.append(asks.device_s if place == "device" else asks.edge_s + asks.cloud_s)
        return sum(services) / len(services) if services else 0.0


def _waiting(seen: Observation, backlog_s: float) -> Observation:
    """The same with this backlog at every node."""
    reports = {
        name: Report(seen.now_s, backlog_s, {}, {})
        if report is None
        else replace(report, backlog_s=backlog_s)
        for name, report in seen.reports.items()
    }
    reports |= {
        name: Report(seen.now_s, backlog_s, {}, {}) for name in seen.facts.nodes if name not in reports
    }
    return replace(seen, reports=reports)


@lru_cache(maxsize=4096)
def _rows(table: Columns, place: str) -> Flags:
    """The plans that compute at a place and, but for the device, nowhere else."""
    if place == "device":
        return table.at[place]
    here = table.uses.get(place, np.zeros(len(table.plans), dtype=bool))
    for name, flags in table.uses.items():
        if name not in (place, "device"):
            here = here & ~flags
    return here


@lru_cache(maxsize=1024)
def _worth(table: Columns) -> Floats:
    """Each plan's accuracy; what is unknown counts as the least that is known, or 1."""
    known = table.accuracy[~np.isnan(table.accuracy)]
    return np.nan_to_num(table.accuracy, nan=float(known.min(initial=1.0)))
