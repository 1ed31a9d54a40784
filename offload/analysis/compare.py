"""Several policies on the same births and the same luck, over independent replications."""

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from offload.analysis import statistics
from offload.analysis.measures import BINS, MEASURES, Summary, summarise
from offload.analysis.statistics import Interval, Pair
from offload.analysis.survival import Survival, headline, survival
from offload.analysis.until import LEVEL as UNTIL_LEVEL
from offload.analysis.until import START, Until
from offload.analysis.work import replication
from offload.analysis.work.replication import rows_path
from offload.analysis.work.workers import Workers, hired, run_all
from offload.policies.table import Choice
from offload.scenario.load import Scenario, check

LEVEL = 0.95


class Advance(Protocol):
    """Is called after each part of a piece of work with its name."""

    def __call__(self, name: str, /) -> None:
        """Tell that a part is done."""

    def within(self, name: str, of_s: float, now_s: float, /) -> None:
        """Tell how far the part is that is under way, in simulated time."""


# Tells of a piece of work with so many parts.
Telling = Callable[[int], AbstractContextManager[Advance]]
Progress = Callable[[str, int], AbstractContextManager[Advance]]
Runs = dict[str, list[Summary]]  # by label, in the order of their numbers


class _Silent:
    def __call__(self, name: str, /) -> None:
        pass

    def within(self, name: str, of_s: float, now_s: float, /) -> None:
        pass


