"""A minimum cut found quickly: most of a network is ruled out before anything is cut."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate, pairwise
from math import inf

from offload.algorithms.dag import Costs, Dag, stages
from offload.algorithms.mincut import light


@lru_cache(maxsize=256)
def cut_vertices(dag: Dag) -> tuple[int, ...]:
    """Return the values behind which everything takes them or what came of them; the last of all too.

    Value 0 is the first. A layer behind one has run after each layer before it: whoever divides the
    network anywhere divides it at such a value or between two neighbours.
    """
    count = len(dag.takes)
    # Whose values nobody takes may run anywhere, as may what takes nothing: they part no others.
    loose = [layer for layer in range(1, count) if not dag.takers[layer]]
    rootless = [layer for layer, taken in enumerate(dag.takes, 1) if not taken]
    until = loose[0] if loose else count
    begin = rootless[-1] if rootless else 0
    found = [0]
    furthest = 0
    for value in range(count):
        if furthest <= value and begin <= value < until and value:
            found.append(value)
        furthest = max([furthest, *dag.takers[value]])
    return (*found, count)


def reduced(dag: Dag, costs: Costs) -> frozenset[int]:
    """Return what `mincut.light` does, or another set that costs the same, in less time.

    QDMP (Zhang et al., IMWUT 2020): reduce the graph, then cut what is left of it. The paper's text was
    not at hand; this reduction is ours. Between two neighbouring cut vertices lies a block. Dividing
    the network at a cut vertex is priced for all of them at once. Dividing it within a block costs at
    least what lies before it on the device, what lies behind it at the server, each of its own layers
    where it is quicker, and sending the smallest of its values. Only the blocks that could still be
    better are cut, each by itself.
    """
    before = list(accumulate(costs.device_s, initial=0.0))
    behind = list(accumulate(reversed(costs.server_s), initial=0.0))[::-1]
    points = cut_vertices(dag)

    def at(value: int) -> float:
        sending_s = costs.s_per_byte * dag.value_bytes[value] if dag.takers[value] else 0.0
        return before[value] + sending_s + behind[value]

    best = min(points, key=at)
    best_s, ran = at(best), frozenset(range(1, best + 1))
    for bound_s, first, last in sorted(_bounds(dag, costs, points, before, behind)):
        if bound_s >= best_s:
            break
        inside, its_s = _block(dag, costs, first, last)
        its_s += before[first] + behind[last]
        if its_s < best_s:
            best_s, ran = its_s, frozenset(range(1, first + 1)) | inside
    return ran


def _bounds(
    dag: Dag, costs: Costs, points: tuple[int, ...], before: list[float], behind: list[float]
) -> Iterator[tuple[float, int, int]]:
    """What dividing each block takes at least; a block ends with its last layer."""
    for first, last in pairwise(points):
        if last - first > 1:
            layers = range(first, last)
            quicker_s = sum(min(costs.device_s[layer], costs.server_s[layer]) for layer in layers)
            smallest = min(dag.value_bytes[first:last]) if all(dag.takes[first:last]) else 0.0
            yield (
                before[first] + quicker_s + costs.s_per_byte * smallest + behind[last],
                first,
                last,
            )


def _block(dag: Dag, costs: Costs, first: int, last: int) -> tuple[frozenset[int], float]:
    """The layers of a block for the device, and its seconds, that of sending its last value included."""
    device_s, server_s = [*costs.device_s[first:last]], [*costs.server_s[first:last]]
    if last < len(dag.takes):  # who takes its last value from the server
        device_s.append(inf)
        server_s.append(0.0)
    inside, its_costs = _inside(dag, first, last), Costs(device_s, server_s, costs.s_per_byte)
    ran = light(inside, its_costs)
    return frozenset(first + layer for layer in ran), sum(stages(inside, its_costs, ran))


@lru_cache(maxsize=4096)
def _inside(dag: Dag, first: int, last: int) -> Dag:
    takes = [tuple(value - first for value in taken) for taken in dag.takes[first:last]]
    if last < len(dag.takes):
        takes.append((last - first,))
        return Dag(tuple(takes), (*dag.value_bytes[first : last + 1], inf))
    return Dag(tuple(takes), dag.value_bytes[first : last + 1])
