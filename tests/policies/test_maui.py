"""MAUI's choices against all cuts."""

import math
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from offload.entities import Facts, Observation, Plan, Report, Wire
from offload.planning.onward import why_not_onward
from offload.planning.price import price
from offload.planning.program_of import State
from offload.policies.maui import Maui, _solved, rounded
from tests import hand_made

BIG = hand_made.variant([4000, 2000, 500, 5], name="fp32", accuracy=0.9)
SMALL = hand_made.variant([4000, 2000, 500, 5], name="int8", accuracy=0.8)


def town(**more: object) -> Facts:
    """Return a device and an edge node ten times as quick; the less accurate network comes first."""
    return hand_made.facts(
        {SMALL: {"device": [0.02, 0.01, 0.02], "edge": [0.002] * 3},
         BIG: {"device": [0.08] * 3, "edge": [0.008] * 3}},
        nodes=[hand_made.node("edge", "edge")],
        cells=[hand_made.cell()],
        input_bytes=4000.0,
        **more,
    )  # fmt: skip


FACTS = town()
OVERHEAD = town(overhead_s=0.02)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([FACTS, OVERHEAD]),
    st.floats(1e4, 1e8),
    st.floats(0.005, 0.5),
    st.floats(0, 0.1),
    st.one_of(st.just(0.0), st.floats(0, 0.6)),
)
@example(FACTS, 8e6, 0.06, 0.0, 0.05)  # all at the edge, which takes 32 ms, is not kept by the backlog
@example(OVERHEAD, 8e6, 0.04, 0.0, 0.0)  # 52 ms with the overhead
@example(OVERHEAD, 1.6e5, 0.23, 0.0, 0.025)  # 223 ms by the first cut: of the two the longer counts
def test_the_most_accurate_network_that_is_on_time_at_the_least_energy(
    facts: Facts, rate: float, deadline_s: float, margin_s: float, backlog_s: float
) -> None:
    seen = hand_made.seen(facts, backlog_s=backlog_s, cell=rate)
    request = hand_made.request(deadline_s)
    plan = Maui(moved=0.0, margin=margin_s).decide(request, seen)
    prices = price(request, seen)
    row = prices.plans.index(plan)
    on_time = prices.latency_s <= deadline_s - margin_s
    if not on_time.any():
        assert prices.latency_s[row] == prices.latency_s.min()
        return
    best = prices.accuracy == prices.accuracy[on_time].max()
    assert best[row]
    assert prices.energy_j[row] == pytest.approx(prices.energy_j[best & on_time].min())


@given(st.floats(0.01, 0.5), st.floats(1e4, 1e8), st.floats(1e4, 1e8), st.floats(0, 1), st.floats(0, 1))
def test_rounding_is_to_the_worse_side_and_by_less_than_a_step(
    share: float, up_bps: float, down_bps: float, backlog_s: float, wait_s: float
) -> None:
    state = State(FACTS, "cell", 0.05, 5000.0, up_bps, down_bps, 70.0, backlog_s, (("edge", wait_s),))
    found = rounded(state, share)
    for name in ("up_bps", "down_bps", "left_s"):
        exact, worse = getattr(state, name), getattr(found, name)
        assert exact / (1 + share) * (1 - 1e-9) <= worse <= exact * (1 + 1e-9)
    for name in ("input_bytes", "queued_bytes"):
        exact, worse = getattr(state, name), getattr(found, name)
        assert exact * (1 - 1e-9) <= worse <= exact * (1 + share) * (1 + 1e-9)
    step_s = share * FACTS.deadline_s
    for exact, worse in ((backlog_s, found.backlog_s), (wait_s, found.waits[0][1])):
        assert exact - 1e-9 <= worse <= exact + step_s + 1e-9


def test_what_moved_less_than_a_step_gets_the_same_answer() -> None:
    # At 1 Mbit/s the input takes 32 ms; at once BIG needs 57 ms by the edge, and is on time by 60.
    request = hand_made.request(0.0605)
    assert Maui(moved=0.0).decide(request, hand_made.seen(FACTS, cell=1.03e6)).variant is BIG
    rates = (1.03e6, 1.0e6, 0.96e6)
    plans = [Maui(moved=0.5).decide(request, hand_made.seen(FACTS, cell=rate)) for rate in rates]
    assert plans[0] == plans[1] == plans[2]
    # Rounded to the worse, BIG is not certain to be on time.
    assert plans[0].variant is SMALL


