"""Plans and their prices against slow and plain versions of themselves."""

import dataclasses
import math
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from offload.entities import Facts, Observation, Report
from offload.networks import Figure
from offload.planning.columns import columns, tabulate
from offload.planning.cost import cost
from offload.planning.exits import branches
from offload.planning.luck import factor
from offload.planning.price import cell_in_use, open_to, price, price_at, unloaded
from offload.planning.validity import why_invalid
from offload.scenario.load import load
from tests import drawn, hand_made, slow

NET = hand_made.variant([100, 50, 20, 5])
FACTS = [
    pytest.param(facts, id=f"{path.stem}-{facts.group}-{facts.task}")
    for path in hand_made.SHIPPED
    for facts in load(path).setting(0.002).facts
]


@pytest.mark.parametrize("facts", FACTS)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_prices_agree_with_following_each_plan(facts: Facts, data: Any) -> None:
    own_bytes = st.one_of(st.just(facts.input_bytes), st.floats(0, 4 * facts.input_bytes))
    agree_with_slow_prices(data.draw(drawn.observations(facts)), data.draw(own_bytes))


@pytest.mark.parametrize(("early", "codecs"), [(True, False), (False, True), (True, True)])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_prices_of_exits_and_codecs_agree_with_following_each_image(
    early: bool, codecs: bool, data: Any
) -> None:
    facts = data.draw(drawn.worlds(private=data.draw(st.booleans()), early=early, codecs=codecs))
    own_bytes = st.one_of(st.just(facts.input_bytes), st.floats(0, 4 * facts.input_bytes))
    agree_with_slow_prices(data.draw(drawn.observations(facts)), data.draw(own_bytes))


def agree_with_slow_prices(seen: Observation, input_bytes: float) -> None:
    """Assert that plans cost what following them leg by leg, for each image, comes to.

    All plans, or where there are thousands of images some of them; for an input of this size.
    """
    prices = price(hand_made.request(input_bytes=input_bytes), seen)
    seen = replace(seen, facts=dataclasses.replace(seen.facts, input_bytes=input_bytes))
    assert prices.plans
    images = max((a.images for v in seen.facts.variants for a in v.answers.values()), default=1)
    step = 1 + len(prices.plans) * images // 10_000
    for row, plan in list(enumerate(prices.plans))[::step]:
        found = float(prices.latency_s[row]), float(prices.energy_j[row])
        assert found == pytest.approx(slow.prices(seen, plan), rel=1e-9)
        assert prices.accuracy[row] == pytest.approx(slow.share_right(plan), nan_ok=True)


@pytest.mark.parametrize("facts", FACTS)
def test_columns_say_what_their_plans_cost(facts: Facts) -> None:
    for serving in (None, *facts.cells):
        check_columns(facts, serving)


@pytest.mark.parametrize(("early", "codecs"), [(True, False), (False, True), (True, True)])
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_columns_of_exits_and_codecs_say_what_becomes_of_their_plans(
    early: bool, codecs: bool, data: Any
) -> None:
    facts = data.draw(drawn.worlds(private=data.draw(st.booleans()), early=early, codecs=codecs))
    for serving in (None, *facts.cells):
        check_columns(facts, serving)


def check_columns(facts: Facts, serving: str | None) -> None:
    """Assert that a table has each plan once, and what becomes of it in rows that add up to it."""
    table = columns(facts, serving)
    for number, plan in enumerate(table.plans):
        assert why_invalid(facts, plan) is None
        assert table.unsplit[number] == (not plan.split)
        right = slow.share_right(plan)
        assert table.accuracy[number] == pytest.approx(right, nan_ok=True)
        assert table.sure_accuracy[number] == pytest.approx(0.0 if math.isnan(right) else right)
        computing = {name for name in (plan.edge, plan.cloud) if name}
        computing |= {"device"} if plan.device_cut > 0 else set()
        assert {place for place, flags in table.uses.items() if flags[number]} == computing
        whole = {place for place, flags in table.at.items() if flags[number]}
        assert whole == (set() if plan.split else computing)
    assert set(table.at) == set(table.uses) == {"device", *facts.nodes}
    assert len(set(table.plans)) == len(table.plans)
    for number, row in enumerate(table.rows):
        parts = cost(facts, row)
        assert parts[:3] == (table.device_s[number], table.edge_s[number], table.cloud_s[number])
        assert (parts[1] > 0, parts[2] > 0) == (row.edge is not None, row.cloud is not None)
        assert table.on_device[number] == (row.device_cut > 0 or row.codec is not None)
        assert (parts[0] > 0) == (row.device_cut > 0) or row.codec is not None
    # Every way is a run of rows of its own, and together they are all rows.
    covered = [row for way in table.ways for row in range(way.rows.start, way.rows.stop)]
    assert covered == list(range(len(table.rows)))
    for way in table.ways:
        assert {(p.edge, p.cloud) for p in table.rows[way.rows]} == {(way.edge, way.cloud)}
    plan_of, weights = np.arange(len(table.plans)), np.ones(len(table.plans))
    if table.mixture is not None:
        plan_of, weights = table.mixture.plan_of, table.mixture.weights
    for number, plan in enumerate(table.plans):
        mine = [(float(weights[row]), table.rows[row]) for row in np.flatnonzero(plan_of == number)]
        assert sorted(mine, key=lambda each: each[1].end) == list(branches(plan))


