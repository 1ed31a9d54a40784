"""Plans and their prices against slow and plain versions of themselves."""

import itertools
import math
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from offload.entities import Facts, Luck, Observation, Plan, Report, Uplink, Wire
from offload.networks import Figure, Variant
from offload.planning.columns import columns, cost, why_invalid
from offload.planning.cuts import shortlist
from offload.planning.price import exponential, factor, price, price_at, unloaded
from offload.scenario.load import load
from tests import hand_made

FACTS = [
    pytest.param(facts, id=f"{path.stem}-{facts.group}-{facts.task}")
    for path in hand_made.SHIPPED
    for facts in load(path).setting(0.002).facts
]


# A price leg by leg, in plain Python.


def seconds(facts: Facts, place: str, variant: Variant, first: int, last: int) -> float:
    """Sum the seconds of the layers between two cuts in a place."""
    layers = facts.profiles[place][variant].layers_s[1]
    begin, end = variant.cuts[first].after, variant.cuts[last].after
    return math.fsum(layers[index] for index in range(begin, end))


def bytes_at(facts: Facts, variant: Variant, cut: int) -> float:
    """Tell what crosses a cut."""
    return variant.cuts[cut].payload_bytes if cut else facts.input_bytes


class Slow:
    """Follows one plan's legs in time."""

    def __init__(self, seen: Observation, plan: Plan) -> None:
        self.seen, self.facts, self.plan = seen, seen.facts, plan
        self.now = self.facts.overhead_s

    def quantile(self, name: str, place: str) -> float:
        if self.seen.luck is None:
            return 1.0
        profile = self.facts.profiles[place][self.plan.variant]
        return factor(profile, getattr(self.seen.luck, name))

    def over_wires(self, here: str, there: str, payload: float, *, back: bool) -> None:
        luck = self.seen.luck
        for name in self.facts.routes[here, there]:
            wire = self.facts.wires[name]
            if luck is not None:
                self.now = max(self.now, luck.wire_free_s[name, here] - self.seen.now_s)
            self.now += 8 * payload / wire.rate_bps + wire.delay_s
            if luck is None:
                self.now += wire.jitter_s
            else:
                self.now += wire.jitter_s * exponential(luck.wire_back if back else luck.wire_out)
            here = next(end for end in wire.ends if end != here)

    def compute(self, role: str, name: str, first: int, last: int) -> None:
        node, report = self.facts.nodes[name], self.seen.reports.get(name)
        if node.batch_max > 1:
            self.now += node.batch_wait_s
        if report is not None:
            self.now = max(self.now, report.backlog_s)
        self.now += seconds(self.facts, name, self.plan.variant, first, last) * self.quantile(role, name)

    def latency_s(self) -> float:
        plan, facts, seen = self.plan, self.facts, self.seen
        variant, last = plan.variant, plan.variant.last
        if plan.device_cut > 0:
            self.now = max(self.now, seen.backlog_s)
            self.now += seconds(facts, "device", variant, 0, plan.device_cut) * self.quantile(
                "device", "device"
            )
        if plan.device_cut == last:
            return self.now
        cell, uplink = facts.cells[plan.uplinks[0]], seen.uplinks[plan.uplinks[0]]
        payload = bytes_at(facts, variant, plan.device_cut)
        self.now = max(self.now, 8 * uplink.queued_bytes / uplink.rate_bps)
        self.now += 8 * payload / uplink.rate_bps + cell.delay_s
        here = cell.node
        if plan.edge is not None:
            self.over_wires(here, plan.edge, payload, back=False)
            self.compute("edge", plan.edge, plan.device_cut, plan.edge_cut)
            here = plan.edge
        if plan.cloud is not None:
            self.over_wires(here, plan.cloud, bytes_at(facts, variant, plan.edge_cut), back=False)
            self.compute("cloud", plan.cloud, plan.edge_cut, last)
            here = plan.cloud
        result = facts.result_bytes[variant]
        self.over_wires(here, cell.node, result, back=True)
        return self.now + 8 * result / uplink.down_bps + cell.delay_s

    def energy_j(self) -> float:
        plan, facts = self.plan, self.facts
        watts = facts.hardware.busy_w.value - facts.hardware.idle_w.value
        device_s = 0.0
        if plan.device_cut > 0:
            device_s = seconds(facts, "device", plan.variant, 0, plan.device_cut)
            device_s *= self.quantile("device", "device")
        if plan.uplinks is None:
            return watts * device_s
        cell = facts.cells[plan.uplinks[0]]
        up_s = 8 * bytes_at(facts, plan.variant, plan.device_cut) / cell.up_bps
        down_s = 8 * facts.result_bytes[plan.variant] / cell.down_bps
        return watts * device_s + facts.radio_w * (up_s + down_s)


