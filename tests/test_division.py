"""Divisions of one network between the device and one server, and what listed cuts lose against all."""

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offload.algorithms import blocks, dag, mincut
from offload.algorithms.dag import Costs, stages
from offload.dnn.profiles import read
from offload.entities import Facts, OffloadError, Plan, Wire
from offload.networks import Variant
from offload.overheads import Toll
from offload.planning.division import divide, listed, rounded, solved
from offload.planning.validity import why_invalid
from tests import drawn, hand_made, slow

RATES = st.floats(1e4, 1e9)


@pytest.mark.parametrize("private", [False, True])
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_plans_and_seconds_of_a_division(private: bool, data: Any) -> None:
    facts, rate_bps = data.draw(drawn.worlds(private=private)), data.draw(RATES)
    found, seen = divide(facts, "cell", rate_bps), hand_made.seen(facts, cell=rate_bps)
    (server,) = {plan.edge or plan.cloud for plan in found.plans} - {None} or {None}
    for plan, latency_s in zip(found.plans, found.latency_s, strict=True):
        assert why_invalid(facts, plan) is None
        assert latency_s == pytest.approx(slow.Slow(seen, plan).latency_s(), rel=1e-9)
    # With the server, the quickest of all that do not divide it a second time.
    once = [p for p in slow.all_plans(facts) if p.edge is None or p.cloud is None]
    best_s = min(slow.Slow(seen, plan).latency_s() for plan in once)
    if best_s <= facts.deadline_s:
        assert found.latency_s.min() == pytest.approx(best_s, rel=1e-9)
    assert found.latency_s[found.plans.index(found.quickest)] == found.latency_s.min()
    if server is not None:
        cuts = [plan.device_cut for plan in found.plans]
        assert cuts == sorted(set(cuts))


WAN = Wire("wan", ("edge", "cloud"), 4e6, 0.02, 0.001)


def town(net: Variant, **more: Any) -> Facts:
    """Return a slow device, a quick edge server and a quicker cloud."""
    count = len(net.layers)
    return hand_made.facts(
        {net: {"device": [0.1] * count, "edge": [0.02] * count, "cloud": [0.01] * count}},
        nodes=[hand_made.node("edge", "edge"), hand_made.node("cloud", "cloud", **more)],
        cells=[hand_made.cell()],
        wires=[WAN],
        input_bytes=1000.0,
    )


def test_stages_by_hand() -> None:
    net = hand_made.variant([4000, 500, 250, 5])
    found = divide(town(net), "cell", 8e4)
    assert found.plans == (
        Plan(net, 0, 3, "edge", None, ("cell",)), Plan(net, 1, 3, "edge", None, ("cell",)),
        Plan(net, 2, 3, "edge", None, ("cell",)), Plan(net, 3, 3),
    )  # fmt: skip
    assert found.stages_s == pytest.approx(
        np.array([[0, 0.1, 0.06], [0.1, 0.05, 0.04], [0.2, 0.025, 0.02], [0.3, 0, 0]])
    )
    assert found.slowest_s(found.plans[1]) == pytest.approx(0.1)
    assert found.steadiest in found.plans[:2]
    assert found.quickest is found.plans[0]
    # With a quick cell and a large batch to wait for, over the wire to the cloud.
    far = dataclasses.replace(town(net, batch_max=8, batch_wait_s=0.25), profiles={
        place: known for place, known in town(net).profiles.items() if place != "edge"
    })  # fmt: skip
    (variant,) = far.variants
    far = dataclasses.replace(
        far,
        profiles={place: {variant: next(iter(known.values()))} for place, known in far.profiles.items()}
        | {"edge": {}},
    )
    found = divide(far, "cell", 8e6)
    assert found.costs is not None
    assert found.costs.s_per_byte == pytest.approx(1e-6 + 2e-6)
    assert (found.up_delay_s, found.down_delay_s) == pytest.approx((0.001 + 0.021 + 0.25, 0.001 + 0.021))
    assert found.down_s_per_byte == pytest.approx(1e-7 + 2e-6)
    # And with tolls: each byte on, 100 of every message, half as many of each byte.
    toll = Toll(3e-6, 100.0, 0.5)
    cells = {"cell": dataclasses.replace(far.cells["cell"], toll=toll)}
    wires = {"wan": dataclasses.replace(WAN, toll=toll)}
    found = divide(dataclasses.replace(far, cells=cells, wires=wires), "cell", 8e6)
    assert found.costs is not None
    assert found.costs.s_per_byte == pytest.approx(1.5e-6 + 3e-6 + 3e-6 + 3e-6)
    delays_s = (0.001 + 0.021 + 0.25 + 1e-4 + 2e-4, 0.001 + 0.021 + 1e-5 + 2e-4)
    assert (found.up_delay_s, found.down_delay_s) == pytest.approx(delays_s)
    assert found.down_s_per_byte == pytest.approx(1.5e-7 + 3e-6 + 3e-6 + 3e-6)
    sent_s = [3e-4 + each * 10.5e-6 for each in (1000, 500, 250)]
    assert found.stages_s[:, 1] == pytest.approx([*sent_s, 0.0])


