"""What a policy could have known and done: each decision about a late request, seen with the truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from msgspec.structs import replace

from offload.analysis.rows import plan_label
from offload.entities import Facts, Observation, Outcome, Plan, Question, Request
from offload.planning.columns import Columns, tabulate
from offload.planning.price import Prices, price, price_at
from offload.policies.protocol import Joint, Learns
from offload.policies.table import Choice
from offload.simulation.answering import answering, guard
from offload.simulation.observing import Observer
from offload.simulation.run import fresh
from offload.simulation.world import World
from offload.streams import Streams

HOPELESS, STALE, PREFERENCE, OVERTAKEN, NOT_ASKED = MISTAKES = (
    "hopeless", "stale knowledge", "preference", "overtaken", "not asked",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Look:
    """One decision, seen with the truth: what was true of the plan chosen, and of others.

    Seconds are latencies from then on, predicted with the true state of every station and the request's
    own luck, if nobody came after it; infinite where a node is down or a cell out of reach. Of a stage,
    what is left is less by what the stages after it take at the least. `best` is the quickest plan, and
    `shown` what the same policy chooses if it is shown the truth; it is `swayed` if it would choose
    another if shown what was known.
    """

    left_s: float
    plan: str
    plan_s: float
    best: str
    best_s: float
    shown: str
    shown_s: float
    swayed: bool

    @property
    def in_time(self) -> bool:
        """Whether the plan chosen was on time by the truth of that moment."""
        return self.plan_s <= self.left_s


def judge(looks: Sequence[Look]) -> str:
    """Say why a request was late, from the decisions about it (and its stages) in their order.

    - hopeless: when it was first asked about, no plan was on time by the truth;
    - stale knowledge: the plan chosen was not on time by the truth, and the same policy would have
      chosen another that was, had it been shown the truth;
    - preference: a plan was on time by the truth, but not what the policy chose, nor what the truth
      would have led it to;
    - overtaken: the plan was on time by the truth of that moment; what came later made it late;
    - not asked: it ended before anyone was asked.

    Asked again (after a failure, or about a next stage), what counts is the first decision that was
    wrong; if nothing is on time any more by then, it was overtaken.
    """
    for number, look in enumerate(looks):
        if look.in_time:
            continue
        if look.best_s > look.left_s:
            return OVERTAKEN if number else HOPELESS
        return STALE if look.swayed and look.shown_s <= look.left_s else PREFERENCE
    return OVERTAKEN if looks else NOT_ASKED


class Witness:
    """Looks on while a run is repeated: keeps what was true at decisions, and the Fates of requests.

    `judged` are the requests whose decisions count, `followed` those whose Fates do. Two other instances
    of the policy, made afresh and with one chance for both, are asked too: one is shown the truth, the
    other what the policy saw. Where they choose alike (who draws at random, or takes turns), knowing
    more would not have helped. Neither has the policy's `estimate`; where that is used, only the first
    is asked. If the policy learns, they are asked about every request and hear of every outcome, though
    of the policy's own plans; else only about those that are judged, together with those about which a
    joint policy decides at once.
    """

    def __init__(
        self, choice: Choice, streams: Streams, judged: frozenset[int], followed: frozenset[int]
    ) -> None:
        self.choice = choice
        self.judged = judged
        self.followed = followed
        self.others = [fresh(choice, streams, "second") for _ in range(1 if choice.estimate else 2)]
        self.answers = [answering(other, choice) for other in self.others]
        self.looks: dict[int, list[Look]] = {}
        self.fates: dict[int, tuple[float, ...]] = {}
        self.truth: Observer | None = None
        self.tables: dict[tuple[Facts, Plan], Columns] = {}

    def __call__(self, world: World, questions: Sequence[Question], plans: Sequence[Plan]) -> None:
        """Look at what is asked, and answered, before anything comes of it."""
        # An edge node that decides where a request goes on has a policy of its own.
        mine = [each for each in zip(questions, plans, strict=True) if each[0].seen.begun is None]
        for question, _ in mine:
            if question.request.id in self.followed:
                self.fates[question.request.id] = tuple(world.under_way[question.request.id].fate)
        counts = [question.request.id in self.judged for question, _ in mine]
        learns = isinstance(self.others[0], Learns)
        if not mine or not (learns or any(counts)):
            return
        if learns and self.truth is None:
            self._listen(world)
        if not (learns or isinstance(self.others[0], Joint)):
            mine = [each for each, count in zip(mine, counts, strict=True) if count]
        true = [replace(question, seen=self._true(world, question)) for question, _ in mine]
        told = true, [question for question, _ in mine]
        chosen = [answer(each) for answer, each in zip(self.answers, told, strict=False)]
        for question, (_, plan), *others in zip(true, mine, *chosen, strict=True):
            if question.request.id in self.judged:
                look = self._look(question.request, question.seen, plan, others)
                self.looks.setdefault(question.request.id, []).append(look)

    def _listen(self, world: World) -> None:
        """Let the other instances hear what the policy hears, right after it."""
        first, learners = world.learn, [each for each in self.others if isinstance(each, Learns)]

        def learn(outcome: Outcome) -> None:
            if first is not None:
                first(outcome)
            when = f"in learn(outcome) for request {outcome.request.id}"
            for each in learners:
                guard(self.choice, when, partial(each.learn, outcome))

        world.learn = learn

    def _true(self, world: World, question: Question) -> Observation:
        """Return what a clairvoyant sees at the same moment."""
        self.truth = self.truth or world.observer.all_knowing()
        return self.truth.observe(world.under_way[question.request.id], world.clock.now)

    def _look(self, request: Request, seen: Observation, plan: Plan, others: Sequence[Plan]) -> Look:
        prices = price(request, seen)
        latency_s = prices.latency_s
        if seen.serving is None:  # what leaves the device waits until it has a cell
            latency_s = np.where(prices.at["device"], latency_s, np.inf)
        best = int(latency_s.argmin())
        return Look(
            request.deadline_s,
            plan_label(plan), self._latency_s(request, seen, plan, prices),
            plan_label(prices.plans[best]), float(latency_s[best]),
            plan_label(others[0]), self._latency_s(request, seen, others[0], prices),
            others[0] != others[-1] or len(others) == 1,
        )  # fmt: skip

    def _latency_s(self, request: Request, seen: Observation, plan: Plan, prices: Prices) -> float:
        """Return the latency of any valid plan; infinite over a cell that is not in reach."""
        cell = seen.serving
        if plan.uplinks is not None:
            cell = plan.uplinks[0]
            known = seen.uplinks.get(cell)
            if cell != seen.serving and (known is None or not known.reachable):
                return float("inf")
        elif plan in prices.plans:
            return float(prices.latency_s[prices.plans.index(plan)])
        table = self.tables.get((seen.facts, plan))
        if table is None:
            table = self.tables[seen.facts, plan] = tabulate(seen.facts, [plan])
        there = replace(seen, serving=cell)
        return float(price_at(there, table, request.input_bytes).latency_s[0])
