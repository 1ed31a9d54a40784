"""What old reports and a device's own transfers let it expect now: estimates of rates and waits.

An `Estimator` is a lens: it turns an `Observation` into one whose uplinks' rates and nodes' backlogs are
estimates, so that prices and policies work on it as on any other.

Between reports a signal x is taken to wander about a mean m, forgetting with a time constant T, whose
best linear prediction from a value of age a is (Ornstein and Uhlenbeck; Box and Jenkins, 1970)

    m + exp(-a / T) (x - m)

A fresh report is believed, an old one tells no more than what is usual. The mean is learnt from all
reports so far: `Ewma`, or `ChangePoint`, which begins anew where the signal jumps.
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

Estimate = Literal["ewma", "change-point", "sampled"]


@dataclass(slots=True)
class Ewma:
    """An exponentially weighted moving average: each sample moves it by `smoothing` of their distance.

    Its memory is 1/smoothing samples, but for the first ones, of which it is the plain mean. `variance`
    is the average squared distance, weighted in the same way (Roberts, Technometrics 1959; Finch 2009).
    """

    smoothing: float = 0.125  # 8 samples, as TCP remembers round trips (Jacobson, SIGCOMM 1988)
    level: float = 0.0
    variance: float = 0.0
    samples: float = 0.0  # the sum of their weights

    def update(self, sample: float, weight: float = 1.0) -> None:
        """Take a sample, of a weight up to 1, into account."""
        self.samples += weight
        gain = weight * max(self.smoothing, 1.0 / self.samples)
        error = sample - self.level
        self.level += gain * error
        self.variance = (1.0 - gain) * (self.variance + gain * error * error)


@dataclass(slots=True)
class ChangePoint(Ewma):
    """An EWMA that begins anew where its samples have jumped.

    A two-sided CUSUM (Page, Biometrika 1954) sums how far samples lie off the mean, in standard
    deviations z, beyond an allowance k, and raises an alarm above h:

        up = max(0, up + z - k),  down = max(0, down - z - k),  alarm if up > h or down > h

    With k = 1/2 and h = 5 it is tuned to jumps of one deviation, and steady normal noise of known
    variance raises an alarm every 465 samples (Montgomery, Introduction to Statistical Quality Control,
    table 9.3). Here mean and deviation are estimates, for which h = 8 makes up, a z counts for no more
    than `most`, so that no single sample is a jump, and none counts before there are eight samples.
    `least` is a deviation that is no jump in any case.
    """

    least: float = 0.05
    allowance: float = 0.5
    threshold: float = 8.0
    most: float = 4.0
    up: float = 0.0
    down: float = 0.0
    alarms: int = 0

    def update(self, sample: float, weight: float = 1.0) -> None:
        """Take a sample into account, and forget all before it if it is one too many off the mean."""
        if self.samples >= 8:
            z = (sample - self.level) / max(self.least, math.sqrt(self.variance))
            z = weight * min(self.most, max(-self.most, z))
            self.up = max(0.0, self.up + z - self.allowance)
            self.down = max(0.0, self.down - z - self.allowance)
            if max(self.up, self.down) > self.threshold:
                self.up = self.down = 0.0
                self.samples = 0.0
                self.alarms += 1
        Ewma.update(self, sample, weight)


@dataclass(slots=True)
class _Signal:
    """The last reported value of something, how it changed, and its mean."""

    mean: Ewma
    sent_s: float = -math.inf
    value: float = 0.0
    slope: float = 0.0  # per second, from the report before

    def hear(self, sent_s: float, value: float) -> None:
        """Take note of a report, unless it has been heard."""
        if sent_s > self.sent_s:
            self.slope = (value - self.value) / (sent_s - self.sent_s)
            self.sent_s, self.value = sent_s, value
            self.mean.update(value)


@dataclass
class Estimator:
    """Estimates from what one device (or node) after the other has heard; each has a memory of its own.

    `mean` makes the average that old reports fall back to, as their age exceeds `memory_s`. With
    `chance` an estimate is drawn, not the best one: normal about that, as wide as the signal is known
    to wander in a report's age. Devices that share an old report then do not all do the same.
    """

    mean: Callable[[], Ewma]
    chance: np.random.Generator | None = None
    memory_s: float = 0.05
    shares: dict[tuple[str, str], _Signal] = field(default_factory=dict)
    waits: dict[tuple[str, str], _Signal] = field(default_factory=dict)
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
        """Remember what work a request takes to the nodes of its plan: no report tells of it yet."""
        who, now = _asker(request, seen), seen.now_s
        edge_s, cloud_s = _work_s(seen.facts, plan)
        for name, seconds in ((plan.edge, edge_s), (plan.cloud, cloud_s)):
            if name is not None:
                _, free_s = self.sent.get((who, name), (now, now))
                self.sent[who, name] = (now, max(now, free_s) + seconds)

    def _uplink(self, who: str, up: Uplink, seen: Observation) -> Uplink:
        """Estimate which share of a cell a device would get, in logarithms: they cannot exceed 0."""
        report = seen.reports.get(seen.facts.cells[up.cell].node)
        alone_bps = up.alone_bps or seen.facts.cells[up.cell].up_bps
        if report is None or up.rate_bps <= 0.0:
            return up
        key = who, up.cell
        signal = self.shares.get(key) or self.shares.setdefault(key, _Signal(self.mean()))
        signal.hear(report.sent_s, math.log(up.rate_bps / alone_bps))
        if up.own_rate_bps and up.own_age_s is not None:
            measured_s = seen.now_s - up.own_age_s
            if measured_s > self.measured_s.get(key, -1.0) + 1e-9:
                self.measured_s[key] = measured_s
                signal.mean.update(math.log(up.own_rate_bps / alone_bps), self._trust(up.own_age_s))
        share = self._now(signal, signal.value, seen.now_s - report.sent_s)
        return with_changes(up, rate_bps=alone_bps * math.exp(min(0.0, share)))

    def _report(self, who: str, name: str, report: Report, now: float) -> Report:
        """Estimate a node's backlog: its trend goes on, but no faster than servers can work it off."""
        key = who, name
        signal = self.waits.get(key) or self.waits.setdefault(key, _Signal(self.mean()))
        signal.hear(report.sent_s, report.backlog_s)
        age_s = now - report.sent_s
        backlog_s = self._now(signal, report.backlog_s + max(-1.0, signal.slope) * age_s, age_s)
        last_s, free_s = self.sent.get(key, (-math.inf, 0.0))
        own_s = max(0.0, free_s - now) if last_s >= report.sent_s else 0.0
        return with_changes(report, backlog_s=max(0.0, backlog_s) + own_s)

    def _now(self, signal: _Signal, value: float, age_s: float) -> float:
        """Predict a signal from its last value and its mean, or draw what it may be."""
        trust, mean = self._trust(age_s), signal.mean
        best = mean.level + trust * (value - mean.level)
        if self.chance is None:
            return best
        return best + math.sqrt((1.0 - trust * trust) * mean.variance) * self.chance.standard_normal()

    def _trust(self, age_s: float) -> float:
        return math.exp(-age_s / self.memory_s)


def estimator(kind: Estimate, chance: np.random.Generator) -> Estimator:
    """Return one of these that has heard nothing yet."""
    mean = Ewma if kind == "ewma" else ChangePoint
    return Estimator(mean, chance if kind == "sampled" else None)


def _asker(request: Request, seen: Observation) -> str:
    return request.device if seen.begun is None else seen.begun.edge or ""


@lru_cache(maxsize=4096)
def _work_s(facts: Facts, plan: Plan) -> tuple[float, float]:
    """Seconds of a server at edge and cloud that a plan takes at most, over the number of servers."""
    seconds = cost(facts, with_changes(plan, confidence=None))[1:3]
    places = zip((plan.edge, plan.cloud), seconds, strict=True)
    edge_s, cloud_s = (s / facts.nodes[name].servers if name else 0.0 for name, s in places)
    return edge_s, cloud_s
