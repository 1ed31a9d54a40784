"""How many jobs can be done in time at best, whoever decides and whatever is known: a proven bound.

The program has a variable x in [0, 1] for each option of each job (a plan, with the seconds that this
request would need at each station), at most one option a job in sum, and maximises the sum of all. It
is a relaxation: what any policy achieves on the same births and the same luck satisfies all its rows,
so no policy, nor one that knows the future, does more in time than its optimum.

Proof of the rows. Let a job be in time by an option that needs w seconds at a station. It cannot begin
there before r = its birth + all that its earlier legs take alone, nor end there after d = when it is
due - all that its later legs take alone: waiting only adds. So in any interval [a, b] the station
works on it for at least

    e(a, b) = w - max(0, a - r) - max(0, d - b), if that is positive,

since nobody is served at a rate above 1: not by a server, nor by a wire that sends messages in order,
nor by a cell, which gives a device alone its full rate, and several less, whatever their weights. Who
is served `whole`, in one go, as by servers and wires but not in a shared cell, occupies [s, s + w]
with r <= s <= d - w. Its overlap with [a, b] rises with s, stays and falls, so the least is that of s
= r or of s = d - w:

    e(a, b) = min(overlap of [r, r + w] and [a, b], overlap of [d - w, d] and [a, b]).

A station of m servers works for at most m (b - a) seconds in [a, b]; a cell, and a device that sends
over a hop of its own, are one server. Jobs that are late are taken to use nothing. Hence, at each
station, the sum of e(a, b) x is at most m (b - a). No order of service is assumed. This is the
energetic reasoning of scheduling (Erschler, Lopez and Thuault 1991; Baptiste, Le Pape and Nuijten,
"Constraint-Based Scheduling", 2001), here in a program with options (cited from memory).

Of all intervals only those are written down that a solution so far violates: fewer rows bound no less
truly. Of the linear program, any prices y >= 0 of the rows prove a bound by themselves: the sum of y m
(b - a), and for each job the most by which 1 exceeds the price of an option, if it does (weak
duality). That of whole numbers is the solver's own proof (HiGHS, its dual bound), whether it has looked
at all branches that matter or at as many as it may.
"""

import math
import os
import sys
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]
Sparse = Any  # a matrix of scipy.sparse, which is only loaded here when it is needed

SLACK_S = 1e-9  # by which windows are widened: sums of floats are not exact
FEW = 1e-6  # less than this is nothing
ROUNDING = 1e-4  # what a solver's tolerances may have cost, in jobs
ROWS_A_ROUND = 100  # of one station
ROUNDS = 40
WHOLE_ROUNDS = 10  # of whole numbers
NEARLY_FULL = 0.95  # rows that are less full are not tried again when jobs are due at other times
GAIN, PATIENCE = 0.02, 3  # rounds that gain fewer jobs are in vain; so many of them, and it is enough


class Leg(NamedTuple):
    """Seconds of work at a station, and those that pass until the next leg may begin (delays)."""

    station: Hashable
    seconds: float
    then_s: float = 0.0


class Station(NamedTuple):
    """How many requests are served at once, and whether each in one go."""

    servers: int = 1
    whole: bool = True


class Job(NamedTuple):
    """A request: when it was born, and what each plan would need, leg by leg."""

    born_s: float
    options: Sequence[Sequence[Leg]]


@dataclass(frozen=True, slots=True)
class Most:
    """At most so many jobs are answered in time; which option of which job does it in the relaxation.

    `relaxed` is the bound before it was rounded down to a whole number; `chosen[job]` is an index of its
    options, None for those that the relaxation gives up.
    """

    count: int
    relaxed: float
    chosen: tuple[int | None, ...]
    rows: int


def alone_s(option: Iterable[Leg]) -> float:
    """Return the latency of an option if nobody else were there."""
    return sum(leg.seconds + leg.then_s for leg in option)


