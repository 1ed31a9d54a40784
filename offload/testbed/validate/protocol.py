"""How a cell is measured: rules fixed beforehand, and the session that follows them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import polars as pl
from msgspec.structs import replace

from offload.analysis.rows import LEGS
from offload.entities import Outcome, Request
from offload.networks import Profile
from offload.policies.table import Choice
from offload.scenario.load import Scenario
from offload.streams import Streams
from offload.testbed.timing import Span, Timing
from offload.testbed.validate.matrix import Cell

TEXT = """\
The protocol, fixed before anything is measured. It is the second: by the first, processes that
compute nothing in a plan timed loops as well. These woke slowly, had 118 of 157 plays excluded of
1081, and left 10 of 41 cells with too few requests; what was excluded had work as long as the rest.

1. The device's process is pinned to one core, those of edge and cloud to another; torch has one
   thread in each. Who starts them, and hears what became of requests, is on either.
2. A cell is one plan over given links, idle or loaded. Its requests are born in blocks, each from
   an empty system: in an idle cell 20, each about 50 ms (between 40 and 60) after the one before
   should be answered by the shipped profiles; in a loaded cell 80, Poisson, at 0.6 of what the
   busiest of device, uplink, edge and cloud can take by the same. So plans at load are compared
   when they are equally busy, not at one rate. The births of a block have a seed of their own.
3. In each block half of the requests, drawn by a fixed seed, are for calibration, the others for
   the test; they take turns at random, so that both meet the same machine, load and gaps.
4. A first block warms up and does not count (20 requests; 40 at load). Then come 22 blocks in an
   idle cell (220 requests for the test), 26 in a loaded one (1040, over 13 seeds). The second half
   of the blocks repeats the births, and the roles, of the first, and so odd blocks those of even
   ones: what differs between the halves is the noise of the machine, up to twice that of the whole.
5. Before and after each block every process that computes in the plan times a loop of pure Python.
   A block in which one of them took more than 1.15 times its own median over the session, which is
   all that was measured into one folder, is excluded: by that alone, never by latencies. It is
   played again after the others, until a cell has had half as many plays more than blocks. A cell
   of which fewer than 200 requests for the test are left (1000 at load), or one was lost, is not
   within the bounds. The share that was excluded is shown, and beside every result the one without
   exclusion. A quick look (--short) excludes nothing, for it claims nothing.
6. The simulator is given the births, the links as they are set, the costs of a hop, of TLS and of
   a decision as `offload testbed costs` measured them, and for each place the mean and the
   quantiles of the work that was measured in calibration requests, drawn independently for each
   request. Of a request for the test it knows its birth and its size. All requests load it, those
   for the test are compared: mean, p50 and p95 over 20 replications pooled against those measured.
   Where nothing is sent and nobody waits, half of the requests so predict the other half, and only
   noise is left. Offline, it is given the shipped profiles instead, with the costs of idleness and
   of company from that same file, and nothing of the session.
7. Intervals of 95 % come from resampling blocks, simulated and measured ones together; what was
   calibrated stays as it is.
8. Cells are measured one after the other, because starting processes takes seconds; the machine's
   drift from cell to cell is in the error of the offline prediction, not in that of the calibrated
   one.
