"""Legs alone and the blame for lateness: against the prices of plans, by hand, and over whole runs."""

from dataclasses import replace as changed
from math import inf
from types import SimpleNamespace

import polars as pl
import pytest
from msgspec.structs import replace

from offload.analysis.explaining.legs import (
    BEFORE,
    EARLIER,
    FAILED,
    HANDOVER,
    LOADING,
    LUCK,
    RETRY,
    SIGNAL,
    WAITING,
    WORK,
    Cause,
    Part,
    alone_s,
    blame,
    ended_in,
    legs,
    luck_of,
    places,
    plan_of,
    quickest_alone_s,
)  # fmt: skip
from offload.analysis.result import simulate_in_chunks
from offload.analysis.rows import LEGS, plan_label
from offload.entities import Plan
from offload.overheads import Toll
from offload.planning.columns import columns
from offload.planning.price import unloaded
from offload.policies.table import choose
from offload.scenario.load import load
from offload.simulation.journey import (
    AT_EDGE,
    DECIDE,
    DOWNLINK,
    IN_CLOUD,
    ON_DEVICE,
    UPLINK,
    WAN,
)  # fmt: skip
from offload.world.rate import Rate
from offload.world.reach import ALWAYS, Reach
from tests import hand_made
from tests.hand_made import ROOT


@pytest.mark.parametrize("name", ["urban-intersection", "smart-factory", "blackout", "robotaxi"])
def test_legs_alone_sum_to_the_price_of_a_plan_in_an_empty_world(name: str) -> None:
    compared = 0
    for facts in load(ROOT / "scenarios" / f"{name}.toml").setting(0.002).facts:
        for cell in (None, *facts.cells):
            plans = [plan for plan in columns(facts, cell).plans if plan.confidence is None]
            prices = unloaded(facts, cell, plans)
            for plan, latency_s in zip(prices.plans, prices.latency_s, strict=True):
                assert sum(alone_s(facts, plan, facts.input_bytes)) == pytest.approx(latency_s)
                compared += 1
        best = min(float(unloaded(facts, cell).latency_s.min()) for cell in facts.cells or [None])
        assert quickest_alone_s(facts) <= best
    assert compared >= 4


def test_who_is_alone_takes_what_its_luck_says() -> None:
    settings = ["devices.car.count=1", 'devices.car.tasks.objects.every="9 s"', 'duration="900 s"']
    scenario = load(ROOT / "tests" / "small.toml", settings)
    fates: dict[int, tuple[float, ...]] = {}

    def watch(world, questions, plans) -> None:
        fates.update({q.request.id: tuple(world.under_way[q.request.id].fate) for q in questions})

    def watched(scenario, policy) -> pl.DataFrame:
        frames: list[pl.DataFrame] = []
        simulate_in_chunks(scenario, choose({"name": policy}), 3, 0, frames.append, watch)
        return pl.concat(frames)

    (facts,) = scenario.setting(0.0).facts
    for policy in ("local", "random"):
        for row in watched(scenario, policy).iter_rows(named=True):
            plan = plan_of(row, facts)
            assert plan_label(plan) == row["plan"]
            own = alone_s(facts, plan, row["input_bytes"], luck_of(fates[row["request"]], facts))
            assert own == pytest.approx([row[leg] for leg in LEGS])


# By hand: 30 ms on the device; or 8 ms up (8 kB at 8 Mbit/s) and 1 ms of delay, 10 ms at the edge, and
# back 0.001 ms and 1 ms.

NET = hand_made.variant([1000, 100])
FACTS = hand_made.facts(
    {NET: {"device": [0.03], "edge": [0.01]}}, [hand_made.node("edge", "edge")], [hand_made.cell()],
    deadline_s=0.1, input_bytes=8000.0,
)  # fmt: skip
HOME = Plan(NET, 1, 1)
AWAY = Plan(NET, 0, 1, "edge", None, ("cell",))
ALONE = {"uplink_s": 0.009, "edge_s": 0.01, "downlink_s": 0.001001}


def row(plan=AWAY, deadline_s=0.1, cause="", attempts=1, first_plan=None, **spent):
    """Return the row of a request that spent so long in its legs."""
    took = dict.fromkeys(LEGS, 0.0) | spent
    return took | {
        "born_s": 2.0, "ended_s": 2.0 + sum(took.values()), "deadline_s": deadline_s, "cause": cause,
        "input_bytes": 8000.0, "variant": NET.label, "device_cut": plan.device_cut,
        "edge_cut": plan.edge_cut, "edge": plan.edge, "cloud": plan.cloud, "exit": None, "codec": None,
        "uplink": plan.uplinks and plan.uplinks[0], "attempts": attempts, "first_plan": first_plan,
        "up_bytes": 8000.0 if took["edge_s"] else 0.0, "down_bytes": 0.0 if cause else 10.0,
        "edge_j": 0.0, "load_s": 0.0,
    }  # fmt: skip


