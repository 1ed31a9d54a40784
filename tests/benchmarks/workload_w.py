"""Workload W, said once: what the programs in `peers/` simulate, what they print, and when they agree.

N Poisson devices, 70 requests a second in all for every N; 50 kB over each device's own 100 Mbit/s hop,
one request at a time and in order, plus 1 ms; one in-order server that takes 10 ms (M/D/1 at load 0.7);
the answer is there 1 ms later. Births stop once the requests asked for are due.

A program makes one row in memory for every request, and prints how many rows, the CPU seconds from the
first birth to the last row (without set-up), the mean wait at the server in seconds, and its peak memory
in MB. `ratios.py` runs them, each in a process of its own.
"""

import resource
import sys
import time
from collections.abc import Callable

RATE_HZ, HOP_S, DELAY_S, SERVICE_S = 70.0, 8 * 50_000 / 100e6, 0.001, 0.010
WAIT_S = 0.7 * SERVICE_S / (2 * 0.3)  # M/D/1 (Pollaczek and Khinchine): 11.667 ms
# The mean wait of n requests has a standard deviation of this over the root of n (Lindley's recursion,
# 2000 runs of 2000 and of 20 000 requests, 600 of 100 000).
SPREAD_S = 0.064

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

Ran = tuple[int, float, float]  # rows, CPU seconds, mean wait in seconds


def scenario(devices: int, requests: int) -> str:
    """Write W as a scenario file."""
    return SCENARIO.format(duration=requests / RATE_HZ, devices=devices, every=devices / RATE_HZ)


def timed(work: Callable[[], object]) -> float:
    """Return the CPU seconds that some work takes."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def agrees(rows: float, wait_s: float, requests: int) -> bool:
    """Say whether rows and their mean wait are those of W, within five standard deviations."""
    root = requests**0.5
    return abs(rows - requests) < 5 * root and abs(wait_s - WAIT_S) < 5 * SPREAD_S / root


def program(run: Callable[[int, int], Ran]) -> None:
    """Run `run(devices, requests)` with what the command line gives, and print."""
    devices, requests = map(int, sys.argv[1:])
    ran = run(devices, requests)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(*ran, peak_mb)
