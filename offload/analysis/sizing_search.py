"""The cheapest of many configurations that meets targets, from few replications of few of them.

Every configuration has a test of its own, at the error ERROR / number of configurations, shared among
the looks at it (Bonferroni): whichever are looked at, in whatever order and however often, all that is
claimed of them holds at once with 95 %. What the search skips it makes no claim of.
"""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from scipy.special import betaincinv, stdtrit

from offload.analysis.statistics import Interval

ERROR = 0.05  # that anything at all is claimed wrongly
CHECKS = 3  # replications that look whether what was skipped is as bad as what is larger
NEAR = 0.25  # of what a larger one lacks: a smaller one that is better by more is looked at in earnest
LEAST_SAVING = 1e-3  # nobody searches on for a thousandth of the cost

Verdict = Literal["open", "meets", "fails", "undecided"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A configuration: what it costs before it is used, and what it can be compared with.

    Of two in one `group`, that with no part of its `level` smaller should do no worse.
    """

    group: Hashable
    level: tuple[int, ...]
    standing: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One replication: by how much it clears each target (misses it, below 0), and the cost of its use.

    Margins of shares are of so many `requests`.
    """

    margins: tuple[float, ...]
    use: float
    requests: int


Draw = Callable[[Mapping[int, range]], Mapping[int, Sequence[Sample]]]


@dataclass(slots=True)
class Trial:
    """What is known of a candidate; `bounds` are those of its last test, one for each target."""

    samples: list[Sample] = field(default_factory=list)
    verdict: Verdict = "open"
    bounds: tuple[Interval, ...] = ()


def bounds(
    margins: Sequence[float], error: float, zero: float | None = None, requests: int = 0
) -> Interval:
    """Return a mean and its one-sided bounds, each wrong with probability `error`.

    Student's, over replications. Where margins are those of a share (`zero` is the share at margin 0,
    `requests` how many were counted in all) those of Clopper and Pearson for as many requests as have
    the spread that the replications have, but no more than there were (Korn and Graubard 1998): near 0
    and 1 shares are far from normal, and replications that agree do not tell all.
    """
    n = len(margins)
    if not all(map(math.isfinite, margins)):
        return Interval(-math.inf, -math.inf, -math.inf)
    agree = max(margins) == min(margins)
    mean = margins[0] if agree else float(np.mean(margins))
    variance = 0.0 if agree else float(np.var(margins, ddof=1)) / n
    t = float(stdtrit(n - 1, 1 - error))
    if zero is None:
        half = t * math.sqrt(variance) if variance else 0.0
        return Interval(mean - half, mean, mean + half)
    share, count = min(1.0, max(0.0, mean + zero)), float(requests)
    if variance:
        spread = share * (1 - share) / variance
        count = min(count, spread * (float(stdtrit(requests - 1, 1 - error)) / t) ** 2)
    hits = share * count
    low = float(betaincinv(hits, count - hits + 1, error)) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1, count - hits, 1 - error)) if hits < count else 1.0
    return Interval(low - zero, mean, high - zero)