def blamed(told, luck=None, facts=FACTS, place=None):
    found = blame(told, [Part(told, facts, plan_of(told, facts), luck, place)])
    assert sum(found.values()) == pytest.approx(1.0)
    return found


def test_waiting_is_to_blame_in_proportion() -> None:
    told = row(**ALONE | {"uplink_s": 0.039, "edge_s": 0.1})
    found = blamed(told)
    assert found == pytest.approx({
        Cause("uplink", "cell", WAITING): 0.25, Cause("edge", "edge", WAITING): 0.75,
    })  # fmt: skip


def test_loading_weights_is_told_from_waiting() -> None:
    told = row(**ALONE | {"edge_s": 0.13}) | {"load_s": 0.09}
    assert blamed(told) == pytest.approx({
        Cause("edge", "edge", LOADING): 0.75, Cause("edge", "edge", WAITING): 0.25,
    })  # fmt: skip


def test_a_plan_that_is_late_alone_is_to_blame_itself() -> None:
    found = blamed(row(HOME, deadline_s=0.02, device_s=0.03))
    assert found == pytest.approx({Cause("device", "car", WORK): 1.0})
    # 10 of 40 ms of lateness are in the plan, the others it waited.
    found = blamed(row(HOME, deadline_s=0.02, device_s=0.06))
    assert found == pytest.approx({
        Cause("device", "car", WORK): 0.25, Cause("device", "car", WAITING): 0.75,
    })  # fmt: skip


def test_luck_is_told_from_waiting_where_it_is_known() -> None:
    profile = hand_made.profile(NET, [0.03], service="exponential")
    known = {**FACTS.profiles, "device": {NET: profile}}
    facts = hand_made.facts({NET: {"device": [0.03]}})
    object.__setattr__(facts, "profiles", known)
    told = row(HOME, deadline_s=0.05, device_s=0.09)
    luck = luck_of([1 - 2.718281828459045**-2, *[0.5] * 5], facts)  # twice the mean
    assert blamed(told, luck, facts) == pytest.approx({
        Cause("device", "car", LUCK): 0.5, Cause("device", "car", WAITING): 0.5,
    })  # fmt: skip
    assert blamed(told, None, facts) == {Cause("device", "car", WAITING): 1.0}


def test_what_was_dropped_late_did_no_work_where_it_ended() -> None:
    told = row(cause="late", uplink_s=0.009, edge_s=0.095)
    assert blamed(told) == pytest.approx({Cause("edge", "edge", WAITING): 1.0})
    told = row(cause="late", uplink_s=0.11)
    assert blamed(told) == pytest.approx({Cause("uplink", "cell", WAITING): 1.0})


def at(up, down=ALWAYS):
    """Return a place where a cell has these speeds; sending begins at 2 s."""
    return SimpleNamespace(up=Reach({"cell": up}), down=Reach({"cell": down}))


def test_a_cell_out_of_reach_or_slow_is_told_from_a_shared_one() -> None:
    told = row(**ALONE | {"uplink_s": 0.109})  # 100 ms more than alone
    away = at(Rate((0.0, 2.06), (0.0, 1.0)))  # out of reach for 60 ms
    assert blamed(told, place=away) == pytest.approx({
        Cause("uplink", "cell", SIGNAL): 0.6, Cause("uplink", "cell", WAITING): 0.4,
    })  # fmt: skip
    slow = at(Rate.constant(0.2))  # 8 ms are 40 ms
    assert blamed(told, place=slow)[Cause("uplink", "cell", SIGNAL)] == pytest.approx(0.32)
    never = at(Rate((0.0, 1.0), (1.0, 0.0)))
    assert blamed(told, place=never) == {Cause("uplink", "cell", SIGNAL): 1.0}
    assert blamed(told, place=at(ALWAYS)) == {Cause("uplink", "cell", WAITING): 1.0}
    assert legs(Part(told | {"attempts": 2}, FACTS, AWAY, None, slow))[2][2] == pytest.approx(0.009)
    # Of what was dropped before it was sent, only what was out of reach counts.
    late = row(cause="late", uplink_s=0.12)
    assert blamed(late, place=slow)[Cause("uplink", "cell", WAITING)] == pytest.approx(1.0, abs=1e-4)
    assert blamed(late, place=away)[Cause("uplink", "cell", SIGNAL)] == pytest.approx(0.5, abs=1e-4)
    down = at(ALWAYS, Rate((0.0, 2.069), (0.0, 1.0)))  # 50 ms after it would have come down
    late = row(deadline_s=0.05, **ALONE | {"downlink_s": 0.081001})
    assert blamed(late, place=down) == pytest.approx({
        Cause("downlink", "cell", SIGNAL): 0.625, Cause("downlink", "cell", WAITING): 0.375,
    })  # fmt: skip