"""

LEAST = {"idle": 200, "loaded": 1000}  # requests for the test, to say that a cell is within bounds


@dataclass(frozen=True, slots=True)
class Rules:
    """The numbers of the protocol; see TEXT. `size` and `blocks` are by load.

    With `slow` None nothing is excluded.
    """

    idle_size: int = 20
    idle_blocks: int = 22
    loaded_size: int = 80
    loaded_blocks: int = 26
    warm_up: int = 20
    loaded_warm_up: int = 40
    gap_s: float = 0.050
    shake_s: float = 0.005
    load: float = 0.6
    slow: float | None = 1.15
    replications: int = 20
    seed: int = 7

    def size(self, cell: Cell) -> int:
        """Return the requests of a block."""
        return self.idle_size if cell.load == "idle" else self.loaded_size

    def blocks(self, cell: Cell) -> int:
        """Return the blocks that count."""
        return self.idle_blocks if cell.load == "idle" else self.loaded_blocks

    def least(self, cell: Cell) -> int:
        """Return the requests for the test that must be left, to say that a cell is close.

        None in a quick look, which claims nothing.
        """
        least = LEAST[cell.load]
        return least if self.size(cell) * self.blocks(cell) >= 2 * least else 0


USUAL = Rules()
QUICK = Rules(
    idle_size=10, idle_blocks=4, loaded_size=40, loaded_blocks=4, warm_up=5, loaded_warm_up=10,
    slow=None, replications=5,
)  # fmt: skip

PAUSE_S = 0.5  # between two plays: settling, and the sentinel
PLAYS = 1.5  # at most so many times as many plays as blocks
START_S = 8.0  # to start the processes of a cell with their networks, and to end them, about


class Bed(Protocol):
    """What a session needs of a testbed."""

    def play(self, requests: Sequence[Request]) -> list[tuple[Outcome, Timing]]:
        """Let requests be born; return a row and a timing for each, in their order."""

    def spin(self) -> dict[str, float]:
        """Return the seconds of the sentinel in each process."""


Start = Callable[[Scenario, Choice], AbstractContextManager[Bed]]
Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Schedule:
    """When the requests of a cell are born, and for what.

    `blocks[b]` has the births of block b in seconds after its beginning, `test[b]` whether each is for
    the test; block 0 warms up. On one axis of time block b begins at `begins_s[b]`, when what was born
    before is long done.
    """

    blocks: tuple[tuple[float, ...], ...]
    test: tuple[tuple[bool, ...], ...]
    begins_s: tuple[float, ...]
    ends_s: float

    @property
    def births_s(self) -> list[float]:
        """All births on the one axis."""
        return [
            begin + at_s
            for begin, block in zip(self.begins_s, self.blocks, strict=True)
            for at_s in block
        ]

    def positions(self, block: int) -> slice:
        """Return which of all births are those of a block."""
        first = sum(map(len, self.blocks[:block]))
        return slice(first, first + len(self.blocks[block]))

    @property
    def seconds(self) -> float:
        """About how long playing it takes once, without starting the processes."""
        return sum(block[-1] + PAUSE_S for block in self.blocks)


def schedule(cell: Cell, profile: Profile, rules: Rules) -> Schedule:
    """Return the births of a cell; `profile` tells what its stations and an unloaded request take."""
    half = rules.blocks(cell) // 2
    busiest_s = max(cell.stations_s(profile).values())
    mean_gap_s = busiest_s / rules.load
    steady_s = cell.unloaded_s(profile) + rules.gap_s
    drawn = []
    for number in range(half + 1):
        chance = Streams(rules.seed, number).generator("validate", cell.name)
        warm_up = rules.warm_up if cell.load == "idle" else rules.loaded_warm_up
        size = rules.size(cell) if number else warm_up
        if cell.load == "idle":
            times = np.arange(size) * steady_s + rules.shake_s * (1 + chance.uniform(-1, 1, size))
        else:
            times = np.cumsum(chance.exponential(mean_gap_s, size))
        test = np.arange(size) % 2 == 0
        chance.shuffle(test)
        drawn.append((tuple(times.tolist()), tuple(bool(each) for each in test)))
    order = [drawn[0], *drawn[1:], *drawn[1:]]
    begins_s, now_s = [], 0.0
    for times_s, _ in order:
        begins_s.append(now_s)
        now_s += times_s[-1] + 2.0 + 100 * busiest_s
    blocks, test_of = zip(*order, strict=True)
    return Schedule(blocks, test_of, tuple(begins_s), now_s)


TIMINGS = {
    "play": pl.Int32, "block": pl.Int32, "place": pl.Int32, "test": pl.Boolean, "cause": pl.String,
    "born_s": pl.Float64, "decided_s": pl.Float64,
    **{f"{place}_{what}_s": pl.Float64 for place in ("device", "edge", "cloud")
       for what in ("received", "begun", "done")},
    "ended_s": pl.Float64, **dict.fromkeys(LEGS, pl.Float64),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Session:
    """What was measured in a cell, as it was measured.

    `timings` has a row for each request (times count from the beginning of its play), `plays` one for
    each time that a block was played, with the sentinel of each process before and after.
    """

    timings: pl.DataFrame
    plays: pl.DataFrame


def measure(
    bed: Bed,
    requests: Sequence[Request],
    plan: Schedule,
    works: Callable[[str], bool],
    again: Callable[[pl.DataFrame], list[int]],
    tell: Told = lambda _: None,
) -> Session:
    """Play a cell: each block, then, within bounds, those that are to be played `again` after all plays.

    `requests` are those of the scenario, in the order of `plan.births_s`; `works` tells which processes
    compute, and so have a sentinel.
    """

    def spin() -> dict[str, float]:
        return {name: seconds for name, seconds in bed.spin().items() if works(name)}

    rows: list[dict[str, Any]] = []
    plays: list[dict[str, Any]] = []
    before = spin()
    todo, most = list(range(len(plan.blocks))), int(PLAYS * len(plan.blocks))
    while todo:
        for block in todo:
            tell(f"block {block} of {len(plan.blocks) - 1}")
            play = len(plays)
            rows += [{"play": play, "block": block} | row for row in _play(bed, requests, plan, block)]
            after = spin()
            slowest = {f"spin_{name}_s": max(before[name], after[name]) for name in after}
            plays.append({"play": play, "block": block} | slowest)
            before = after
        todo = again(pl.DataFrame(plays))[: most - len(plays)]
    return Session(pl.DataFrame(rows, TIMINGS), pl.DataFrame(plays))


def _play(bed: Bed, requests: Sequence[Request], plan: Schedule, block: int) -> Iterator[dict[str, Any]]:
    """Play a block, and return a row for each request, in the order of births."""
    mine = [
        replace(each, born_s=each.born_s - plan.begins_s[block])
        for each in requests[plan.positions(block)]
    ]
    found = {outcome.request.id: (outcome, timing) for outcome, timing in bed.play(mine)}
    for place, (request, test) in enumerate(zip(mine, plan.test[block], strict=True)):
        yield {"place": place, "test": test} | _row(*found[request.id])


def _row(outcome: Outcome, timing: Timing) -> dict[str, Any]:
    def times(place: str, span: Span | None) -> dict[str, float | None]:
        return {
            f"{place}_{what}_s": None if span is None else getattr(span, f"{what}_s")
            for what in ("received", "begun", "done")
        }

    return {
        "cause": outcome.cause, "born_s": timing.born_s, "decided_s": timing.decided_s,
        **times("device", timing.device), **times("edge", timing.edge), **times("cloud", timing.cloud),
        "ended_s": timing.ended_s, **{leg: getattr(outcome, leg) for leg in LEGS},
    }  # fmt: skip


def sentinels(plays: pl.DataFrame) -> dict[str, list[float]]:
    """Return the seconds of the sentinel by process, one for each play."""
    return {
        name.removeprefix("spin_").removesuffix("_s"): plays[name].to_list()
        for name in plays.columns
        if name.startswith("spin_")
    }


def medians(known: Sequence[pl.DataFrame]) -> dict[str, float]:
    """Return the median of each process's sentinel over all plays of a session."""
    found: dict[str, list[float]] = {}
    for plays in known:
        for name, values in sentinels(plays).items():
            found.setdefault(name, []).extend(values)
    return {name: float(np.median(values)) for name, values in found.items()}