WAITS = st.one_of(st.just(0.0), st.floats(0, 3))


@st.composite
def observations(draw: st.DrawFn, facts: Facts) -> Observation:
    """Draw what a device might see of a scenario: backlogs, rates, reports, and perhaps its luck."""
    now = draw(st.floats(0, 60))
    uplinks = {
        c.name: Uplink(
            c.name, True, c.up_bps / draw(st.integers(1, 60)), c.down_bps / draw(st.integers(1, 60)),
            draw(st.one_of(st.just(0.0), st.floats(0, 1e6))),
        )
        for c in facts.cells.values()
    }  # fmt: skip
    reports: dict[str, Report | None] = {
        name: draw(st.one_of(st.none(), WAITS.map(lambda wait: Report(0.0, wait, {}, {}))))
        for name in facts.nodes
    }
    luck = None
    if draw(st.booleans()):
        free_s = {(w.name, end): now + draw(WAITS) for w in facts.wires.values() for end in w.ends}
        luck = Luck(*[draw(st.floats(0, 0.999)) for _ in range(5)], free_s)
    serving = draw(st.sampled_from([None, *facts.cells]))
    return Observation(now, draw(WAITS), serving, uplinks, reports, facts, None, luck)


@pytest.mark.parametrize("facts", FACTS)
@settings(max_examples=30)
@given(data=st.data())
def test_prices_agree_with_following_each_plan(facts: Facts, data: Any) -> None:
    seen = data.draw(observations(facts))
    prices = price(hand_made.request(), seen)
    assert prices.plans
    for plan, latency_s, energy_j in zip(prices.plans, prices.latency_s, prices.energy_j, strict=True):
        assert latency_s == pytest.approx(Slow(seen, plan).latency_s(), rel=1e-9)
        assert energy_j == pytest.approx(Slow(seen, plan).energy_j(), rel=1e-9)


@pytest.mark.parametrize("facts", FACTS)
def test_columns_say_what_their_plans_cost(facts: Facts) -> None:
    for serving in (None, *facts.cells):
        table = columns(facts, serving)
        for row, plan in enumerate(table.plans):
            assert why_invalid(facts, plan) is None
            assert table.unsplit[row] == (not plan.split)
            accuracy = plan.variant.accuracy
            assert np.isnan(table.accuracy[row]) if accuracy is None else (
                table.accuracy[row] == accuracy.value
            )  # fmt: skip
            parts = cost(facts, plan)
            assert parts[:3] == (table.device_s[row], table.edge_s[row], table.cloud_s[row])
            assert (parts[0] > 0, parts[1] > 0, parts[2] > 0) == (
                plan.device_cut > 0, plan.edge is not None, plan.cloud is not None,
            )  # fmt: skip
        identities = [(p.variant.label, p.device_cut, p.edge_cut, p.edge, p.cloud) for p in table.plans]
        assert len(set(identities)) == len(identities)
        # Every way is a run of rows of its own, and together they are all rows.
        covered = [row for way in table.ways for row in range(way.rows.start, way.rows.stop)]
        assert covered == list(range(len(table.plans)))
        for way in table.ways:
            assert {(p.edge, p.cloud) for p in table.plans[way.rows]} == {(way.edge, way.cloud)}


@pytest.mark.parametrize("facts", FACTS)
def test_unloaded_is_the_price_of_an_idle_world(facts: Facts) -> None:
    for serving in (None, *facts.cells):
        found = unloaded(facts, serving)
        idle = {name: Report(0.0, 0.0, {}, {}) for name in facts.nodes}
        again = price_at(hand_made.seen(facts, serving, reports=idle))
        assert found.latency_s.tolist() == again.latency_s.tolist()


# The shortlist against all cuts.


