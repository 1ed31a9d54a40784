"""Workload W: how many requests a CPU second, beside a hand-written event loop and bare SimPy.

N Poisson devices, 70 requests a second in all for every N; 50 kB over each device's own 100 Mbit/s hop
plus 1 ms; one in-order server that takes 10 ms (M/D/1 at load 0.7, mean wait 11.667 ms); 100 000
requests.
Timed are births to rows in memory, without set-up and Parquet, in CPU time; medians of several turns.
Beside it the crossing of `scenarios/urban-intersection.toml` with policy `quickest`, as it stands: its
last column is the time at edge and cloud, and its devices are the 124 of the file.

    python tests/benchmarks/workload_w.py
"""

import argparse
import heapq
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import simpy

ROOT = Path(__file__).resolve().parents[2]

RATE_HZ, HOP_S, DELAY_S, SERVICE_S = 70.0, 8 * 50_000 / 100e6, 0.001, 0.010
WAIT_S = 0.7 * SERVICE_S / (2 * 0.3)  # M/D/1 (Pollaczek and Khinchine)

SCENARIO = """
format = 1
name = "w"
duration = "{duration} s"
[hardware.core]
kind = "cpu"
memory = "1 GB"
idle_power = {{ value = "0 W", known = "assumed", source = "workload W" }}
busy_power = {{ value = "0 W", known = "assumed", source = "workload W" }}
[models.fixed.variants.only]
layers = [{{ name = "all", output = "0 B" }}]
costs.core = {{ known = "assumed", source = "workload W", seconds = ["10 ms"] }}
[devices.device]
count = {devices}
hardware = "core"
[devices.device.tasks.task]
models = ["fixed"]
arrivals = "poisson"
every = "{every} s"
deadline = "1 s"
late = "finish"
input = "50 kB"
[nodes.server]
kind = "edge"
hardware = "core"
[links.hop]
from = "*"
to = "server"
up = "100 Mbit/s"
down = "100 Mbit/s"
delay = "1 ms"
shared = false
[policy]
name = "edge"
"""


def ours(devices: int, requests: int) -> tuple[float, int, float]:
    """Return CPU seconds, rows and mean wait of this project's world."""
    import tempfile

    from offload.scenario.load import load
    from offload.simulation.run import calm_collector, drive
    from offload.simulation.world import World
    from offload.streams import Streams

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "w.toml"
        path.write_text(
            SCENARIO.format(duration=requests / RATE_HZ, devices=devices, every=devices / RATE_HZ)
        )
        scenario = load(path)
    policy = scenario.policy.make()
    world = World(scenario.setting(0.0), Streams(1, 0))
    with calm_collector():
        begun = time.process_time()
        drive(world, policy, scenario.policy)
        seconds = time.process_time() - begun
    wait_s = statistics.fmean(outcome.edge_s for outcome in world.outcomes) - SERVICE_S
    return seconds, len(world.outcomes), wait_s


def urban(_devices: int, _requests: int) -> tuple[float, int, float]:
    """Return the same of the crossing, where `quickest` prices all plans for each request."""
    from offload.policies.table import choose
    from offload.scenario.load import load
    from offload.simulation.run import calm_collector, drive
    from offload.simulation.world import World
    from offload.streams import Streams

    scenario = load(ROOT / "scenarios" / "urban-intersection.toml")
    choice, streams = choose({"name": "quickest"}), Streams(1, 0)
    policy = choice.make()
    world = World(scenario.setting(0.0, streams), streams)
    with calm_collector():
        begun = time.process_time()
        drive(world, policy, choice)
        seconds = time.process_time() - begun
    at_servers_s = statistics.fmean(each.edge_s + each.cloud_s for each in world.outcomes)
    return seconds, len(world.outcomes), at_servers_s


