"""Several policies on the same births and the same luck, over independent replications."""

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from offload.analysis import replication, statistics
from offload.analysis.measures import BINS, MEASURES, Summary, summarise
from offload.analysis.replication import rows_path
from offload.analysis.statistics import Interval, Pair
from offload.analysis.survival import Survival, headline, survival
from offload.analysis.workers import run_all
from offload.policies.table import Choice
from offload.scenario.load import Scenario, check

LEVEL = 0.95

# Tells of a piece of work with so many parts: a function to call after each of them.
Progress = Callable[[str, int], AbstractContextManager[Callable[[str], None]]]


@contextmanager
def silent(_what: str, _total: int) -> Iterator[Callable[[str], None]]:
    """Tell nobody."""
    yield lambda _: None


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

    `known` and `rescaled` say how the latencies are known, and how well.
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

    @property
    def doubtful(self) -> bool:
        """Whether some policy divides a network where two opinions on its layers differ."""
        return any(policy.doubtful for policy in self.policies)

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
    jobs: int = 1,
    out: Path | None = None,
    progress: Progress = silent,
    *,
    second_opinion: bool = True,
) -> Comparison:
    """Simulate every policy in every replication and say what can be claimed of them.

    Rows go to `out/<label>/<replication>/requests.parquet`; what lies there already, from the same
    scenario, policy, seed and version, is not simulated again. Rows do not depend on `jobs`.

    Where a policy divides networks on rescaled hardware all is simulated again with the second opinion
    on the shares of their layers, unless told not to; those rows go to `out/second-opinion`. Raises
    PolicyError.
    """
    seed = scenario.file.seed if seed is None else seed
    if scenario.file.warm_up == "auto" and out is None:  # its second pass reads the rows again
        with tempfile.TemporaryDirectory() as folder:
            return compare(
                scenario, choices, replications, seed, jobs, Path(folder), progress,
                second_opinion=second_opinion,
            )  # fmt: skip
    with progress("simulating", len(choices) * replications) as advance:
        found = _compare(scenario, choices, replications, seed, jobs, out, advance)
    ranked = any(pair.measure == headline(found.pairs) for pair in found.pairs)
    if not (second_opinion and ranked and found.doubtful):
        return found
    # Every policy runs again: one that divides nothing now may do so then.
    shares = "second-opinion" if scenario.file.shares == "measured" else "measured"
    changed = {**scenario.raw, "shares": shares, "warm_up": f"{found.warm_up_s!r} s"}
    other = check(scenario.path, changed, lambda _: str(scenario.path), scenario.base)
    aside = None if out is None else out / "second-opinion"
    with progress("simulating with the second opinion", len(choices) * replications) as advance:
        again = _compare(other, choices, replications, seed, jobs, aside, advance)
    return replace(found, second_opinion=survival(found.pairs, again.pairs))


def _compare(
    scenario: Scenario, choices: Sequence[Choice], replications: int, seed: int, jobs: int,
    out: Path | None, advance: Callable[[str], None],
) -> Comparison:  # fmt: skip
    found: dict[str, dict[int, Summary]] = {choice.label: {} for choice in choices}
    each = [replication.replications(scenario, choice, seed, replications, out) for choice in choices]
    # All policies of a replication, then of the next: what is interrupted is of use.
    for done, summary in run_all([one for row in zip(*each, strict=True) for one in row], jobs):
        found[done.choice.label][done.number] = summary
        advance(done.choice.label)
    by_label = {label: [runs[r] for r in range(replications)] for label, runs in found.items()}
    warm_up_s = 0.0 if scenario.file.warm_up == "auto" else scenario.file.warm_up
    if scenario.file.warm_up == "auto" and out is not None:
        cut = statistics.warm_up_bins({k: [s.stays for s in v] for k, v in by_label.items()})
        warm_up_s = scenario.file.duration * cut / BINS
        by_label = {label: _again(scenario, out, label, replications, warm_up_s) for label in by_label}
    first_bin = int(BINS * warm_up_s / scenario.file.duration)
    values = {
        label: {measure: [run.values[measure] for run in runs] for measure in MEASURES}
        for label, runs in by_label.items()
    }
    policies = tuple(_result(choice, by_label[choice.label], first_bin) for choice in choices)
    return Comparison(
        scenario.file.name, seed, replications, LEVEL, warm_up_s, policies,
        tuple(statistics.pairs(values, LEVEL)), scenario.known, scenario.rescaled,
    )  # fmt: skip


def _again(
    scenario: Scenario, out: Path, label: str, replications: int, warm_up_s: float
) -> list[Summary]:
    """Measure the rows of one policy again, with another warm-up."""
    duration_s, judged = scenario.file.duration, scenario.judged
    files = [pl.scan_parquet(rows_path(out, label, r)) for r in range(replications)]
    return [summarise(rows, warm_up_s, duration_s, judged=judged) for rows in files]


def _result(choice: Choice, runs: Sequence[Summary], first_bin: int) -> PolicyResult:
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
            measure: statistics.interval([run.values[measure] for run in runs], LEVEL)
            for measure in MEASURES
        },
    )


def _mean(values: Sequence[float]) -> float | None:
    """Return the mean of what is defined, None if nothing is."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else None


def to_json(told: Any) -> Any:  # noqa: ANN401 - any nest of dicts and lists
    """Return the same with null for what is not a finite number."""
    if isinstance(told, dict):
        return {key: to_json(value) for key, value in told.items()}
    if isinstance(told, list | tuple):
        return [to_json(value) for value in told]
    if isinstance(told, float) and not math.isfinite(told):
        return None
    return told
