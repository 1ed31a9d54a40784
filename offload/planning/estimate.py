"""What old reports and a device's own transfers let it expect now: estimates of rates and waits.

An `Estimator` is a lens: it turns an `Observation` into one whose uplinks' rates and nodes' backlogs are
estimates, so that prices and policies work on it as on any other.

Between reports a signal x is taken to wander about its mean m and to forget with a time constant T (an
Ornstein-Uhlenbeck process, Uhlenbeck and Ornstein, Physical Review 1930). Given a value of age a it is
then normal, of variance s^2 when nothing is known:

    mean m + d (x - m),  variance (1 - d^2) s^2,  d = exp(-a / T)

A fresh report is believed; an old one tells no more than what is usual. What is usual is learnt from all
that was heard so far: by an `Ewma`, or by a `ChangePoint`, which begins anew where the signal jumps.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np
from msgspec.structs import replace as with_changes

from offload.entities import Facts, Observation, Plan, Report, Request, Uplink
from offload.planning.cost import cost
from offload.planning.validity import why_invalid

Estimate = Literal["ewma", "change-point", "sampled"]


@dataclass(slots=True)
class Ewma:
    """An exponentially weighted moving average of samples (Roberts, Technometrics 1959).

    Each sample moves the `level` by `smoothing` of its distance; the first ones by more, so that it is
    their plain mean. `variance` is the squared distance, averaged alike (Finch 2009, incremental
    calculation of weighted mean and variance); differences below `least` matter to nobody.
    """

    least: float = 0.0
    smoothing: float = 0.125  # a memory of 8 samples, as TCP has of round trips (Jacobson, SIGCOMM 1988)
    level: float = 0.0
    variance: float = 0.0
    weight: float = 0.0

    @property
    def deviation(self) -> float:
        """How far samples lie from the level."""
        return max(self.least, math.sqrt(self.variance))

    def update(self, sample: float, weight: float = 1.0) -> None:
        """Take a sample into account, as one that weighs up to 1."""
        self.weight += weight
        gain = weight * max(self.smoothing, 1.0 / self.weight)
        error = sample - self.level
        self.level += gain * error
        self.variance = (1.0 - gain) * (self.variance + gain * error * error)


@dataclass(slots=True)
class ChangePoint(Ewma):
    """An EWMA that forgets everything where its samples have jumped.

    A two-sided CUSUM (Page, Biometrika 1954) adds up how many deviations z samples lie off the level,
    beyond an allowance k, and raises an alarm where that exceeds h:

        up = max(0, up + z - k),  down = max(0, down - z - k),  alarm if up > h or down > h

    k = 1/2 and h = 5 are usual (Montgomery, Introduction to Statistical Quality Control: steady normal
    noise of known deviation raises an alarm every 465 samples). Here level and deviation are estimates
    that follow the samples: normal noise raises an alarm every 900 of them, exponential every 230, and
    jumps of less than three deviations may pass unseen. No single sample is a jump, as it counts for at
    most 4, and none of the first 8 is one.
    """

    allowance: float = 0.5
    threshold: float = 5.0
    most: float = 4.0
    up: float = 0.0
    down: float = 0.0
    alarms: int = 0

    def update(self, sample: float, weight: float = 1.0) -> None:
        """Take a sample into account; if it is one too many off the level, it is the first."""
        if self.weight >= 8.0:
            deviations = (sample - self.level) / (self.deviation or 1.0)
            z = weight * min(self.most, max(-self.most, deviations))
            self.up = max(0.0, self.up + z - self.allowance)
            self.down = max(0.0, self.down - z - self.allowance)
            if self.up > self.threshold or self.down > self.threshold:
                self.up = self.down = self.weight = 0.0
                self.alarms += 1
        Ewma.update(self, sample, weight)


@dataclass(slots=True)
class Signal:
    """What is usual of something, its last reported value, and how it changed from the one before."""

    mean: Ewma
    sent_s: float = -math.inf
    value: float = 0.0
    slope: float = 0.0  # per second

    def hear(self, sent_s: float, value: float) -> None:
        """Take note of a report, unless it has been heard."""
        if sent_s > self.sent_s:
            self.slope = (value - self.value) / (sent_s - self.sent_s)
            self.sent_s, self.value = sent_s, value
            self.mean.update(value)


@dataclass(slots=True)
class Estimator:
    """Estimates for each device (or node) that asks, from nothing but what it has heard itself.

    `mean` makes the average that old reports fall back to while their age exceeds `memory_s`; from 30
    to 100 ms it hardly matters in scenarios/staleness.toml. With `chance` an estimate is not the best
    one but drawn from what may be true, as Thompson (Biometrika 1933) chose between treatments: devices
    that have heard the same old report then do not all do the same, and herd less.
    """

    mean: Callable[[float], Ewma]
    chance: np.random.Generator | None = None
    memory_s: float = 0.05
    rates: dict[tuple[str, str], Signal] = field(default_factory=dict)
    waits: dict[tuple[str, str], Signal] = field(default_factory=dict)
    measured_s: dict[tuple[str, str], float] = field(default_factory=dict)
    sent: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    def __call__(self, request: Request, seen: Observation) -> Observation:
        """Return an observation with estimates in place of what was reported."""
        who = _asker(request, seen)
        uplinks = {name: self._uplink(who, up, seen) for name, up in seen.uplinks.items()}
        reports = {
            name: None if each is None else self._report(who, name, each, seen.now_s)
            for name, each in seen.reports.items()
        }
        return with_changes(seen, uplinks=uplinks, reports=reports)

    def chosen(self, request: Request, seen: Observation, plan: Plan) -> None:
        """Remember what work a request takes to the nodes of its plan: no report tells of it yet.

        What is no plan, or none that can be carried out, is told to the policy's author by others.
        """
        if not isinstance(plan, Plan):
            return
        who, now = _asker(request, seen), seen.now_s
        for name, seconds in _work_s(seen.facts, plan):
            _, free_s = self.sent.get((who, name), (now, now))
            self.sent[who, name] = (now, max(now, free_s) + seconds)

    def _uplink(self, who: str, up: Uplink, seen: Observation) -> Uplink:
        """Estimate how many times as long as alone a transfer takes: sharing is what reports are about.

        What a device's own transfer took counts as another sample, less if it is old. Reports go on
        while it sends nothing, so that a bad one does not keep it from trying again for ever.
        """
        cell = seen.facts.cells[up.cell]
        report = seen.reports.get(cell.node)
        if report is None or not cell.shared:
            return up
        key, alone_bps = (who, up.cell), up.alone_bps or cell.up_bps
        signal = self.rates.get(key) or self.rates.setdefault(key, Signal(self.mean(0.05)))
        signal.hear(report.sent_s, alone_bps / up.rate_bps)
        if up.own_rate_bps and up.own_age_s is not None:
            measured_s = seen.now_s - up.own_age_s
            if measured_s > self.measured_s.get(key, -1.0) + 1e-9:
                self.measured_s[key] = measured_s
                signal.mean.update(alone_bps / up.own_rate_bps, self._trust(up.own_age_s))
        times = self._now(signal, signal.value, seen.now_s - report.sent_s)
        return with_changes(up, rate_bps=alone_bps / max(1.0, times))

    def _report(self, who: str, name: str, report: Report, now: float) -> Report:
        """Estimate a backlog: its trend goes on, no faster than servers work; own work came since."""
        key, age_s = (who, name), now - report.sent_s
        signal = self.waits.get(key) or self.waits.setdefault(key, Signal(self.mean(0.001)))
        signal.hear(report.sent_s, report.backlog_s)
        backlog_s = self._now(signal, signal.value + max(-1.0, signal.slope) * age_s, age_s)
        last_s, free_s = self.sent.get(key, (-math.inf, 0.0))
        own_s = max(0.0, free_s - now) if last_s >= report.sent_s else 0.0
        return with_changes(report, backlog_s=max(0.0, backlog_s) + own_s)

    def _now(self, signal: Signal, value: float, age_s: float) -> float:
        """Predict a signal from a value of this age and from what is usual, or draw what it may be."""
        trust, mean = self._trust(age_s), signal.mean
        best = mean.level + trust * (value - mean.level)
        if self.chance is None:
            return best
        return best + math.sqrt(1.0 - trust * trust) * mean.deviation * self.chance.standard_normal()

    def _trust(self, age_s: float) -> float:
        return math.exp(-age_s / self.memory_s)


def estimator(kind: Estimate, chance: np.random.Generator) -> Estimator:
    """Return one of these that has heard nothing yet."""
    return Estimator(
        ChangePoint if kind == "change-point" else Ewma, chance if kind == "sampled" else None
    )


def _asker(request: Request, seen: Observation) -> str:
    return request.device if seen.begun is None else seen.begun.edge or ""


@lru_cache(maxsize=4096)
def _work_s(facts: Facts, plan: Plan) -> tuple[tuple[str, float], ...]:
    """By how many seconds a plan lengthens the waits at its nodes, if it runs to its end."""
    if why_invalid(facts, plan) is not None:
        return ()
    _, edge_s, cloud_s, *_ = cost(facts, with_changes(plan, confidence=None))
    places = (plan.edge, edge_s), (plan.cloud, cloud_s)
    return tuple((name, s / facts.nodes[name].servers) for name, s in places if name is not None)
