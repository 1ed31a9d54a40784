"""Where to divide a network that is no chain: a minimum cut of it, for one request or for a pipeline."""

from collections import deque
from collections.abc import Callable
from itertools import product
from math import inf

from offload.algorithms.dag import Costs, Dag, stages

_COARSE = [2.0**power for power in range(-6, 7, 2)]
_FINER = (2.0, 2.0**0.5, 2.0**0.25)


def light(dag: Dag, costs: Costs) -> frozenset[int]:
    """Return the layers for the device, least in seconds on the device, of sending and at the server.

    DADS under light load (Hu, Bao, Wang, Liu, INFOCOM 2019): a minimum cut between device and server.
    A layer is cut from the device for its seconds at the server, from the server for those on the
    device. A value is cut for the seconds of sending it, once: where several layers take it, through a
    vertex of its own. Against the paper, each taker has an endless link back to what it takes, since
    without these the cut may leave a layer on the device that takes what the server made, and pay
    nothing for bringing that back; and the input is the device itself. Raises ValueError where a layer
    may run nowhere.
    """
    count = len(dag.takes)
    device, server, extra = (
        0,
        count + 1,
        count + 2,
    )  # layers are their own vertices, the input the device
    flow = _Flow(count + 2 + count + 1)
    for layer in range(1, count + 1):
        flow.link(device, layer, costs.server_s[layer - 1])
        flow.link(layer, server, costs.device_s[layer - 1])
    for value, takers in enumerate(dag.takers):
        send_s = costs.s_per_byte * dag.value_bytes[value]
        if len(takers) == 1:
            flow.link(value, takers[0], send_s, inf)
        elif takers:
            flow.link(value, extra + value, send_s)
            for taker in takers:
                flow.link(extra + value, taker, inf)
                flow.link(taker, value, inf)
    side = flow.cut(device, server)
    return frozenset(layer for layer in range(1, count + 1) if side[layer])


Solver = Callable[[Dag, Costs], frozenset[int]]


def heavy(dag: Dag, costs: Costs, solve: Solver = light) -> frozenset[int]:
    """Return layers for the device so that the slowest of device, sending and server is short.

    DADS under heavy load: frames follow each other through the three stages, and the slowest tells how
    many a second get through. The best is NP-hard to find; as in the paper it is sought among minimum
    cuts whose stages are weighted (a, 1, c), over a coarse grid of weights, then finer around the best.
    The weights (1, 1, 1) are among them, so the slowest stage is at most three times the least
    possible: no stage exceeds their sum, which is least there, and no sum exceeds three times its
    largest. The grid (4^-3 to 4^3, then steps of 2, 2^1/2 and 2^1/4) is ours.
    """
    tried: dict[tuple[float, float], float] = {}
    best = (inf, frozenset[int]())

    def consider(device: float, server: float) -> None:
        nonlocal best
        if (device, server) not in tried:
            ran = solve(dag, costs.weighted(device, server))
            tried[device, server] = max(stages(dag, costs, ran))
            if tried[device, server] < best[0]:
                best = tried[device, server], ran

    for device, server in product(_COARSE, _COARSE):
        consider(device, server)
    for step in _FINER:
        middle = min(tried, key=tried.__getitem__)
        for one, other in product((1 / step, 1.0, step), repeat=2):
            consider(middle[0] * one, middle[1] * other)
    return best[1]


class _Flow:
    """A maximum flow by Dinic's algorithm, on floats.

    scipy's takes whole numbers of 32 bits, too coarse for a cut that is right to 1e-9. Here each
    augmentation takes the smallest of the numbers along its way from all of them and so leaves an exact
    zero; that ends, and rounding touches which of nearly equal cuts is found, not what it costs.
    """

    def __init__(self, vertices: int) -> None:
        self.links: list[list[int]] = [[] for _ in range(vertices)]  # numbers of those that leave
        self.to: list[int] = []
        self.left: list[float] = []  # what may still flow; the link back is the number xor 1

    def link(self, one: int, other: int, forward: float, back: float = 0.0) -> None:
        """Add a link with a capacity each way."""
        for begin, end, capacity in ((one, other, forward), (other, one, back)):
            self.links[begin].append(len(self.to))
            self.to.append(end)
            self.left.append(capacity)

    def cut(self, source: int, sink: int) -> list[bool]:
        """Return which vertices stay with the source. Raises ValueError if no finite cut exists."""
        while (levels := self._levels(source))[sink] >= 0:
            first = [0] * len(self.links)
            while way := self._way(source, sink, levels, first):
                least = min(self.left[link] for link in way)
                if least == inf:
                    msg = "a layer may run neither on the device nor at the server"
                    raise ValueError(msg)
                for link in way:
                    self.left[link] -= least
                    self.left[link ^ 1] += least
        return [level >= 0 for level in levels]

    def _levels(self, source: int) -> list[int]:
        """How many links away from the source each vertex is; -1 where nothing more can flow to it."""
        levels = [-1] * len(self.links)
        levels[source] = 0
        waiting = deque([source])
        while waiting:
            here = waiting.popleft()
            for link in self.links[here]:
                there = self.to[link]
                if levels[there] < 0 and self.left[link] > 0:
                    levels[there] = levels[here] + 1
                    waiting.append(there)
        return levels

    def _way(self, source: int, sink: int, levels: list[int], first: list[int]) -> list[int]:
        """A shortest way on which more can flow; empty if there is none. `first` skips used links."""
        way: list[int] = []
        here = source
        while here != sink:
            links = self.links[here]
            while first[here] < len(links):
                link = links[first[here]]
                if self.left[link] > 0 and levels[self.to[link]] == levels[here] + 1:
                    way.append(link)
                    here = self.to[link]
                    break
                first[here] += 1
            else:
                if not way:
                    break
                here = self.to[way.pop() ^ 1]
                first[here] += 1
        return way