def test_the_most_accurate_that_is_on_time_is_divided() -> None:
    good = hand_made.variant([4000, 500, 5], name="fp32", accuracy=0.9)
    quick = hand_made.variant([4000, 500, 5], name="int8", accuracy=0.8)

    def chosen(deadline_s: float, form: str | None = None) -> str:
        facts = hand_made.facts(
            {
                good: {"device": [0.2, 0.2], "edge": [0.02, 0.02]},
                quick: {"device": [0.02, 0.02], "edge": [0.01, 0.01]},
            },
            nodes=[hand_made.node("edge", "edge")],
            cells=[hand_made.cell()],
            deadline_s=deadline_s,
        )  # fmt: skip
        (variant,) = {plan.variant for plan in divide(facts, "cell", 1e9, form).plans}
        return variant.name

    assert chosen(1.0) == "fp32"
    assert chosen(0.03) == "int8"
    assert chosen(0.001) == "int8"  # nothing is on time: the quickest
    assert chosen(1.0, "int8") == chosen(1.0, "net:int8") == "int8"
    with pytest.raises(OffloadError, match="car has no plan of variant fp16 for task look"):
        chosen(1.0, "fp16")


def with_edges(net: Variant, takes: list[tuple[int, ...]], sizes: list[int]) -> Variant:
    """Return the variant with edges, and the bytes of each value."""
    layers = tuple(
        dataclasses.replace(layer, takes=taken, output_bytes=size)
        for layer, taken, size in zip(net.layers, takes, sizes, strict=True)
    )
    return dataclasses.replace(net, layers=layers)


# Layers 2 and 4 make little of what layer 1 made; 3 and 5, behind them, and 6 are slow on the device.
BRANCHES = with_edges(
    hand_made.variant([9000, 8000, 8100, 8100, 200, 200, 10]),
    [(0,), (1,), (2,), (1,), (4,), (3, 5)],
    [8000, 100, 100, 100, 100, 10],
)
SLOW = (0.02, 0.02, 5.0, 0.02, 5.0, 5.0)


