"""Policies that hand whole networks out: in turn, to the least loaded, to the less loaded of a few."""

from collections import Counter
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as with_changes

from offload.entities import Observation, Plan, Report
from offload.planning.whole import backlog_s, places
from offload.policies import table
from tests import hand_made
from tests.test_policies import make, observations, town

REQUEST = hand_made.request()


def where(plan: Plan) -> str:
    """Name the only place that computes."""
    assert plan.edge is None or plan.cloud is None
    return plan.edge or plan.cloud or "device"


def busy(**waits_s: float) -> Observation:
    """Return what is seen where these nodes, and the device, are busy."""
    device_s = waits_s.pop("device", 0.0)
    reports = {name: Report(0.0, wait_s, {}, {}) for name, wait_s in waits_s.items()}
    return hand_made.seen(town(), "cell", device_s, reports)


def test_round_robin_visits_each_place_in_order() -> None:
    policy = make("round-robin")
    turns = [where(policy.decide(REQUEST, busy(edge=9.0))) for _ in range(9)]
    assert turns == ["device", "edge", "far", "cloud"] * 2 + ["device"]


def test_round_robin_counts_the_turns_of_all_devices_together() -> None:
    # Half of the questions come from out of range, where only the device is open.
    policy, out = make("round-robin"), hand_made.seen(town(), None)
    turns = [where(policy.decide(REQUEST, out if n % 2 else busy())) for n in range(8)]
    assert turns == ["device", "device", "far", "device"] * 2


def test_nodes_only() -> None:
    for name in ("round-robin", "least-loaded", "power-of-d"):
        policy = make(name, device=False)
        assert {where(policy.decide(REQUEST, busy(edge=1.0, device=9.0))) for _ in range(300)} <= {
            "edge", "far", "cloud",
        }  # fmt: skip
        waiting = policy.decide(REQUEST, hand_made.seen(town(), None))
        assert waiting.uplinks == ("cell",)


@given(observations())
def test_least_loaded_is_the_argmin_and_the_first_of_equals(seen: Observation) -> None:
    waits_s = [backlog_s(seen, place) for place in places(seen)]
    chosen = where(make("least-loaded").decide(REQUEST, seen))
    assert list(places(seen)).index(chosen) == waits_s.index(min(waits_s))


def test_least_loaded_takes_the_first_where_nobody_has_reported() -> None:
    assert where(make("least-loaded").decide(REQUEST, busy(device=0.1))) == "edge"


@pytest.mark.parametrize("d", [1, 2, 3, 4, 5])
def test_power_of_d_takes_each_place_as_often_as_subsets_tell(d: int) -> None:
    # The one of rank r wins where it is drawn and the d - 1 others come from those behind it.
    policy, turns = make("power-of-d", d=d), 4000
    seen = busy(device=0.3, edge=0.1, far=0.4, cloud=0.2)
    counts = Counter(where(policy.decide(REQUEST, seen)) for _ in range(turns))
    chosen = min(d, 4)
    chi2 = 0.0
    for rank, place in enumerate(("edge", "cloud", "device", "far")):
        expected = turns * comb(3 - rank, chosen - 1) / comb(4, chosen)
        assert (counts[place] == 0) == (expected == 0)
        chi2 += (counts[place] - expected) ** 2 / expected if expected else 0.0
    assert chi2 < 16.3  # 99.9 % of chi-square with three degrees of freedom


def test_power_of_d_takes_the_first_drawn_of_equals() -> None:
    policy = make("power-of-d", d=4)
    counts = Counter(where(policy.decide(REQUEST, busy())) for _ in range(4000))
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 16.3
    assert len(counts) == 4


def test_power_of_none_is_refused() -> None:
    with pytest.raises(table.PolicyTableError, match="d: must be greater than or equal to 1, not 0"):
        table.choose({"name": "power-of-d", "d": 0})


@given(observations(), st.sampled_from(["round-robin", "least-loaded", "power-of-d"]))
def test_a_node_passes_on_what_has_come_to_it(seen: Observation, name: str) -> None:
    begun = Plan(seen.facts.variants[1], 1, 3, "edge", None, ("cell",))
    seen = with_changes(seen, serving="cell", begun=begun)
    plan = make(name).decide(REQUEST, seen)
    assert (plan.variant, plan.device_cut, plan.uplinks) == (begun.variant, 1, ("cell",))
    assert (plan.edge is None) != (plan.cloud is None)