def is_slow(spins: Mapping[str, float], usual: Mapping[str, float], rules: Rules) -> bool:
    """Tell whether a sentinel took too long in any process; one that is not known yet did not."""
    slow = rules.slow
    return slow is not None and any(
        seconds > slow * usual.get(name, seconds) for name, seconds in spins.items()
    )


def rejected(plays: pl.DataFrame, usual: Mapping[str, float], rules: Rules) -> list[int]:
    """Return the blocks, but for the first, of which no play counts."""
    counted = plays.filter(pl.col("play").is_in(accepted(plays, usual, rules)))["block"]
    return sorted({*plays["block"]} - {0, *counted})


def calm(plays: pl.DataFrame, usual: Mapping[str, float], rules: Rules) -> list[int]:
    """Return the plays, but for those of the first block, whose sentinel was not slow."""
    spins = sentinels(plays)
    return [
        play
        for play, block in plays.select("play", "block").iter_rows()
        if block and not is_slow({name: values[play] for name, values in spins.items()}, usual, rules)
    ]


def accepted(plays: pl.DataFrame, usual: Mapping[str, float], rules: Rules) -> list[int]:
    """Return the plays that count: of each block but block 0 the first whose sentinel was not slow."""
    block_of = dict(plays.select("play", "block").iter_rows())
    found: dict[int, int] = {}
    for play in calm(plays, usual, rules):
        found.setdefault(block_of[play], play)
    return sorted(found.values())
