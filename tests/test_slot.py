"""What those who are decided together are shown of each other."""

import dataclasses

import pytest
from msgspec.structs import replace

from offload.entities import Facts, Observation, Plan, Question, Report, Wire
from offload.overheads import Toll
from offload.planning.price import price
from offload.planning.slot import Slot, alone_bps, work
from tests import hand_made

NET = hand_made.variant([4000, 2000, 500, 5])
FACTS = hand_made.facts(
    {NET: {"device": [0.02] * 3, "edge": [0.01] * 3, "cloud": [0.005] * 3}},
    nodes=[
        hand_made.Node("edge", "edge", hand_made.hardware(), 2, (0.0, 0.0), 0.1),
        hand_made.node("cloud", "cloud"),
    ],
    cells=[hand_made.cell()],
    wires=[Wire("wan", ("edge", "cloud"), 1e9, 0.02, 0.0)],
    input_bytes=4000.0,
)
EDGE = Plan(NET, 0, 3, "edge", None, ("cell",))
CLOUD = Plan(NET, 0, 0, None, "cloud", ("cell",))
BOTH = Plan(NET, 0, 1, "edge", "cloud", ("cell",))
SPLIT = Plan(NET, 1, 3, "edge", None, ("cell",))
HOME = Plan(NET, 3, 3)


def ask(device: str, facts: Facts = FACTS, deadline_s: float = 0.1, **more: object) -> Question:
    """Return a device's question."""
    return Question(device, hand_made.request(deadline_s), hand_made.seen(facts, **more))


def latency_s(question: Question, plan: Plan, slot: Slot) -> float:
    """Return the predicted latency of a plan after what has been promised."""
    prices = price(question.request, slot.seen(question))
    return float(prices.latency_s[prices.plans.index(plan)])


def promise(slot: Slot, question: Question, plan: Plan) -> float:
    """Promise a plan, and return how long it is predicted to take."""
    predicted_s = latency_s(question, plan, slot)
    slot.promise(question, plan, predicted_s)
    return predicted_s


def test_nothing_changes_before_the_first_promise() -> None:
    question = ask("a")
    assert Slot().seen(question) is question.seen


def test_a_third_waits_for_two_servers_and_shares_the_air() -> None:
    # Alone 4 ms in the air at 8 Mbit/s, 1 ms and back, 30 ms at the edge.
    slot = Slot()
    first, second, third = (promise(slot, ask(name), EDGE) for name in "abc")
    back_s = 0.001 + 10 * 8 / 8e7
    assert first == pytest.approx(0.005 + 0.03 + back_s)
    assert second == pytest.approx(0.009 + 0.03 + back_s)  # half the air
    # A third of the air, and the first falls free after 35 ms.
    assert third == pytest.approx(0.035 + 0.03 + back_s)
    assert slot.seen(ask("d")).reports["edge"].backlog_s == pytest.approx(0.039)
    assert slot.seen(ask("d")).uplinks["cell"].rate_bps == pytest.approx(2e6)


def test_what_links_add_is_promised_too() -> None:
    toll = Toll(1e-7, 100.0, 0.1)  # messages of 4000 bytes are 4500 in the air, and 0.4 ms longer there
    cells = {"cell": dataclasses.replace(FACTS.cells["cell"], toll=toll)}
    tolled = dataclasses.replace(FACTS, cells=cells)
    slot = Slot()
    first, second = (promise(slot, ask(name, tolled), EDGE) for name in "ab")
    back_s = 0.001 + 111 * 8 / 8e7 + 1e-6
    assert first == pytest.approx(0.0045 + 0.0014 + 0.03 + back_s)
    assert second == pytest.approx(0.009 + 0.0014 + 0.03 + back_s)
    assert work(tolled, EDGE).back_s == pytest.approx(back_s)
    assert work(tolled, EDGE).up_bytes == slot.sending["cell"]["a"] == pytest.approx(4500)
    assert work(tolled, HOME).up_bytes == 0.0


