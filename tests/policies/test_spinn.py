"""Cut, codec and confidence together: held against every plan."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from offload.entities import Facts, Observation, Plan
from offload.planning.price import price
from offload.planning.validity import why_invalid
from offload.policies.spinn import Spinn
from tests import drawn, hand_made, slow


def server_s(facts: Facts, plan: Plan) -> float:
    """Sum the seconds at edge and cloud, image by image."""
    images = len(plan.variant.answers[None, 0].right[0])
    total_s = 0.0
    for image in range(images):
        end = plan.variant.exits[slow.exit_of(plan, image)]
        seconds = [
            slow.seconds(facts, name, plan.variant, first, min(last, end))
            for name, first, last in (
                (plan.edge, plan.device_cut, plan.edge_cut),
                (plan.cloud, plan.edge_cut, plan.variant.last),
            )
            if name is not None and first < end
        ]
        if plan.codec is not None and plan.device_cut < end:
            first_name = plan.edge or plan.cloud or ""
            whole_s = slow.seconds(facts, first_name, plan.variant, 0, plan.variant.last)
            share = plan.variant.codecs[plan.codec, plan.device_cut].decode_share
            seconds.append(share * whole_s)
        total_s += sum(seconds)
    return total_s / images


def expected(policy: Spinn, deadline_s: float, seen: Observation, plans: list[Plan]) -> float:
    """Return the least score that a plan may have, by the docstring."""
    told = [(p, slow.prices(seen, p)[0], slow.share_right(p)) for p in plans]
    on_time = [each for each in told if each[1] <= deadline_s - policy.margin]
    if not on_time:
        return min(latency_s for _, latency_s, _ in told)
    best = max(right for _, _, right in on_time)
    kept = [(p, s) for p, s, right in on_time if right >= best - policy.loss - 1e-6]
    return min(s + policy.server * server_s(seen.facts, p) for p, s in kept)


@pytest.mark.parametrize("server", [0.0, 3.0])
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_no_plan_is_better(server: float, data: Any) -> None:
    early = data.draw(st.sampled_from([True, True, False]))
    facts = data.draw(drawn.worlds(private=data.draw(st.booleans()), early=early, codecs=True))
    seen = hand_made.seen(facts, "cell", data.draw(drawn.WAITS), cell=data.draw(st.floats(1e3, 1e8)))
    loss, margin_s = (
        data.draw(st.sampled_from([0.0, 0.25, 1.0])),
        data.draw(st.sampled_from([0.0, 0.01])),
    )
    policy = Spinn(loss, server, margin_s)
    request = hand_made.request(1.0, facts.input_bytes)
    # Where time of servers counts, later cuts that send no less might be cheaper; they are not listed.
    listed = price(request, seen)
    plans = list(listed.plans) if server else list(slow.all_plans(facts))
    deadline_s = policy.margin + data.draw(drawn.deadlines(slow.prices(seen, plan)[0] for plan in plans))
    plan = policy.decide(hand_made.request(deadline_s, facts.input_bytes), seen)
    assert plan in plans
    latency_s, _ = slow.prices(seen, plan)
    score = latency_s
    if latency_s <= deadline_s - policy.margin:
        score += server * server_s(facts, plan)
    assert score == pytest.approx(expected(policy, deadline_s, seen, plans), rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_out_of_range_any_exit_of_the_device_may_be_the_last(data: Any) -> None:
    facts = data.draw(drawn.worlds(early=True, codecs=True))
    seen = hand_made.seen(facts, None, data.draw(st.floats(0, 0.01)))
    local = [
        replace(plan, exit=number)
        for plan in slow.all_plans(facts)
        for number in (None, *range(len(plan.variant.exits) - 1))
        if plan.uplinks is None and why_invalid(facts, replace(plan, exit=number)) is None
    ]
    deadline_s = data.draw(drawn.deadlines(slow.prices(seen, plan)[0] for plan in local))
    policy = Spinn(data.draw(st.sampled_from([0.0, 0.25])))
    plan = policy.decide(hand_made.request(deadline_s, facts.input_bytes), seen)
    assert plan in local
    score = slow.prices(seen, plan)[0]
    assert score == pytest.approx(expected(policy, deadline_s, seen, local), rel=1e-9)


def test_what_is_left_out_of_range_is_a_local_exit() -> None:
    # The whole network takes 110 ms; images are sure at the end only, so a confidence does not help.
    answers = hand_made.answers(([1, 1, 0], [100] * 3), ([1, 1, 1], [255] * 3))
    net = hand_made.variant([10, 8, 5], exits=(1, 2), answers={(None, 0): answers})
    facts = hand_made.facts(
        {net: {"device": [0.01, 0.1], "edge": [0.001, 0.001]}},
        nodes=[hand_made.node("edge", "edge")],
        cells=[hand_made.cell()],
        confidences=(0.9,),
    )
    request = hand_made.request(0.1)
    assert Spinn().decide(request, hand_made.seen(facts)).edge == "edge"
    gone = Spinn().decide(request, hand_made.seen(facts, None))
    assert (gone.uplinks, gone.exit) == (None, 0)
    assert Spinn().decide(hand_made.request(0.2), hand_made.seen(facts, None)).exit is None


def test_a_server_that_costs_more_is_used_less() -> None:
    net = hand_made.variant([10, 8, 5], answers={(None, 0): hand_made.answers(([1], [255]))}, exits=(2,))
    facts = hand_made.facts(
        {net: {"device": [0.03, 0.03], "edge": [0.02, 0.02]}},
        nodes=[hand_made.node("edge", "edge")],
        cells=[hand_made.cell()],
    )
    # 60 ms alone, 42 ms at the edge of which 40 are computing: a second of it may cost 0.45.
    places = [
        Spinn(server=price_).decide(hand_made.request(1.0), hand_made.seen(facts)).edge
        for price_ in (0.0, 0.3, 0.5)
    ]
    assert places == ["edge", "edge", None]


def test_an_unknown_accuracy_counts_as_nothing_right() -> None:
    known = hand_made.variant([10, 5], model="known", accuracy=0.5)
    unknown = hand_made.variant([10, 5], model="unknown")
    facts = hand_made.facts({unknown: {"device": [0.01]}, known: {"device": [0.02]}})
    seen = hand_made.seen(facts, None)
    assert Spinn(loss=0.49).decide(hand_made.request(0.1), seen).variant is known
    assert Spinn(loss=0.5).decide(hand_made.request(0.1), seen).variant is unknown
    assert Spinn().decide(hand_made.request(0.015), seen).variant is unknown
    assert np.isnan(price(hand_made.request(0.1), seen).accuracy).sum() == 1
