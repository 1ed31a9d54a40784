"""The same comparison at many points of a scenario's keys, all replications as one list of work."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from offload.analysis.compare import LEVEL, Comparison, Known, Progress, conclude, silent
from offload.analysis.measures import Summary
from offload.analysis.statistics import Interval
from offload.analysis.sweeping.design import Method, Point
from offload.analysis.sweeping.vary import Vary, VaryError, settings
from offload.analysis.until import LEVEL as UNTIL_LEVEL
from offload.analysis.until import START, Until
from offload.analysis.work.attempt import Failure
from offload.analysis.work.replication import Replication, replications
from offload.analysis.work.workers import Workers, hired, try_all
from offload.policies.table import Choice
from offload.scenario.faults import ScenarioError
from offload.scenario.load import Draft, Scenario

Chosen = Callable[[Scenario], Sequence[Choice]]  # which policies to compare in a scenario

_SETTING = re.compile(r"--set (.+?): ")


@dataclass(frozen=True, slots=True)
class Case:
    """A point whose scenario was checked: the first replication of each policy, or why there is none."""

    point: Point
    of: Known | None
    firsts: tuple[Replication, ...]
    error: str = ""

    def work(self, begin: int, end: int) -> Iterator[Replication]:
        """Yield all policies of a replication, then of the next: what is interrupted is of use."""
        for number in range(begin, end):
            for first in self.firsts:
                yield replace(first, number=number)


@dataclass(frozen=True, slots=True)
class PointResult:
    """What was found at a point, and for each policy that failed, why ("" stands for all of them)."""

    point: Point
    found: Comparison | None
    errors: Mapping[str, str]

    def interval(self, label: str, measure: str) -> Interval | None:
        """Return a policy's measure, None where it is not defined or failed."""
        policies = self.found.policies if self.found else ()
        return next((each.measures[measure] for each in policies if each.label == label), None)


@dataclass(frozen=True, slots=True)
class Sweep:
    """What was found at each point, with the same policies on the same seeds."""

    scenario: str
    method: Method
    keys: tuple[str, ...]
    labels: tuple[str, ...]
    seed: int
    replications: int
    points: tuple[PointResult, ...]

    @property
    def measure(self) -> str:
        """The measure to show unless another is asked for: useful, or on_time if that is not defined."""
        known = [policy.measures["useful"] for found in self.found for policy in found.policies]
        return "useful" if known and all(known) else "on_time"

    @property
    def found(self) -> list[Comparison]:
        """The comparisons of points at which something could be compared."""
        return [each.found for each in self.points if each.found is not None]

    @property
    def failed(self) -> list[PointResult]:
        """The points at which some policy failed, or all."""
        return [each for each in self.points if each.errors]

    def column(self, key: int) -> Vary:
        """Return a key with its value at each point."""
        return Vary(self.keys[key], tuple(each.point.values[key] for each in self.points))

    def as_json(self) -> dict[str, Any]:
        """Return what `sweep --json` prints."""
        points = [
            {
                "name": each.point.name,
                "values": dict(zip(self.keys, each.point.values, strict=True)),
                "errors": dict(each.errors),
                **(each.found.as_json() if each.found else {}),
            }
            for each in self.points
        ]
        return {"scenario": self.scenario, "method": self.method, "keys": self.keys, "points": points}


def cases(
    draft: Draft, said: Sequence[str], varied: Sequence[Vary], points: Sequence[Point],
    chosen: Chosen, seed: int, out: Path, advance: Callable[[str], None] = lambda _: None,
    *, sampled: bool = False,
) -> list[Case]:  # fmt: skip
    """Check the scenario at each point; `said` are the settings besides.

    A value that its key takes at none of the points is a mistake, and so is a sweep that can be done
    at none; where a key takes the value but the rest of the scenario cannot be, that point fails. Of
    `sampled` values it is a mistake if the key takes none. Raises ScenarioError or VaryError with every
    fault.
    """
    raw, found = draft.raw, []
    taken: dict[
        tuple[str, str], list[str]
    ] = {}  # what its points say against a value; [] if one takes it
    everything = dict[str, None]()
    for point in points:
        given = [s for each, v in zip(varied, point.values, strict=True) for s in settings(raw, each, v)]
        faults: list[str] = []
        try:
            scenario = draft.check([*said, *given], leave_out=["sweep"])
            firsts = [replications(scenario, c, seed, 1, out / point.name)[0] for c in chosen(scenario)]
            found.append(Case(point, Known.of(scenario), tuple(firsts)))
        except ScenarioError as error:
            faults = [_told(fault, varied) for fault in error.faults]
            found.append(Case(point, None, (), "\n".join(faults)))
            everything |= dict.fromkeys(faults)
        for each, value in zip(varied, point.values, strict=True):
            own = [fault for fault in faults if fault.startswith(f"{each.where} {each.key}: ")]
            unit = each.key, "" if sampled else value
            before = taken.get(unit)
            taken[unit] = own if before is None else before + own if before and own else []
        advance(point.name)
    wrong = dict.fromkeys(fault for own in taken.values() for fault in own)
    if wrong or all(case.error for case in found):
        raise ScenarioError(list(wrong or everything)[:MOST_FAULTS])
    _same_labels(varied, [case for case in found if not case.error])
    return found