def undominated(options: Sequence[Sequence[Leg]]) -> list[int]:
    """Return the options that none other beats or equals in every leg's seconds and delays.

    Who needs less at each station, and later delays less, has wider windows: replacing an option by one
    that dominates it keeps every row, so the others may be left out. The first of equals is kept.
    """
    stations = list(dict.fromkeys(leg.station for option in options for leg in option))
    place = {station: number for number, station in enumerate(stations)}
    needs = np.zeros((len(options), 2 * len(stations)))
    for number, option in enumerate(options):
        for leg in option:
            needs[number, 2 * place[leg.station]] += leg.seconds
            needs[number, 2 * place[leg.station] + 1] += leg.then_s
    kept: list[int] = []
    for number in np.argsort(needs.sum(axis=1), kind="stable"):
        if not (needs[kept] <= needs[number]).all(axis=1).any():
            kept.append(int(number))
    return sorted(kept)


@dataclass(eq=False)
class Horizon:
    """The program of some jobs; it remembers which intervals mattered, so that similar ones are quick.

    `nodes` is how many branches it may look at for a whole-number optimum, in each of some rounds (0
    never does: the bound is then that of the linear program). No clock: a bound is the same everywhere.
    """

    jobs: Sequence[Job]
    stations: Mapping[Hashable, Station] = field(default_factory=dict)  # where not Station()
    nodes: int = 100

    def __post_init__(self) -> None:
        found: list[tuple[int, int, float, float, float]] = []
        self._places: dict[Hashable, int] = {}
        options = [(number, option) for number, job in enumerate(self.jobs) for option in job.options]
        for number, (job, option) in enumerate(options):
            head_s, tail_s = 0.0, alone_s(option)
            for leg in option:
                station = self._places.setdefault(leg.station, len(self._places))
                tail_s -= leg.seconds + leg.then_s
                if leg.seconds > 0.0:
                    tail = max(0.0, tail_s) + leg.then_s
                    ready_s = self.jobs[job].born_s + head_s
                    found.append((station, number, ready_s, leg.seconds, tail))
                head_s += leg.seconds + leg.then_s
        table = np.array(found, dtype=float).reshape(-1, 5)
        self._station, self._option = table[:, 0].astype(np.intp), table[:, 1].astype(np.intp)
        self._ready_s, self._work_s, self._tail_s = table[:, 2] - SLACK_S, table[:, 3], table[:, 4]
        self._job: Ints = np.array([job for job, _ in options], dtype=np.intp)
        self._first = np.searchsorted(self._job, np.arange(len(self.jobs)))
        self._alone_s = np.array([alone_s(option) for _, option in options])
        kinds = [self.stations.get(station, Station()) for station in self._places]
        self._servers = np.array([kind.servers for kind in kinds], dtype=float)
        self._whole = np.array([kind.whole for kind in kinds], dtype=bool)
        self._rows: Ints = np.zeros((0, 2), dtype=np.intp)  # legs whose begin and end are an interval's

    def most(self, due_s: Floats) -> Most:
        """Return how many jobs can be answered in time at most; each is due at a time (seconds)."""
        born_s = np.array([job.born_s for job in self.jobs])
        if not len(self._job):
            return Most(0, 0.0, (None,) * len(self.jobs), 0)
        possible = self._alone_s <= (due_s - born_s)[self._job] + 2 * SLACK_S
        ends_s = due_s[self._job[self._option]] - self._tail_s + SLACK_S
        upper, rows = math.inf, self._rows
        x, stalled = np.zeros(len(self._job)), 0
        for _ in range(ROUNDS):
            matrix = self._matrix(rows, ends_s, possible)
            x, prices = self._relax(matrix, possible)
            proved = _proved(matrix, prices, possible, self._job, len(self.jobs))
            gains = proved < upper - GAIN
            stalled = 0 if gains or upper > len(self.jobs) - 0.5 else stalled + 1
            upper = min(upper, proved)
            more = np.unique(np.concatenate([rows, self._violated(x, ends_s, possible)]), axis=0)
            if len(more) == len(rows) or stalled == PATIENCE:
                break
            rows = more
        self._rows = rows[self._matrix(rows, ends_s, possible) @ x > NEARLY_FULL]
        upper, x = self._whole_numbers(rows, ends_s, possible, upper, x)
        chosen = [self._choice(job, x) for job in range(len(self.jobs))]
        count = math.floor(upper + ROUNDING)
        return Most(count, upper, tuple(chosen), len(rows))

    def _choice(self, job: int, x: Floats) -> int | None:
        first = int(self._first[job])
        mine = x[first : first + len(self.jobs[job].options)]
        return int(mine.argmax()) if len(mine) and mine.max() > 0.5 else None

    def _matrix(self, rows: Ints, ends_s: Floats, possible: Flags) -> Sparse:
        """What each option puts at least into a row's interval, as a share of what fits (sparse)."""
        from scipy.sparse import coo_array

        numbers, options, shares = [], [], []
        for station in range(len(self._places)):
            mine: Ints = np.flatnonzero(self._station[rows[:, 0]] == station)
            legs = np.flatnonzero((self._station == station) & possible[self._option])
            if not len(mine) or not len(legs):
                continue
            a, b = self._ready_s[rows[mine, 0]][:, None], ends_s[rows[mine, 1]][:, None]
            least_s = self._least_s(station, legs, ends_s, a, b)
            capacity_s = np.maximum(self._servers[station] * (b - a), SLACK_S)
            row, leg = np.nonzero(least_s > 0.0)
            numbers.append(mine[row])
            options.append(self._option[legs[leg]])
            shares.append((least_s / capacity_s)[row, leg])
        if not numbers:
            return coo_array((len(rows), len(self._job))).tocsr()
        index = (np.concatenate(numbers), np.concatenate(options))
        return coo_array((np.concatenate(shares), index), (len(rows), len(self._job))).tocsr()

    def _least_s(self, station: int, legs: Ints, ends_s: Floats, a: Floats, b: Floats) -> Floats:
        """How long a station must work on each leg within [a, b] at least; not positive: not at all."""
        r, d, w = self._ready_s[legs], ends_s[legs], self._work_s[legs]
        if self._whole[station]:
            early = np.minimum(r + w, b) - np.maximum(r, a)
            late = np.minimum(d, b) - np.maximum(d - w, a)
            return np.asarray(np.minimum(early, late))
        least_s: Floats = w - np.maximum(0.0, a - r) - np.maximum(0.0, d - b)
        return least_s

    def _one_each(self) -> Sparse:
        from scipy.sparse import csr_array

        n = len(self._job)
        return csr_array((np.ones(n), (self._job, np.arange(n))), (len(self.jobs), n))

    def _relax(self, matrix: Sparse, possible: Flags) -> tuple[Floats, Floats]:
        """Solve the linear program; return x and the prices of the rows."""
        from scipy.optimize import linprog
        from scipy.sparse import vstack

        open_ = np.flatnonzero(possible)
        if not len(open_):
            return np.zeros(len(possible)), np.zeros(matrix.shape[0])
        both = vstack([matrix, self._one_each()]).tocsr()[:, open_]
        found = linprog(
            -np.ones(len(open_)),
            A_ub=both,
            b_ub=np.ones(both.shape[0]),
            bounds=(0.0, 1.0),
            method="highs",
        )
        x = np.zeros(len(possible))
        x[open_] = found.x
        return x, np.maximum(0.0, -found.ineqlin.marginals[: matrix.shape[0]])

    def _violated(self, x: Floats, ends_s: Floats, possible: Flags) -> Ints:
        """Find intervals that hold more work than fits: pairs of legs that begin and end them."""
        found = [np.zeros((0, 2), dtype=np.intp)]
        used = possible[self._option] & (x[self._option] > FEW)
        for station in range(len(self._places)):
            legs = np.flatnonzero(used & (self._station == station))
            if len(legs) < 2:
                continue
            b, share = ends_s[legs][:, None], x[self._option[legs]]
            over = np.full((len(legs), len(legs)), -1.0)  # [interval's begin, interval's end]
            for number, a in enumerate(self._ready_s[legs]):
                load_s = np.maximum(0.0, self._least_s(station, legs, ends_s, a, b)) @ share
                room_s = self._servers[station] * (b[:, 0] - a)
                over[number] = np.where(
                    room_s > SLACK_S, load_s / np.maximum(room_s, SLACK_S) - 1.0, -1.0
                )
            best = over.argmax(axis=1)
            order = np.argsort(-over[np.arange(len(legs)), best])[:ROWS_A_ROUND]
            order = order[over[order, best[order]] > 1e-5]
            found.append(np.column_stack([legs[order], legs[best[order]]]))
        return np.concatenate(found)

    def _whole_numbers(
        self, rows: Ints, ends_s: Floats, possible: Flags, upper: float, x: Floats
    ) -> tuple[float, Floats]:
        """Look for whole numbers, until none of their intervals is violated or no round is left."""
        from scipy.optimize import Bounds, LinearConstraint, milp

        for _ in range(WHOLE_ROUNDS if self.nodes else 0):
            limits = [LinearConstraint(self._one_each(), ub=1.0)]
            if len(rows):
                limits.append(LinearConstraint(self._matrix(rows, ends_s, possible), ub=1.0))
            with _quiet():
                found = milp(
                    -np.ones(len(possible)), constraints=limits, integrality=np.ones(len(possible)),
                    bounds=Bounds(0.0, possible.astype(float)), options={"node_limit": self.nodes},
                )  # fmt: skip
            if found.mip_dual_bound is not None and math.isfinite(found.mip_dual_bound):
                upper = min(upper, -found.mip_dual_bound)
            if found.x is None:
                break
            x = found.x
            more = np.unique(np.concatenate([rows, self._violated(x, ends_s, possible)]), axis=0)
            if len(more) == len(rows):
                break
            rows = more
        return upper, x


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep HiGHS from writing to standard output: one of its lines no option turns off."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def _proved(matrix: Sparse, prices: Floats, possible: Flags, jobs: Ints, count: int) -> float:
    """Return the bound that these prices of the rows prove, each row of capacity 1."""
    gains = np.where(possible, 1.0 - matrix.T @ prices, 0.0)
    best = np.zeros(count)
    np.maximum.at(best, jobs, gains)
    return float(prices.sum() + best.sum())


