"""A grid of configurations, simulated and priced as the search for the cheapest asks for them."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path

from offload.analysis import statistics
from offload.analysis.compare import Progress
from offload.analysis.measures import Summary
from offload.analysis.sizing import costs
from offload.analysis.sizing.costs import CostError, Item, Use
from offload.analysis.sizing.search import Candidate, Sample, Search
from offload.analysis.sizing.target import Target, TargetError
from offload.analysis.sweeping.vary import Vary, VaryError, folder, named
from offload.analysis.work.replication import Replication, replications
from offload.analysis.work.workers import Workers, run_all
from offload.planning.money import has_prices
from offload.policies.table import Choice
from offload.scenario.faults import ScenarioError
from offload.scenario.load import Scenario, read

MOST_CONFIGURATIONS = 1000
FEWEST = 10  # replications of the first look: of fewer no skewness can be told

# Of these more is expected not to hurt, and the search verifies it on its way.
_CAPACITIES = re.compile(r"nodes\..+\.(servers|scale\.max)|links\..+\.(up|down|rate|bandwidth)")


@dataclass(frozen=True, slots=True)
class Axis:
    """A key and its values; where more is expected not to hurt (`monotone`), from the least to the most.

    It is `free` if no value of it changes what is paid before anything is used.
    """

    key: str
    values: tuple[str, ...]
    monotone: bool
    free: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One configuration under one policy."""

    values: tuple[str, ...]
    scenario: Scenario
    choice: Choice


def axis(vary: Vary) -> Axis:
    """Return the axis of what is varied."""
    monotone = bool(_CAPACITIES.fullmatch(vary.key)) and vary.numbers is not None
    if not monotone or vary.numbers is None:
        return Axis(vary.key, vary.values, monotone=False)
    ordered = sorted(zip(vary.numbers, vary.values, strict=True))
    return Axis(vary.key, tuple(value for _, value in ordered), monotone=True)


def grid(
    path: Path, varied: Sequence[Vary], settings: Sequence[str], progress: Progress
) -> tuple[list[Axis], list[tuple[tuple[str, ...], Scenario]]]:
    """Read the scenario at all combinations of values. Raises ScenarioError, VaryError."""
    axes = [axis(vary.distinct()) for vary in varied]
    if len({each.key for each in axes}) < len(axes):
        msg = "--vary: the same key twice; give all its values at once, like KEY=1, 2, 4..8"
        raise VaryError(msg)
    count = prod(len(each.values) for each in axes)
    if count > MOST_CONFIGURATIONS:
        msg = (
            f"--vary: {count} configurations; at most {MOST_CONFIGURATIONS} may be, so give fewer values"
        )
        raise VaryError(msg)
    draft = read(path)
    raw = draft.check(settings, ["sweep"]).raw
    keys = [named(raw, vary) for vary in varied]
    found, faults = [], dict[str, None]()
    with progress("reading", count) as advance:
        for values in product(*(each.values for each in axes)):
            here = [f"{key}={value}" for mine, value in zip(keys, values, strict=True) for key in mine]
            try:
                found.append((values, draft.check([*settings, *here], ["sweep"])))
            except ScenarioError as error:
                faults |= dict.fromkeys(error.faults)
            advance(", ".join(values))
    if faults:
        raise ScenarioError([fault.replace("--set", "--vary", 1) for fault in faults])
    return axes, found


