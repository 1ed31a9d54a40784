"""Who is admitted, and in what order."""

from itertools import accumulate, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from offload.entities import Facts, Observation, Plan, Question, Report
from offload.planning.onward import why_not_onward
from offload.planning.price import price
from offload.planning.slot import Slot
from offload.planning.validity import why_invalid
from offload.policies import table
from offload.policies.admission import EarliestDeadline, LeastSlack
from tests import hand_made

BIG = hand_made.variant([4000, 2000, 500, 5], name="fp32", accuracy=0.9)
SMALL = hand_made.variant([4000, 2000, 500, 5], name="int8", accuracy=0.8)
WHOLE = hand_made.variant([4000, 5])  # cannot be divided
FACTS = hand_made.facts(
    {WHOLE: {"device": [0.06], "edge": [0.03]}},
    nodes=[hand_made.node("edge", "edge")],
    cells=[hand_made.cell()],
    input_bytes=4000.0,
)
EDGE, HOME = Plan(WHOLE, 0, 1, "edge", None, ("cell",)), Plan(WHOLE, 1, 1)


def ask(device: str, deadline_s: float, facts: Facts = FACTS, **more: float) -> Question:
    """Return a device's question."""
    return Question(device, hand_made.request(deadline_s), hand_made.seen(facts, **more))


def test_the_earliest_deadline_is_admitted_first() -> None:
    # By the one server: 4 ms in the air, 1 ms there and back, 30 ms of work. Two of three are on time.
    questions = [ask("a", 0.090), ask("b", 0.050), ask("c", 0.085)]
    assert EarliestDeadline().decide_all(questions) == [HOME, EDGE, EDGE]
    assert EarliestDeadline().decide_all(questions[::-1]) == [EDGE, EDGE, HOME]
    # With 30 ms more all three are.
    assert EarliestDeadline().decide_all([ask("a", 0.120), *questions[1:]]) == [EDGE] * 3


def test_the_least_slack_is_admitted_first() -> None:
    # Where all need the same time, the order is that of deadlines.
    alike = [ask("a", 0.090), ask("b", 0.050), ask("c", 0.085)]
    assert LeastSlack().decide_all(alike) == [HOME, EDGE, EDGE]
    # a has the earlier deadline, but b needs 32 ms in the air and has less to spare.
    slow = ask("b", 0.080, cell=1e6)
    questions = [ask("a", 0.075), slow]
    assert LeastSlack().decide_all(questions)[1].uplinks is not None
    assert LeastSlack().decide_all(questions)[0] == HOME
    assert EarliestDeadline().decide_all(questions)[0] == EDGE


def test_nobody_is_admitted_who_makes_another_late() -> None:
    # Alone each is on time with 1 ms to spare; a second transfer takes 4 ms from the first.
    facts = hand_made.facts(
        {WHOLE: {"device": [0.06], "edge": [0.03]}},
        nodes=[hand_made.Node("edge", "edge", hand_made.hardware(), 4, (0.0, 0.0), 0.1)],
        cells=[hand_made.cell()], input_bytes=4000.0,
    )  # fmt: skip
    urgent, patient = ask("a", 0.037002, facts), ask("b", 0.2, facts)
    assert EarliestDeadline().decide_all([urgent, patient]) == [EDGE, HOME]
    relaxed = ask("a", 0.0401, facts)
    assert EarliestDeadline().decide_all([relaxed, patient]) == [EDGE, EDGE]


@pytest.mark.parametrize("policy", [EarliestDeadline, LeastSlack])
def test_the_order_is_no_option(policy: type[EarliestDeadline | LeastSlack]) -> None:
    assert set(table.options(policy)) == {"margin", "slot"}
    first = (policy.__doc__ or "").splitlines()[0]
    assert first.startswith("Leave the device")


CUT = hand_made.variant([4000, 500, 5], name="int8", accuracy=0.8)
TWO_FORMS = hand_made.facts(
    {
        hand_made.variant([4000, 5], name="fp32", accuracy=0.9): {"device": [0.06], "edge": [0.003]},
        CUT: {"device": [0.001, 0.03], "edge": [0.001, 0.001]},
    },
    nodes=[hand_made.Node("edge", "edge", hand_made.hardware(), 4, (0.0, 0.0), 0.1)],
    cells=[hand_made.cell()], input_bytes=4000.0,
)  # fmt: skip


@pytest.mark.parametrize("first_s", [0.0096, 0.0103, 0.011])
def test_who_would_spoil_with_the_best_plan_leaves_with_another(first_s: float) -> None:
    # The first has 0.6 to 2 ms to spare: not the 4 of another whole input, but those 0.5 of 500 bytes.
    first, second = EarliestDeadline().decide_all(
        [ask("a", first_s, TWO_FORMS), ask("b", 0.2, TWO_FORMS)]
    )
    assert (first.variant.name, first.device_cut, first.edge) == ("fp32", 0, "edge")
    assert second == Plan(CUT, 1, 2, "edge", None, ("cell",))


