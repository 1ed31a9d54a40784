"""MAUI: the 0-1 program that saves most of the device's energy and is still on time."""

import math
from dataclasses import dataclass
from functools import lru_cache

from offload.algorithms.program import solve
from offload.entities import Facts, Node, Observation, Plan, Request
from offload.networks import Variant
from offload.planning.price import price
from offload.planning.program_of import State, program_of
from offload.units import Seconds, Weight


@dataclass
class Maui:
    """Least energy of the device within the deadline, by a 0-1 program over the layers of one network.

    MAUI (Cuervo et al., MobiSys 2010); `algorithms/program.py` has the program. Methods are here the
    layers between two cuts; the input and the answer stay on the device. What has gone up may not come
    back before the end, since a plan runs first on the device and then on a server: I_u <= I_v along the
    chain. The network is the most accurate one whose program has a solution, the server the node where
    the device then spends least (the quicker of equals). Where no program has a solution, the quickest
    plan of all is taken; out of range, the most frugal that is on time, else the quickest.

    MAUI knows no queues. Here the device's own backlog counts, and the server's where it outlasts the
    transfer. As MAUI solves again at intervals, this does when a rate, an input or the time left has
    changed by a share `moved`, or a backlog by that share of the deadline: they are rounded so, to
    the worse side, and what was solved for the same rounded numbers is remembered; 0 rounds nothing.
    `margin` is kept free before the deadline. Codecs and exits are not used.
    """

    moved: Weight = 0.1
    margin: Seconds = 0.0

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return the plan that the program tells."""
        left_s, cell = request.deadline_s - self.margin, seen.serving
        # A message that is stuck for ever in the device's own hop lets nobody pass.
        goes = seen.begun is None and cell is not None and math.isfinite(seen.uplinks[cell].queued_bytes)
        if goes and cell is not None and left_s > 0.0:
            state = State.of(seen, cell, left_s, request.input_bytes)
            plan = _solved(rounded(state, self.moved) if self.moved > 0.0 else state)
            if plan is not None:
                return plan
        prices = price(request, seen)
        on_time = prices.latency_s <= left_s
        if seen.serving is None and on_time.any():
            return prices.least(prices.energy_j, among=on_time)
        return prices.least(prices.latency_s)


def rounded(state: State, share: float) -> State:
    """Return a state that is no better, and the same for all that differ little from this one."""
    step, wait_s = math.log1p(share), share * state.facts.deadline_s

    def down(number: float) -> float:
        return math.exp(step * math.floor(math.log(number) / step))

    def up(number: float) -> float:
        return math.exp(step * math.ceil(math.log(number) / step)) if number > 0.0 else 0.0

    def later(seconds: float) -> float:
        return wait_s * math.ceil(seconds / wait_s)

    sized = state.input_bytes != state.facts.input_bytes
    return state._replace(
        left_s=down(state.left_s) if state.left_s < state.facts.deadline_s else state.left_s,
        input_bytes=up(state.input_bytes) if sized else state.input_bytes,
        up_bps=down(state.up_bps),
        down_bps=down(state.down_bps),
        queued_bytes=up(state.queued_bytes),
        backlog_s=later(state.backlog_s),
        waits=tuple((name, later(seconds)) for name, seconds in state.waits),
    )


@lru_cache(maxsize=16384)
def _solved(state: State) -> Plan | None:
    """The plan for a state; None if nothing is on time."""
    facts = state.facts
    limit_s = state.left_s - facts.overhead_s
    site = facts.cells[state.serving].node
    near = [node for node in facts.nodes.values() if (site, node.name) in facts.routes]
    for variant in _by_accuracy(facts):
        placed = [
            (-best.saved_j, best.latency_s, number, _plan(state, variant, node, best.there))
            for number, node in enumerate(near)
            if variant in facts.profiles[node.name]
            and (best := solve(program_of(state, variant, node.name), limit_s)) is not None
        ]
        if placed:
            return min(placed)[-1]
    return None


@lru_cache(maxsize=1024)
def _by_accuracy(facts: Facts) -> tuple[Variant, ...]:
    """The networks that the device has a profile of, the most accurate first."""
    known = [variant for variant in facts.variants if variant in facts.profiles["device"]]
    known.sort(key=lambda variant: -variant.accuracy.value if variant.accuracy else 0.0)
    return tuple(known)


def _plan(state: State, variant: Variant, node: Node, there: tuple[bool, ...]) -> Plan:
    """The plan of a placement: the device up to the first part that is elsewhere."""
    last = variant.last
    if True not in there:
        return Plan(variant, last, last)
    cut, uplinks = there.index(True) - 1, (state.serving,)
    if node.kind == "edge":
        return Plan(variant, cut, last, node.name, None, uplinks)
    return Plan(variant, cut, cut, None, node.name, uplinks)