@contextmanager
def silent(_what: str, _total: int) -> Iterator[Advance]:
    """Tell nobody."""
    yield _Silent()


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """What one policy came to: intervals by measure, None where a measure is not defined.

    `doubtful` is the share of requests whose network was divided on hardware on whose layers two
    opinions differ, `share_gap_s` by how much on average, None if there are none.
    """

    label: str
    name: str
    knowledge: str
    requests: int
    unfinished: int
    saturated: bool
    doubtful: float
    share_gap_s: float | None
    measures: dict[str, Interval | None]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Policies side by side, and their paired differences.

    `known` and `rescaled` say how the latencies are known, and how well; `unmet` which intervals are
    not as narrow as was asked for. Intervals hold at `level`; where replications were added until they
    were narrow enough, they were taken at a higher one for that: `taken_at`.
    """

    scenario: str
    seed: int
    replications: int
    level: float
    warm_up_s: float
    policies: tuple[PolicyResult, ...]
    pairs: tuple[Pair, ...]
    known: str
    rescaled: tuple[str, ...]
    second_opinion: Survival | None = None
    unmet: tuple[str, ...] = ()
    taken_at: float = LEVEL

    @property
    def doubtful(self) -> bool:
        """Whether some policy divides a network where two opinions on its layers differ."""
        return any(policy.doubtful for policy in self.policies)

    @property
    def headline(self) -> str:
        """The measure to rank by: useful, or on_time where nobody can say what is right."""
        if self.pairs:
            return headline(self.pairs)
        useful = any(policy.measures["useful"] is not None for policy in self.policies)
        return "useful" if useful else "on_time"

    def best(self, measure: str) -> str | None:
        """Return the label of the contender with the largest mean of a measure; None if none has one.

        Contenders know no more than reports, if there are any such.
        """
        known = [each for each in self.policies if each.measures[measure] is not None]
        contenders = [each for each in known if each.knowledge == "reported"] or known
        means = {each.label: told.mean for each in contenders if (told := each.measures[measure])}
        return max(means, key=lambda label: means[label], default=None)

    def as_json(self) -> dict[str, Any]:
        """Return what `compare --json` prints."""
        told = asdict(self)
        for policy in told["policies"]:
            policy.update(policy.pop("measures"))
        return told


def compare(
    scenario: Scenario,
    choices: Sequence[Choice],
    replications: int,
    seed: int | None = None,
    jobs: int | Workers = 1,
    out: Path | None = None,
    progress: Progress = silent,
    *,
    second_opinion: bool = True,
    until: Until | None = None,
) -> Comparison:
    """Simulate every policy in every replication and say what can be claimed of them.

    Rows go to `out/<label>/<replication>/requests.parquet`; what lies there already, from the same
    scenario, policy, seed and version, is not simulated again. Rows do not depend on `jobs`, a number
    of processes or other workers. With `until`, replications are added until it is met or gives up.

    Where a policy divides networks on rescaled hardware all is simulated again with the second opinion
    on the shares of their layers, unless told not to; those rows go to `out/second-opinion`. Raises
    PolicyError.
    """
    seed = scenario.file.seed if seed is None else seed
    with hired(jobs) as workers:
        if scenario.file.warm_up == "auto" and out is None:  # its second pass reads the rows again
            with tempfile.TemporaryDirectory() as folder:
                return compare(
                    scenario, choices, replications, seed, workers, Path(folder), progress,
                    second_opinion=second_opinion, until=until,
                )  # fmt: skip
        told = partial(progress, "simulating")
        found = _compare(scenario, choices, replications, seed, workers, out, told, until)
        ranked = any(pair.measure == headline(found.pairs) for pair in found.pairs)
        if not (second_opinion and ranked and found.doubtful):
            return found
        # Every policy runs again: one that divides nothing now may do so then.
        shares = "second-opinion" if scenario.file.shares == "measured" else "measured"
        changed = {**scenario.raw, "shares": shares, "warm_up": f"{found.warm_up_s!r} s"}
        other = check(scenario.path, changed, lambda _: str(scenario.path), scenario.base)
        aside = None if out is None else out / "second-opinion"
        told = partial(progress, "simulating with the second opinion")
        again = _compare(other, choices, found.replications, seed, workers, aside, told, None)
    return replace(found, second_opinion=survival(found.pairs, again.pairs))


def _compare(
    scenario: Scenario, choices: Sequence[Choice], count: int, seed: int, workers: Workers,
    out: Path | None, progress: Telling, until: Until | None,
) -> Comparison:  # fmt: skip
    """Simulate so many replications, and more until what was asked for is met."""
    runs: Runs = {choice.label: [] for choice in choices}
    wanted = count if until is None else min(max(count, START), until.most)
    while True:
        _more(scenario, choices, runs, wanted, seed, workers, out, progress)
        level = LEVEL if until is None else UNTIL_LEVEL
        found = conclude(Known.of(scenario), choices, runs, seed, out, level)
        if until is None:
            return found
        measures = {policy.label: policy.measures for policy in found.policies}
        count, wanted = wanted, until.wanted(wanted, measures, found.pairs)
        if wanted == count:
            return replace(found, unmet=until.unmet(measures, found.pairs))


def _more(
    scenario: Scenario, choices: Sequence[Choice], runs: Runs, wanted: int, seed: int, workers: Workers,
    out: Path | None, progress: Telling,
) -> None:  # fmt: skip
    """Add replications until there are as many as wanted."""
    first = min(map(len, runs.values()))
    each = [replication.replications(scenario, choice, seed, wanted, out)[first:] for choice in choices]
    # All policies of a replication, then of the next: what is interrupted is of use.
    work = [one for row in zip(*each, strict=True) for one in row]
    found: dict[str, dict[int, Summary]] = {choice.label: {} for choice in choices}
    with progress(len(work)) as advance:
        for done, summary in run_all(work, workers, advance.within):
            found[done.choice.label][done.number] = summary
            advance(done.choice.label)
    for label, summaries in found.items():
        runs[label] += [summaries[number] for number in range(first, wanted)]


@dataclass(frozen=True, slots=True)
class Known:
    """What has to be known of a scenario, besides its rows, to compare policies.

    `warm_up_s` is None where it is to be found from the rows.
    """

    scenario: str
    duration_s: float
    warm_up_s: float | None
    judged: bool
    known: str
    rescaled: tuple[str, ...]

    @classmethod
    def of(cls, scenario: Scenario) -> "Known":
        """Return what is known of a scenario."""
        file = scenario.file
        warm_up_s = None if file.warm_up == "auto" else file.warm_up
        return cls(
            file.name, file.duration, warm_up_s, scenario.judged, scenario.known, scenario.rescaled
        )


def conclude(
    of: Known, choices: Sequence[Choice], runs: Mapping[str, Sequence[Summary]], seed: int,
    out: Path | None, level: float = LEVEL,
) -> Comparison:  # fmt: skip
    """Say what can be claimed from the replications that there are.

    `runs[label]` are their summaries in order. Where a warm-up is to be found, the rows in `out` are
    read again.
    """
    count = min(map(len, runs.values()))
    warm_up_s = of.warm_up_s or 0.0
    if of.warm_up_s is None and out is not None:
        cut = statistics.warm_up_bins({k: [s.stays for s in v] for k, v in runs.items()})
        warm_up_s = of.duration_s * cut / BINS
        runs = {label: _again(of, out, label, count, warm_up_s) for label in runs}
    first_bin = int(BINS * warm_up_s / of.duration_s)
    values = {
        label: {measure: [run.values[measure] for run in each] for measure in MEASURES}
        for label, each in runs.items()
    }
    policies = tuple(_result(choice, runs[choice.label], first_bin, level) for choice in choices)
    return Comparison(
        of.scenario, seed, count, LEVEL, warm_up_s, policies,
        tuple(statistics.pairs(values, level)), of.known, of.rescaled, taken_at=level,
    )  # fmt: skip


def _again(of: Known, out: Path, label: str, count: int, warm_up_s: float) -> list[Summary]:
    """Measure the rows of one policy again, with another warm-up."""
    files = [pl.scan_parquet(rows_path(out, label, r)) for r in range(count)]
    return [summarise(rows, warm_up_s, of.duration_s, judged=of.judged) for rows in files]


def _result(choice: Choice, runs: Sequence[Summary], first_bin: int, level: float) -> PolicyResult:
    """Put the replications of one policy together."""
    return PolicyResult(
        label=choice.label,
        name=choice.name,
        knowledge=choice.knowledge,
        requests=sum(run.requests for run in runs),
        unfinished=sum(run.unfinished for run in runs),
        saturated=statistics.saturated(
            [run.under_way for run in runs], [run.births for run in runs], first_bin
        ),
        doubtful=sum(run.doubtful for run in runs) / len(runs),
        share_gap_s=_mean([run.share_gap_s for run in runs]),
        measures={
            measure: statistics.interval([run.values[measure] for run in runs], level)
            for measure in MEASURES
        },
    )


def _mean(values: Sequence[float]) -> float | None:
    """Return the mean of what is defined, None if nothing is."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else None
