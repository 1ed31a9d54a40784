"""Policies that cut chains, asked by an edge node at which a request has arrived."""

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from offload.planning.onward import why_not_onward
from offload.planning.price import price
from offload.policies import table
from tests import drawn, hand_made, slow


@pytest.mark.parametrize("name", ["neurosurgeon", "edgent", "spinn", "jalad"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_answer_is_a_way_to_go_on(name: str, data: Any) -> None:
    facts = data.draw(drawn.worlds(early=data.draw(st.booleans()), codecs=data.draw(st.booleans())))
    arrived = [plan for plan in slow.all_plans(facts) if plan.edge == "edge"]
    assume(arrived)
    begun = data.draw(st.sampled_from(arrived))
    seen = replace(hand_made.seen(facts), begun=begun)
    assume(slow.onward_s(seen, begun) is not None)  # else all images are answered by the device
    request = hand_made.request(data.draw(st.floats(1e-3, 1.0)), facts.input_bytes)
    plan = table.load(name)().decide(request, seen)
    assert why_not_onward(begun, plan) is None
    prices = price(request, seen)
    assert plan in prices.plans
    if name == "neurosurgeon" and begun.codec is not None:  # it has no raw plan to choose
        assert prices.latency_s[prices.plans.index(plan)] == prices.latency_s.min()