MOST_FAULTS = 50


def _told(fault: str, varied: Sequence[Vary]) -> str:
    """Tell of a fault by what was varied, not by the setting that this became."""
    match = _SETTING.match(fault)
    for each in varied if match else ():
        pattern = re.escape(each.key.replace('"', "")).replace(r"\*", ".+")
        if match and re.fullmatch(pattern, match[1]):
            return f"{each.where} {each.key}: {fault[match.end() :].removeprefix(f'{each.key}: ')}"
    return fault


def _same_labels(varied: Sequence[Vary], good: Sequence[Case]) -> None:
    labels = [[first.choice.label for first in case.firsts] for case in good]
    if other := next((each for each in labels if each != labels[0]), None):
        keys = ", ".join(each.key for each in varied)
        msg = (
            f"{varied[0].where} {keys}: compares {', '.join(labels[0])} and {', '.join(other)};"
            " keep the labels"
        )
        raise VaryError(msg)


@dataclass(slots=True)
class _Open:
    """A point that has not ended: what has come of it so far, by policy and replication."""

    case: Case
    wanted: int
    runs: dict[str, dict[int, Summary | Failure]]
    done: int = 0  # replications of each policy in earlier rounds

    @property
    def complete(self) -> bool:
        """Whether all is there that was wanted."""
        return all(len(runs) == self.wanted for runs in self.runs.values())

    def result(self, level: float) -> PointResult:
        """Put the replications together, of those policies that did not fail."""
        errors, runs = dict[str, str](), dict[str, list[Summary]]()
        for label, by_number in self.runs.items():
            came = [by_number[number] for number in sorted(by_number)]
            if failed := next((each for each in came if isinstance(each, Failure)), None):
                errors[label] = str(failed)
            else:
                runs[label] = [each for each in came if isinstance(each, Summary)]
        first, found = self.case.firsts[0], None
        choices = [each.choice for each in self.case.firsts if each.choice.label in runs]
        if choices and self.case.of is not None:
            found = conclude(self.case.of, choices, runs, first.seed, first.out, level)
        return PointResult(self.case.point, found, errors)


def sweep(
    method: Method, keys: Sequence[str], cases: Sequence[Case], count: int, workers: int | Workers = 1,
    progress: Progress = silent, ended: Callable[[PointResult], None] = lambda _: None,
    until: Until | None = None,
) -> Sweep:  # fmt: skip
    """Compare policies at each point, with so many replications, or until intervals are narrow.

    All replications of all points are one list of work. Rows go to a folder for each point, and what
    lies there already is not simulated again. A policy that fails at a point does not stop the others;
    `ended` is told of each point as it ends. Raises OSError and ClusterError.
    """
    results = {
        case.point.name: PointResult(case.point, None, {"": case.error}) for case in cases if case.error
    }
    for each in results.values():
        ended(each)
    level = LEVEL if until is None else UNTIL_LEVEL
    wanted = count if until is None else min(max(count, START), until.most)
    left = {
        case.point.name: _Open(case, wanted, {first.choice.label: {} for first in case.firsts})
        for case in cases
        if not case.error
    }
    with hired(workers) as those:
        while left:
            for point, result in _round(left, level, those, progress, len(cases)):
                more = _wanted(point, result, until)
                if more > point.wanted:
                    point.done, point.wanted = point.wanted, more
                    continue
                results[result.point.name] = _unmet(result, until)
                del left[result.point.name]
                ended(results[result.point.name])
    good = next(case for case in cases if case.of is not None)
    labels = tuple(each.choice.label for each in good.firsts)
    return Sweep(
        good.of.scenario if good.of else "", method, tuple(keys), labels, good.firsts[0].seed, count,
        tuple(results[case.point.name] for case in cases),
    )  # fmt: skip


def _round(
    left: Mapping[str, _Open], level: float, workers: Workers, progress: Progress, points: int
) -> Iterator[tuple[_Open, PointResult]]:
    """Run what is wanted at the points that are left, and yield each with its result as it ends."""
    work = [each for point in left.values() for each in point.case.work(point.done, point.wanted)]
    with progress("simulating", len(work)) as advance, closing(try_all(work, workers)) as ending:
        for done, came in ending:
            name = done.out.name if done.out else ""
            point = left[name]
            point.runs[done.choice.label][done.number] = came
            if point.complete:
                yield point, point.result(level)
            advance(f"{name} ({points - len(left)} of {points} points)")


def _wanted(point: _Open, result: PointResult, until: Until | None) -> int:
    """Return how many replications of a point there should be."""
    if until is None or result.found is None:
        return point.wanted
    measures = {policy.label: policy.measures for policy in result.found.policies}
    return until.wanted(point.wanted, measures, result.found.pairs)


def _unmet(result: PointResult, until: Until | None) -> PointResult:
    """Add which intervals are not as narrow as was asked for."""
    if until is None or result.found is None:
        return result
    measures = {policy.label: policy.measures for policy in result.found.policies}
    unmet = until.unmet(measures, result.found.pairs)
    return replace(result, found=replace(result.found, unmet=unmet))
