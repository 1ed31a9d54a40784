"""What a sizing found: the cheapest configuration, what surrounds it, and the front."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import polars as pl

from offload.analysis import statistics
from offload.analysis.rows import LEGS
from offload.analysis.sizing.costs import Item
from offload.analysis.sizing.grid import Axis, Sizing
from offload.analysis.sizing.search import CHECKS, ERROR
from offload.analysis.sizing.target import Target
from offload.analysis.statistics import Interval

State = Literal["meets", "fails", "undecided", "ruled out", "not surer", "no cheaper"]
CLEAREST = 3  # legs that are told of those that take longest


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration that was simulated.

    `measures` holds intervals for each alone; `bounds` the one-sided ones that all claims rest on, which
    hold at once, for what was tested. What was not is ruled out by a larger one that fails, not surer
    than a larger one that is undecided, or no cheaper than the answer. Costs are per month.
    """

    values: tuple[str, ...]
    policy: str
    replications: int
    verdict: State
    cost: Interval
    items: tuple[Item, ...]
    measures: dict[str, Interval | None]
    bounds: dict[str, Interval]
    front: bool

    @property
    def tested(self) -> bool:
        """Whether there were replications enough to say of it what is claimed."""
        return self.verdict in ("meets", "fails", "undecided")


@dataclass(frozen=True, slots=True)
class Step:
    """From the chosen configuration to another: what it costs more, and gains in the first target.

    `per_unit` is the gain for each unit of money a month, None where it saves, or costs no more but for
    what it uses.
    """

    what: str
    to: int
    cost: float
    gain: Interval | None
    per_unit: float | None


@dataclass(frozen=True, slots=True)
class Sized:
    """The answer. `chosen` and `just_cheaper` are places in `configurations`, None if there is none.

    `exhaustive` is how many replications it takes to give every configuration as many as one may have.
    """

    scenario: str
    seed: int
    level: float
    currency: str
    targets: tuple[Target, ...]
    axes: tuple[Axis, ...]
    possible: int
    replications: int
    exhaustive: int
    configurations: tuple[Configuration, ...]
    chosen: int | None
    just_cheaper: int | None
    reached: int
    steps: tuple[Step, ...]
    notes: tuple[str, ...]
    known: str

    def as_json(self) -> dict[str, Any]:
        """Return what size.json holds."""
        return asdict(self)


def result(done: Sizing) -> Sized:
    """Put together what a search found."""
    search = done.search
    first = done.targets[0]
    ran = [i for i, trial in enumerate(search.trials) if trial.samples]
    ran.sort(key=lambda i: (search.cost(i), i))
    front = _front(done, [i for i in ran if len(search.trials[i].samples) >= done.looks[0]])
    place = {i: n for n, i in enumerate(ran)}
    best, beside, reached = search.best, search.just_cheaper(), _reached(done, ran)
    told = [] if best is None else _steps(done, best, front, place)
    scenario = done.cases[0].scenario
    return Sized(
        scenario.file.name, done.seed, 1 - ERROR, scenario.file.costs.currency, tuple(done.targets),
        tuple(done.axes), len(done.cases), search.drawn, len(done.cases) * done.looks[-1],
        tuple(_configuration(done, i, front=i in front) for i in ran),
        None if best is None else place[best],
        None if best is None or beside is None else place.get(beside),
        place[reached],
        tuple(sorted(told, key=lambda step: (step.cost <= 0, -(step.per_unit or 0.0)))),
        tuple(_notes(done, best, reached, first)),
        scenario.known,
    )  # fmt: skip


def _configuration(done: Sizing, i: int, *, front: bool) -> Configuration:
    case, trial = done.cases[i], done.search.trials[i]
    measures = {t.measure: statistics.interval(done.measured(i, t.measure)) for t in done.targets}
    bounds = {
        str(target): _bound(target, bound)
        for target, bound in zip(done.targets, trial.bounds, strict=False)
    }
    return Configuration(
        case.values, case.choice.label, len(trial.samples), _state(done, i), done.cost(i),
        done.items(i), measures, bounds, front,
    )  # fmt: skip


def _state(done: Sizing, i: int) -> State:
    verdict = done.search.trials[i].verdict
    if verdict != "open":
        return verdict
    if not done.search.ruled_out(i):
        return "no cheaper"
    above = {done.search.trials[j].verdict for j in done.search.above(i)}
    return "ruled out" if "fails" in above else "not surer"


def _bound(target: Target, margins: Interval) -> Interval:
    """Turn the bounds of margins into those of the measure."""
    ends = sorted((target.limit + target.sign * margins.low, target.limit + target.sign * margins.high))
    low, high = (min(1.0, max(0.0, end)) if target.is_share else end for end in ends)
    return Interval(low, target.limit + target.sign * margins.mean, high)


def _mean(done: Sizing, i: int) -> float:
    """How good a case is on average by the first target's measure; more is better."""
    values = [sample.margins[0] for sample in done.search.trials[i].samples]
    return sum(values) / len(values)


