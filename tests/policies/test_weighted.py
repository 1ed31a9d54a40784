"""The weighted sum, against adding up plan by plan."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as with_changes

from offload.entities import Observation, Wire
from offload.networks import Figure
from offload.planning.price import price, unloaded
from offload.policies import table
from tests import hand_made
from tests.test_policies import BIG, SMALL, make, observations, town

WEIGHTS = st.floats(0, 10)


def priced(seen: Observation) -> Observation:
    """Return the same where servers have a price a second, and the cloud's wire one a byte."""
    nodes = {name: replace(node, price_per_s=0.5) for name, node in seen.facts.nodes.items()}
    wire = Wire("wan", ("edge", "cloud"), 1e9, 0.02, 0.0, price_per_byte=1e-6)
    facts = replace(
        seen.facts,
        nodes=nodes,
        wires=seen.facts.wires | {"wan": wire},
    )
    return with_changes(seen, facts=facts)


@given(observations(), st.booleans(), st.tuples(WEIGHTS, WEIGHTS, WEIGHTS, WEIGHTS))
def test_weighted_is_the_argmin(
    seen: Observation, costly: bool, weights: tuple[float, float, float, float]
) -> None:
    check(seen, costly, weights)


@pytest.mark.parametrize("which", [1, 2, 3])
def test_weights_are_over_their_measures(which: int) -> None:
    # Fine steps of one weight: whoever divides by something else changes his mind at others.
    for weight in np.geomspace(1e-3, 1e3, 200):
        weights = [1.0, 0.0, 0.0, 0.0]
        weights[which] = float(weight)
        for rate_bps in (2e5, 1e6, 8e6):
            check(hand_made.seen(town(), cell=rate_bps), True, tuple(weights))


def check(seen: Observation, costly: bool, weights: tuple[float, ...]) -> None:
    """Assert that the choice has the least sum of all, added up one by one."""
    seen = priced(seen) if costly else seen
    request = hand_made.request()
    prices = price(request, seen)
    money = prices.money if costly else [0.0] * len(prices.plans)
    # What `local` runs: fp32 takes 240 ms, int8 60 ms, and the deadline is 100 ms; 2 W above idling.
    local_j = 0.06 * 2.0
    dearest = max(unloaded(seen.facts, "cell").money) if costly else 1.0
    sums = [
        weights[0] * latency_s / 0.1
        + weights[1] * energy_j / local_j
        + weights[2] * cost / dearest
        + weights[3] * (1 - accuracy)
        for latency_s, energy_j, cost, accuracy in zip(
            prices.latency_s, prices.energy_j, money, prices.accuracy, strict=True
        )
    ]
    names = ("latency", "energy", "money", "inaccuracy")
    plan = make("weighted", **dict(zip(names, weights, strict=True))).decide(request, seen)
    assert sums[prices.plans.index(plan)] == pytest.approx(min(sums), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("weight", ["latency", "energy", "money", "inaccuracy"])
def test_one_weight_alone_is_its_own_argmin(weight: str) -> None:
    seen = priced(hand_made.seen(town(), cell=2e5))
    prices = price(hand_made.request(), seen)
    columns = {
        "latency": prices.latency_s, "energy": prices.energy_j, "money": prices.money,
        "inaccuracy": 1 - prices.accuracy,
    }  # fmt: skip
    others = dict.fromkeys(columns.keys() - {weight}, 0.0)
    plan = make("weighted", **others).decide(hand_made.request(), seen)
    assert columns[weight][prices.plans.index(plan)] == min(columns[weight])


def test_unknown_accuracy_counts_as_none() -> None:
    unknown = replace(SMALL, name="odd", accuracy=None)
    poor = replace(SMALL, accuracy=Figure(0.01, "assumed", "a test"))
    facts = hand_made.facts({unknown: {"device": [0.01] * 3}, poor: {"device": [0.01] * 3}})
    plan = make("weighted").decide(hand_made.request(), hand_made.seen(facts, None))
    assert plan.variant is poor


def test_nothing_to_measure_by_is_no_fault() -> None:
    # A device that draws no more when it computes, and nothing has a price.
    idle = hand_made.hardware(idle_w=3.0, busy_w=3.0)
    facts = hand_made.facts({BIG: {"device": [0.1] * 3}, SMALL: {"device": [0.01] * 3}}, hardware=idle)
    plan = make("weighted").decide(hand_made.request(), hand_made.seen(facts, None))
    assert plan.variant is SMALL


@pytest.mark.parametrize("value", [-1.0, math.inf, math.nan, "1"])
def test_weights_are_finite_and_not_negative(value: object) -> None:
    with pytest.raises(table.PolicyTableError, match="energy: must be "):
        table.choose({"name": "weighted", "energy": value})
