"""A network as a program of MAUI's: what its layers cost on the device and on one server."""

from typing import NamedTuple

from offload.entities import Facts, Observation
from offload.networks import Variant
from offload.planning.cost import crossing
from offload.planning.cuts import first_cut
from offload.planning.program import Call, Program


class State(NamedTuple):
    """What a program depends on besides the facts: the time left, bytes of input, rates, waits.

    `waits` are the nodes' backlogs by name, of those that have reported.
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
        waits = tuple((name, report.backlog_s) for name, report in seen.reports.items() if report)
        return cls(seen.facts, serving, left_s, input_bytes, *rates, seen.backlog_s, waits)


def program_of(state: State, variant: Variant, node: str, *, onward: bool = True) -> Program:
    """Return a network as a chain of parts: the input, the layers between two cuts, the answer.

    Input and answer stay on the device, as do layers of a private task before its first cut. A call
    crosses the cut of its caller's number: raw values over the cell and the wires to `node`, and no
    sooner than its backlog is done; the last one brings the result back. If `onward`, no other does.
    Needs profiles of the variant on the device and at the node.
    """
    facts, last = state.facts, variant.last
    here, there = facts.profiles["device"][variant], facts.profiles[node][variant]
    marginal_w, first = facts.hardware.marginal_w, first_cut(facts, variant)
    here_s = [0.0, *(here.seconds(cut, cut + 1) for cut in range(last)), 0.0]
    there_s = [0.0, *(there.seconds(cut, cut + 1) for cut in range(last)), 0.0]
    movable = [False, *(cut >= first for cut in range(last)), False]
    calls = [_call(state, variant, node, cut, onward=onward and cut < last) for cut in range(last + 1)]
    return Program(here_s, there_s, [marginal_w * seconds for seconds in here_s], movable, calls)


def _call(state: State, variant: Variant, node: str, cut: int, *, onward: bool) -> Call:
    facts, cell = state.facts, state.facts.cells[state.serving]
    payload = crossing(facts, variant, cut) if cut else state.input_bytes
    back = facts.result_bytes[variant] if cut == variant.last else payload
    up_s = 8 * (state.queued_bytes + payload) / state.up_bps + _wires_s(facts, cell.node, node, payload)
    up_s = max(up_s + cell.delay_s, dict(state.waits).get(node, 0.0))
    back_s = 8 * back / state.down_bps + _wires_s(facts, node, cell.node, back) + cell.delay_s
    up_j = back_j = 0.0
    if facts.radio is not None:
        up_j = facts.radio.up_j(payload, 8 * payload / cell.up_bps)
        back_j = facts.radio.down_j(back, 8 * back / cell.down_bps)
    return Call(cut, cut + 1, up_s, up_j, back_s, back_j, onward)


def _wires_s(facts: Facts, here: str, there: str, payload: float) -> float:
    wires = [facts.wires[name] for name in facts.routes[here, there]]
    return sum(8 * payload / wire.rate_bps + wire.delay_s + wire.jitter_s for wire in wires)