@st.composite
def worlds(draw: st.DrawFn, *, private: bool) -> Facts:
    """Draw a chain and places of which each further one is quicker at every layer; nobody waits."""
    layers = draw(st.integers(1, 6))
    payloads = draw(st.lists(st.integers(1, 3000), min_size=layers + 1, max_size=layers + 1))
    net = hand_made.variant(payloads)
    device = draw(st.lists(st.floats(1e-4, 1e-1), min_size=layers, max_size=layers))
    edge = [each * draw(st.floats(0.1, 1)) for each in device]
    cloud = [each * draw(st.floats(0.1, 1)) for each in edge]
    return hand_made.facts(
        {net: {"device": device, "edge": edge, "cloud": cloud}},
        nodes=[hand_made.node("edge", "edge"), hand_made.node("cloud", "cloud")],
        cells=[hand_made.cell()],
        wires=[Wire("wan", ("edge", "cloud"), draw(st.floats(1e5, 1e9)), draw(st.floats(0, 0.05)), 0.0)],
        input_bytes=float(draw(st.integers(1, 3000))),
        private=private,
    )


def all_plans(facts: Facts) -> list[Plan]:
    """List every plan that is valid, shortlisted or not."""
    plans = [
        Plan(
            variant, first, second,
            "edge" if first < second else None,
            "cloud" if second < variant.last else None,
            ("cell",) if first < variant.last else None,
        )
        for variant in facts.variants
        for first, second in itertools.combinations_with_replacement(range(variant.last + 1), 2)
    ]  # fmt: skip
    return [plan for plan in plans if why_invalid(facts, plan) is None]


@pytest.mark.parametrize("private", [False, True])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_the_shortlist_never_loses_where_nobody_waits(private: bool, data: Any) -> None:
    facts, rate_bps = data.draw(worlds(private=private)), data.draw(st.floats(1e4, 1e9))
    seen = hand_made.seen(facts, cell=rate_bps)
    quickest = price(hand_made.request(), seen).latency_s.min()
    best = min(Slow(seen, plan).latency_s() for plan in all_plans(facts))
    assert quickest <= best * (1 + 1e-9)


@pytest.mark.parametrize("facts", FACTS)
def test_nothing_private_leaves_a_device_raw(facts: Facts) -> None:
    import dataclasses

    secret = dataclasses.replace(facts, private=True)
    for serving in facts.cells:
        plans = columns(secret, serving).plans
        assert plans
        assert all(plan.device_cut > 0 for plan in plans)
        # What may still be planned is what could be planned before, without raw input.
        before = {(p.variant, p.device_cut, p.edge_cut) for p in columns(facts, serving).plans}
        kept = {(p.variant, p.device_cut, p.edge_cut) for p in plans}
        assert {each for each in before if each[1] > 0} <= kept


def test_shortlist_by_hand() -> None:
    net = hand_made.variant([500, 900, 400, 400, 450, 100, 300, 7])
    assert shortlist(net, 1000.0) == (0, 1, 2, 5, 7)
    assert shortlist(net, 500.0) == (0, 2, 5, 7)
    assert shortlist(net, 50.0) == (0, 7)


# What is wrong with a plan.

NET = hand_made.variant([100, 50, 20, 5])
OTHER = hand_made.variant([100, 5], name="int8")
STRANGER = hand_made.variant([100, 5], name="pruned")
TOWN = hand_made.facts(
    {
        NET: {key: [1.0, 1.0, 1.0] for key in ("device", "edge", "far", "cloud")},
        OTHER: {"edge": [1.0]},
    },
    nodes=[
        hand_made.node("edge", "edge"),
        hand_made.node("far", "edge"),
        hand_made.node("cloud", "cloud"),
        hand_made.node("island", "cloud"),
    ],
    cells=[hand_made.cell()],
    wires=[Wire("wan", ("edge", "cloud"), 1e9, 0.01, 0.0)],
)
GOOD = Plan(NET, 1, 2, "edge", "cloud", ("cell",))


