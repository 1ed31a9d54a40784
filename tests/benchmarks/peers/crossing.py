"""This project on `scenarios/urban-intersection.toml` with `quickest`: not W, but what it is for."""

import math
from pathlib import Path

import workload_w as w

from offload.policies.table import choose
from offload.scenario.load import load
from offload.simulation.run import calm_collector, drive
from offload.simulation.world import World
from offload.streams import Streams

FILE = Path(__file__).resolve().parents[3] / "scenarios" / "urban-intersection.toml"


def run(_: int, requests: int) -> w.Ran:
    """Simulate the shipped scenario; less of it where fewer requests than its own are asked for."""
    shipped = load(FILE)
    duration_s = min(shipped.file.duration, requests / 350)  # 350 are born a second
    scenario = load(FILE, [f"duration='{duration_s} s'", "warm_up='0 s'"])
    choice = choose({"name": "quickest"})
    policy, world = choice.make(), World(scenario.setting(0.0), Streams(scenario.file.seed, 0))
    with calm_collector():
        seconds = w.timed(lambda: drive(world, policy, choice))
    return len(world.outcomes), seconds, math.nan


if __name__ == "__main__":
    w.program(run)
