"""Cost of a request with radios, mobility and handovers, by the number of devices.

A city of 1.5 x 1.5 km has sixteen sites of `nr-umi-3.5ghz`, wired to a hub. N cars drive its streets
for 10 s, and each asks its edge five times a second, with inputs of 1 MB / N: so cells are as busy at any N, and what
differs is how much there is to keep. CPU seconds of a whole run, the drawing of ways and shadows
included, over requests. Run `python tests/benchmarks/workload_city.py [N ...]`.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

from offload.policies.table import choose
from offload.scenario.load import load
from offload.simulation.run import run

HEAD = """
format = 1
name = "city"
duration = "10 s"
seed = 1
[models.net.variants.only]
layers = [{{ name = "all", output = "1 kB" }}]
[models.net.variants.only.costs.x86-core]
known = "assumed"
source = "a benchmark"
seconds = ["5 ms"]
[devices.car]
count = {count}
hardware = "x86-core"
mobility = {{ model = "manhattan", streets = [9, 9], spacing = "200 m", speed = "50 km/h" }}
[devices.car.tasks.look]
models = ["net"]
every = "200 ms"
deadline = "1 s"
input = "{input_bytes:.0f} B"
[nodes.hub]
kind = "cloud"
hardware = "x86-core"
[links]
"""
SITE = """
[nodes.site-{x}-{y}]
kind = "edge"
hardware = "x86-core"
servers = {servers}
at = ["{at_x} m", "{at_y} m"]
[links.cell-{x}-{y}]
from = "*"
to = "site-{x}-{y}"
radio = "nr-umi-3.5ghz"
load = 0.3
delay = "4 ms"
[links.fibre-{x}-{y}]
from = "site-{x}-{y}"
to = "hub"
rate = "{gbps} Gbit/s"
delay = "1 ms"
"""


def scenario(count: int) -> str:
    """Write the city for so many cars."""
    sites = "".join(
        SITE.format(
            x=x, y=y, at_x=200 + 400 * x, at_y=200 + 400 * y,
            servers=max(1, count // 50), gbps=max(1, count // 100),
        )
        for x in range(4)
        for y in range(4)
    )  # fmt: skip
    return HEAD.format(count=count, input_bytes=1e6 / count).removesuffix("[links]\n") + sites


def measure(count: int) -> tuple[float, int, float]:
    """Return CPU seconds, requests and the share that was answered."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "city.toml"
        path.write_text(scenario(count))
        loaded = load(path)
        choice = choose({"name": "edge", "variant": "only"})
        begun = time.process_time()
        done = run(loaded, choice, 1, 0)
        seconds = time.process_time() - begun
    answered = sum(not each.cause for each in done.outcomes) / len(done.outcomes)
    return seconds, len(done.outcomes), answered


def main() -> None:
    """Print a table."""
    counts = [int(text) for text in sys.argv[1:]] or [100, 1000, 5000]
    measure(20)  # what is loaded once
    first = None
    print("| devices | requests | answered | us a request | of the first | peak MB |")
    print("|--:|--:|--:|--:|--:|--:|")
    for count in counts:
        seconds, requests, answered = measure(count)
        each_us = seconds / requests * 1e6
        first = first or each_us
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        cells = (count, requests, f"{answered:.0%}", f"{each_us:.0f}", f"{each_us / first:.2f}")
        print("|", *(f"{cell} |" for cell in (*cells, f"{peak_mb:.0f}")), flush=True)


if __name__ == "__main__":
    main()
