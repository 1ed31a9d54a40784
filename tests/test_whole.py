"""Whole networks in one place, against looking through all plans."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace as with_changes

from offload.entities import Facts, Plan, Report, Wire
from offload.planning.onward import onward
from offload.planning.price import unloaded
from offload.planning.whole import Whole, backlog_s, places
from tests import hand_made

FORMS = [
    hand_made.variant([4000, 2000, 500, 5], name=name, accuracy=accuracy)
    for name, accuracy in (("fp32", 0.9), ("int8", 0.8), ("odd", None))
]
PLACES = ("device", "near", "far", "cloud")


@st.composite
def towns(draw: st.DrawFn, **more: Any) -> Facts:
    """Draw who can run which form, and how quickly; "far" is declared first, "alone" has no route."""
    seconds = st.lists(st.floats(1e-3, 0.1), min_size=3, max_size=3)
    costs: dict[Any, dict[str, Any]] = {
        form: {place: draw(seconds) for place in draw(st.sets(st.sampled_from(PLACES)))}
        for form in FORMS
    }
    costs[FORMS[1]]["near"] = costs[FORMS[1]]["alone"] = [0.01] * 3
    nodes = [("far", "edge"), ("cloud", "cloud"), ("near", "edge"), ("alone", "edge")]
    return hand_made.facts(
        costs,
        nodes=[hand_made.node(*each) for each in nodes],
        cells=[hand_made.cell(at="near")],
        wires=[
            Wire("wan", ("near", "cloud"), 1e9, 0.02, 0.0),
            Wire("lane", ("near", "far"), 1e8, 0.001, 0.0),
        ],
        **({"deadline_s": draw(st.floats(1e-3, 0.5)), "private": draw(st.booleans())} | more),
    )


def best(facts: Facts, cell: str | None, place: str) -> Whole | None:
    """Look through all that is open, whatever the order, for what has this place do all it may."""
    prices = unloaded(facts, cell)
    found = []
    for row, plan in enumerate(prices.plans):
        first = 1 if facts.private else 0
        used = [plan.device_cut > first, plan.edge is not None, plan.cloud is not None]
        mine = {
            "device": [True, False, False],
            "edge": [False, True, False],
            "cloud": [False, False, True],
        }
        kind = "device" if place == "device" else facts.nodes[place].kind
        if used == mine[kind] and place in ("device", plan.edge, plan.cloud):
            latency_s, energy_j = float(prices.latency_s[row]), float(prices.energy_j[row])
            known = plan.variant.accuracy.value if plan.variant.accuracy else 0.0
            worth = known if latency_s <= facts.deadline_s else -1.0
            found.append((-worth, latency_s, row, Whole(plan, latency_s, energy_j)))
    return min(found)[-1] if found else None


@given(facts=towns(), device=st.booleans(), serving=st.sampled_from([None, "cell"]))
def test_places_are_the_best_of_all_plans(facts: Facts, device: bool, serving: str | None) -> None:
    found = places(hand_made.seen(facts, serving), device=device)
    own = best(facts, None, "device")
    cell = serving if device and own else "cell"
    order = ["device", *facts.nodes] if device else list(facts.nodes)
    expected = {place: whole for place in order if (whole := best(facts, cell, place))}
    if not expected:
        expected = {"device": own} if own else {}
    assert dict(found) == expected
    assert list(found) == list(expected)


@given(facts=towns(private=False), cut=st.integers(0, 2))
def test_what_has_begun_goes_on_as_it_came(facts: Facts, cut: int) -> None:
    form = FORMS[1]
    assume(cut == 0 or form in facts.profiles["device"])
    begun = Plan(form, cut, 3, "near", None, ("cell",))
    seen = hand_made.seen(facts)
    found = places(with_changes(seen, begun=begun))
    ways = [plan for plan in onward(facts, begun).plans if plan.variant is form]
    for place, whole in found.items():
        assert whole.plan in ways or cut > 0  # not every cut is short-listed
        assert (whole.plan.device_cut, whole.plan.uplinks) == (cut, ("cell",))
        assert (whole.plan.edge or whole.plan.cloud) == place
        assert whole.plan.edge_cut == (3 if whole.plan.edge else cut)
    assert set(found) == {p for p in ("far", "cloud", "near") if form in facts.profiles[p]}


def test_a_node_that_has_not_reported_counts_as_idle() -> None:
    facts = hand_made.facts({FORMS[0]: {"device": [0.1] * 3}}, nodes=[hand_made.node("edge", "edge")])
    seen = hand_made.seen(facts, None, 0.3, {"edge": Report(0.0, 0.2, {}, {})})
    assert [backlog_s(seen, place) for place in ("device", "edge", "other")] == [0.3, 0.2, 0.0]


def test_costs_are_those_without_load() -> None:
    # 4000 bytes at 8 Mbit/s and 10 back at 80 take 4.001 ms, two delays of 1 ms, and 3 ms at the edge.
    facts = hand_made.facts(
        {FORMS[0]: {"device": [0.1] * 3, "edge": [0.001] * 3}},
        nodes=[hand_made.node("edge", "edge")],
        cells=[hand_made.cell()],
        input_bytes=4000.0,
    )
    busy = hand_made.seen(facts, "cell", 9.0, {"edge": Report(0.0, 9.0, {}, {})}, cell=1e3)
    found = places(busy)
    assert found["device"][1:] == pytest.approx((0.3, 0.6))  # 3 W less 1 W of idling
    assert found["edge"][1:] == pytest.approx((0.009001, 0.008002))  # 2 W of radio
    assert places(hand_made.seen(replace(facts, private=True)))["edge"].plan.device_cut == 1