def least_total_s(horizon: Horizon, until_s: float, close: float = 0.01, most_looks: int = 24) -> float:
    """Return a lower bound on the sum of all jobs' latencies, if all are answered; in seconds.

    A sum of latencies is the integral over t of how many are longer than t (the layer cake). Those are
    at least all but as many as `horizon.most` finds if each job is due t after its birth, and at least
    all whose least latency alone is longer. The former is computed at a few t, more where its steps are
    high, until they hide less than `close` of the sum; between two it is at least what it is at the
    later, since it falls. Nobody is answered after `until_s`.
    """
    born_s = np.array([job.born_s for job in horizon.jobs])
    least_s = np.sort([min(map(alone_s, job.options), default=math.inf) for job in horizon.jobs])
    count = len(least_s)
    if not count or math.isinf(least_s[-1]):
        return math.inf if count else 0.0

    def late(after_s: float) -> int:
        return count - horizon.most(np.minimum(born_s + after_s, until_s)).count

    ends = [float(least_s[0]), float(least_s[-1])]
    over = {ends[0]: late(ends[0]), ends[1]: late(ends[1])}
    while over[ends[-1]] and len(ends) < 24:
        ends.append(2 * ends[-1])
        over[ends[-1]] = late(ends[-1])
    for _ in range(most_looks - len(over)):
        points = sorted(over)
        steps = [(b - a) * (over[a] - over[b]) for a, b in pairwise(points)]
        if sum(steps) <= close * _layers(over, least_s):
            break
        widest = int(np.argmax(steps))
        middle_s = (points[widest] + points[widest + 1]) / 2
        over[middle_s] = late(middle_s)
    return _layers(over, least_s)


def _layers(over: Mapping[float, int], least_s: Floats) -> float:
    """Integrate what is known to be longer: by the program at some times, or alone."""
    points = np.unique(np.concatenate([[0.0], least_s, sorted(over)]))
    known = sorted(over)
    total = 0.0
    for begin_s, end_s in pairwise(points):
        alone = len(least_s) - int(np.searchsorted(least_s, begin_s, side="right"))
        later = np.searchsorted(known, end_s)
        total += (end_s - begin_s) * max(alone, over[known[later]] if later < len(known) else 0)
    return float(total)
