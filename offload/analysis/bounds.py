"""What no policy can beat on the births and luck of a replication, and how far policies are from it."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from offload.algorithms.horizon import Horizon, Most, least_total_s
from offload.analysis import rows, statistics
from offload.analysis.compare import LEVEL, Progress, silent
from offload.analysis.measures import summarise
from offload.analysis.statistics import Interval
from offload.entities import Outcome, Plan
from offload.policies.table import Choice
from offload.scenario.load import Scenario
from offload.simulation.instance import Instance, NotCoveredError, instance, play
from offload.simulation.run import Run, run
from offload.streams import Streams

MOST_REQUESTS = 600  # of one replication, of which a bound is found within minutes
PLAYS = 600  # of the search for good plans
MEASURES = ("missed", "useful", "latency_mean_s")


@dataclass(frozen=True, slots=True)
class Bound:
    """What one replication allows of the requests that count; no policy does better.

    At least the share `missed` is not answered in time. At most `useful` is answered in time and rightly
    (NaN where nobody can say what is right); each request may choose the network that will be right. No
    policy that answers all, however late, has a mean latency below `latency_mean_s`. The share `found`
    was missed by the best plans that a search came upon: what is possible lies between the two.
    `relaxed` are in time in the relaxation, before rounding; it has so many `rows` of intervals.
    """

    requests: int
    missed: float
    useful: float
    latency_mean_s: float
    found: float
    relaxed: float
    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class PolicyRegret:
    """One policy's measures and how much worse each is than the bound, paired by replication.

    A measure is None if it is not defined in some replication.
    """

    label: str
    knowledge: str
    measures: dict[str, Interval | None]
    regret: dict[str, Interval | None]


@dataclass(frozen=True, slots=True)
class Regrets:
    """The bound and the policies, as means over replications with their intervals."""

    scenario: str
    seed: int
    replications: int
    level: float
    requests: int
    bound: dict[str, Interval | None]
    found: Interval | None
    gap: Interval | None
    solve_s: float
    policies: tuple[PolicyRegret, ...]
    known: str

    def as_json(self) -> dict[str, Any]:
        """Return what `bound --json` prints."""
        return asdict(self)


def regrets(
    scenario: Scenario, choices: Sequence[Choice], replications: int, seed: int | None = None,
    progress: Progress = silent,
) -> Regrets:  # fmt: skip
    """Bound every replication, simulate every policy in it, and compare. Raises NotCoveredError."""
    seed = scenario.file.seed if seed is None else seed
    bounds: list[Bound] = []
    values: dict[str, list[dict[str, float]]] = {choice.label: [] for choice in choices}
    with progress("bounding", replications) as advance:
        for replication in range(replications):
            given = counted(scenario, seed, replication)
            runs = [run(scenario, choice, seed, replication) for choice in choices]
            bounds.append(bound(given, runs, judged=scenario.judged))
            for each in runs:
                values[each.choice.label].append(_measured(each))
            advance(str(replication))
    best = {key: [getattr(each, key) for each in bounds] for key in MEASURES}
    policies = tuple(
        PolicyRegret(choice.label, choice.knowledge, *_against(values[choice.label], best))
        for choice in choices
    )
    found = [each.found for each in bounds]
    gaps = [each.found - each.missed for each in bounds]
    return Regrets(
        scenario.file.name, seed, replications, LEVEL, sum(each.requests for each in bounds),
        {key: statistics.interval(best[key], LEVEL) for key in MEASURES},
        statistics.interval(found, LEVEL), statistics.interval(gaps, LEVEL),
        sum(each.seconds for each in bounds) / replications, policies, scenario.known,
    )  # fmt: skip


def _measured(done: Run) -> dict[str, float]:
    file, facts = done.scenario.file, done.scenario.setting(0.0).facts
    frame = rows.to_frame(done.outcomes, facts)
    told = summarise(frame, float(file.warm_up), file.duration, judged=done.scenario.judged).values
    return told | {"missed": round(1.0 - told["on_time"], 12)}


def _against(
    runs: Sequence[Mapping[str, float]], best: Mapping[str, Sequence[float]]
) -> tuple[dict[str, Interval | None], dict[str, Interval | None]]:
    """Return a policy's measures, and by how much it is worse than the bound in the same replication."""
    measures, regret = {}, {}
    for key in MEASURES:
        mine = [run[key] for run in runs]
        sign = -1.0 if key == "useful" else 1.0
        worse = [sign * (a - b) for a, b in zip(mine, best[key], strict=True)]
        measures[key] = statistics.interval(mine, LEVEL)
        regret[key] = statistics.interval(worse, LEVEL)
    return measures, regret