@given(st.floats(0.005, 0.05), st.floats(0.005, 0.1), st.sampled_from([5e5, 2e6, 8e6]))
def test_the_best_plan_off_the_device_that_spoils_nobody_is_taken(
    first_s: float, more_s: float, rate: float
) -> None:
    questions = [
        ask("a", first_s, TWO_FORMS, cell=rate), ask("b", first_s + more_s, TWO_FORMS, cell=rate)
    ]  # fmt: skip
    first, second = EarliestDeadline().decide_all(questions)
    slot = Slot()
    prices = price(questions[0].request, questions[0].seen)
    slot.promise(questions[0], first, float(prices.latency_s[prices.plans.index(first)]))
    later = price(questions[1].request, slot.seen(questions[1]))
    ways = [
        (-plan.variant.accuracy.value, float(latency_s))
        for plan, latency_s in zip(later.plans, later.latency_s, strict=True)
        if plan.uplinks is not None
        and latency_s <= questions[1].request.deadline_s
        and not slot.spoils(questions[1], plan)
    ]
    mine = (-second.variant.accuracy.value, float(later.latency_s[later.plans.index(second)]))
    assert (second.uplinks is not None) == bool(ways)
    assert not ways or mine == min(ways)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 30)), min_size=1, max_size=6))
def test_all_are_admitted_in_time_if_any_order_can_do_that(jobs: list[tuple[int, int]]) -> None:
    # One server, no time in the air, 1 ms there and back: work and due times in hundredths of a second.
    questions = []
    for number, (work, due) in enumerate(jobs):
        facts = hand_made.facts(
            {hand_made.variant([4000, 5]): {"device": [9.0], "edge": [work / 100]}},
            nodes=[hand_made.node("edge", "edge")], cells=[hand_made.cell(up_bps=1e15, down_bps=1e15)],
        )  # fmt: skip
        questions.append(ask(f"car-{number}", due / 100 + 0.002 + 1e-9, facts))
    feasible = any(
        all(done <= due for done, (_, due) in zip(accumulate(w for w, _ in order), order, strict=True))
        for order in permutations(jobs)
    )
    plans = EarliestDeadline().decide_all(questions)
    assert all(plan.uplinks is not None for plan in plans) == feasible


@given(
    st.floats(1e4, 1e8), st.floats(0, 0.2), st.floats(0, 0.2), st.floats(0.001, 0.5), st.floats(0, 0.1)
)
@pytest.mark.parametrize("policy", [EarliestDeadline, LeastSlack])
def test_alone_it_leaves_if_that_is_on_time(
    policy: type[EarliestDeadline | LeastSlack],
    rate: float,
    backlog_s: float,
    wait_s: float,
    deadline_s: float,
    margin_s: float,
) -> None:
    facts = hand_made.facts(
        {
            BIG: {"device": [0.08] * 3, "edge": [0.02] * 3},
            SMALL: {"device": [0.02] * 3, "edge": [0.01] * 3},
        },
        nodes=[hand_made.node("edge", "edge")], cells=[hand_made.cell()], input_bytes=4000.0,
    )  # fmt: skip
    seen = hand_made.seen(facts, "cell", backlog_s, {"edge": Report(0.0, wait_s, {}, {})}, cell=rate)
    request = hand_made.request(deadline_s)
    plan = policy(margin=margin_s).decide(request, seen)
    prices = price(request, seen)
    rows = {
        home: [
            (-(p.variant.accuracy.value), float(latency_s))
            for p, latency_s in zip(prices.plans, prices.latency_s, strict=True)
            if (p.uplinks is None) == home
        ]
        for home in (True, False)
    }
    in_time = {home: [r for r in rows[home] if r[1] <= deadline_s - margin_s] for home in rows}
    mine = (-plan.variant.accuracy.value, float(prices.latency_s[prices.plans.index(plan)]))
    if in_time[False]:
        assert mine == min(in_time[False])
    elif in_time[True]:
        assert mine == min(in_time[True])
    else:
        assert plan.uplinks is None
        assert mine[1] == min(latency_s for _, latency_s in rows[True])


def test_a_device_that_cannot_compute_leaves_late_or_not_and_what_has_begun_goes_on() -> None:
    thin = hand_made.facts(
        {WHOLE: {"edge": [0.01]}}, nodes=[hand_made.node("edge", "edge")], cells=[hand_made.cell()]
    )
    assert EarliestDeadline().decide_all([ask("a", 0.001, thin)] * 2) == [EDGE] * 2
    away = replace(hand_made.seen(thin), serving=None)
    assert EarliestDeadline().decide(hand_made.request(0.001), away) == EDGE
    begun = EDGE
    there = Observation(0.0, 0.0, "cell", hand_made.seen(FACTS).uplinks, {}, FACTS, begun=begun)
    plans = LeastSlack().decide_all([ask("a", 0.1), Question("edge", hand_made.request(), there)])
    assert why_not_onward(begun, plans[1]) is None
    assert why_invalid(FACTS, plans[0]) is None
