"""Assignments against all others, and against deciding one by one."""

import math
from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pytest

from offload.entities import Facts, Observation, Plan, Question, Report, Wire
from offload.planning.onward import why_not_onward
from offload.planning.positions import Bid, Positions
from offload.planning.validity import why_invalid
from offload.policies.assignment import Assignment
from offload.policies.on_time import OnTime
from tests import hand_made

BIG = hand_made.variant([4000, 5], name="fp32", accuracy=0.9)
SMALL = hand_made.variant([4000, 5], name="int8", accuracy=0.8)


def town(cells: Sequence[str] = ("cell",), **more: object) -> Facts:
    """Return a device on which SMALL takes 60 ms, a server on which BIG takes 40, and a far cloud."""
    return hand_made.facts(
        {
            BIG: {"device": [0.3], "edge": [0.04], "cloud": [0.02]},
            SMALL: {"device": [0.06], "edge": [0.03]},
        },
        nodes=[hand_made.node("edge", "edge"), hand_made.node("cloud", "cloud")],
        cells=[hand_made.cell(name) for name in cells],
        wires=[Wire("wan", ("edge", "cloud"), 1e9, 0.04, 0.0)],
        input_bytes=4000.0,
        **more,
    )  # fmt: skip


FACTS = town()


def ask(device: str, deadline_s: float = 0.1, **more: object) -> Question:
    """Return a device's question."""
    facts = more.pop("facts", FACTS)
    return Question(device, hand_made.request(deadline_s), hand_made.seen(facts, **more))


def lived(plans: Sequence[Plan], deadline_s: float) -> float:
    """Return the right answers in time of requests of as many devices, all with the same deadline.

    As in the world: the air is shared alike, the node serves one after the other.
    """
    leaving = sum(plan.uplinks is not None for plan in plans)
    free_s = right = 0.0
    for plan in plans:
        if plan.uplinks is None:
            done_s = {BIG: 0.3, SMALL: 0.06}[plan.variant]
        else:
            arrives_s = 0.004 * leaving + 0.001
            if plan.edge is not None:
                free_s = max(free_s, arrives_s) + {BIG: 0.04, SMALL: 0.03}[plan.variant]
                done_s = free_s + 0.001
            else:
                done_s = arrives_s + 2 * 0.04 + 0.02 + 0.001
        right += plan.variant.accuracy.value * (done_s <= deadline_s)
    return right


def test_together_more_are_right_than_one_by_one() -> None:
    # Each alone would be done by 46 ms at the edge; of four that go there two are in time.
    questions = [ask(name) for name in "abcd"]
    alone = [OnTime().decide(question.request, question.seen) for question in questions]
    assert {plan.edge for plan in alone} == {"edge"}
    together = Assignment().decide_all(questions)
    assert lived(alone, 0.1) == pytest.approx(2 * 0.9)
    assert lived(together, 0.1) == pytest.approx(2 * 0.9 + 2 * 0.8)


def test_no_assignment_costs_less() -> None:
    chance = np.random.default_rng(8)
    spread = set()
    for _ in range(25):
        number = int(chance.integers(1, 4))
        backlogs = chance.choice([0.0, 0.05], 2)
        reports = {
            name: Report(0.0, wait_s, {}, {})
            for name, wait_s in zip(("edge", "cloud"), backlogs, strict=True)
        }
        rate = float(10 ** chance.uniform(5.5, 7.5))
        names, deadlines_s = chance.choice(["a", "b", "c"], number), chance.uniform(0.03, 0.2, number)
        questions = [
            ask(str(name), float(deadline_s), reports=reports, cell=rate)
            for name, deadline_s in zip(names, deadlines_s, strict=True)
        ]
        positions = Positions([Bid.of(each, each.seen) for each in questions])
        at_home = positions.home.shape[1]

        def cost(columns: Sequence[int]) -> float:
            away = sum(column >= at_home for column in columns)  # noqa: B023
            costs = np.concatenate((positions.home, positions.away[max(away, 1) - 1]), axis=1)  # noqa: B023
            return float(costs[np.arange(len(columns)), list(columns)].sum())

        best = min(cost(columns) for columns in permutations(range(len(positions.spots)), number))
        plans = Assignment().decide_all(questions)
        # What the plans cost in the best order of those who are at the same place.
        mine = min(
            cost(columns)
            for columns in permutations(range(len(positions.spots)), number)
            if all(
                positions.spots[column].place == (plan.edge or plan.cloud or "device")
                for column, plan in zip(columns, plans, strict=True)
            )
        )
        assert mine == pytest.approx(best, abs=1e-9)
        spread.add(tuple(sorted((plan.edge or plan.cloud or "device") for plan in plans)))
    assert len(spread) > 5


