"""Why requests were late, unanswered or wrong, in one file of rows; simulated again if asked to."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from offload.analysis import repeat
from offload.analysis.explaining.legs import (
    NAMES,
    ORDER,
    Cause,
    Part,
    Row,
    blame,
    legs,
    luck_of,
    places,
    plan_of,
    quickest_alone_s,
)  # fmt: skip
from offload.analysis.explaining.mistakes import Look, Witness, judge
from offload.analysis.folder import FolderError, Kept
from offload.analysis.repeat import Recipe
from offload.analysis.result import simulate_in_chunks
from offload.analysis.rows import SCHEMA
from offload.entities import Facts
from offload.streams import Streams
from offload.world.reach import Place

JUDGED = 2000  # late requests of a replication whose decisions are looked at, spread over all of it


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg of a late request: what it took, of which alone (with its luck, if known), and where."""

    leg: str
    place: str
    took_s: float
    alone_s: float


@dataclass(frozen=True, slots=True)
class Late:
    """A late request leg by leg; `looks` are the decisions about it, seen with the truth."""

    point: str  # the name of the folder of its comparison
    replication: int
    request: int
    device: str
    task: str
    born_s: float
    deadline_s: float
    stayed_s: float
    cause: str
    plan: str
    legs: tuple[Leg, ...]
    looks: tuple[Look, ...] = ()

    @property
    def over_s(self) -> float:
        """By how much it was late; by its whole deadline at least if it was not answered."""
        over_s = self.stayed_s - self.deadline_s
        return max(over_s, self.deadline_s) if self.cause else over_s


@dataclass(frozen=True, slots=True)
class Study:
    """What one file of rows tells of the requests born after the warm-up.

    Counts of all, of those late, unanswered and wrong (answered in time, but not right; None where
    nobody can say). `blamed[task][cause]` sum to the number that missed their deadlines. `never` are
    those that no plan could have done in time in an empty world. `mistakes` count those of a sample by
    `mistakes.judge`, and are empty without a replay. `fresh` is how many would have missed, had
    all reports been of no age; None if nobody asked, or if no decision about a late request depended on
    what was known.
    """

    replication: int
    knowledge: str
    known: str
    requests: int
    late: int
    unanswered: int
    wrong: int | None
    never: int
    blamed: Mapping[str, Mapping[Cause, float]]
    worst: tuple[Late, ...]
    mistakes: Mapping[str, int] = field(default_factory=dict)
    fresh: int | None = None

    @property
    def missed(self) -> int:
        """How many were not answered in time."""
        return self.late + self.unanswered


def study(kept: Kept, warm_up_s: float | None, worst: int, *, replay: bool) -> Study:
    """Study one file of rows; with a `replay`, simulate it again and look on.

    The warm-up given is that of a scenario with "auto"; without one, all requests count. Raises
    ScenarioError or FolderError.
    """
    recipe = repeat.read(kept.file)
    every = pl.scan_parquet(kept.file)
    if dict(every.collect_schema()) != dict(SCHEMA):
        msg = f"{kept.file}: its columns are not those of rows; it was not written by offload"
        raise FolderError(msg)
    told_s = recipe.scenario.file.warm_up
    from_s = (warm_up_s or 0.0) if told_s == "auto" else float(told_s)
    counted = every.filter(_counts(from_s))
    requests = counted.select(pl.len()).collect().item()
    roots = list(counted.filter(~pl.col("on_time")).collect().iter_rows(named=True))
    paths = _paths(every, roots)
    ends = sorted(roots, key=_over_s, reverse=True)[:worst]
    sample = [root["request"] for root in roots[:: max(1, math.ceil(len(roots) / JUDGED))]]
    witness = None
    if replay and roots:
        witness = _replayed(kept, recipe, paths, {*sample, *(root["request"] for root in ends)})
    setting = recipe.scenario.setting(recipe.choice.overhead_s, Streams(recipe.seed, recipe.replication))
    facts = {(each.group, each.task, each.stage): each for each in setting.facts}
    at = {each.name: each.place for each in setting.devices if not each.place.steady}
    parts = {number: _parts(rows, facts, at, witness) for number, rows in paths.items()}
    blamed: dict[str, Counter[Cause]] = defaultdict(Counter)
    for root in roots:
        blamed[f"{root['group']}.{root['task']}"].update(blame(root, parts[root["request"]]))
    alone_s = {number: [quickest_alone_s(part.facts) for part in each] for number, each in parts.items()}
    looks = {number: decisions(rows, alone_s[number], witness) for number, rows in paths.items()}
    unanswered = sum(root["cause"] != "" for root in roots)
    return Study(
        replication=kept.replication,
        knowledge=recipe.choice.knowledge,
        known=recipe.scenario.known,
        requests=requests,
        late=len(roots) - unanswered,
        unanswered=unanswered,
        wrong=_wrong(counted) if recipe.scenario.judged else None,
        never=sum(sum(alone_s[root["request"]]) > root["deadline_s"] for root in roots),
        blamed={task: dict(causes) for task, causes in blamed.items()},
        worst=tuple(
            _late(root, parts[root["request"]], kept, looks[root["request"]])
            for root in ends
        ),
        mistakes=Counter(judge(looks[number]) for number in sample) if witness else {},
        fresh=_fresh(recipe, from_s) if any(look.swayed for each in looks.values() for look in each)
        and recipe.choice.knowledge == "reported" else None,
    )  # fmt: skip


