"""Thresholds: stay or leave as one number tells, against prices of all plans."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as with_changes

from offload.entities import Observation, Plan
from offload.planning.price import price, unloaded
from offload.planning.whole import places
from offload.policies import table
from tests import hand_made
from tests.test_policies import BIG, SMALL, make, observations, town

NAMES = ("deadline-threshold", "energy-threshold", "bandwidth-threshold")
HOME, AWAY = Plan(SMALL, 3, 3), Plan(BIG, 0, 3, "edge", None, ("cell",))
AWAY_LATE = Plan(SMALL, 0, 3, "edge", None, ("cell",))
# Within 50 ms nothing is on time on the device, where int8 takes 60 ms and 120 mJ; fp32 is at the edge,
# which answers first: 4 kB at 8 Mbit/s, 24 ms there, 2 ms of delays; 8 mJ of radio.
TOWN = town(deadline_s=0.05)


def left(name: str, seen: Observation, deadline_s: float = 0.05, **options: Any) -> bool:
    """Tell whether a request leaves; where to and in which form is not the question."""
    plan = make(name, **options).decide(hand_made.request(deadline_s), seen)
    assert plan in (HOME, AWAY, AWAY_LATE)
    return plan != HOME


@pytest.mark.parametrize(
    ("options", "deadline_s", "backlog_s", "leaves"),
    [
        ({}, 0.0601, 0.0, False),
        ({}, 0.0599, 0.0, True),
        ({}, 0.1, 0.039, False),
        ({}, 0.1, 0.041, True),
        ({"deadline": "50 ms"}, 9.0, 0.0, True),
        ({"deadline": "61 ms"}, 0.01, 0.0, False),
    ],
)
def test_deadline(options: dict[str, Any], deadline_s: float, backlog_s: float, leaves: bool) -> None:
    seen = hand_made.seen(TOWN, backlog_s=backlog_s)
    assert left("deadline-threshold", seen, deadline_s, **options) == leaves


@pytest.mark.parametrize(
    ("options", "battery_j", "leaves"),
    [
        ({}, None, True),  # 120 mJ of computing against 8 of sending
        ({"energy": "121 mJ"}, None, False),
        ({"energy": "119 mJ"}, None, True),
        ({"energy": "1 J", "battery": "5 J"}, 4.9, True),
        ({"energy": "1 J", "battery": "5 J"}, 5.0, False),
        ({"energy": "1 J", "battery": "5 J"}, None, False),
    ],
)
def test_energy(options: dict[str, Any], battery_j: float | None, leaves: bool) -> None:
    seen = with_changes(hand_made.seen(TOWN), battery_j=battery_j)
    assert left("energy-threshold", seen, **options) == leaves


@pytest.mark.parametrize(("backlog_s", "leaves"), [(0.0, False), (0.03, False), (0.035, True)])
def test_what_deciding_takes_counts_once(backlog_s: float, leaves: bool) -> None:
    # Deciding takes 20 ms, during which the device works on what waits.
    seen = hand_made.seen(replace(TOWN, overhead_s=0.02), backlog_s=backlog_s)
    assert left("deadline-threshold", seen, 0.091) == leaves


def test_energy_stays_where_sending_takes_more() -> None:
    # 2 W of computing 60 ms: 0.12 J; 4 kB at 500 kbit/s with 2 W: 0.128 J.
    slow = replace(town(deadline_s=0.05), cells={"cell": hand_made.cell(up_bps=5e5)})
    assert not left("energy-threshold", hand_made.seen(slow))
    assert left("energy-threshold", hand_made.seen(slow), energy="100 mJ")


@pytest.mark.parametrize(
    ("options", "deadline_s", "rate_bps", "leaves"),
    [
        ({"bandwidth": "2 Mbit/s"}, 0.05, 2e6, True),
        ({"bandwidth": "2 Mbit/s"}, 0.05, 1.99e6, False),
        ({}, 0.05, 1.281e6, True),  # 32 kbit in 25 ms
        ({}, 0.05, 1.279e6, False),
        ({}, 0.1, 0.641e6, True),
        ({}, -0.1, 1e9, False),  # asked again when it is late
    ],
)
def test_bandwidth(options: dict[str, Any], deadline_s: float, rate_bps: float, leaves: bool) -> None:
    seen = hand_made.seen(TOWN, cell=rate_bps)
    assert left("bandwidth-threshold", seen, deadline_s, **options) == leaves


@given(observations(), st.sampled_from(NAMES), st.floats(0.001, 1), st.floats(0, 1))
def test_each_is_its_comparison(seen: Observation, name: str, deadline_s: float, x: float) -> None:
    key, unit, scale = {
        "deadline-threshold": ("deadline", "s", 1.0),
        "energy-threshold": ("energy", "J", 1.0),
        "bandwidth-threshold": ("bandwidth", "bit/s", 1e7),
    }[name]
    plan = make(name, **{key: f"{x * scale!r} {unit}"}).decide(hand_made.request(deadline_s), seen)
    open_ = places(seen)
    if list(open_) == ["device"]:
        assert plan.uplinks is None
        return
    alone = unloaded(seen.facts, "cell")
    waiting = price(hand_made.request(input_bytes=seen.facts.input_bytes), seen)
    row = alone.plans.index(open_["device"].plan)
    leaves = {
        "deadline-threshold": waiting.latency_s[row] > x,
        "energy-threshold": alone.energy_j[row] > x,
        "bandwidth-threshold": seen.uplinks["cell"].rate_bps >= x * scale,
    }[name]
    assert (plan.uplinks is not None) == leaves
    if leaves:
        quickest_s = min(whole.latency_s for place, whole in open_.items() if place != "device")
        assert [w.latency_s for w in open_.values() if w.plan == plan] == [quickest_s]


def test_what_the_device_cannot_run_leaves() -> None:
    facts = hand_made.facts(
        {BIG: {"edge": [0.01] * 3}}, nodes=[hand_made.node("edge", "edge")], cells=[hand_made.cell()]
    )
    for name in NAMES:
        for serving in ("cell", None):
            plan = make(name).decide(hand_made.request(), hand_made.seen(facts, serving))
            assert plan == Plan(BIG, 0, 3, "edge", None, ("cell",))


def test_units_are_needed() -> None:
    for name, key in zip(NAMES, ("deadline", "energy", "bandwidth"), strict=True):
        with pytest.raises(table.PolicyTableError, match=f"{key}: a bare number; write it with a unit"):
            table.choose({"name": name, key: 3})
