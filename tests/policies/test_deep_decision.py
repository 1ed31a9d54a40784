"""DeepDecision: a search of the table, against enumeration, kept for an interval."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as with_changes

from offload.entities import Observation, Plan
from offload.overheads import Toll
from offload.planning.cost import cost
from offload.planning.exits import branches
from offload.planning.price import price
from offload.policies import deep_decision
from tests import drawn, hand_made
from tests.slow import on_link
from tests.test_policies import BIG, SMALL, make, observations, town


def frames_hz(seen: Observation, plan: Plan) -> float:
    """Return what device and uplink keep up: means over what may become of a plan."""
    device_s = up_s = 0.0
    for share, row in branches(plan):
        seconds, _, _, up_bytes, *_ = cost(seen.facts, row)
        device_s += share * seconds
        if row.uplinks is not None:
            sent_bytes = on_link(seen.facts.cells["cell"], up_bytes)
            up_s += share * 8 * sent_bytes / seen.uplinks["cell"].rate_bps
    return 1 / max(device_s, up_s, 1e-9)


def check(
    seen: Observation, deadline_s: float, weight: float, frames: float, energy_j: float | None
) -> None:
    """Assert that the choice is the best of all, counted one by one."""
    options = {} if energy_j is None else {"energy": f"{energy_j!r} J"}
    policy = make("deep-decision", weight=weight, frames=f"{frames!r} Hz", margin="1 ms", **options)
    request = hand_made.request(deadline_s, input_bytes=seen.facts.input_bytes)
    chosen = policy.decide(request, seen)
    prices = price(request, seen)
    table = [
        (plan, float(latency_s), float(joules), float(accuracy))
        for plan, latency_s, joules, accuracy in zip(
            prices.plans, prices.latency_s, prices.energy_j, prices.accuracy, strict=True
        )
    ]
    mine = next(each for each in table if each[0] == chosen)
    within = [each for each in table if energy_j is None or each[2] <= energy_j]
    on_time = [each for each in within if each[1] <= deadline_s - 0.001]

    def score(each: tuple[Plan, float, float, float]) -> float:
        accuracy = 0.0 if math.isnan(each[3]) else each[3]
        return accuracy + weight * min(1.0, frames_hz(seen, each[0]) / frames)

    if on_time:
        assert mine in on_time
        assert score(mine) == pytest.approx(max(map(score, on_time)), rel=1e-9)
    elif within:
        assert mine in within
        assert mine[1] == min(each[1] for each in within)
    else:
        assert mine[2] == min(each[2] for each in table)


SETTINGS = st.tuples(
    st.floats(0.002, 1), st.floats(0, 3), st.floats(1, 100), st.one_of(st.none(), st.floats(0, 0.5))
)


@given(observations(), SETTINGS)
def test_it_is_the_best_of_the_table(
    seen: Observation, settings: tuple[float, float, float, float | None]
) -> None:
    check(seen, *settings)


@given(data=st.data(), settings=SETTINGS)
def test_exits_and_codecs_are_knobs_too(
    data: st.DataObject, settings: tuple[float, float, float, float | None]
) -> None:
    facts = data.draw(drawn.worlds(early=True, codecs=True))
    check(with_changes(data.draw(drawn.observations(facts)), luck=None), *settings)


@given(data=st.data())
def test_the_frame_rate_is_that_of_the_busiest(data: st.DataObject) -> None:
    facts = data.draw(drawn.worlds(early=True, codecs=True))
    seen = data.draw(drawn.observations(facts))
    prices = price(hand_made.request(input_bytes=facts.input_bytes), seen)
    expected = [frames_hz(seen, plan) for plan in prices.plans]
    assert deep_decision.frames_hz(prices, seen) == pytest.approx(expected, rel=1e-9)


def test_what_stays_sends_nothing() -> None:
    cells = {"cell": replace(hand_made.cell(), toll=Toll(message_bytes=1e6))}
    seen = hand_made.seen(replace(town(), cells=cells))
    prices = price(hand_made.request(), seen)
    for plan, hertz in zip(prices.plans, deep_decision.frames_hz(prices, seen), strict=True):
        assert hertz == pytest.approx(frames_hz(seen, plan))
        assert (hertz > 2) == (plan.uplinks is None)


def test_the_margin_is_kept_free() -> None:
    # 60 ms on the device alone, 240 of the more accurate.
    seen = hand_made.seen(town(), None)
    for margin, form in (("9 ms", BIG), ("11 ms", SMALL)):
        policy = make("deep-decision", margin=margin, frames="1 Hz")
        assert policy.decide(hand_made.request(0.25), seen).variant is form


def test_a_plan_is_kept_for_an_interval_by_device_and_cell() -> None:
    facts = town(deadline_s=1.0)
    idle, stuck = hand_made.seen(facts), hand_made.seen(facts, cell=1e3)
    policy, car = make("deep-decision", interval="2 s"), hand_made.request(1.0)
    other = with_changes(car, device="car-1")
    first = policy.decide(car, idle)
    assert first.uplinks == ("cell",)
    assert policy.decide(car, with_changes(stuck, now_s=1.9)) == first
    assert policy.decide(other, with_changes(stuck, now_s=1.9)).uplinks is None
    assert policy.decide(car, with_changes(stuck, now_s=2.0)).uplinks is None
    assert policy.decide(car, with_changes(idle, now_s=3.9)).uplinks is None
    assert policy.decide(car, with_changes(idle, now_s=4.0)) == first
    assert policy.decide(car, with_changes(idle, now_s=4.1, serving=None)).uplinks is None
    assert policy.decide(car, with_changes(idle, now_s=4.2)) == first
    elsewhere = with_changes(idle, now_s=4.3, facts=town(deadline_s=1.0, private=True))
    assert policy.decide(car, elsewhere).device_cut > 0  # another task has a plan of its own


def test_the_weight_trades_accuracy_for_frames() -> None:
    # 10 frames a second of nine in ten, or 100 of eight in ten.
    facts = hand_made.facts({BIG: {"device": [0.1, 0, 0]}, SMALL: {"device": [0.01, 0, 0]}})
    seen = hand_made.seen(replace(facts, deadline_s=1.0), None)
    for weight, form in ((0.1, BIG), (0.14, BIG), (0.16, SMALL), (1.0, SMALL)):
        policy = make("deep-decision", weight=weight, frames="30 Hz")
        assert policy.decide(hand_made.request(1.0), seen).variant is form


def test_a_node_that_is_asked_looks_each_time() -> None:
    facts = town(deadline_s=1.0)
    policy = make("deep-decision")
    for variant in (BIG, SMALL):
        begun = Plan(variant, 1, 3, "edge", None, ("cell",))
        seen = with_changes(hand_made.seen(facts), begun=begun)
        assert policy.decide(hand_made.request(1.0), seen).variant is variant
