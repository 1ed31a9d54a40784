"""A shortest path through device and server."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from offload.algorithms.segments import once, shortest
from offload.entities import Facts, Observation, Plan, Request
from offload.planning.cost import crossing
from offload.planning.division import Division, seen_division
from offload.units import Weight


@dataclass
class JointDnn:
    """Divides a network by the shortest path through its segments on the device and at one server.

    JointDNN (Eshratifar, Abrishami, Pedram, arXiv 1801.08618): between any two cuts a segment runs on
    the device or at the server, and data may cross at every cut, up or down (`algorithms/segments.py`).
    The world's plans leave the device once, so where the path comes back for more than the answer this
    takes the shortest of those that do not. Choices of variant and server, `step`, and what else
    differs are those of `qdmp`.

    By construction this chooses as `qdmp` and, under light load, `dads` do: the quickest listed cut of
    the division. They differ in how they find it and in what they would do with cuts that are not
    listed, `dads` also where frames come too quickly.

    What coming back would have saved on the shipped profiles (104 598 points: hardware and inputs
    as there, 0.1 Mbit/s to 10 Gbit/s up, down 1, 4 and 10 times as quick, 2 ms delay): nothing in 96 %,
    more than 1 % in 2.3 %. All of these are ending on the device, where the answer is larger than
    what it is made of: up to 94 % for DeepLabv3 (it enlarges its answer last), 24 % for networks in
    int8 (they turn the answer into floats last), 13 % for ResNet-18.
    """

    variant: str | None = None
    step: Weight = 0.1

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return the plan for the cell's rate; what has begun goes on as it was sent."""
        del request
        if seen.begun is not None:
            return seen.begun
        return _planned(seen.facts, seen_division(seen, self.variant, self.step))


@lru_cache(maxsize=4096)
def _planned(facts: Facts, division: Division) -> Plan:
    costs, plans = division.costs, {plan.device_cut: plan for plan in division.plans}
    if costs is None:
        return division.quickest
    variant = division.plans[0].variant
    between = list(pairwise(cut.after for cut in variant.cuts))
    device_s = [sum(costs.device_s[first:last]) for first, last in between]
    server_s = [sum(costs.server_s[first:last]) for first, last in between]
    crosses = [crossing(facts, variant, cut) for cut in range(len(variant.cuts))]
    up_s = [size * costs.s_per_byte + division.up_delay_s for size in crosses]
    crosses[-1] = facts.result_bytes[variant]
    down_s = [size * division.down_s_per_byte + division.down_delay_s for size in crosses]
    _, away = shortest(device_s, server_s, up_s, down_s)
    if any(before and not after for before, after in pairwise(away)):
        _, away = once(device_s, server_s, up_s, down_s)
    return plans[away.index(True) if True in away else variant.last]