def test_cells_that_share_a_node_know_of_each_other() -> None:
    facts = town(("north", "south"))
    questions = [
        Question(name, hand_made.request(0.06), hand_made.seen(facts, cell))
        for name, cell in (("a", "north"), ("b", "south"))
    ]
    # One of two is on time at the edge; the other stays.
    plans = Assignment().decide_all(questions)
    assert [plan.edge for plan in plans] == ["edge", None]


def test_a_devices_requests_wait_for_each_other() -> None:
    # At home one of two is on time, and nothing can be sent.
    slow = [ask("a", 0.1, cell=1e4), ask("a", 0.1, cell=1e4)]
    plans = Assignment().decide_all(slow)
    assert {plan.variant for plan in plans} == {SMALL}
    # With an edge one goes there.
    plans = Assignment().decide_all([ask("a", 0.07), ask("a", 0.07)])
    assert sorted(str(plan.edge) for plan in plans) == ["None", "edge"]


def test_who_is_late_anyhow_leaves_room_for_the_others() -> None:
    hopeless, urgent = ask("a", 0.02), ask("b", 0.05)
    plans = Assignment().decide_all([hopeless, urgent])
    assert plans[1].edge == "edge"
    assert plans[0].edge is None


def test_a_margin_is_kept() -> None:
    # BIG is done at the edge after 46 ms, SMALL after 36.
    assert Assignment().decide_all([ask("a", 0.047)])[0].variant is BIG
    assert Assignment(margin=0.005).decide_all([ask("a", 0.047)])[0].variant is SMALL


def test_out_of_range_begun_or_without_a_way() -> None:
    begun = Plan(BIG, 0, 1, "edge", None, ("cell",))
    there = Observation(0.0, 0.0, "cell", hand_made.seen(FACTS).uplinks, {}, FACTS, begun=begun)
    plans = Assignment().decide_all(
        [ask("a", serving=None), Question("edge", hand_made.request(), there), ask("b")]
    )
    assert plans[0] == Plan(SMALL, 1, 1)
    assert why_not_onward(begun, plans[1]) is None
    assert plans[2].edge == "edge"
    # Devices that can compute nothing; and nobody can where the server has broken down.
    cuts = hand_made.variant([4000, 2000, 5], name="cut", accuracy=0.9)
    torn = hand_made.facts(
        {cuts: {"edge": [0.01, 0.01]}}, nodes=[hand_made.node("edge", "edge")], cells=[hand_made.cell()]
    )
    plans = Assignment().decide_all([ask("a", facts=torn), ask("b", facts=torn)])
    assert all(why_invalid(torn, plan) is None for plan in plans)
    assert [plan.edge for plan in plans] == ["edge", "edge"]
    down = {"edge": Report(0.0, math.inf, {}, {})}
    plans = Assignment().decide_all([ask(name, facts=torn, reports=down) for name in "ab"])
    assert [plan.edge for plan in plans] == ["edge", "edge"]
    plans = Assignment().decide_all([ask(name, reports=down) for name in "ab"])
    assert "edge" not in {plan.edge for plan in plans}
