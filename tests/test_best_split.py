"""The best split over bandwidth and load: against formulas by hand and against pricing one by one."""

from dataclasses import replace

import numpy as np
import pytest

from offload.analysis.best_split import LOADS, best_split, latencies_s, mean_wait_s, node_wait_s
from offload.entities import Observation, Uplink, Wire
from offload.planning.columns import columns
from offload.planning.price import price_at, unloaded
from tests.hand_made import cell, facts, node, variant

NET = variant([1000, 400, 10])
COSTS = {NET: {"device": [0.02, 0.2], "edge": [0.01, 0.02], "cloud": [0.001, 0.002]}}


def known(servers: int = 1):
    return facts(COSTS, [replace(node("edge", "edge"), servers=servers)], [cell(up_bps=8e5)])


def test_waits_of_theory() -> None:
    # M/M/1: u s / (1 - u).
    assert mean_wait_s(1, 0.01, 0.75) == pytest.approx(0.03)
    # Erlang C of 2 servers at 1.6 erlang is 0.711111, of 4 at 3.2 it is 0.596432.
    assert mean_wait_s(2, 0.01, 0.8) == pytest.approx(0.711111 * 0.01 / (2 * 0.2), rel=1e-5)
    assert mean_wait_s(4, 0.01, 0.8) == pytest.approx(0.596432 * 0.01 / (4 * 0.2), rel=1e-5)
    assert mean_wait_s(3, 0.01, 0.0) == 0.0


def test_by_hand() -> None:
    task, radio = known(), cell(up_bps=8e5)
    up_bps, load = 4e5, 0.5
    plans = columns(task, "cell").plans
    found = dict(zip([(p.device_cut, p.edge) for p in plans], latencies_s(task, radio, up_bps, load),
                     strict=True))  # fmt: skip
    wait_s = 0.03 * 0.5 / (1 - 0.5)  # one server, which runs the whole network in 30 ms
    back_s = 80 / (8e7 * 0.5) + 0.001
    assert found[2, None] == pytest.approx(0.22)
    assert found[0, "edge"] == pytest.approx(8000 / 2e5 + 0.001 + wait_s + 0.03 + back_s)
    assert found[1, "edge"] == pytest.approx(0.02 + 3200 / 2e5 + 0.001 + wait_s + 0.02 + back_s)


def test_an_idle_world_is_what_the_planner_says() -> None:
    task, radio = known(), cell(up_bps=8e5)
    assert latencies_s(task, radio, radio.up_bps, 0.0) == pytest.approx(unloaded(task, "cell").latency_s)


def test_the_best_of_each_is_the_best_of_all_priced_one_by_one() -> None:
    task, radio = known(servers=3), cell(up_bps=8e5)
    found = best_split(task, radio)
    assert found is not None
    assert found.latency_s.shape == (len(LOADS), len(found.up_bps))
    chosen = set()
    for row, load in enumerate(found.loads):
        for column, up_bps in enumerate(found.up_bps):
            left = 1 - load
            uplink = Uplink("cell", True, up_bps * left, radio.down_bps * left, 0.0)
            seen = Observation(0.0, 0.0, "cell", {"cell": uplink}, {}, task)
            prices = price_at(seen)
            each = {
                plan: latency_s + (node_wait_s(task, radio, "edge", load) if plan.edge else 0.0)
                for plan, latency_s in zip(prices.plans, prices.latency_s, strict=True)
            }
            plan = found.plans[row][column]
            assert found.latency_s[row, column] == pytest.approx(min(each.values()))
            assert each[plan] == pytest.approx(min(each.values()))
            chosen.add(plan.device_cut)
    assert chosen == {0, 1, 2}, "this network is best on the device, split and at the edge"


def test_more_bandwidth_never_hurts_and_more_load_never_helps() -> None:
    found = best_split(known(servers=2), cell(up_bps=8e5))
    assert found is not None
    assert (np.diff(found.latency_s, axis=1) <= 1e-12).all()
    assert (np.diff(found.latency_s, axis=0) >= -1e-12).all()


def test_other_edge_nodes_are_as_busy_and_clouds_idle() -> None:
    nodes = [node("edge", "edge"), replace(node("next", "edge"), servers=2), node("cloud", "cloud")]
    wires = [
        Wire("here", ("edge", "next"), 1e9, 0.001, 0.0),
        Wire("far", ("edge", "cloud"), 1e9, 0.01, 0.0),
    ]
    costs = {NET: COSTS[NET] | {"next": [0.01, 0.02]}}
    radio = cell(up_bps=8e5)
    task = facts(costs, nodes, [radio], wires)
    # Half the rate in the air is no load, so that what is more is waiting.
    uplink = Uplink("cell", True, 4e5, radio.down_bps / 2, 0.0)
    idle = price_at(Observation(0.0, 0.0, "cell", {"cell": uplink}, {}, task))
    waits = latencies_s(task, radio, 8e5, 0.5) - idle.latency_s
    for plan, wait_s in zip(idle.plans, waits, strict=True):
        wanted = {"edge": mean_wait_s(1, 0.03, 0.5), "next": mean_wait_s(2, 0.03, 0.5)}
        assert wait_s == pytest.approx(wanted.get(plan.edge, 0.0))
    assert {plan.edge for plan in idle.plans} == {None, "edge", "next"}


def test_a_cloud_at_the_cell_itself_is_as_busy_as_the_cell() -> None:
    own = replace(cell(up_bps=8e5), node="cloud", shared=False)
    task = facts(COSTS, [node("cloud", "cloud")], [own])
    idle, busy = (latencies_s(task, own, own.up_bps, load) for load in (0.0, 0.5))
    wanted = [mean_wait_s(1, 0.003, 0.5) if plan.cloud else 0.0 for plan in columns(task, "cell").plans]
    assert max(wanted) > 0
    assert busy - idle == pytest.approx(wanted)


def test_a_cell_of_ones_own_keeps_its_rate() -> None:
    own = replace(cell(up_bps=8e5), shared=False)
    task = facts(COSTS, [node("edge", "edge")], [own])
    idle, busy = (latencies_s(task, own, own.up_bps, load) for load in (0.0, 0.9))
    away = columns(task, "cell").uses["edge"]
    assert busy - idle == pytest.approx(np.where(away, node_wait_s(task, own, "edge", 0.9), 0.0))
