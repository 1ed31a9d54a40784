"""What the world's plans leave out: cuts of the graph that no list has, and more than one way back.

`python tests/benchmarks/cuts.py [MODEL ...]` looks at the shipped profiles (about ten minutes for all):
every pair of shipped hardware that has one, and x86-core made 1 to 30 times slower as a device, several
sizes of the input, 0.1 Mbit/s to 10 Gbit/s. It prints by how much the best listed cut is slower than
the minimum cut (light load: their sum; heavy load: the slowest stage, sought by DADS), and what
switching between device and server more than once would gain (2 ms of delay, down as quick, 4 and 10
times as quick as up).
"""

import sys
from collections.abc import Iterator
from itertools import pairwise, product

import numpy as np

from offload.algorithms.blocks import reduced
from offload.algorithms.dag import Costs, of, stages
from offload.algorithms.mincut import heavy
from offload.algorithms.segments import extra_gain, shortest
from offload.networks import Variant
from offload.scenario.catalogue import Catalogue

DEVICES = (
    "cortex-a53", "raspberry-pi-4", "jetson-xavier-nx", "agx-xavier", "coral-dev-board-tpu", "x86-core",
)  # fmt: skip
SERVERS = ("x86-core", "t4", "a100")
RATES_BPS = np.geomspace(1e5, 1e10, 26)
DELAY_S = 0.002

Pair = tuple[float, tuple[float, ...], tuple[float, ...]]  # times slower (0: as shipped), seconds


def pairs(known: Catalogue, variant: Variant) -> Iterator[Pair]:
    """Seconds of each layer on a device and a server."""
    for here, there in product(DEVICES, SERVERS):
        mine, theirs = known.profile(variant, here), known.profile(variant, there)
        if here != there and mine and theirs:
            yield 0.0, mine.layers_s[1], theirs.layers_s[1]
    core = known.profile(variant, "x86-core")
    for slower in (1.0, 2.0, 5.0, 10.0, 30.0) if core else ():
        yield slower, tuple(slower * each for each in core.layers_s[1]), core.layers_s[1]


def inputs(variant: Variant) -> tuple[float, ...]:
    """Bytes of an input: encoded if it is an image."""
    raw = float(variant.cuts[0].payload_bytes)
    if len(variant.input_shape) < 3:
        return (raw,)
    return (784.0, raw, 1e4, 6e4) if raw < 1e4 else (1e4, 6e4, raw, 1e6, 6e6)


def look(variant: Variant, pair: Pair, input_bytes: float, found: dict[str, list[float]]) -> None:
    """Compare at all rates."""
    slower, device_s, server_s = pair
    dag = of(variant, input_bytes)
    after = [cut.after for cut in variant.cuts]
    payload = np.array([input_bytes, *(cut.payload_bytes for cut in variant.cuts[1:])])
    sent = np.where(np.array(after) < after[-1], payload, 0.0)
    here = np.concatenate([[0.0], np.cumsum(device_s)])[after]
    there = (sum(server_s) - np.concatenate([[0.0], np.cumsum(server_s)]))[after]
    parts = [[sum(each[a:b]) for a, b in pairwise(after)] for each in (device_s, server_s)]
    for rate_bps in RATES_BPS:
        costs = Costs(device_s, server_s, 8 / rate_bps)
        least_s = sum(stages(dag, costs, reduced(dag, costs)))
        found["light"].append(float((here + there + 8 / rate_bps * sent).min() / least_s - 1))
        if slower in (2.0, 10.0, 30.0) and rate_bps >= 5e5:
            sought_s = max(stages(dag, costs, heavy(dag, costs, reduced)))
            listed_s = np.maximum.reduce([here, 8 / rate_bps * sent, there]).min()
            found["heavy"].append(float(listed_s / sought_s - 1))
        for quicker in (1, 4, 10):
            up_s = 8 * payload / rate_bps + DELAY_S
            back = np.array([*payload[:-1], variant.cuts[-1].payload_bytes])
            down_s = 8 * back / (quicker * rate_bps) + DELAY_S
            ways = up_s.tolist(), down_s.tolist()
            found["switches"].append(extra_gain(*parts, *ways))
            places = shortest(*parts, *ways)[1]
            ends_at_home = True in places and not places[-1]
            found["of these, ending on the device"].append(found["switches"][-1] * ends_at_home)


def told(what: str, losses: list[float]) -> str:
    """Say how often, and how much."""
    worse, large = sum(each > 1e-9 for each in losses), sum(each > 0.01 for each in losses)
    other = [-each for each in losses if each < -1e-9]
    least = f"; the other way {len(other)}, at most {max(other):.1%}" if other else ""
    return f"{what}: {worse} of {len(losses)}, over 1 % {large}, at most {max(losses):.1%}{least}"


def main() -> None:
    """Look at networks and print."""
    known = Catalogue()
    parts = ("light", "heavy", "switches", "of these, ending on the device")
    total: dict[str, list[float]] = {what: [] for what in parts}
    for model in sys.argv[1:] or known.models:
        for variant in known.variants(model):
            found: dict[str, list[float]] = {what: [] for what in total}
            for pair, size in product(pairs(known, variant), inputs(variant)):
                look(variant, pair, size, found)
            print(variant.label, *(told(*each) for each in found.items()), sep="\n  ", flush=True)
            for what, losses in found.items():
                total[what] += losses
    print("all", *(told(*each) for each in total.items()), sep="\n  ")


if __name__ == "__main__":
    main()
