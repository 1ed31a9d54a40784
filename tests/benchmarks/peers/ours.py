"""This project's world, driven by the policy `edge`."""

import statistics
import tempfile
from pathlib import Path

import workload_w as w

from offload.scenario.load import load
from offload.simulation.run import calm_collector, drive
from offload.simulation.world import World
from offload.streams import Streams


def run(devices: int, requests: int) -> w.Ran:
    """Simulate W."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "w.toml"
        path.write_text(w.scenario(devices, requests))
        scenario = load(path)
    policy, world = scenario.policy.make(), World(scenario.setting(0.0), Streams(1, 0))
    with calm_collector():
        seconds = w.timed(lambda: drive(world, policy, scenario.policy))
    wait_s = statistics.fmean(outcome.edge_s for outcome in world.outcomes) - w.SERVICE_S
    return len(world.outcomes), seconds, wait_s


if __name__ == "__main__":
    w.program(run)