@pytest.mark.parametrize(
    "plan",
    [
        GOOD,
        Plan(NET, 3, 3),
        Plan(NET, 0, 3, "edge", None, ("cell",)),
        Plan(NET, 0, 0, None, "cloud", ("cell",)),
        Plan(NET, 2, 2, None, "cloud", ("cell",)),
        Plan(OTHER, 0, 1, "edge", None, ("cell",)),
    ],
)
def test_good_plans_pass(plan: Plan) -> None:
    assert why_invalid(TOWN, plan) is None


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        (None, "it is NoneType, no Plan"),
        ((NET, 1, 2), "it is tuple, no Plan"),
        (
            Plan(STRANGER, 0, 1, "edge", None, ("cell",)),
            "its variant is none of this task's: net:fp32, net:int8",
        ),
        (replace(GOOD, device_cut=-1), "its cuts (-1, 2) must satisfy 0 <= device_cut <= edge_cut <= 3"),
        (replace(GOOD, device_cut=3), "its cuts (3, 2) must satisfy"),
        (replace(GOOD, edge_cut=4), "its cuts (1, 4) must satisfy"),
        (replace(GOOD, edge_cut=1.5), "its cuts (1, 1.5) must satisfy"),
        (replace(GOOD, codec="zstd"), "it sets codec, exit or confidence"),
        (replace(GOOD, exit=0), "it sets codec, exit or confidence"),
        (replace(GOOD, confidence=0.9), "it sets codec, exit or confidence"),
        (replace(GOOD, edge=None), "edge is None; the edge nodes are: edge, far"),
        (replace(GOOD, edge="cloud"), "edge is 'cloud'; the edge nodes are: edge, far"),
        (replace(GOOD, cloud="nowhere"), "cloud is 'nowhere'; the cloud nodes are: cloud, island"),
        (replace(GOOD, cloud="edge"), "cloud is 'edge'; the cloud nodes are: cloud, island"),
        (replace(GOOD, edge_cut=1), "it names edge node 'edge' but gives it nothing to run"),
        (replace(GOOD, edge_cut=3), "it names cloud node 'cloud' but gives it nothing to run"),
        (replace(GOOD, uplinks=None), "it must name an uplink if and only if"),
        (Plan(NET, 3, 3, None, None, ("cell",)), "it must name an uplink if and only if"),
        (Plan(OTHER, 1, 1), "device has no profile of net:int8"),
        (Plan(OTHER, 0, 0, None, "cloud", ("cell",)), "cloud has no profile of net:int8"),
        (replace(GOOD, uplinks=()), "uplinks is (); choose one of (cell,)"),
        (replace(GOOD, uplinks=("cell", "cell")), "choose one of (cell,)"),
        (replace(GOOD, uplinks=("wan",)), "choose one of (cell,)"),
        (replace(GOOD, edge="far"), "no route leads from edge to far"),
        (Plan(NET, 0, 0, None, "island", ("cell",)), "no profile of net:fp32"),
    ],
)
def test_each_fault_is_named(plan: object, why: str) -> None:
    assert why in (why_invalid(TOWN, plan) or "")


@pytest.mark.parametrize("private", [False, True])
def test_raw_input_of_a_private_task_stays(private: bool) -> None:
    facts = hand_made.facts(
        {NET: {"device": [1.0] * 3, "edge": [1.0] * 3}},
        nodes=[hand_made.node("edge", "edge")],
        cells=[hand_made.cell()],
        private=private,
    )
    why = why_invalid(facts, Plan(NET, 0, 3, "edge", None, ("cell",)))
    assert (why is not None and "raw input of a private task may not leave" in why) is private
    assert why_invalid(facts, Plan(NET, 1, 3, "edge", None, ("cell",))) is None


def test_out_of_range_what_cannot_run_alone_is_priced_over_the_nearest_cell() -> None:
    facts = hand_made.facts(
        {NET: {"edge": [0.1] * 3}}, nodes=[hand_made.node("edge", "edge")], cells=[hand_made.cell()]
    )
    assert columns(facts, None).plans == ()
    prices = price(hand_made.request(), hand_made.seen(facts, serving=None))
    assert {plan.uplinks for plan in prices.plans} == {("cell",)}
    assert len(prices.latency_s) == len(prices.plans)


def test_least_takes_the_first_of_equals_and_only_among_those_asked_for() -> None:
    prices = unloaded(TOWN, "cell")
    column = np.ones(len(prices.plans))
    assert prices.least(column) is prices.plans[0]
    column[2] = column[4] = 0.5
    assert prices.least(column) is prices.plans[2]
    among = np.arange(len(column)) >= 3
    assert prices.least(column, among=among) is prices.plans[4]


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