@pytest.mark.parametrize("facts", FACTS)
def test_unloaded_is_the_price_of_an_idle_world(facts: Facts) -> None:
    for serving in (None, *facts.cells):
        found = unloaded(facts, serving)
        idle = {name: Report(0.0, 0.0, {}, {}) for name in facts.nodes}
        again = price_at(hand_made.seen(facts, serving, reports=idle))
        assert found.latency_s.tolist() == again.latency_s.tolist()


def street(**more: Any) -> Facts:
    """Return a device beside an edge server as quick as it."""
    return hand_made.facts(
        {NET: {"device": [1.0] * 3, "edge": [1.0] * 3}},
        nodes=[hand_made.node("edge", "edge")],
        cells=[hand_made.cell()],
        **more,
    )


def test_out_of_range_what_cannot_run_alone_is_priced_over_the_nearest_cell() -> None:
    facts = hand_made.facts(
        {NET: {"edge": [0.1] * 3}}, nodes=[hand_made.node("edge", "edge")], cells=[hand_made.cell()]
    )
    assert columns(facts, None).plans == ()
    seen = hand_made.seen(facts, serving=None)
    assert cell_in_use(seen) == "cell"
    prices = price(hand_made.request(), seen)
    given = price_at(seen, tabulate(facts, prices.plans))
    assert given.latency_s.tolist() == price_at(seen).latency_s.tolist()
    assert {plan.uplinks for plan in prices.plans} == {("cell",)}
    assert len(prices.latency_s) == len(prices.plans)


@pytest.mark.parametrize("facts", FACTS)
def test_what_is_open_is_what_is_priced_and_the_same_each_time(facts: Facts) -> None:
    for serving in (None, *facts.cells):
        seen = hand_made.seen(facts, serving)
        away = [plan for plan in open_to(seen).plans if plan.edge is not None and plan.codec is None]
        asked = [seen, replace(seen, begun=away[0])] if away and serving else [seen]
        for each in asked:
            prices = price(hand_made.request(input_bytes=facts.input_bytes + 1), each)
            assert prices.plans is open_to(each).plans
            assert open_to(each) is open_to(replace(each, backlog_s=1.0))


def test_what_devices_at_rest_are_shown_again_nobody_can_change() -> None:
    facts = street()
    for serving in (None, "cell"):
        seen = hand_made.seen(facts, serving=serving)
        prices = price_at(seen)
        same = replace(seen, now_s=1.0, reports=dict(seen.reports))
        assert price_at(same) is prices
        with pytest.raises(ValueError, match="read-only"):
            prices.latency_s[0] = 0.0
        assert price_at(replace(seen, backlog_s=0.5)) is not prices


@pytest.mark.parametrize("key", ["rate_bps", "down_bps", "reports"])
def test_what_was_shown_before_of_another_world_is_not_shown_again(key: str) -> None:
    def worse(facts: Facts) -> Observation:
        if key == "reports":
            return hand_made.seen(facts, reports={"edge": Report(0.0, 5.0, {}, {})})
        seen = hand_made.seen(facts)
        uplink = seen.uplinks["cell"]
        return replace(seen, uplinks={"cell": replace(uplink, **{key: getattr(uplink, key) / 3})})

    facts = street()
    first = price_at(hand_made.seen(facts))
    found = price_at(worse(facts))
    assert found.latency_s.tolist() != first.latency_s.tolist()
    assert found.latency_s.tolist() == price_at(worse(street())).latency_s.tolist()


def test_least_takes_the_first_of_equals_and_only_among_those_asked_for() -> None:
    prices = unloaded(street(), "cell")
    column = np.ones(len(prices.plans))
    assert prices.least(column) is prices.plans[0]
    column[1] = column[3] = 0.5
    assert prices.least(column) is prices.plans[1]
    among = np.arange(len(column)) >= 2
    assert prices.least(column, among=among) is prices.plans[3]


# How a quantile becomes a run's time.


@pytest.mark.parametrize(
    "shape",
    [
        {"spread": (1.0,)},
        {"spread": (0.5, 1.0, 1.5)},
        {"service": "exponential"},
        {"service": "log-normal", "cv": 0.5},
        {"service": "log-normal", "cv": 2.0},
    ],
)
def test_factors_rise_and_have_mean_one(shape: dict[str, Any]) -> None:
    profile = hand_made.profile(NET, [1.0] * 3, **shape)
    quantiles = (np.arange(20_000) + 0.5) / 20_000
    factors = np.array([factor(profile, q) for q in quantiles])
    assert (np.diff(factors) >= 0).all()
    assert factors[0] > 0 or shape.get("service") == "exponential"
    # The midpoint rule misses a little of a long tail.
    assert factors.mean() == pytest.approx(1.0, rel=5e-3)
    if "cv" in shape:
        assert factors.std() == pytest.approx(shape["cv"], rel=0.05)


def test_factors_at_the_ends_are_finite() -> None:
    for shape in (
        {"spread": (0.5, 1.5)},
        {"service": "exponential"},
        {"service": "log-normal", "cv": 1.0},
    ):
        profile = hand_made.profile(NET, [1.0] * 3, **shape)
        for quantile in (0.0, np.nextafter(1.0, 0.0)):  # a generator's numbers lie in [0, 1)
            assert 0 <= factor(profile, quantile) < math.inf


def test_unknown_accuracy_is_no_number() -> None:
    sure = hand_made.variant([10, 1], accuracy=0.5)
    unsure = hand_made.variant([10, 1], name="int8")
    table = columns(hand_made.facts({sure: {"device": [1.0]}, unsure: {"device": [1.0]}}), None)
    assert table.accuracy.tolist()[0] == Figure(0.5, "assumed", "").value
    assert np.isnan(table.accuracy[1])
