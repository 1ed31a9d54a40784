"""Wires that lose packets, and wires of a length: what a request meets and what it was told."""

import pytest

from offload.policies.table import choose
from offload.scenario.load import load
from offload.simulation.run import run
from offload.world import wires
from tests.test_roaming import TABLES

ONE = (
    TABLES[: TABLES.index("[nodes.b]")]
    + """
[nodes.b]
kind = "cloud"
hardware = "core"
servers = 50
[links]
cell = { from = "*", to = "a", up = "80 Mbit/s", down = "80 Mbit/s", delay = "1 ms", shared = false }
between = { from = "a", to = "b", rate = "100 Mbit/s", delay = "3 ms" WIRE }
"""
)


def outcomes(tmp_path, wire, name="cloud", seeds=20):
    (tmp_path / "way.csv").write_text("time,id,x,y\n0,car,0,0\n10,car,100,0\n")
    (tmp_path / "one.toml").write_text(ONE.replace("WIRE", wire))
    scenario = load(tmp_path / "one.toml")
    return [
        each for seed in range(seeds) for each in run(scenario, choose({"name": name}), seed, 0).outcomes
    ]


def test_distance_delays_each_way(tmp_path):
    near, far = (outcomes(tmp_path, wire, seeds=2) for wire in ("", ', distance = "1000 km"'))
    for one, other in zip(near, far, strict=True):
        assert other.wan_s - one.wan_s == pytest.approx(wires.round_trip_s(1e6), abs=1e-9)


def test_what_is_lost_is_sent_again(tmp_path):
    clean, lossy = (outcomes(tmp_path, wire) for wire in ("", ', loss = 0.01, timeout = "50 ms"'))
    added = [other.wan_s - one.wan_s for one, other in zip(clean, lossy, strict=True)]
    more_s = 8 * (1e6 + 250e3) / 1e8 * (1 / 0.99 - 1)
    rounds = [(each - more_s) / 0.05 for each in added]
    assert {round(each) for each in rounds} >= {1, 2, 3}
    assert all(each == pytest.approx(round(each), abs=1e-6) for each in rounds)
    mean = wires.mean_delay_s(0.01, 0.05, 1e6) + wires.mean_delay_s(0.01, 0.05, 250e3)
    assert sum(rounds) * 0.05 / len(rounds) == pytest.approx(mean, rel=0.15)