def counted(scenario: Scenario, seed: int, replication: int) -> Instance:
    """Return the requests of one replication that measures count. Raises NotCoveredError."""
    if scenario.file.warm_up == "auto":
        msg = 'no bound covers warm_up = "auto", which depends on the policies; give a time'
        raise NotCoveredError(msg)
    streams = Streams(seed, replication)
    setting = scenario.setting(0.0, streams)
    given = instance(setting, streams, float(scenario.file.warm_up), MOST_REQUESTS)
    if not given.asked:
        msg = f"no request is born after the warm-up in replication {replication}; lengthen the duration"
        raise NotCoveredError(msg)
    return given


def bound(
    given: Instance, runs: Sequence[Run] = (), plays: int = PLAYS, *, judged: bool = True
) -> Bound:
    """Bound one replication.

    What policies decided (in `runs`) is where the search for good plans begins; it plays the world
    `plays` times. Unless it is `judged`, nobody can say what is right.
    """
    began = time.perf_counter()
    count = len(given.asked)
    due_s = np.array([each.request.born_s + each.request.deadline_s for each in given.asked])
    due_s = np.minimum(due_s, given.until_s)
    jobs = [each.job() for each in given.asked]
    horizon = Horizon([job for job, _ in jobs], given.stations)
    most = horizon.most(due_s)
    quick = Horizon(horizon.jobs, given.stations, nodes=20)  # it is asked many times
    latency_s = least_total_s(quick, given.until_s) / count
    useful = math.nan
    if judged:
        right = [each.job(only_right=True)[0] for each in given.asked]
        useful = Horizon(right, given.stations).most(due_s).count / count
    seconds = time.perf_counter() - began
    found = math.nan
    if runs:
        found = round(search(given, [p for _, p in jobs], most, runs, plays) / count, 12)
    return Bound(
        count,
        round(1.0 - most.count / count, 12),
        useful,
        latency_s,
        found,
        most.relaxed,
        most.rows,
        seconds,
    )


def search(
    given: Instance,
    plans: Sequence[Sequence[Plan]],
    most: Most,
    runs: Sequence[Run],
    plays: int,
) -> int:
    """Return how few requests were missed by the best plans found; each is played in the real world.

    Begins with what each policy decided, and with the plans of the relaxation filled up by those, and
    goes on from the best by changing one plan at a time where something was missed.
    """
    places = {each.request.id: number for number, each in enumerate(given.asked)}
    chance = given.streams.generator("search")
    starts = [{o.request.id: o.plan for o in run.outcomes if o.plan is not None} for run in runs]
    wanted = {
        request: plans[number][choice]
        for request, number in places.items()
        if (choice := most.chosen[number]) is not None
    }
    starts += [start | wanted for start in starts]
    best: dict[int, Plan] = {}
    missed: list[int] = []
    score = (math.inf, math.inf)
    tried = iter(starts)
    order = [each.request.id for each in given.asked]
    for _ in range(max(plays, len(starts))):
        trial = next(tried, None)
        if trial is None:
            if not missed:
                break
            late = int(chance.integers(len(missed)))
            at = places[missed[late]]
            near = order[max(0, at - 12) : at + 1]  # it waits for those born shortly before
            changed = near[int(chance.integers(len(near)))]
            mine = plans[places[changed]]
            trial = best | {changed: mine[int(chance.integers(len(mine)))]}
        outcomes = [o for o in play(given, trial) if o.request.id in places]
        over = {o.request.id: _over_s(o) for o in outcomes}
        late_ids = [request for request, over_s in over.items() if over_s > 0.0]
        this = (len(late_ids), math.fsum(max(0.0, over_s) for over_s in over.values()))
        if this <= score:
            best, score, missed = trial, this, late_ids
    return int(score[0])


def _over_s(outcome: Outcome) -> float:
    """By how much a request was late; by its whole deadline if it was not answered."""
    request = outcome.request
    return request.deadline_s if outcome.cause else outcome.ended_s - request.born_s - request.deadline_s
