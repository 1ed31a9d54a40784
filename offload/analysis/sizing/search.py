"""The cheapest of many configurations that meets targets, from few replications of few of them.

Every configuration has a test of its own, at the error ERROR / number of configurations, shared among
the looks at it (Bonferroni): whichever are looked at, in whatever order and however often, all that is
claimed of them holds at once with 95 %, as far as the bounds do (`bounds` says where they do not).
What the search skips it makes no claim of.
"""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from offload.analysis.sizing.bounds import bounds
from offload.analysis.statistics import Interval

ERROR = 0.05  # that anything at all is claimed wrongly
CHECKS = 3  # replications that look whether what was skipped is as bad, or as dear, as was thought
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

    The margin of a share is that of so many requests (`counts`, one for each target).
    """

    margins: tuple[float, ...]
    use: float
    counts: tuple[int, ...]


Draw = Callable[[Mapping[int, range]], Mapping[int, Sequence[Sample]]]


@dataclass(slots=True)
class Trial:
    """What is known of a candidate; `bounds` are those of its last test, one for each target."""

    samples: list[Sample] = field(default_factory=list)
    verdict: Verdict = "open"
    bounds: tuple[Interval, ...] = ()


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

    While it halves, what never ran is taken to use no less than the least among those of its group that
    meet the targets. That is a guess (a smaller one may serve less, and so use less): in the end each
    whose standing cost alone is below the answer's is looked at in a few replications too.
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
        while wave := self._wave() or self._doubtful() or self._unpriced() or self._beside():
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
        return min(self._cheaper(), key=self.saving, default=None)

    def saving(self, i: int) -> float:
        """Return what a candidate costs less than the best, in the replications that both have."""
        best = self.best
        if best is None:
            return math.inf
        mine, other = self.trials[i].samples, self.trials[best].samples
        if not mine:
            return self.cost(best) - self.cost(i)
        more = [theirs.use - own.use for own, theirs in zip(mine, other, strict=False)]
        return self.candidates[best].standing - self.candidates[i].standing + sum(more) / len(more)

    def ruled_out(self, i: int) -> bool:
        """Tell whether a larger one that is not known to meet the targets speaks against it."""
        free = self.candidates[i].group in self.broken or i in self._doubted
        return not free and bool(self.above(i))

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
        least = -math.inf if best is None else self.cost(best) * LEAST_SAVING
        return [i for i in range(len(self.candidates)) if i != best and self.saving(i) > least]

    def _open(self) -> list[int]:
        return [i for i in self._cheaper() if self.trials[i].verdict == "open"]

    def _unpriced(self) -> list[int]:
        """See what those use that never ran and might be cheaper; return what is to be tested then."""
        best = self.best
        if best is None:
            return []
        ceiling = self.cost(best) * (1 - LEAST_SAVING)
        new = [
            i
            for i, (candidate, trial) in enumerate(zip(self.candidates, self.trials, strict=True))
            if not trial.samples and candidate.standing < ceiling
        ]
        self.sample(dict.fromkeys(new, CHECKS))
        return self._wave() or self._doubtful()

    def above(self, i: int) -> list[int]:
        """Those that are larger than i and were not shown to meet the targets."""
        mine = self.candidates[i]
        return [
            j
            for j, (other, trial) in enumerate(zip(self.candidates, self.trials, strict=True))
            if trial.verdict in ("fails", "undecided") and j != i and _no_less(other, mine)
        ]

    def _wave(self) -> list[int]:
        """Return what to test: of each group the ends, then the middle; all where nothing is sure."""
        groups: dict[Hashable, list[int]] = {}
        for i in sorted(self._open(), key=lambda i: (self.cost(i), i)):
            if not self.ruled_out(i):
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
        new = [i for i in self._open() if i not in self._checked and self.ruled_out(i)]
        self.sample(dict.fromkeys(new, CHECKS))
        self._checked |= set(new)
        found = [i for i in new if any(self._better(i, j) for j in self.above(i))]
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

        def test(error: float) -> tuple[Interval, ...]:
            return tuple(
                bounds([s.margins[j] for s in samples], error, zero, sum(s.counts[j] for s in samples))
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