def looks(most: int) -> list[int]:
    """Return the numbers of replications at which a configuration is tested: a quarter, half, all."""
    return sorted({min(most, max(FEWEST, most // part)) for part in (4, 2, 1)})


class Sizing:
    """A search over cases, with all that it simulates.

    Rows go to a folder for each configuration in `out`; what lies there already, from the same scenario,
    policy, seed and version, is not simulated again. Raises CostError, TargetError with every fault.
    """

    def __init__(
        self, axes: Sequence[Axis], cases: Sequence[Case], targets: Sequence[Target], most: int,
        seed: int, out: Path, progress: Progress,
    ) -> None:  # fmt: skip
        _refuse(cases, targets)
        self.cases, self.targets, self.looks, self.seed, self.out = (
            cases,
            targets,
            looks(most),
            seed,
            out,
        )
        self.standing = [costs.standing(case.scenario) for case in cases]
        self.axes = [self._told_free(n, each) for n, each in enumerate(axes)]
        self.values: dict[tuple[int, int], Mapping[str, float]] = {}
        self.uses: dict[tuple[int, int], Use] = {}
        self._workers: Workers | int = 1
        self._progress = progress
        candidates, zeros = [self._candidate(i) for i in range(len(cases))], [t.zero for t in targets]
        self.search = Search(candidates, self._draw, self.looks, zeros)

    def run(self, workers: Workers | int = 1) -> None:
        """Find the cheapest, and look at what lies one step from it. Raises PolicyError, TargetError."""
        self._workers = workers
        self.search.run()
        best = self.search.best
        if best is not None:
            self.search.sample(dict.fromkeys(self.neighbours(best).values(), self.looks[0]))

    def neighbours(self, i: int) -> dict[str, int]:
        """Return the cases that are one step of one key away, by what the step is."""
        here = self.cases[i]
        places = {
            (case.values, case.choice.label): number for number, case in enumerate(self.cases)
        }  # fmt: skip
        found = {}
        for n, each in enumerate(self.axes):
            at = each.values.index(here.values[n])
            for to in (at + 1, at - 1):
                if 0 <= to < len(each.values):
                    there = (*here.values[:n], each.values[to], *here.values[n + 1 :])
                    if (there, here.choice.label) in places:
                        step = f"{each.key}: {each.values[at]} to {each.values[to]}"
                        found[step] = places[there, here.choice.label]
        return found

    def items(self, i: int) -> tuple[Item, ...]:
        """Return what a case costs, part by part: what it uses is the mean over its replications."""
        runs = [use for (case, _), use in sorted(self.uses.items(), key=lambda e: e[0]) if case == i]
        nodes = dict.fromkeys(name for use in runs for name in use.node_w)
        mean = Use(
            {name: sum(use.node_w.get(name, 0.0) for use in runs) / len(runs) for name in nodes},
            sum(use.devices_w for use in runs) / len(runs),
            sum(use.money_per_s for use in runs) / len(runs),
        )
        return (*self.standing[i], *costs.running(self.cases[i].scenario, mean))

    def cost(self, i: int) -> statistics.Interval:
        """Return what a case costs a month, over its replications."""
        standing = costs.total(self.standing[i])
        found = statistics.interval([standing + s.use for s in self.search.trials[i].samples])
        assert found is not None  # noqa: S101 - what is used is finite, and somebody ran
        return found

    def measured(self, i: int, measure: str) -> list[float]:
        """Return a measure in each replication of a case."""
        return [self.values[i, n][measure] for n in range(len(self.search.trials[i].samples))]

    def rows(self, i: int) -> list[Path]:
        """Return where the rows of a case lie."""
        paths = [each.rows_path for each in self._work(i, range(len(self.search.trials[i].samples)))]
        return [path for path in paths if path is not None]

    def _work(self, i: int, numbers: range) -> list[Replication]:
        case = self.cases[i]
        here = self.out / _folder(self.axes, case.values)
        return replications(case.scenario, case.choice, self.seed, numbers.stop, here)[numbers.start :]

    def _draw(self, wanted: Mapping[int, range]) -> dict[int, list[Sample]]:
        work = {i: self._work(i, numbers) for i, numbers in wanted.items()}
        owners = {(each.out, each.choice.label): i for i, mine in work.items() for each in mine}
        found: dict[tuple[int, int], Sample] = {}
        flat = [each for mine in work.values() for each in mine]
        with self._progress("simulating", len(flat)) as advance:
            for done, summary in run_all(flat, self._workers):
                i = owners[done.out, done.choice.label]
                found[i, done.number] = self._sample(i, done, summary)
                advance(" ".join((*self.cases[i].values, done.choice.label)))
        return {i: [found[i, n] for n in numbers] for i, numbers in wanted.items()}

    def _sample(self, i: int, done: Replication, summary: Summary) -> Sample:
        scenario = self.cases[i].scenario
        assert done.rows_path is not None  # noqa: S101 - the rows of a sizing are kept
        use = costs.used(done.rows_path, scenario.file)
        self.uses[i, done.number], self.values[i, done.number] = use, summary.values
        return Sample(
            tuple(target.margin(summary) for target in self.targets),
            costs.total(costs.running(scenario, use)),
            tuple(target.counted(summary) for target in self.targets),
        )

    def _candidate(self, i: int) -> Candidate:
        case = self.cases[i]
        each = list(zip(self.axes, case.values, strict=True))
        level = tuple(axis.values.index(value) for axis, value in each if axis.monotone)
        kind = (case.choice.label, *(value for axis, value in each if not axis.monotone))
        return Candidate(kind, level, costs.total(self.standing[i]))

    def _told_free(self, n: int, axis: Axis) -> Axis:
        """Find out whether a key changes what is paid before anything is used."""
        paid: dict[object, set[float]] = {}
        for case, items in zip(self.cases, self.standing, strict=True):
            others = (case.values[:n], case.values[n + 1 :], case.choice.label)
            paid.setdefault(others, set()).add(round(costs.total(items), 9))
        free = len(axis.values) > 1 and all(len(sums) == 1 for sums in paid.values())
        return Axis(axis.key, axis.values, axis.monotone, free)


def _refuse(cases: Sequence[Case], targets: Sequence[Target]) -> None:
    """Refuse what cannot be measured or priced. Raises TargetError, CostError."""
    told = dict.fromkeys(fault for case in cases for fault in costs.faults(case.scenario))
    if told:
        raise CostError("\n".join(told))
    for scenario in {id(case.scenario): case.scenario for case in cases}.values():
        if scenario.file.warm_up == "auto":
            msg = "--target: warm_up = \"auto\" depends on all runs; give a time: --set 'warm_up=10 s'"
            raise TargetError(msg)
        for target in targets:
            if target.measure in ("useful", "accuracy") and not scenario.judged:
                msg = f"--target {target}: nobody can say what is right in this scenario; choose on_time"
                raise TargetError(msg)
            if target.measure == "money" and not any(map(has_prices, scenario.setting(0.0).facts)):
                msg = f"--target {target}: nothing that requests use has a price in this scenario"
                raise TargetError(msg)


def _folder(axes: Sequence[Axis], values: Sequence[str]) -> str:
    """Name the folder of a configuration."""
    parts = [
        f"{folder(axis.key.rpartition('.')[2])}={folder(value)}"
        for axis, value in zip(axes, values, strict=True)
    ]
    name = ",".join(parts)
    if len(name) <= 120 and len({axis.key.rpartition(".")[2] for axis in axes}) == len(axes):
        return name
    whole = repr([(axis.key, value) for axis, value in zip(axes, values, strict=True)])
    return f"{name[:100]}-{hashlib.blake2b(whole.encode(), digest_size=4).hexdigest()}"