def _paths(frame: pl.LazyFrame, roots: Sequence[Row]) -> dict[int, list[Row]]:
    """Return the critical path of each request, by its id."""
    ids = [root["request"] for root in roots]
    stages: dict[int, list[Row]] = defaultdict(list)
    for row in frame.filter(pl.col("parent").is_in(ids)).collect().iter_rows(named=True):
        stages[row["parent"]].append(row)
    return {root["request"]: path(root, stages[root["request"]]) for root in roots}


def _replayed(
    kept: Kept, recipe: Recipe, paths: Mapping[int, Sequence[Row]], judged: set[int]
) -> Witness:
    """Simulate again, and return who looked on. Raises FolderError if other rows come of it."""
    every = {part["request"]: number for number, rows in paths.items() for part in rows}
    wanted = frozenset(part for part, number in every.items() if number in judged)
    streams = Streams(recipe.seed, recipe.replication)
    witness = Witness(recipe.choice, streams, wanted, frozenset(every))
    if not recipe.repeat(watch=witness)[1]:
        msg = f"{kept.file}: this version or machine makes other rows of it; give --no-replay"
        raise FolderError(msg)
    return witness


def _counts(from_s: float) -> pl.Expr:
    """Tell the rows that measures count: those of roots that were born after the warm-up."""
    return pl.col("parent").is_null() & (pl.col("born_s") >= from_s)


def _fresh(recipe: Recipe, from_s: float) -> int:
    """Simulate with reports of no age, the same births and luck, and count who missed the deadline."""
    knowing, missed = replace(recipe.choice, knowledge="fresh", estimate=None), 0

    def add(frame: pl.DataFrame) -> None:
        nonlocal missed
        missed += frame.filter(_counts(from_s), ~pl.col("on_time")).height

    simulate_in_chunks(recipe.scenario, knowing, recipe.seed, recipe.replication, add)
    return missed


def decisions(
    rows: Sequence[Row], alone_s: Sequence[float], witness: Witness | None
) -> tuple[Look, ...]:
    """Return the decisions along a path; what its later stages take at the least is not left to them."""
    if witness is None:
        return ()
    later_s = [sum(alone_s[number + 1 :]) for number in range(len(rows))]
    return tuple(
        replace(look, left_s=look.left_s - rest_s)
        for row, rest_s in zip(rows, later_s, strict=True)
        for look in witness.looks.get(row["request"], ())
    )


def _wrong(counted: pl.LazyFrame) -> int | None:
    """Count who was answered in time, but not rightly; None where nobody can say of someone."""
    answered = counted.filter(pl.col("cause") == "")
    wrong = (pl.col("on_time") & ~pl.col("correct")).sum()
    unknown, number = (
        answered.select(pl.col("correct").null_count(), wrong.alias("wrong")).collect().row(0)
    )
    return None if unknown else int(number)


def path(root: Row, stages: Sequence[Row]) -> list[Row]:
    """Return the requests of a frame's critical path in their order; a request of its own is its own.

    Each ended when the next was born, and the last when the frame did.
    """
    found: list[Row] = []
    end_s = root["ended_s"]
    left = [row for row in stages if row["cause"] == root["cause"]] or list(stages)
    while ends := [row for row in left if row["ended_s"] == end_s and row not in found]:
        found.insert(0, ends[0])
        end_s, left = ends[0]["born_s"], [row for row in stages if row["cause"] == ""]
    return found or [root]


def _parts(
    rows: Iterable[Row],
    facts: Mapping[tuple[str, str, str | None], Facts],
    at: Mapping[str, Place],
    witness: Witness | None,
) -> list[Part]:
    parts = []
    for row in rows:
        mine = facts.get((row["group"], row["task"], row["stage"]))
        if mine is None:  # a frame that ended before a stage of it was asked about
            mine = next(each for key, each in facts.items() if key[:2] == (row["group"], row["task"]))
        fate = None if witness is None else witness.fates.get(row["request"])
        luck = None if fate is None else luck_of(fate, mine)
        parts.append(Part(row, mine, plan_of(row, mine), luck, at.get(row["device"])))
    return parts


def _over_s(row: Row) -> float:
    over_s: float = row["ended_s"] - row["born_s"] - row["deadline_s"]
    return max(over_s, row["deadline_s"]) if row["cause"] else over_s


def _late(root: Row, parts: Sequence[Part], kept: Kept, looks: tuple[Look, ...]) -> Late:
    found = []
    for part in parts:
        where = places(part)
        for leg, (took_s, _, own_s) in zip(ORDER, legs(part), strict=True):
            if took_s > 0.0:
                found.append(Leg(NAMES[leg], where[leg], took_s, min(own_s, took_s)))
    plans = [part.row["plan"] for part in parts if part.row["plan"] is not None]
    return Late(
        kept.folder.name, kept.replication, root["request"], root["device"], root["task"],
        root["born_s"], root["deadline_s"], root["ended_s"] - root["born_s"], root["cause"],
        "; ".join(plans) or "none", tuple(found), looks,
    )  # fmt: skip
