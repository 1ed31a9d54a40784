"""What each named policy chooses, on observations made by hand."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offload.entities import Facts, Observation, Plan, Report, Wire
from offload.planning.price import Prices, price, unloaded
from offload.planning.validity import why_invalid
from offload.policies import on_time, quickest, table, thrifty
from offload.policies.fixed import NoPlanError
from offload.policies.protocol import Policy, Starts
from tests import hand_made

BIG = hand_made.variant([4000, 2000, 500, 5], name="fp32", accuracy=0.9)
SMALL = hand_made.variant([4000, 2000, 500, 5], name="int8", accuracy=0.8)


def town(**more: Any) -> Facts:
    """Return a slow device beside an edge server ten times as fast and a cloud twice as fast again."""
    return hand_made.facts(
        {
            BIG: {"device": [0.08] * 3, "edge": [0.008] * 3, "far": [0.009] * 3, "cloud": [0.004] * 3},
            SMALL: {"device": [0.02] * 3, "edge": [0.002] * 3, "far": [0.003] * 3, "cloud": [0.001] * 3},
        },
        nodes=[
            hand_made.node("edge", "edge"),
            hand_made.node("far", "edge"),
            hand_made.node("cloud", "cloud"),
        ],
        cells=[hand_made.cell()],
        wires=[
            Wire("wan", ("edge", "cloud"), 1e9, 0.02, 0.0),
            Wire("lane", ("edge", "far"), 1e9, 0.001, 0.0),
        ],
        **({"input_bytes": 4000.0} | more),
    )


def make(name: str, **options: Any) -> Policy:
    """Return a policy as a scenario file would choose it, started."""
    policy = table.choose({"name": name, **options}).make()
    if isinstance(policy, Starts):
        policy.start(np.random.default_rng(1))
    return policy


WAITS = st.floats(0, 0.5)


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    """Draw backlogs and rates."""
    facts = town(private=draw(st.booleans()))
    reports = {name: Report(0.0, draw(WAITS), {}, {}) for name in facts.nodes}
    serving = draw(st.sampled_from(["cell", None]))
    return hand_made.seen(facts, serving, draw(WAITS), reports, cell=draw(st.floats(1e4, 1e8)))


def latency_of(plan: Plan, seen: Observation) -> float:
    """Return the predicted latency of a plan."""
    prices = price(hand_made.request(), seen)
    return float(prices.latency_s[prices.plans.index(plan)])


@pytest.mark.parametrize("name", table.NAMED)
@settings(deadline=None)  # a solver is loaded at the first question
@given(seen=observations(), deadline_s=st.floats(0.001, 1))
def test_every_policy_returns_a_plan_that_can_be_carried_out(
    name: str, seen: Observation, deadline_s: float
) -> None:
    policy = make(name)
    for _ in range(2):  # the second answer may come from what the first remembered
        plan = policy.decide(hand_made.request(deadline_s), seen)
        assert why_invalid(seen.facts, plan) is None


@given(observations())
def test_quickest_is_the_argmin(seen: Observation) -> None:
    prices = price(hand_made.request(), seen)
    for name in ("quickest", "clairvoyant"):
        plan = make(name).decide(hand_made.request(), seen)
        assert latency_of(plan, seen) == prices.latency_s.min()


@pytest.mark.parametrize("name", ["quickest", "on-time", "clairvoyant"])
@given(seen=observations())
def test_without_splits_one_place_runs_all(name: str, seen: Observation) -> None:
    plan = make(name, split=False).decide(hand_made.request(), seen)
    assert not plan.split
    if name != "on-time":
        prices = price(hand_made.request(), seen)
        whole = [s for p, s in zip(prices.plans, prices.latency_s, strict=True) if not p.split]
        assert latency_of(plan, seen) == min(whole)


def test_splits_do_happen_where_they_are_allowed() -> None:
    # 4 kB at 100 kbit/s take 320 ms, 500 bytes 40 ms, and the last layer 20 ms on the device.
    facts = hand_made.facts(
        {SMALL: {"device": [0.001, 0.001, 0.9], "edge": [0.001] * 3}},
        nodes=[hand_made.node("edge", "edge")],
        cells=[hand_made.cell()],
        input_bytes=4000.0,
    )
    seen = hand_made.seen(facts, cell=1e5)
    for name in ("quickest", "on-time"):
        assert make(name).decide(hand_made.request(), seen) == Plan(SMALL, 2, 3, "edge", None, ("cell",))


@given(observations(), st.floats(0.01, 1), st.floats(0, 0.2))
def test_thrifty_takes_the_least_energy_that_is_on_time(
    seen: Observation, deadline_s: float, margin_s: float
) -> None:
    plan = make("thrifty", margin=f"{margin_s!r} s").decide(hand_made.request(deadline_s), seen)
    prices = price(hand_made.request(), seen)
    row = prices.plans.index(plan)
    on_time_j = prices.energy_j[prices.latency_s <= deadline_s - margin_s]
    if len(on_time_j):
        assert prices.latency_s[row] <= deadline_s - margin_s
        assert prices.energy_j[row] == on_time_j.min()
    else:
        assert prices.latency_s[row] == prices.latency_s.min()


@given(observations(), st.floats(0.01, 1), st.floats(0, 0.2), st.booleans())
def test_on_time_takes_the_best_accuracy_that_is_on_time_and_the_quickest_of_equals(
    seen: Observation, deadline_s: float, margin_s: float, split: bool
) -> None:
    policy = make("on-time", margin=f"{margin_s!r} s", split=split)
    plan = policy.decide(hand_made.request(deadline_s), seen)
    prices = price(hand_made.request(), seen)
    open_ = [
        (-p.variant.accuracy.value, float(latency_s))
        for p, latency_s in zip(prices.plans, prices.latency_s, strict=True)
        if split or not p.split
    ]
    in_time = [each for each in open_ if each[1] <= deadline_s - margin_s]
    mine = (-plan.variant.accuracy.value, latency_of(plan, seen))
    if in_time:
        assert mine == min(in_time)
    else:
        assert mine[1] == min(latency_s for _, latency_s in open_)


def prices_by_hand(latency_s: list[float], energy_j: list[float], accuracy: list[float]) -> Prices:
    """Return prices of plans that stand for themselves: the strings p0, p1, ..."""
    rows = SimpleNamespace(
        plans=tuple(f"p{row}" for row in range(len(latency_s))),
        accuracy=np.array(accuracy),
        sure_accuracy=np.nan_to_num(accuracy, nan=0.0),
        unsplit=np.array([row % 2 == 0 for row in range(len(latency_s))]),
    )
    return Prices(rows, np.array(latency_s), np.array(energy_j))


NAN = float("nan")


@pytest.mark.parametrize(
    ("module", "policy", "latency_s", "energy_j", "accuracy", "chosen"),
    [
        # Energy ties go to the first; a plan exactly at the deadline is on time.
        (thrifty, thrifty.Thrifty(), [0.2, 0.1, 0.05], [1, 2, 2], [1, 1, 1], "p1"),
        (thrifty, thrifty.Thrifty(0.02), [0.2, 0.1, 0.05], [1, 2, 3], [1, 1, 1], "p2"),
        # Nobody on time: the quickest, whatever it costs.
        (thrifty, thrifty.Thrifty(), [0.3, 0.2, 0.25], [1, 9, 2], [1, 1, 1], "p1"),
        (thrifty, thrifty.Thrifty(0.2), [0.05, 0.02, 0.03], [1, 9, 2], [1, 1, 1], "p1"),
        # Accuracy first, then time, then the order.
        (on_time, on_time.OnTime(), [0.01, 0.09, 0.08, 0.2], [0] * 4, [0.7, 0.8, 0.8, 0.9], "p2"),
        (on_time, on_time.OnTime(), [0.01, 0.08, 0.08, 0.2], [0] * 4, [0.7, 0.8, 0.8, 0.9], "p1"),
        (on_time, on_time.OnTime(0.05), [0.01, 0.08, 0.08, 0.2], [0] * 4, [0.7, 0.8, 0.8, 0.9], "p0"),
        # Unknown accuracy comes last, but on time before late.
        (on_time, on_time.OnTime(), [0.01, 0.09, 0.2], [0] * 3, [NAN, 0.1, 0.9], "p1"),
        (on_time, on_time.OnTime(), [0.02, 0.01, 0.2], [0] * 3, [NAN, NAN, 0.9], "p1"),
        (on_time, on_time.OnTime(), [0.3, 0.2, 0.25], [0] * 3, [0.9, 0.1, 0.9], "p1"),
        # Without splits only even rows count.
        (on_time, on_time.OnTime(split=False), [0.09, 0.01, 0.05], [0] * 3, [0.5, 0.9, 0.5], "p2"),
        (on_time, on_time.OnTime(split=False), [0.9, 0.01, 0.5], [0] * 3, [0.5, 0.9, 0.5], "p2"),
        (quickest, quickest.Quickest(), [0.3, 0.1, 0.1], [0] * 3, [1, 1, 1], "p1"),
        (quickest, quickest.Quickest(split=False), [0.3, 0.1, 0.2], [0] * 3, [1, 1, 1], "p2"),
    ],
)
def test_choices_by_hand(
    module: Any, policy: Policy, latency_s: list[float], energy_j: list[float], accuracy: list[float],
    chosen: str, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    prices = prices_by_hand(latency_s, energy_j, accuracy)
    monkeypatch.setattr(module, "price", lambda request, seen: prices)
    assert policy.decide(hand_made.request(0.1), None) == chosen


def test_nobody_is_chosen_from_nobody() -> None:
    prices = price(hand_made.request(), hand_made.seen(town()))
    none = np.zeros(len(prices.plans), dtype=bool)
    with pytest.raises(ValueError, match="no plan is among those that count"):
        prices.least(prices.latency_s, among=none)
    one = none.copy()
    one[3] = True
    assert prices.least(prices.latency_s, among=one) == prices.plans[3]
    assert not prices.most_accurate(none).any()


# Fixed places. Without load, local takes 240 ms (BIG) or 60 ms (SMALL), the edge 4 + 1 + 24 (or 6)
# + 1 ms and more, the cloud 40 ms of wires and 12 (or 3) ms.


@pytest.mark.parametrize(
    ("name", "deadline_s", "chosen"),
    [
        ("local", 1.0, Plan(BIG, 3, 3)),
        ("local", 0.1, Plan(SMALL, 3, 3)),
        ("local", 0.01, Plan(SMALL, 3, 3)),  # nothing is on time: the quickest
        ("edge", 1.0, Plan(BIG, 0, 3, "edge", None, ("cell",))),
        ("edge", 0.02, Plan(SMALL, 0, 3, "edge", None, ("cell",))),
        ("edge", 0.001, Plan(SMALL, 0, 3, "edge", None, ("cell",))),
        ("cloud", 1.0, Plan(BIG, 0, 0, None, "cloud", ("cell",))),
        ("cloud", 0.055, Plan(SMALL, 0, 0, None, "cloud", ("cell",))),
    ],
)
def test_fixed_ones_take_the_most_accurate_that_is_on_time_unloaded(
    name: str, deadline_s: float, chosen: Plan
) -> None:
    facts = town(deadline_s=deadline_s)
    # Backlogs, slow cells and the request's own deadline must not matter.
    reports = {node: Report(0.0, 9.0, {}, {}) for node in facts.nodes}
    busy = hand_made.seen(facts, "cell", 9.0, reports, cell=1e3)
    assert make(name).decide(hand_made.request(0.5), busy) == chosen


@pytest.mark.parametrize("name", ["local", "edge", "cloud"])
def test_fixed_ones_take_the_variant_that_they_are_told(name: str) -> None:
    seen = hand_made.seen(town(deadline_s=1.0))
    assert make(name, variant="int8").decide(hand_made.request(), seen).variant is SMALL
    assert make(name, variant=SMALL.label).decide(hand_made.request(), seen).variant is SMALL
    with pytest.raises(NoPlanError, match="car has no plan of variant fp16 for task look"):
        make(name, variant="fp16").decide(hand_made.request(), seen)
    with pytest.raises(NoPlanError, match="car has no plan of variant other:int8 for task look"):
        make(name, variant="other:int8").decide(hand_made.request(), seen)


SURE = hand_made.answers(([1, 0], [255, 0]), ([1, 1], [255, 255]))
PICTURES = hand_made.variant(
    [4000, 2000, 500, 5],
    name="exits",
    exits=(2, 3),
    answers=dict.fromkeys(((None, 0), ("uint8", 0), ("uint8", 1)), SURE),
    codecs={("uint8", cut): hand_made.coded(100.0, 0.1, 0.1) for cut in (0, 1)},
)


def shop(**more: Any) -> Observation:
    """Return what is seen of a town whose task offers exits and a codec."""
    places = ("device", "edge", "cloud")
    usual = {"codecs": ("uint8",), "confidences": (0.5, 0.9), "deadline_s": 1.0}
    facts = hand_made.facts(
        {PICTURES: {key: [0.01] * 3 for key in places}, BIG: {key: [0.001] * 3 for key in places}},
        nodes=[hand_made.node("edge", "edge"), hand_made.node("cloud", "cloud")],
        cells=[hand_made.cell()],
        wires=[Wire("wan", ("edge", "cloud"), 1e9, 0.02, 0.0)],
        **(usual | more),
    )
    return hand_made.seen(facts)


@pytest.mark.parametrize(
    ("name", "options", "chosen"),
    [
        ("local", {"confidence": 0.9}, Plan(PICTURES, 3, 3, confidence=0.9)),
        ("local", {"variant": "exits"}, Plan(PICTURES, 3, 3)),
        ("edge", {"variant": "exits"}, Plan(PICTURES, 0, 3, "edge", None, ("cell",))),
        ("edge", {"codec": "uint8"}, Plan(PICTURES, 0, 3, "edge", None, ("cell",), "uint8")),
        (
            "edge",
            {"codec": "uint8", "after": 1, "confidence": 0.5},
            Plan(PICTURES, 1, 3, "edge", None, ("cell",), "uint8", confidence=0.5),
        ),
        (
            "cloud",
            {"after": 2, "variant": "exits"},
            Plan(PICTURES, 2, 2, None, "cloud", ("cell",)),
        ),
    ],
)
def test_fixed_ones_take_the_exits_codec_and_cut_that_they_are_told(
    name: str, options: dict[str, Any], chosen: Plan
) -> None:
    assert make(name, **options).decide(hand_made.request(), shop()) == chosen


def test_fixed_ones_run_whole_networks_raw_unless_they_are_told() -> None:
    # All images are answered rightly by the one with exits, nine in ten by the other.
    for name in ("local", "edge", "cloud"):
        plan = make(name).decide(hand_made.request(), shop())
        assert (plan.variant, plan.codec, plan.confidence) == (PICTURES, None, None)


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("local", {"confidence": 0.9, "variant": "fp32"}, "nobody measured net:fp32 leaving early"),
        ("edge", {"codec": "jpeg"}, "codec is 'jpeg'; this task offers: uint8"),
        (
            "cloud",
            {"codec": "uint8", "after": 2},
            "codec uint8 of net:exits was measured at the cuts: 0, 1",
        ),
    ],
)
def test_fixed_ones_say_why_there_is_nothing_as_they_were_told(
    name: str, options: dict[str, Any], why: str
) -> None:
    with pytest.raises(NoPlanError) as told:
        make(name, **options).decide(hand_made.request(), shop())
    assert why in str(told.value)


def test_a_network_that_cannot_be_divided_there_has_no_plan() -> None:
    with pytest.raises(NoPlanError, match=r"car has no plan for task look that runs on edge$"):
        make("edge", after=7).decide(hand_made.request(), shop())


def test_others_choose_among_exits_and_codecs_too() -> None:
    # 4 kB at 80 kbit/s take 400 ms: staying is quicker, leaving early quicker still; but not as right.
    seen = shop()
    slow = hand_made.seen(seen.facts, cell=8e4)
    alone = hand_made.facts({PICTURES: {"device": [0.01] * 3}}, confidences=(0.5, 0.9), deadline_s=1.0)
    plan = make("quickest").decide(hand_made.request(), hand_made.seen(alone, None))
    assert plan == Plan(PICTURES, 3, 3, confidence=0.5)
    assert make("on-time").decide(hand_made.request(1.0), slow).variant is PICTURES
    assert make("thrifty").decide(hand_made.request(1.0), hand_made.seen(alone, None)) == plan


def test_a_most_accurate_variant_may_be_named_last_or_first() -> None:
    seen = hand_made.seen(town(deadline_s=1.0))
    prices = unloaded(seen.facts, "cell")
    assert {plan.variant for plan in prices.plans} == {BIG, SMALL}
    turned = hand_made.facts(
        {SMALL: {"device": [0.001] * 3}, BIG: {"device": [0.01] * 3}}, deadline_s=1.0
    )
    assert make("local").decide(hand_made.request(), hand_made.seen(turned, None)).variant is BIG


def test_out_of_range_edge_and_cloud_wait_for_the_nearest_cell() -> None:
    seen = hand_made.seen(town(), serving=None)
    for name in ("edge", "cloud"):
        assert make(name).decide(hand_made.request(), seen).uplinks == ("cell",)
    assert make("local").decide(hand_made.request(), seen).uplinks is None


def test_fixed_ones_say_what_is_missing() -> None:
    alone = hand_made.facts({SMALL: {"device": [0.001] * 3}})
    for name in ("edge", "cloud"):
        with pytest.raises(NoPlanError, match="car has no plan for task look that runs on "):
            make(name).decide(hand_made.request(), hand_made.seen(alone, None))
    thin = hand_made.facts(
        {SMALL: {"edge": [0.001] * 3}}, nodes=[hand_made.node("edge", "edge")], cells=[hand_made.cell()]
    )
    with pytest.raises(NoPlanError, match="runs on device"):
        make("local").decide(hand_made.request(), hand_made.seen(thin))


def test_where_raw_input_must_stay_as_little_as_possible_runs_on_the_device() -> None:
    # At 80 kbit/s the quickest private plan would run two layers first, to send 500 bytes.
    facts = hand_made.facts(
        {SMALL: {"device": [0.02] * 3, "edge": [0.002] * 3, "cloud": [0.002] * 3}},
        nodes=[hand_made.node("edge", "edge"), hand_made.node("cloud", "cloud")],
        cells=[hand_made.cell(up_bps=8e4)],
        wires=[Wire("wan", ("edge", "cloud"), 1e9, 0.02, 0.0)],
        private=True,
        input_bytes=4000.0,
    )
    for name in ("edge", "cloud"):
        assert make(name).decide(hand_made.request(), hand_made.seen(facts)).device_cut == 1


def test_random_is_uniform_over_whole_plans() -> None:
    seen = hand_made.seen(town())
    policy = make("random")
    counts = Counter(
        (p.variant.label, p.device_cut, p.edge, p.cloud)
        for p in (policy.decide(hand_made.request(), seen) for _ in range(8000))
    )
    # Two variants on the device, at two edge nodes and in the cloud.
    assert len(counts) == 8
    # The 99.9 % point of chi-square with seven degrees of freedom is 24.3.
    assert sum((count - 1000) ** 2 / 1000 for count in counts.values()) < 24.3


def test_random_repeats_with_its_generator() -> None:
    seen = hand_made.seen(town())
    one, other = (make("random") for _ in range(2))
    assert [one.decide(hand_made.request(), seen) for _ in range(50)] == [
        other.decide(hand_made.request(), seen) for _ in range(50)
    ]


def test_only_references_know_more() -> None:
    assert {name: table.choose({"name": name}).knowledge for name in table.NAMED} == {
        name: name if name in ("fresh", "clairvoyant") else "reported" for name in table.NAMED
    }