def heapq_loop(devices: int, requests: int) -> tuple[float, int, float]:
    """The floor: the same workload written out by hand, with nothing that W does not need."""
    rng = random.Random(1)
    duration, mean = requests / RATE_HZ, devices / RATE_HZ
    queue = [(rng.expovariate(1 / mean), device, 0, 0.0) for device in range(devices)]
    heapq.heapify(queue)
    hop_free, server_free, order = [0.0] * devices, 0.0, devices
    rows = []
    begun = time.process_time()
    while queue:
        now, device, kind, born = heapq.heappop(queue)
        if kind == 0:
            if now >= duration:
                continue
            sent = max(now, hop_free[device]) + HOP_S
            hop_free[device] = sent
            heapq.heappush(queue, (sent + DELAY_S, device, 1, now))
            heapq.heappush(queue, (now + rng.expovariate(1 / mean), device, 0, 0.0))
        else:
            begins = max(now, server_free)
            server_free = begins + SERVICE_S
            rows.append((order, device, born, now, begins, server_free, server_free + DELAY_S))
            order += 1
    seconds = time.process_time() - begun
    return seconds, len(rows), statistics.fmean(row[4] - row[3] for row in rows)


def bare_simpy(devices: int, requests: int) -> tuple[float, int, float]:
    """What one writes first: a process for each request, a Resource for each queue."""
    rng = random.Random(1)
    env = simpy.Environment()
    server = simpy.Resource(env, 1)
    hops = [simpy.Resource(env, 1) for _ in range(devices)]
    duration, mean = requests / RATE_HZ, devices / RATE_HZ
    rows = []

    def request(device: int):
        born = env.now
        with hops[device].request() as turn:
            yield turn
            yield env.timeout(HOP_S)
        yield env.timeout(DELAY_S)
        arrived = env.now
        with server.request() as turn:
            yield turn
            begins = env.now
            yield env.timeout(SERVICE_S)
        yield env.timeout(DELAY_S)
        rows.append((device, born, arrived, begins, env.now))

    def births(device: int):
        while True:
            yield env.timeout(rng.expovariate(1 / mean))
            if env.now >= duration:
                return
            env.process(request(device))

    for device in range(devices):
        env.process(births(device))
    begun = time.process_time()
    env.run()
    seconds = time.process_time() - begun
    return seconds, len(rows), statistics.fmean(row[3] - row[2] for row in rows)


MODELS: dict[str, Callable[[int, int], tuple[float, int, float]]] = {
    "offload": ours,
    "heapq": heapq_loop,
    "simpy": bare_simpy,
    "urban": urban,
}


def main() -> None:
    """Run each model in processes of its own, in turns, and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--one", nargs=2, metavar=("MODEL", "N"), help="run one model once")
    given = parser.parse_args()
    if given.one:
        model, devices = given.one
        seconds, rows, wait_s = MODELS[model](int(devices), given.requests)
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(rows / seconds, peak_mb, wait_s)
        return
    print(f"{'N':>6} {'model':>8} {'requests/CPU s':>15} {'of heapq':>9} {'peak MB':>8} {'wait ms':>8}")
    for devices in (100, 1000, 5000):
        models = [model for model in MODELS if model != "urban" or devices == 100]
        told: dict[str, list[tuple[float, float, float]]] = {model: [] for model in models}
        for _ in range(given.turns):
            for model in models:
                call = [sys.executable, __file__, "--one", model, str(devices)]
                printed = subprocess.run(
                    [*call, "--requests", str(given.requests)],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                told[model].append(tuple(map(float, printed.stdout.split())))
        floor = statistics.median(speed for speed, _, _ in told["heapq"])
        for model, runs in told.items():
            speed, peak_mb, wait_s = (statistics.median(column) for column in zip(*runs, strict=True))
            print(
                f"{devices:6} {model:>8} {speed:15,.0f} {speed / floor:9.3f} {peak_mb:8.0f}"
                f" {wait_s * 1e3:8.3f}"
            )


if __name__ == "__main__":
    main()