class Search:
    """Finds the cheapest candidate that meets all targets.

    `zeros` holds for each target the share that stands for a margin of 0, None if it is none. `draw`
    runs replications, by candidate; a candidate is tested when it has `looks` of them, one number after
    the other, until something can be claimed.

    In each group the search halves what is open, in order of cost: one that is not shown to meet the
    targets rules out all that are smaller. Those among them that would be cheaper than the answer are
    then looked at in a few replications: one that does better than a larger one is tested in earnest. If
    it meets the targets and the larger one fails, more of something hurts; then nothing is ruled out in
    its group any more: all that are cheaper are tested together, and drop out as they fail.

    What never ran is taken to use no less than the least among those of its group that meet the targets:
    so what is dearer before it is used is not looked at.
    """

    def __init__(
        self, candidates: Sequence[Candidate], draw: Draw, looks: Sequence[int],
        zeros: Sequence[float | None], error: float = ERROR,
    ) -> None:  # fmt: skip
        self.candidates = candidates
        self.trials = [Trial() for _ in candidates]
        self.broken: set[Hashable] = set()
        self.looks, self.zeros = looks, zeros
        self.error = error / len(candidates) / len(looks)
        self._draw = draw
        self._checked: set[int] = set()
        self._doubted: set[int] = set()
        self._least_use: dict[Hashable, float] = {}

    def run(self) -> None:
        """Search until nothing cheaper is open."""
        while wave := self._wave() or self._doubtful() or self._beside():
            self._decide(wave)

    @property
    def best(self) -> int | None:
        """The cheapest that meets the targets."""
        meeting = [i for i, trial in enumerate(self.trials) if trial.verdict == "meets"]
        return min(meeting, key=self.cost, default=None)

    @property
    def drawn(self) -> int:
        """How many replications were run."""
        return sum(len(trial.samples) for trial in self.trials)

    def cost(self, i: int) -> float:
        """Return what a candidate costs, as far as it is known."""
        mine = self.candidates[i]
        use = self._use(i) if self.trials[i].samples else self._least_use.get(mine.group, 0.0)
        return mine.standing + use

    def just_cheaper(self) -> int | None:
        """Return the dearest of those that are cheaper than the best."""
        cheaper = self._cheaper()
        return max(cheaper, key=self.cost, default=None)

    def sample(self, wanted: Mapping[int, int]) -> None:
        """Bring candidates to so many replications."""
        new = {
            i: range(len(self.trials[i].samples), n)
            for i, n in wanted.items()
            if n > len(self.trials[i].samples)
        }
        if not new:
            return
        for i, samples in self._draw(new).items():
            self.trials[i].samples += samples

    def limit(self, i: int) -> int:
        """Return the target that a candidate is furthest from, in standard errors."""
        samples = self.trials[i].samples

        def cleared(j: int) -> float:
            values = [sample.margins[j] for sample in samples]
            if not all(map(math.isfinite, values)):
                return -math.inf
            return float(np.mean(values)) / (float(np.std(values)) or 1e-9)

        return min(range(len(samples[0].margins)), key=cleared)

    def _use(self, i: int) -> float:
        samples = self.trials[i].samples
        return sum(sample.use for sample in samples) / len(samples)

    def _cheaper(self) -> list[int]:
        """All that would be cheaper than the best: all, where none is known yet."""
        best = self.best
        ceiling = math.inf if best is None else self.cost(best) * (1 - LEAST_SAVING)
        return [i for i in range(len(self.candidates)) if i != best and self.cost(i) < ceiling]

    def _open(self) -> list[int]:
        return [i for i in self._cheaper() if self.trials[i].verdict == "open"]

    def _above(self, i: int) -> list[int]:
        """Those that are larger than i and were not shown to meet the targets."""
        mine = self.candidates[i]
        return [
            j
            for j, (other, trial) in enumerate(zip(self.candidates, self.trials, strict=True))
            if trial.verdict in ("fails", "undecided") and j != i and _no_less(other, mine)
        ]

    def _ruled_out(self, i: int) -> bool:
        free = self.candidates[i].group in self.broken or i in self._doubted
        return not free and bool(self._above(i))

    def _wave(self) -> list[int]:
        """Return what to test: of each group the ends, then the middle; all where nothing is sure."""
        groups: dict[Hashable, list[int]] = {}
        for i in sorted(self._open(), key=lambda i: (self.cost(i), i)):
            if not self._ruled_out(i):
                groups.setdefault(self.candidates[i].group, []).append(i)
        wave: list[int] = []
        for group, mine in groups.items():
            if group in self.broken:
                wave += mine
                continue
            tested = any(
                c.group == group and t.verdict != "open"
                for c, t in zip(self.candidates, self.trials, strict=True)
            )
            wave += [mine[(len(mine) - 1) // 2]] if tested else dict.fromkeys((mine[0], mine[-1]))
        return wave

    def _doubtful(self) -> list[int]:
        """Check what was ruled out, and return those that do better than what is larger."""
        new = [i for i in self._open() if i not in self._checked and self._ruled_out(i)]
        self.sample(dict.fromkeys(new, CHECKS))
        self._checked |= set(new)
        found = [i for i in new if any(self._better(i, j) for j in self._above(i))]
        self._doubted |= set(found)
        return found

    def _better(self, i: int, larger: int) -> bool:
        """Tell whether i does better than a larger one in the same replications, for what that lacks."""
        target = self.limit(larger)
        mine = [sample.margins[target] for sample in self.trials[i].samples]
        other = [sample.margins[target] for sample in self.trials[larger].samples]
        n = min(len(mine), len(other))
        if not all(map(math.isfinite, mine[:n])):
            return False
        if not all(map(math.isfinite, other)):
            return True
        lacks = max(0.0, -float(np.mean(other)))
        return float(np.mean(mine[:n]) - np.mean(other[:n])) > NEAR * lacks

    def _beside(self) -> list[int]:
        """Return the one just cheaper than the answer if it was not tested yet."""
        beside = self.just_cheaper() if self.best is not None else None
        return [beside] if beside is not None and self.trials[beside].verdict == "open" else []

    def _decide(self, wave: Sequence[int]) -> None:
        """Test candidates look by look, until each is decided or costs more than one that will do."""
        for look in self.looks:
            cheaper = set(self._cheaper())
            todo = [i for i in wave if self.trials[i].verdict == "open" and i in cheaper]
            self.sample(dict.fromkeys(todo, look))
            for i in todo:
                self._judge(i, look, last=look == self.looks[-1])

    def _judge(self, i: int, look: int, *, last: bool) -> None:
        trial = self.trials[i]
        samples = trial.samples[:look]
        requests = sum(sample.requests for sample in samples)

        def test(error: float) -> tuple[Interval, ...]:
            return tuple(
                bounds([sample.margins[j] for sample in samples], error, zero, requests)
                for j, zero in enumerate(self.zeros)
            )

        # Each target must be met: no correction. To fail one of several is enough: one for each.
        trial.bounds, strict = test(self.error), test(self.error / len(self.zeros))
        if all(bound.low >= 0.0 for bound in trial.bounds):
            trial.verdict = "meets"
        elif any(bound.high < 0.0 for bound in strict):
            trial.verdict, trial.bounds = "fails", strict
        elif last:
            trial.verdict = "undecided"
        if trial.verdict == "meets":
            group = self.candidates[i].group
            self._least_use[group] = min(self._use(i), self._least_use.get(group, math.inf))
        self._contradicted(i)

    def _contradicted(self, i: int) -> None:
        """Note where a larger one fails and a smaller one does not."""
        group = self.candidates[i].group
        for j in range(len(self.candidates)):
            for small, large in ((i, j), (j, i)):
                told = self.trials[small].verdict, self.trials[large].verdict
                if told == ("meets", "fails") and _no_less(
                    *(self.candidates[k] for k in (large, small))
                ):
                    self.broken.add(group)


def _no_less(one: Candidate, other: Candidate) -> bool:
    """Tell whether one is comparable with the other and no part of it is smaller."""
    return one.group == other.group and all(
        a >= b for a, b in zip(one.level, other.level, strict=True)
    )  # fmt: skip
