"""Shortlists of cuts and codecs against all of them."""

import dataclasses
import math
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from offload.entities import Facts
from offload.planning.columns import columns
from offload.planning.cuts import first_cut, ways_out
from offload.planning.price import price
from offload.scenario.load import load
from tests import drawn, hand_made, slow

FACTS = [
    pytest.param(facts, id=f"{path.stem}-{facts.group}-{facts.task}")
    for path in hand_made.SHIPPED
    for facts in load(path).setting(0.002).facts
]


@pytest.mark.parametrize("private", [False, True])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_the_shortlist_never_loses_where_nobody_waits(private: bool, data: Any) -> None:
    facts, rate_bps = data.draw(drawn.worlds(private=private)), data.draw(st.floats(1e4, 1e9))
    seen = hand_made.seen(facts, cell=rate_bps)
    quickest = price(hand_made.request(input_bytes=facts.input_bytes), seen).latency_s.min()
    best = min(slow.Slow(seen, plan).latency_s() for plan in slow.all_plans(facts))
    assert quickest <= best * (1 + 1e-9)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_the_shortlist_holds_for_an_input_of_any_size(data: Any) -> None:
    facts, rate_bps = data.draw(drawn.worlds()), data.draw(st.floats(1e4, 1e9))
    most_bytes = data.draw(st.sampled_from([facts.input_bytes, 1e4, math.inf]))
    facts = dataclasses.replace(facts, most_input_bytes=most_bytes)
    own_bytes = data.draw(st.floats(0, min(most_bytes, 1e5)))
    quickest = price(hand_made.request(input_bytes=own_bytes), hand_made.seen(facts, cell=rate_bps))
    sized = dataclasses.replace(facts, input_bytes=own_bytes)
    seen = hand_made.seen(sized, cell=rate_bps)
    best = min(slow.Slow(seen, plan).latency_s() for plan in slow.all_plans(sized))
    assert quickest.latency_s.min() <= best * (1 + 1e-9)


@pytest.mark.parametrize(("early", "codecs"), [(True, False), (False, True), (True, True)])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_is_left_out_is_matched_by_a_plan_no_slower_and_no_worse(
    early: bool, codecs: bool, data: Any
) -> None:
    private = data.draw(st.booleans())
    facts = data.draw(drawn.worlds(private=private, early=early, codecs=codecs))
    seen = hand_made.seen(facts, cell=data.draw(st.floats(1e4, 1e9)))
    found = price(hand_made.request(input_bytes=facts.input_bytes), seen)
    for plan in slow.all_plans(facts):
        latency_s, energy_j = slow.prices(seen, plan)
        as_good = (
            (found.latency_s <= latency_s * (1 + 1e-9))
            & (found.energy_j <= energy_j * (1 + 1e-9))
            & (found.accuracy >= slow.share_right(plan) - 1e-9)
        )
        assert as_good.any(), plan


@pytest.mark.parametrize("facts", FACTS)
def test_nothing_private_leaves_a_device_raw(facts: Facts) -> None:
    secret = dataclasses.replace(facts, private=True)
    for serving in facts.cells:
        plans = columns(secret, serving).plans
        assert plans
        for plan in plans:  # an int8 network begins with writing the input differently
            kinds = {
                layer.kind for layer in plan.variant.layers[: plan.variant.cuts[plan.device_cut].after]
            }
            assert kinds - {"quantize", "view", "elementwise"}
        # What may still be planned is what could be planned before, without raw input.
        before = {(p.variant, p.device_cut, p.edge_cut) for p in columns(facts, serving).plans}
        kept = {(p.variant, p.device_cut, p.edge_cut) for p in plans}
        assert {each for each in before if each[1] >= first_cut(secret, each[0])} <= kept


def ways(input_bytes: float, net: Any, **more: Any) -> list[Any]:
    """Return the ways out of a device that is slower than the edge at each layer."""
    seconds = [1.0] * len(net.layers)
    facts = hand_made.facts(
        {net: {"device": seconds, "edge": seconds}},
        nodes=[hand_made.node("edge", "edge")],
        cells=[hand_made.cell()],
        input_bytes=input_bytes,
        **more,
    )
    return list(ways_out(facts, net))


def test_a_frame_that_is_only_written_differently_is_raw_still() -> None:
    net = hand_made.variant([500, 125, 125, 400, 100, 7])
    kinds = ("quantize", "view", "conv", "view", "linear")
    layers = tuple(hand_made.layer(kind, kind) for kind in kinds)
    int8 = dataclasses.replace(net, layers=layers)
    assert ways(500.0, int8) == [(0, None), (1, None), (4, None)]
    assert ways(500.0, int8, private=True) == [(3, None), (4, None)]
    views = dataclasses.replace(net, layers=(hand_made.layer("view", "view"),) * 5)
    assert ways(500.0, views, private=True) == []


def test_shortlist_by_hand() -> None:
    net = hand_made.variant([500, 900, 400, 400, 450, 100, 300, 7])
    assert ways(1000.0, net) == [(0, None), (1, None), (2, None), (5, None)]
    assert ways(500.0, net) == [(0, None), (2, None), (5, None)]
    assert ways(50.0, net) == [(0, None)]
    assert ways(50.0, net, private=True) == [(1, None), (2, None), (5, None)]


def test_a_codec_is_worth_its_time_where_it_sends_less_than_all_that_is_no_dearer() -> None:
    right = hand_made.answers(([1, 1], [0, 0]))
    wrong = hand_made.answers(([1, 0], [0, 0]))
    net = hand_made.variant(
        [500, 900, 400, 400, 7],
        codecs={
            ("zip", 0): hand_made.coded(250, 0.1, 0.1),
            ("zip", 1): hand_made.coded(225, 0.1, 0.1),
            ("zip", 2): hand_made.coded(225, 0.1, 0.1),  # sends no less than at cut 1
            ("zip", 3): hand_made.coded(225, 0.1, 0.0),  # neither, but is read more quickly
            ("cut", 2): hand_made.coded(100, 0.0, 0.0),  # sends least, and is wrong more often
        },
        answers={(None, 0): right, ("cut", 2): wrong} | {("zip", cut): right for cut in range(4)},
    )
    assert ways(500.0, net) == [(0, None), (2, None)]
    assert ways(500.0, net, codecs=("zip",)) == [
        (0, None), (0, "zip"), (1, "zip"), (2, None), (3, "zip")
    ]  # fmt: skip
    assert ways(500.0, net, codecs=("zip", "cut")) == [
        (0, None), (0, "zip"), (1, "zip"), (2, None), (2, "cut"), (3, "zip")
    ]  # fmt: skip


def test_past_an_exit_a_cut_may_pay_though_it_sends_more() -> None:
    sure = hand_made.answers(([1, 1], [255, 0]), ([1, 1], [255, 255]))
    net = hand_made.variant([500, 100, 300, 200, 7], exits=(2, 4), answers={(None, 0): sure})
    assert ways(500.0, net) == [(0, None), (1, None)]
    found = ways(500.0, net, confidences=(0.9,))
    assert found == [(0, None), (1, None), (2, None), (3, None)]


def test_no_profile_on_the_device_no_codec() -> None:
    net = hand_made.variant([500, 7], codecs={("zip", 0): hand_made.coded(1.0)})
    facts = hand_made.facts(
        {net: {"edge": [1.0]}},
        nodes=[hand_made.node("edge", "edge")],
        cells=[hand_made.cell()],
        codecs=("zip",),
    )
    assert ways_out(facts, net) == ((0, None),)
    assert [plan.codec for plan in columns(facts, "cell").plans] == [None]
