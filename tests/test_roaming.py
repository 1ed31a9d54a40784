"""Devices on the move: by hand, what a handover does to a request and to its answer."""

from pathlib import Path

import pytest

from offload.entities import Outcome
from offload.policies.table import choose
from offload.scenario.load import load
from offload.simulation.run import run
from offload.world.rate import Rate

# A car passes from site a, at x = 0, to site b, at x = 100 m: it is nearer to b from 5 s on.
TABLES = """
format = 1
name = "roaming"
duration = "9 s"
drain = "60 s"
[hardware.core]
kind = "cpu"
memory = "1 GB"
idle_power = { value = "2 W", known = "assumed", source = "a test" }
busy_power = { value = "5 W", known = "assumed", source = "a test" }
[models.net.variants.plain]
layers = [{ name = "all", output = "250 kB" }]
[models.net.variants.plain.costs.core]
known = "assumed"
source = "a test"
seconds = ["200 ms"]
[devices.car]
hardware = "core"
radio_power = "2 W"
mobility = { trace = "way.csv" }
[devices.car.tasks.look]
models = ["net"]
every = "2.9 s"
deadline = "9 s"
input = "1 MB"
late = "finish"
[nodes.a]
kind = "edge"
hardware = "core"
[nodes.b]
kind = "edge"
hardware = "core"
at = ["100 m", "0 m"]
[links]
cell-a = { from = "*", to = "a", up = "8 Mbit/s", down = "2 Mbit/s", delay = "1 ms", range = "RANGE", handover = "100 ms" }
cell-b = { from = "*", to = "b", up = "16 Mbit/s", down = "4 Mbit/s", delay = "2 ms", range = "RANGE", handover = "100 ms" }
between = { from = "a", to = "b", rate = "100 Mbit/s", delay = "3 ms" }
"""  # noqa: E501 - a scenario's lines
UP = Rate((0.0, 5.0, 5.1), (8e6, 0.0, 16e6))
DOWN = Rate((0.0, 5.0, 5.1), (2e6, 0.0, 4e6))
DELAY_S = {"a": 0.001, "b": 0.002}


def outcomes(folder: Path, seed: int, radius: str = "200 m") -> list[Outcome]:
    """Let the car ask the edge of the cell that serves it."""
    (folder / "way.csv").write_text("time,id,x,y\n0,car,0,0\n10,car,100,0\n")
    (folder / "roaming.toml").write_text(TABLES.replace("RANGE", radius))
    scenario = load(folder / "roaming.toml")
    return run(scenario, choose({"name": "edge"}), seed, 0).outcomes


@pytest.mark.parametrize("seed", range(40))
def test_a_request_and_its_answer_by_hand(tmp_path: Path, seed: int) -> None:
    found = outcomes(tmp_path, seed)
    assert len(found) >= 3
    for each in found:
        born_s = each.request.born_s
        first, last = "a" if born_s < 5 else "b", ""
        sent_s = UP.ends(born_s, 8e6)
        last = "a" if sent_s <= 5 else "b"
        now = sent_s + DELAY_S[last]
        assert each.uplink_s == pytest.approx(now - born_s, abs=1e-9)
        wan_s = 0.0
        if last != first:  # all of it goes back to where the plan computes
            wan_s += 0.08 + 0.003
        now += wan_s + 0.2
        # The answer starts at the first site; its device may be elsewhere, or move on meanwhile.
        here, left_bits, down_s = first, 2e6, 0.0
        while left_bits > 1e-3:
            serving = "a" if now < 5 else "b"
            if serving != here:
                wan_s += left_bits / 1e8 + 0.003
                now += left_bits / 1e8 + 0.003
                here = serving
                continue
            ends_s = DOWN.ends(now, left_bits)
            if serving == "a" and ends_s > 5:
                down_s += 5 - now
                left_bits -= DOWN.amount(now, 5.0)
                now = 5.0
                continue
            down_s += ends_s + DELAY_S[serving] - now
            now = ends_s + DELAY_S[serving]
            left_bits = 0.0
        assert each.wan_s == pytest.approx(wan_s, abs=1e-9)
        assert each.downlink_s == pytest.approx(down_s, abs=1e-9)
        assert each.ended_s == pytest.approx(now, abs=1e-9)
        assert (each.cause, each.up_bytes, each.down_bytes) == (
            "",
            pytest.approx(1e6),
            pytest.approx(250e3),
        )
        up_air_s = sent_s - born_s - max(0.0, min(sent_s, 5.1) - max(born_s, 5.0))
        down_air_s = each.downlink_s - DELAY_S[here]
        assert each.energy_j >= 2.0 * (up_air_s + down_air_s - 0.1) - 1e-9
        assert each.energy_j <= 2.0 * (up_air_s + down_air_s) + 1e-9


def test_some_requests_of_these_are_handed_over(tmp_path: Path) -> None:
    """The test above would mean little if no message met a handover."""
    crossing = [
        (each.request.born_s < 5 < each.request.born_s + each.uplink_s, each.wan_s > 0)
        for seed in range(40)
        for each in outcomes(tmp_path, seed)
    ]
    assert sum(up for up, _ in crossing) > 5
    assert sum(moved for _, moved in crossing) > sum(up for up, _ in crossing)


def test_who_leaves_all_cells_on_the_way_is_lost_with_a_cause(tmp_path: Path) -> None:
    found = [each for seed in range(20) for each in outcomes(tmp_path, seed, radius="40 m")]
    outside = [4 <= each.request.born_s < 6 or each.request.born_s >= 14 for each in found]
    assert {each.cause for each in found} == {"", "out-of-range", "no-route"}
    for each, no_cell in zip(found, outside, strict=True):
        if each.cause == "no-route":
            assert no_cell
            assert each.up_bytes == 0
        if each.cause == "out-of-range":
            assert each.up_bytes > 0
            assert each.uplink_s + each.downlink_s > 1.0  # it waited before it gave up
