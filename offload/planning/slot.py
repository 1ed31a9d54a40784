"""What requests that are decided together take from each other: servers, air, the device's core."""

from collections.abc import Mapping
from functools import lru_cache
from heapq import heapreplace
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from offload.entities import Facts, Observation, Plan, Question, Report, Uplink
from offload.planning import exits
from offload.planning.cost import cost, sends_input
from offload.planning.legs import over


class Work(NamedTuple):
    """What a plan asks for in the mean: seconds on device, edge and cloud, bytes sent, seconds back."""

    device_s: float
    edge_s: float
    cloud_s: float
    up_bytes: float
    back_s: float


@lru_cache(maxsize=8192)
def work(facts: Facts, plan: Plan) -> Work:
    """Return a plan's mean work; the return is over idle wires and the cell's full rate."""
    device_s = edge_s = cloud_s = up_bytes = 0.0
    for share, row in exits.branches(plan):
        each = cost(facts, row)
        device_s, edge_s = device_s + share * each[0], edge_s + share * each[1]
        cloud_s += share * each[2]
        if row.uplinks is not None:
            up_bytes += share * facts.cells[row.uplinks[0]].toll.size(each[3])
    if plan.uplinks is None:
        return Work(device_s, edge_s, cloud_s, up_bytes, 0.0)
    cell = facts.cells[plan.uplinks[0]]
    result = np.array([facts.result_bytes[plan.variant]])
    back_s = over(facts, plan.cloud or plan.edge or "", cell.node, np.zeros(1), result)[0]
    back_s += cell.delay_s + cell.toll.seconds(result, 8 / cell.down_bps)[0]
    return Work(device_s, edge_s, cloud_s, up_bytes, float(back_s))


class Slot:
    """What has been promised to the requests of one slot, one after the other.

    Each is shown the observation that its device would have if those before it had begun: servers fall
    free later, a cell is shared by more devices, its own core and uplink are busy. That a later promise
    slows those before it down in the air is what `spoils` asks. Servers are taken to serve in the order
    of promises (in truth: of arrival), and nodes that gather batches for nodes that do not.
    """

    def __init__(self) -> None:
        self.free_s: dict[str, list[float]] = {}  # from now, of each server of a node: a heap
        self.busy_s: dict[str, float] = {}  # of a device's core, from now
        self.sending: dict[str, dict[str, float]] = {}  # bytes of each device over a cell
        self.spare: dict[str, list[tuple[float, float]]] = {}  # (spare seconds, air seconds) over a cell

    def seen(self, question: Question) -> Observation:
        """Return a question's observation after what has been promised."""
        seen, device = question.seen, question.asker
        if not (self.free_s or self.busy_s):
            return seen
        busy_s, serving = max(self.busy_s.get(device, 0.0), seen.backlog_s), seen.serving
        reports = dict(seen.reports)
        for name, free_s in self.free_s.items():
            reports[name] = _later(reports.get(name), free_s[0], seen.now_s)
        uplinks: Mapping[str, Uplink] = seen.uplinks
        if serving is not None and serving in self.sending:
            uplinks = {**uplinks, serving: self._shared(seen, serving, device)}
        return replace(seen, backlog_s=busy_s, reports=reports, uplinks=uplinks)

    def _shared(self, seen: Observation, cell: str, device: str) -> Uplink:
        """A cell as it is when those that have been promised air are sending too."""
        uplink, sending = seen.uplinks[cell], self.sending[cell]
        more = sum(each != device for each in sending) if seen.facts.cells[cell].shared else 0
        rate_bps = 1 / (1 / uplink.rate_bps + more / alone_bps(seen, cell))
        queued = uplink.queued_bytes + sending.get(device, 0.0)
        return replace(uplink, rate_bps=rate_bps, queued_bytes=queued)

    def spoils(self, question: Question, plan: Plan) -> bool:
        """Tell whether a plan would make someone late to whom the same cell has been promised.

        Where air is shared alike, one more transfer delays another by no more than the air time of the
        shorter of the two.
        """
        if plan.uplinks is None:
            return False
        air_s = self._air_s(question, plan)
        return any(spare_s < min(air_s, own_s) for spare_s, own_s in self.spare.get(plan.uplinks[0], ()))

    def promise(self, question: Question, plan: Plan, latency_s: float) -> None:
        """Keep what a plan takes, that was predicted to take this long by what `seen` shows."""
        seen, device = self.seen(question), question.asker
        facts = seen.facts
        asks = work(facts, plan)
        if asks.device_s > 0.0:
            self.busy_s[device] = max(facts.overhead_s, seen.backlog_s) + asks.device_s
        done_s = latency_s - asks.back_s
        for name, seconds in ((plan.cloud, asks.cloud_s), (plan.edge, asks.edge_s)):
            if name is not None:
                known, servers = seen.reports.get(name), facts.nodes[name].servers
                free_s = self.free_s.setdefault(name, [known.backlog_s if known else 0.0] * servers)
                # An edge node before a cloud begins at once, as far as one can tell from here.
                ends_s = done_s if name == (plan.cloud or plan.edge) else free_s[0] + seconds
                heapreplace(free_s, max(free_s[0], ends_s))
        if plan.uplinks is not None:
            cell, air_s = plan.uplinks[0], self._air_s(question, plan)
            sending = self.sending.setdefault(cell, {})
            sending[device] = sending.get(device, 0.0) + self._bytes(question, plan)
            others = [(left_s - min(air_s, own_s), own_s) for left_s, own_s in self.spare.get(cell, ())]
            left_s = question.request.deadline_s - latency_s
            self.spare[cell] = [(left, own) for left, own in [*others, (left_s, air_s)] if left >= 0.0]

    def _air_s(self, question: Question, plan: Plan) -> float:
        cell = (plan.uplinks or ("",))[0]
        return 8 * self._bytes(question, plan) / alone_bps(question.seen, cell)

    def _bytes(self, question: Question, plan: Plan) -> float:
        if sends_input(plan):
            toll = question.seen.facts.cells[(plan.uplinks or ("",))[0]].toll
            return toll.size(question.request.input_bytes)
        return work(question.seen.facts, plan).up_bytes


def alone_bps(seen: Observation, cell: str) -> float:
    """Return the rate that a device would expect of a cell if nobody else were active there."""
    uplink = seen.uplinks[cell]
    return uplink.alone_bps or uplink.rate_bps


def _later(report: Report | None, free_s: float, now_s: float) -> Report:
    if report is None:
        return Report(now_s, free_s, {}, {})
    return replace(report, backlog_s=max(report.backlog_s, free_s))