def test_what_a_node_reported_stays_true() -> None:
    slot = Slot()
    reports = {"edge": Report(0.0, 0.2, {"cell": 1.0}, {})}
    promise(slot, ask("a", reports=reports), EDGE)
    # One of the two servers falls free at 200 ms, the other 30 ms later.
    assert slot.seen(ask("b", reports=reports)).reports["edge"].backlog_s == 0.2
    promise(slot, ask("b", reports=reports), EDGE)
    assert slot.seen(ask("c", reports=reports)).reports["edge"].backlog_s == pytest.approx(0.23)


def test_a_devices_own_core_and_uplink_are_busy() -> None:
    slot = Slot()
    promise(slot, ask("a"), HOME)
    assert slot.seen(ask("a")).backlog_s == pytest.approx(0.06)
    assert slot.seen(ask("b")).backlog_s == 0.0
    promise(slot, ask("a"), SPLIT)
    assert slot.seen(ask("a")).backlog_s == pytest.approx(0.08)
    mine = slot.seen(ask("a")).uplinks["cell"]
    assert (mine.queued_bytes, mine.rate_bps) == (2000.0, 8e6)
    others = slot.seen(ask("b")).uplinks["cell"]
    assert (others.queued_bytes, others.rate_bps) == (0.0, pytest.approx(4e6))


def test_both_nodes_of_a_plan_are_busy() -> None:
    slot = Slot()
    promise(slot, ask("a"), BOTH)
    promise(slot, ask("b"), BOTH)
    seen = slot.seen(ask("c"))
    assert seen.reports["edge"].backlog_s == pytest.approx(0.01)
    assert seen.reports["cloud"].backlog_s > 0.04


def test_a_cloud_is_busy_until_the_answer_sets_out() -> None:
    slot = Slot()
    predicted_s = promise(slot, ask("a"), CLOUD)
    assert slot.seen(ask("b")).reports["cloud"].backlog_s == pytest.approx(
        predicted_s - work(FACTS, CLOUD).back_s
    )
    # Up 5 ms, out 20 ms and 32 us of wire, and 15 ms of work.
    assert slot.seen(ask("b")).reports["cloud"].backlog_s == pytest.approx(0.005 + 0.020032 + 0.015)


def test_who_would_be_made_late_is_asked() -> None:
    slot = Slot()
    alone_s = latency_s(ask("a"), EDGE, slot)
    slot.promise(ask("a", deadline_s=alone_s + 0.003), EDGE, alone_s)
    # A second of 4 ms takes 4 ms from it, a shorter one of 2 ms no more than that; who stays, none.
    assert slot.spoils(ask("b"), EDGE)
    assert not slot.spoils(ask("b"), SPLIT)
    assert not slot.spoils(ask("b"), HOME)
    promise(slot, ask("b"), SPLIT)
    assert slot.spoils(ask("c"), SPLIT)  # 1 ms is left


def test_who_is_late_anyway_cannot_be_spoilt() -> None:
    slot = Slot()
    slot.promise(ask("a", deadline_s=0.01), EDGE, 0.04)
    assert not slot.spoils(ask("b"), EDGE)


def test_a_cell_that_nobody_shares_stays_as_it_is() -> None:
    own = hand_made.cell()
    facts = hand_made.facts(
        {NET: {"device": [0.02] * 3, "edge": [0.01] * 3}},
        nodes=[hand_made.node("edge", "edge")],
        cells=[type(own)(own.name, own.node, own.up_bps, own.down_bps, 0.001, 100.0, 1.0, shared=False)],
        input_bytes=4000.0,
    )
    slot = Slot()
    promise(slot, ask("a", facts), EDGE)
    assert slot.seen(ask("b", facts)).uplinks["cell"].rate_bps == 8e6


def test_the_rate_alone_leaves_out_who_was_active() -> None:
    seen = hand_made.seen(FACTS, cell=2e6)
    assert alone_bps(seen, "cell") == 2e6  # nobody else has been heard of
    shared = replace(seen.uplinks["cell"], alone_bps=8e6)
    assert alone_bps(replace(seen, uplinks={"cell": shared}), "cell") == 8e6


def test_input_of_another_size_takes_its_own_air() -> None:
    slot = Slot()
    question = Question("a", hand_made.request(0.1, 8000.0), hand_made.seen(FACTS))
    promise(slot, question, EDGE)
    assert slot.sending["cell"]["a"] == 8000.0
    assert isinstance(slot.seen(question), Observation)