def _front(done: Sizing, ran: Sequence[int]) -> list[int]:
    """Return those than which none cheaper does as well, by their means, from the cheapest on."""
    front: list[int] = []
    for i in sorted(ran, key=lambda i: (done.search.cost(i), -_mean(done, i))):
        if math.isfinite(_mean(done, i)) and (not front or _mean(done, i) > _mean(done, front[-1])):
            front.append(i)
    return front


def _steps(done: Sizing, best: int, front: Sequence[int], place: dict[int, int]) -> list[Step]:
    """Return what each step from the best one buys."""
    search = done.search
    steps = dict(done.neighbours(best))
    further = [i for i in front if search.saving(i) < 0]
    if further and further[0] not in steps.values():
        case = done.cases[further[0]]
        changed = [
            f"{axis.key} = {value}"
            for axis, value, was in zip(done.axes, case.values, done.cases[best].values, strict=True)
            if value != was
        ]
        if case.choice.label != done.cases[best].choice.label:
            changed.append(f"policy {case.choice.label}")
        steps[f"next on the front: {', '.join(changed)}"] = further[0]
    target = done.targets[0]
    found = []
    for what, i in steps.items():
        pairs = zip(done.measured(i, target.measure), done.measured(best, target.measure), strict=False)
        gain = statistics.interval([target.sign * (there - here) for there, here in pairs])
        more = -search.saving(i)
        bought = search.candidates[i].standing > search.candidates[best].standing
        per_unit = gain.mean / more if gain is not None and bought and more > 0 else None
        found.append(Step(what, place[i], more, gain, per_unit))
    return found


def _reached(done: Sizing, ran: Sequence[int]) -> int:
    """Return the case that comes nearest to all targets, by what it lacks of each limit."""

    def lacks(i: int) -> float:
        means = [
            sum(s.margins[j] for s in done.search.trials[i].samples)
            / len(done.search.trials[i].samples)
            / (abs(target.limit) or 1.0)
            for j, target in enumerate(done.targets)
        ]
        return min(means)

    tested = [i for i in ran if len(done.search.trials[i].samples) > CHECKS]
    return max(tested or ran, key=lacks)


def _notes(done: Sizing, best: int | None, reached: int, first: Target) -> list[str]:
    """Say what a reader must know: what is free, where more hurts, what limits, what is undecided."""
    notes = []
    for axis in done.axes:
        if axis.free:
            what = "larger" if axis.monotone else "any value of it"
            notes.append(f"{axis.key}: {what} is free by this file{_priced(axis.key)}")
    if done.search.broken:
        told = sorted({str(group[0]) for group in done.search.broken if isinstance(group, tuple)})
        notes.append(
            f"under {', '.join(told)} more of something hurts: a larger configuration fails where a"
            " smaller one meets the target; all that are cheaper were tested"
        )
    open_ = [
        ", ".join((*done.cases[i].values, done.cases[i].choice.label))
        for i, trial in enumerate(done.search.trials)
        if trial.verdict == "undecided"
        and (best is None or done.search.cost(i) < done.search.cost(best))
    ]
    if open_:
        more = f" and {len(open_) - 3} more" if len(open_) > 3 else ""
        notes.append(
            f"undecided after {done.looks[-1]} replications, so not claimed: {'; '.join(open_[:3])}"
            f"{more}; give more --replications"
        )
    if best is None:
        notes += _limits(done, reached, first)
    return notes


def _priced(key: str) -> str:
    """Say how a key that is free could have a price, "" if it could not."""
    table, *names = key.split(".")
    if table == "links":
        link = names[0].replace("*", "NAME")
        return f'; give links.{link}.rent = {{ per_Mbit = 1.0, known = "assumed", source = "..." }}'
    if table == "nodes" and names[-1] in ("servers", "max"):
        return (
            "; price_per_hour pays for servers while they compute, so leave it out and give"
            " hardware.NAME.price"
        )
    return ""


def _limits(done: Sizing, reached: int, target: Target) -> list[str]:
    """Say what keeps the one that came nearest from the target."""
    case = done.cases[reached]
    notes = [
        f"{axis.key} is at its largest value, {value}"
        if value == axis.values[-1]
        else f"{axis.key}: more than {value} did no better"
        for axis, value in zip(done.axes, case.values, strict=True)
        if axis.monotone
    ]
    since_s = float(case.scenario.file.warm_up)
    late = pl.concat(pl.scan_parquet(path) for path in done.rows(reached)).filter(
        pl.col("parent").is_null(), pl.col("born_s") >= since_s, ~pl.col("on_time")
    )
    told = late.select(pl.len(), *(pl.col(leg).sum() for leg in LEGS)).collect().row(0, named=True)
    spent = sum(told[leg] for leg in LEGS)
    if target.measure in ("on_time", "useful") or target.measure.startswith("latency"):
        legs = sorted(LEGS, key=lambda leg: -told[leg])[:CLEAREST]
        shares = [
            f"{told[leg] / spent:.0%} {leg.removesuffix('_s')}"
            for leg in legs
            if told[leg] > 0.05 * spent
        ]
        if shares:
            notes.append(
                f"where those that were late spent their time, waits included: {', '.join(shares)}"
            )
    return notes
