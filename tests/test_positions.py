"""Costs at positions against prices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from offload.algorithms.matching import IMPOSSIBLE
from offload.entities import Observation, Question, Report, Wire
from offload.planning.positions import Bid, Positions
from offload.planning.price import price
from tests import hand_made

SURE = hand_made.answers(([1, 0, 1], [255, 0, 130]), ([1, 1, 1], [255, 255, 255]))
LEAVES = hand_made.variant(
    [4000, 2000, 500, 5], name="exits", exits=(1, 3), answers={(None, 0): SURE}, accuracy=0.9
)
PLAIN = hand_made.variant([4000, 2000, 500, 5], name="int8")  # of unknown accuracy
FACTS = hand_made.facts(
    {
        LEAVES: {"device": [0.02] * 3, "edge": [0.01] * 3, "cloud": [0.004] * 3},
        PLAIN: {"device": [0.01] * 3, "edge": [0.005] * 3},
    },
    nodes=[hand_made.node("edge", "edge"), hand_made.node("cloud", "cloud")],
    cells=[hand_made.cell()],
    wires=[Wire("wan", ("edge", "cloud"), 1e9, 0.01, 0.001)],
    input_bytes=4000.0,
    confidences=(0.6,),
)


def seen(
    rate: float, backlog_s: float = 0.0, edge_s: float = 0.0, cloud_s: float = 0.0, active: float = 0.0
) -> Observation:
    """Return an observation with these waits."""
    reports = {
        "edge": Report(0.0, edge_s, {"cell": active}, {}), "cloud": Report(0.0, cloud_s, {}, {}),
    }  # fmt: skip
    shared = hand_made.seen(FACTS, "cell", backlog_s, reports, cell=rate / (1 + active))
    return replace(shared, uplinks={"cell": replace(shared.uplinks["cell"], alone_bps=rate)})


WAIT = st.floats(0, 0.2)


@settings(max_examples=60)
@given(st.floats(1e5, 1e8), WAIT, WAIT, st.integers(1, 4), st.sampled_from([0.0, 2.0]))
def test_in_front_of_a_queue_all_is_as_priced(
    rate: float, backlog_s: float, wait_s: float, leaving: int, active: float
) -> None:
    # If n leave, the air is shared by n - 1 more than were active.
    now = seen(rate, backlog_s, wait_s, wait_s, active)
    bid = Bid.of(Question("a", hand_made.request(), now), now)
    share_bps = rate / (active + leaving)
    shared = seen(rate, backlog_s, wait_s, wait_s, active)
    uplinks = {"cell": replace(shared.uplinks["cell"], rate_bps=share_bps)}
    prices = price(hand_made.request(), replace(shared, uplinks=uplinks))
    met = 0
    for place in ("device", "edge", "cloud"):
        rows, wait = _rows(bid, place), 0.0 if place == "device" else wait_s
        mine = bid.latency_s(rows, np.array([float(leaving)]), wait, np.zeros(1))
        assert mine.shape == (1, 1, rows.sum())
        assert mine[0, 0] == pytest.approx(prices.latency_s[rows], rel=1e-6, abs=1e-9)
        met += rows.sum()
    assert met > 8


def _rows(bid: Bid, place: str) -> np.ndarray:
    plans = bid.table.plans
    if place == "device":
        return np.array([plan.uplinks is None for plan in plans])
    return np.array([{plan.edge, plan.cloud} - {None} == {place} for plan in plans])


def test_who_comes_later_in_a_queue_waits_for_those_before() -> None:
    questions = [Question(name, hand_made.request(), seen(8e6)) for name in ("a", "b", "a")]
    bids = [Bid.of(question, question.seen) for question in questions]
    positions = Positions(bids)
    # Two positions on one device, one on the other, and three at each of two nodes.
    places = [(spot.place, spot.level, spot.device) for spot in positions.spots]
    assert places == [
        ("device", 0, "a"), ("device", 1, "a"), ("device", 0, "b"),
        *(("edge", level, None) for level in range(3)), *(("cloud", level, None) for level in range(3)),
    ]  # fmt: skip
    assert (positions.home[1, :2] == IMPOSSIBLE).all()
    assert (positions.home[[0, 2], 2] == IMPOSSIBLE).all()
    assert (positions.home[1, 2], positions.home[0, 0]) < (IMPOSSIBLE, IMPOSSIBLE)
    away = np.array(positions.away)
    assert away.shape == (3, 3, 6)
    assert (np.diff(away, axis=0) >= 0).all()  # more share the air
    assert (np.diff(away[:, :, :3], axis=2) >= 0).all()  # and the server
    # The quickest by the edge takes 15 ms there: what the second waits for.
    for level in range(3):
        plan, latency_s = positions.chosen(0, 3 + level, 1)
        assert plan.edge == "edge"
        prices = price(questions[0].request, seen(8e6))
        alone_s = prices.latency_s[prices.plans.index(plan)]
        assert latency_s == pytest.approx(alone_s + level * 0.015, rel=1e-6)
        cost = 1e-3 * latency_s - bids[0].worth[prices.plans.index(plan)] * (latency_s <= 0.1)
        assert positions.away[0][0, level] == pytest.approx(cost, abs=1e-9)


def test_two_servers_take_two_at_once() -> None:
    edge = hand_made.Node("edge", "edge", hand_made.hardware(), 2, (0.0, 0.0), 0.1)
    facts = hand_made.facts(
        {PLAIN: {"device": [0.01] * 3, "edge": [0.005] * 3}},
        nodes=[edge], cells=[hand_made.cell()], input_bytes=4000.0,
    )  # fmt: skip
    questions = [Question(name, hand_made.request(), hand_made.seen(facts)) for name in "abc"]
    positions = Positions([Bid.of(each, each.seen) for each in questions])
    assert [spot.level for spot in positions.spots if spot.place == "edge"] == [0, 0, 1]


def test_what_is_unknown_counts_as_the_least_that_is_known() -> None:
    now = seen(8e6)
    bid = Bid.of(Question("a", hand_made.request(), now), now)
    known = {plan.confidence: worth for plan, worth in zip(bid.table.plans, bid.worth, strict=True)}
    plain = [w for p, w in zip(bid.table.plans, bid.worth, strict=True) if p.variant is PLAIN]
    assert set(plain) == {min(known.values())}
    nobody = hand_made.facts({PLAIN: {"device": [0.01] * 3}}, cells=[hand_made.cell()],
                             nodes=[hand_made.node("edge", "edge")])  # fmt: skip
    alone = hand_made.seen(nobody)
    assert Bid.of(Question("a", hand_made.request(), alone), alone).worth.tolist() == [1.0]
