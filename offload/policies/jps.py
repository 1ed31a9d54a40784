"""JPS: some of a device's requests send while others compute."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import fsum
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from offload.algorithms.flowshop import mix_cuts
from offload.entities import Facts, Observation, Plan, Question, Request
from offload.planning.columns import Columns, Flags, Floats, columns
from offload.planning.cost import cost, sends_input
from offload.planning.price import price
from offload.units import Seconds


class Line(NamedTuple):
    """The cuts of one network with one server (or none): rows of a table, seconds here, bytes up."""

    rows: np.ndarray[tuple[int], np.dtype[np.intp]]
    device_s: Floats
    up_bytes: Floats
    on_device: Flags
    raw: Flags
    accuracy: float


@dataclass
class Jps:
    """A mix of two cuts for the requests of one device, so that neither its core nor its radio idles.

    Joint partition and scheduling (Duan and Wu, ICPP 2021): n equal jobs are a flow shop of two
    machines, computing and sending; see `offload.algorithms.flowshop`. Those that compute less go first.
    The paper has one network and takes no time in the cloud; here for each network and server the mix
    is found by the two machines alone, then what comes after sending is added, and the most accurate
    network is taken whose last answer is on time, the earliest of equals; the earliest if none is.
    `margin` is kept free before the deadline. Raw cuts at which one server does all the rest.

    Equal jobs are the requests of one device and task (or stage) in one slot; inputs of several sizes
    count with their mean. The world carries plans out in the order of questions, so jobs that differ
    cannot be put in another order; for equal ones the order is that of who gets which cut, which is all
    that Johnson's rule needs. Device and uplink are free from when the device sees them to be; a cell
    that others share counts with the rate that is expected now. A single request gets the quickest
    cut. Requests that have begun go on the quickest way, as does who
    can do nothing alone out of range.
    """

    margin: Seconds = 0.0
    slot: Seconds = 0.005

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return the plan of a request that comes alone."""
        return self.decide_all([Question(request.device, request, seen)])[0]

    def decide_all(self, questions: Sequence[Question]) -> Sequence[Plan]:
        """Return the plans; of a device's requests of one kind, those that compute less come first."""
        alike: dict[tuple[object, ...], list[int]] = {}
        for number, question in enumerate(questions):
            seen = question.seen
            key = (question.asker, seen.facts, number if seen.begun is not None else None)
            alike.setdefault(key, []).append(number)
        plans: dict[int, Plan] = {}
        for numbers in alike.values():
            plans.update(zip(numbers, self._mixed([questions[n] for n in numbers]), strict=True))
        return [plans[number] for number in range(len(questions))]

    def _mixed(self, jobs: Sequence[Question]) -> list[Plan]:
        """The plans of equal jobs of one device."""
        seen = jobs[0].seen
        input_bytes = fsum(job.request.input_bytes for job in jobs) / len(jobs)
        prices = price(replace(jobs[0].request, input_bytes=input_bytes), seen)
        lines = _lines(seen.facts, seen.serving) if seen.begun is None else ()
        limit_s = min(job.request.deadline_s for job in jobs) - self.margin
        best: tuple[tuple[bool, float, float], list[int]] | None = None
        for line in lines:
            ends_s, rows = _mix(line, len(jobs), input_bytes, seen, prices.latency_s)
            late = ends_s > limit_s
            key = (late, 0.0 if late else -line.accuracy, ends_s)
            if best is None or key < best[0]:
                best = key, rows
        if best is None:
            return [prices.least(prices.latency_s)] * len(jobs)
        return [prices.plans[row] for row in best[1]]


def _mix(
    line: Line, jobs: int, input_bytes: float, seen: Observation, latency_s: Floats
) -> tuple[float, list[int]]:
    """When the last answer of n equal jobs comes by the best mix, and their rows in order."""
    if jobs == 1:
        row = int(line.rows[latency_s[line.rows].argmin()])
        return float(latency_s[row]), [row]
    send_s, uplink_free_s = np.zeros(len(line.rows)), 0.0
    if seen.serving is not None:
        s_per_byte = 8 / seen.uplinks[seen.serving].rate_bps
        uplink_free_s = s_per_byte * seen.uplinks[seen.serving].queued_bytes
        size = seen.facts.cells[seen.serving].toll.size
        sent_bytes = np.where(line.raw, size(input_bytes), size(line.up_bytes))
        send_s = s_per_byte * np.where(line.up_bytes > 0.0, sent_bytes, 0.0)
    free_s = np.where(line.on_device, max(seen.facts.overhead_s, seen.backlog_s), seen.facts.overhead_s)
    mix = mix_cuts(line.device_s, send_s, jobs, free_s, uplink_free_s)
    cuts = [mix.early] * mix.early_jobs + [mix.late] * (jobs - mix.early_jobs)
    sent_s = np.where(
        send_s > 0.0, np.maximum(free_s + line.device_s, uplink_free_s), free_s + line.device_s
    )
    after_s = np.maximum(0.0, latency_s[line.rows] - sent_s - send_s)  # on wires, at the server, back
    return mix.makespan_s + float(after_s[cuts].max()), [int(line.rows[cut]) for cut in cuts]


@lru_cache(maxsize=1024)
def _lines(facts: Facts, serving: str | None) -> tuple[Line, ...]:
    """For each network and server the cuts between which to mix; the last computes all here."""
    table = columns(facts, serving)
    found: dict[tuple[object, ...], list[int]] = {}
    home: dict[object, int] = {}
    for row, plan in enumerate(table.plans):
        if plan.codec is None and plan.confidence is None and not (plan.edge and plan.cloud):
            if plan.uplinks is None:
                home[plan.variant] = row
            else:
                found.setdefault((plan.variant, plan.edge, plan.cloud), []).append(row)
    kept = [[*rows, *([home[key[0]]] if key[0] in home else [])] for key, rows in found.items()]
    kept += [[row] for row in home.values()]
    return tuple(_line(table, facts, rows) for rows in kept)


def _line(table: Columns, facts: Facts, rows: list[int]) -> Line:
    plans = [table.plans[row] for row in rows]
    costs = np.array([cost(facts, plan) for plan in plans])
    return Line(
        np.array(rows, dtype=np.intp),
        costs[:, 0],
        costs[:, 3],
        np.array([plan.on_device for plan in plans]),
        np.array([sends_input(plan) for plan in plans]),
        float(table.sure_accuracy[rows[0]]),
    )