@pytest.mark.parametrize("solve", [mincut.light, blocks.reduced])
def test_a_cut_that_is_no_listed_one_gives_way_to_the_quickest(solve: mincut.Solver) -> None:
    facts = hand_made.facts(
        {BRANCHES: {"device": SLOW, "edge": [0.01] * 6}},
        nodes=[hand_made.node("edge", "edge")],
        cells=[hand_made.cell()],
        input_bytes=9000.0,
    )
    found = divide(facts, "cell", 8e4)
    assert found.dag is not None
    assert found.costs is not None
    assert solve(found.dag, found.costs) == {1, 2, 4}
    assert solved(found, solve) == found.quickest == Plan(BRANCHES, 1, 6, "edge", None, ("cell",))
    # At a high rate the frame itself is sent: a listed cut, whatever is the quickest.
    fast = divide(facts, "cell", 8e9)
    turned = dataclasses.replace(fast, latency_s=np.array([2.0, 1.0, 9.0, 9.0, 9.0, 9.0, 3.0]))
    assert solved(turned, solve) == fast.plans[0]
    # Unless staying is quicker: delays and the way back are in no cut.
    staying = dataclasses.replace(fast, latency_s=np.array([2.0, 3.0, 9.0, 9.0, 9.0, 9.0, 1.0]))
    assert solved(staying, solve) == fast.plans[-1]
    unknown = dataclasses.replace(turned, dag=None)
    assert solved(unknown, solve) == fast.plans[1]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_on_chains_a_minimum_cut_is_the_quickest_listed_one(data: Any) -> None:
    facts, rate_bps = data.draw(drawn.worlds(private=data.draw(st.booleans()))), data.draw(RATES)
    (net,) = facts.variants
    count = len(net.layers)
    sizes = [cut.payload_bytes for cut in net.cuts[1:]]
    chain = with_edges(net, [(layer,) for layer in range(count)], sizes)
    moved = dataclasses.replace(
        facts,
        variants=(chain,),
        profiles={p: {chain: next(iter(known.values()))} for p, known in facts.profiles.items()},
        result_bytes={chain: facts.result_bytes[net]},
    )
    found = divide(moved, "cell", rate_bps)
    for solve in (mincut.light, blocks.reduced):
        row = found.plans.index(solved(found, solve))
        assert found.latency_s[row] == pytest.approx(found.latency_s.min(), rel=1e-9)


@given(RATES, st.floats(0.01, 1))
def test_rates_are_rounded_to_steps(rate_bps: float, step: float) -> None:
    near = rounded(rate_bps, step)
    assert abs(np.log(near / rate_bps)) <= np.log1p(step) / 2 + 1e-9
    assert rounded(near, step) == pytest.approx(near)
    assert rounded(rate_bps, 0.0) == rate_bps


def test_out_of_range_only_the_device_is_left() -> None:
    net = hand_made.variant([4000, 500, 5])
    found = divide(town(net), None, 0.0)
    assert found.plans == (Plan(net, 2, 2),)
    assert found.dag is None
    assert listed(town(net), None).plans == (Plan(net, 2, 2),)


def loss(name: str, input_bytes: float) -> float:
    """Return the most that the best listed cut takes longer than the minimum cut, over a grid."""
    profile = read(hand_made.ROOT / "data" / "profiles" / f"{name}.x86-core.json")
    net, seconds, cuts = (
        dag.of(profile.variant, input_bytes),
        np.array(profile.layers_s[1]),
        profile.variant.cuts,
    )
    assert net is not None
    after = [cut.after for cut in cuts]
    sizes = np.array([input_bytes, *(cut.payload_bytes for cut in cuts[1:-1]), 0])
    here_s = np.concatenate([[0], np.cumsum(seconds)])[after]
    there_s = (seconds.sum() - np.concatenate([[0], np.cumsum(seconds)]))[after]
    worst = 0.0
    for times, rate_bps in itertools.product((2, 10, 30), np.geomspace(1e5, 1e9, 13)):
        costs = Costs(times * seconds, seconds, 8 / rate_bps)
        least_s = sum(stages(net, costs, blocks.reduced(net, costs)))
        listed_s = (times * here_s + there_s + sizes * 8 / rate_bps).min()
        assert listed_s >= least_s * (1 - 1e-9)
        worst = max(worst, listed_s / least_s - 1)
    return worst


@pytest.mark.parametrize(
    ("name", "input_bytes", "low", "high"),
    [
        ("resnet50.fp32", 60e3, 0, 1e-9), ("resnet50.fp32", 6e6, 0, 1e-9),
        ("mobilenetv2.int8", 6e6, 0, 1e-9),
        ("inceptionv3.fp32", 6e6, 0, 1e-9), ("densenet121.fp32", 6e6, 0, 1e-9),
        ("inceptionv4.fp32", 60e3, 0, 1e-9), ("inceptionv4.fp32", 6e6, 0.02, 0.12),
        ("fashion-cnn.exits", 60e3, 1e-4, 0.01),
    ],
)  # fmt: skip
def test_listed_cuts_lose_next_to_nothing_on_measured_networks(
    name: str, input_bytes: float, low: float, high: float
) -> None:
    assert low <= loss(name, input_bytes) <= high