def test_a_backlog_at_the_server_keeps_it_at_home() -> None:
    request = hand_made.request(0.06)
    idle = hand_made.seen(FACTS)
    assert Maui().decide(request, idle).edge == "edge"
    for wait_s in (0.5, math.inf):  # it may have broken down
        busy = hand_made.seen(FACTS, reports={"edge": Report(0.0, wait_s, {}, {})})
        assert Maui().decide(request, busy) == Plan(SMALL, 3, 3)


def test_a_backlog_of_its_own_leaves_less_time() -> None:
    # Alone SMALL takes 50 ms at home.
    slow = {"cell": 1e4}
    for backlog_s, chosen in ((0.005, Plan(SMALL, 3, 3)), (0.02, None)):
        seen = hand_made.seen(FACTS, backlog_s=backlog_s, **slow)
        state = State.of(seen, "cell", 0.06, 4000.0)
        assert _solved(state) == chosen


def test_of_servers_that_save_the_same_the_quicker() -> None:
    facts = hand_made.facts(
        {SMALL: {"device": [0.02] * 3, "edge": [0.02] * 3, "cloud": [0.001] * 3}},
        nodes=[hand_made.node("edge", "edge"), hand_made.node("cloud", "cloud")],
        cells=[hand_made.cell()], wires=[Wire("wan", ("edge", "cloud"), 1e9, 0.01, 0.0)],
    )  # fmt: skip
    plan = Maui().decide(hand_made.request(0.2), hand_made.seen(facts))
    assert (plan.device_cut, plan.edge, plan.cloud) == (0, None, "cloud")


def test_what_is_queued_is_rounded_like_the_rest() -> None:
    state = State.of(hand_made.seen(FACTS), "cell", 0.06, 4000.0)
    near = [rounded(state._replace(queued_bytes=queued), 0.5) for queued in (70.0, 72.0, 200.0)]
    assert near[0] == near[1] != near[2]
    assert rounded(state, 0.5).queued_bytes == 0.0


def test_a_wait_is_rounded_up_to_a_share_of_the_deadline() -> None:
    state = State.of(hand_made.seen(FACTS), "cell", 0.06, 4000.0)  # the deadline is 0.1 s
    for wait_s, worse_s in ((0.0, 0.0), (0.01, 0.05), (0.04, 0.05), (0.06, 0.1)):
        found = rounded(state._replace(backlog_s=wait_s, waits=(("edge", wait_s),)), 0.5)
        assert (found.backlog_s, found.waits) == (worse_s, (("edge", worse_s),))


def test_where_no_wire_goes_nothing_is_sent() -> None:
    facts = hand_made.facts(
        {SMALL: {"device": [0.02] * 3, "edge": [0.002] * 3, "cloud": [0.001] * 3}},
        nodes=[hand_made.node("edge", "edge"), hand_made.node("cloud", "cloud")],
        cells=[hand_made.cell()],
    )
    assert Maui().decide(hand_made.request(0.2), hand_made.seen(facts)).edge == "edge"


def test_out_of_range_it_is_frugal_and_what_has_begun_goes_on() -> None:
    alone = hand_made.seen(FACTS, serving=None)
    assert Maui().decide(hand_made.request(0.3), alone) == Plan(SMALL, 3, 3)
    begun = Plan(BIG, 1, 3, "edge", None, ("cell",))
    seen = hand_made.seen(FACTS)
    there = Observation(0.0, 0.0, "cell", seen.uplinks, {}, FACTS, begun=begun)
    assert why_not_onward(begun, Maui().decide(hand_made.request(), there)) is None


def test_a_device_that_cannot_compute_takes_the_quickest() -> None:
    thin = hand_made.facts(
        {BIG: {"edge": [0.008] * 3}}, nodes=[hand_made.node("edge", "edge")], cells=[hand_made.cell()]
    )
    plan = Maui().decide(hand_made.request(), hand_made.seen(thin))
    assert plan == Plan(BIG, 0, 3, "edge", None, ("cell",))
    late = replace(thin, deadline_s=0.01)
    assert Maui().decide(hand_made.request(-0.01), hand_made.seen(late)) == plan