def test_what_a_link_takes_of_each_byte_is_no_signal() -> None:
    toll = Toll(1e-6, 1000.0, 0.125)  # 10 000 bytes in the air, and 8 ms more
    facts = changed(FACTS, cells={"cell": changed(FACTS.cells["cell"], toll=toll)})
    told = row(**ALONE | {"uplink_s": 0.119, "downlink_s": 0.001 + 1011.25 * 8 / 8e7 + 1e-5})
    found = blamed(told, facts=facts, place=at(Rate.constant(0.2)))  # 10 ms are 50 ms
    assert found == pytest.approx({
        Cause("uplink", "cell", SIGNAL): 0.4, Cause("uplink", "cell", WAITING): 0.6,
    })  # fmt: skip


def test_what_roams_is_sent_over_the_cells_that_serve_it() -> None:
    """At 2.004 s half is sent; the next cell comes 50 ms later, and takes what is left in 8 ms."""
    cells = [changed(hand_made.cell(), name=name, interruption_s=0.05) for name in ("cell", "next")]
    facts = hand_made.facts(
        {NET: {"device": [0.03], "edge": [0.01]}}, [hand_made.node("edge", "edge")], cells,
        deadline_s=0.1, input_bytes=8000.0,
    )  # fmt: skip
    speeds = {"cell": Rate((0.0, 2.004), (1.0, 0.0)), "next": Rate((0.0, 2.054), (0.0, 0.5))}
    place = SimpleNamespace(up=Reach(speeds, ("cell", "next")), down=Reach({}))
    told = row(**ALONE | {"uplink_s": 0.109})
    assert blamed(told, None, facts, place) == pytest.approx({
        Cause("uplink", "cell", SIGNAL): 0.54, Cause("uplink", "cell", WAITING): 0.46,
    })  # fmt: skip


def test_what_was_late_when_the_run_ended_is_divided_among_its_legs() -> None:
    told = row(cause="unfinished", uplink_s=0.029, edge_s=0.1)
    assert blamed(told) == pytest.approx({
        Cause("uplink", "cell", WAITING): 20 / 110, Cause("edge", "edge", WAITING): 90 / 110,
    })  # fmt: skip
    assert blamed(row(cause="unfinished", uplink_s=0.05)) == {Cause("uplink", "cell", "unfinished"): 1.0}


def test_places_that_the_plan_does_not_visit() -> None:
    told = row(HOME, device_s=0.2)
    assert places(Part(told, FACTS, HOME))[WAN] == HANDOVER
    assert places(Part(told, FACTS, AWAY))[IN_CLOUD] == BEFORE
    again = Part(told | {"attempts": 2}, FACTS, AWAY)
    assert places(again)[UPLINK:] == ("cell", "edge", EARLIER, EARLIER, "cell")
    assert places(again)[DOWNLINK] == "cell"


def test_other_causes_have_all_of_the_blame_where_they_happened() -> None:
    told = row(cause="node-down", uplink_s=0.009) | {"up_bytes": 8000.0}
    assert blamed(told) == {Cause("edge", "edge", "node-down"): 1.0}
    assert blamed(row(cause="no-route", uplink_s=1.0)) == {Cause("uplink", "cell", "no-route"): 1.0}
    never = row(cause="no-power") | {"variant": None, "uplink": None}
    assert blamed(never) == {Cause("decide", "car", "no-power"): 1.0}
    again = row(HOME, attempts=2, first_plan="net:fp32 device[0:1] hub[1:2]", device_s=0.2)
    assert blamed(again) == {Cause(RETRY, "hub", FAILED): 1.0}


def test_where_a_request_ended() -> None:
    both = replace(AWAY, cloud="edge")
    assert ended_in(row(cause="late"), None) == DECIDE
    assert ended_in(row(HOME, cause="late", device_s=0.1), HOME) == ON_DEVICE
    assert ended_in(row(cause="unfinished", uplink_s=0.1), AWAY) == UPLINK
    assert ended_in(row(cause="shed", uplink_s=0.1) | {"up_bytes": 1.0}, AWAY) == AT_EDGE
    told = row(cause="node-down", uplink_s=0.1, edge_s=0.1) | {"edge_j": 1.0}
    assert ended_in(told, both) == IN_CLOUD


def test_no_plan_is_quick_enough_without_any() -> None:
    assert quickest_alone_s(FACTS) == pytest.approx(0.020001)
    assert quickest_alone_s(hand_made.facts({NET: {"device": [0.03]}})) == pytest.approx(0.03)
    assert quickest_alone_s(FACTS) < inf
