"""A network as a program of MAUI's: what its layers cost on the device and on one server."""

from typing import NamedTuple

import numpy as np

from offload.algorithms.program import Call, Program
from offload.entities import Facts, Node, Observation
from offload.networks import Variant
from offload.planning.cost import crossing
from offload.planning.cuts import first_cut
from offload.planning.legs import over


class State(NamedTuple):
    """What a program depends on besides the facts: the time left, bytes of input, rates, waits.

    `waits` are the nodes' backlogs by name, of those that have reported; none need be longer than the
    time left.
    """

    facts: Facts
    serving: str
    left_s: float
    input_bytes: float
    up_bps: float
    down_bps: float
    queued_bytes: float
    backlog_s: float
    waits: tuple[tuple[str, float], ...]

    @classmethod
    def of(cls, seen: Observation, serving: str, left_s: float, input_bytes: float) -> "State":
        """Return the state that a device sees."""
        uplink = seen.uplinks[serving]
        rates = uplink.rate_bps, uplink.down_bps, uplink.queued_bytes
        waits = tuple(
            (name, min(report.backlog_s, left_s)) for name, report in seen.reports.items() if report
        )
        backlog_s = min(seen.backlog_s, left_s)
        return cls(seen.facts, serving, left_s, input_bytes, *rates, backlog_s, waits)


def program_of(state: State, variant: Variant, node: str, *, onward: bool = True) -> Program:
    """Return a network as a chain of parts: the input, the layers between two cuts, the answer.

    Input and answer stay on the device, as do layers of a private task before its first cut. A call
    crosses the cut of its caller's number: raw values over the cell and the wires to `node`, and no
    sooner than its backlog is done; the last one brings the result back. If `onward`, no other does.
    The device's own backlog counts with the first layers, and so for every onward chain that computes
    something there; what comes back is not charged with it. Needs profiles of the variant on the
    device and at the node.
    """
    facts, last = state.facts, variant.last
    here, there = facts.profiles["device"][variant], facts.profiles[node][variant]
    marginal_w, first = facts.hardware.marginal_w, first_cut(facts, variant)
    here_s = [0.0, *(here.seconds(cut, cut + 1) for cut in range(last)), 0.0]
    there_s = [0.0, *(there.seconds(cut, cut + 1) for cut in range(last)), 0.0]
    here_j = [marginal_w * seconds for seconds in here_s]
    here_s[1] += max(0.0, state.backlog_s - facts.overhead_s)
    movable = [False, *(cut >= first for cut in range(last)), False]
    return Program(
        here_s,
        there_s,
        here_j,
        movable,
        _calls(state, variant, facts.nodes[node], onward=onward),
    )


def _calls(state: State, variant: Variant, node: Node, *, onward: bool) -> list[Call]:
    facts, cell, last = state.facts, state.facts.cells[state.serving], variant.last
    up = np.array([state.input_bytes, *(crossing(facts, variant, cut) for cut in range(1, last + 1))])
    back = np.array([*up[:-1], facts.result_bytes[variant]])
    sent_s = cell.toll.seconds(up, 8 / state.up_bps) + 8 * state.queued_bytes / state.up_bps
    up_s = over(facts, cell.node, node.name, sent_s + cell.delay_s, up)
    if node.batch_max > 1:
        up_s += node.batch_wait_s
    up_s = np.maximum(up_s, dict(state.waits).get(node.name, 0.0))
    received_s = cell.toll.seconds(back, 8 / state.down_bps) + cell.delay_s
    back_s = over(facts, node.name, cell.node, received_s, back)
    up_j = back_j = np.zeros(last + 1)
    if (radio := facts.radio) is not None:
        sent, received = cell.toll.size(up), cell.toll.size(back)
        up_j = np.array([radio.up_j(each, 8 * each / cell.up_bps) for each in sent.tolist()])
        back_j = np.array([radio.down_j(each, 8 * each / cell.down_bps) for each in received.tolist()])
    costs = np.stack((up_s, up_j, back_s, back_j), axis=1).tolist()
    return [
        Call(cut, cut + 1, go_s, go_j, come_s, come_j, onward and cut < last)
        for cut, (go_s, go_j, come_s, come_j) in enumerate(costs)
    ]
