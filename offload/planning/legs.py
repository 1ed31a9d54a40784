"""Following plans from node to node, leg by leg: what they take with luck, losses and loading."""

import math
from functools import lru_cache

import numpy as np

from offload.entities import Cell, Facts, Observation, Wire
from offload.planning.columns import Columns, Floats, Way
from offload.planning.luck import exponential
from offload.world import wires


def served(
    table: Columns,
    way: Way,
    here: str,
    elapsed: Floats,
    edge_s: Floats,
    cloud_s: Floats,
    seen: Observation,
    cell: Cell,
) -> Floats:
    """Go on from a node to those that compute, and bring the result back over a cell."""
    rows, facts = way.rows, seen.facts
    if way.edge is not None:
        elapsed = over(facts, here, way.edge, elapsed, table.up_bytes[rows], seen)
        elapsed = _queued(way.edge, elapsed, seen) + _load_s(table, way, way.edge, seen) + edge_s
        here = way.edge
    if way.cloud is not None:
        elapsed = over(facts, here, way.cloud, elapsed, table.mid_bytes[rows], seen)
        elapsed = _queued(way.cloud, elapsed, seen) + _load_s(table, way, way.cloud, seen) + cloud_s
        here = way.cloud
    elapsed = over(facts, here, cell.node, elapsed, table.result_bytes[rows], seen, back=True)
    down_bps = seen.uplinks[cell.name].down_bps
    return elapsed + (cell.toll.seconds(table.result_bytes[rows], 8 / down_bps) + cell.delay_s)


def over(
    facts: Facts,
    here: str,
    there: str,
    elapsed: Floats,
    payload: Floats,
    seen: Observation | None = None,
    *,
    back: bool = False,
) -> Floats:
    """Cross the wires from node to node one after the other; a relay forwards whole messages.

    With mean jitter and losses, unless who sees knows better.
    """
    luck = None if seen is None else seen.luck
    for name in facts.routes[here, there]:
        wire = facts.wires[name]
        jitter = 1.0
        if seen is not None and luck is not None:
            elapsed = np.maximum(elapsed, luck.wire_free_s[name, here] - seen.now_s)
            jitter = exponential(luck.wire_back if back else luck.wire_out)
        sent_s = wire.toll.seconds(payload, 8 / wire.rate_bps)
        elapsed = elapsed + sent_s + (wire.delay_s + jitter * wire.jitter_s)
        if wire.loss:
            quantile = None
            if luck is not None:
                quantile = luck.wire_back if back else luck.wire_out
            elapsed = elapsed + _again_s(wire, wire.toll.size(payload), quantile)
        here = wire.ends[1] if wire.ends[0] == here else wire.ends[0]
    return elapsed


def _again_s(wire: Wire, payload: Floats, quantile: float | None) -> Floats:
    """What losses add: their mean, or for sure at a quantile."""

    def seconds(size_bytes: float) -> float:
        more_s = wires.bytes_sent(size_bytes, wire.loss) - size_bytes
        if quantile is None:
            again_s = wires.mean_delay_s(wire.loss, wire.timeout_s, size_bytes)
        else:
            again_s = wires.of_message(quantile, wire.loss, wire.timeout_s, size_bytes)[1]
        return float(more_s * 8 / wire.rate_bps + again_s)

    return np.array([seconds(size_bytes) for size_bytes in payload.tolist()])


def _queued(name: str, arrival: Floats, seen: Observation) -> Floats:
    """When a node would begin: after its batch has waited and its backlog is done."""
    report, node = seen.reports.get(name), seen.facts.nodes[name]
    if node.batch_max > 1:
        arrival = arrival + node.batch_wait_s
    return arrival if report is None else np.maximum(arrival, report.backlog_s)


def _load_s(table: Columns, way: Way, name: str, seen: Observation) -> Floats | float:
    """How long a node loads weights that are not there by its last report."""
    report = seen.reports.get(name)
    if report is None or report.resident is None:
        return 0.0
    return _loading(table, way, seen.facts, name, report.resident)


@lru_cache(maxsize=1024)
def _loading(table: Columns, way: Way, facts: Facts, name: str, resident: tuple[str, ...]) -> Floats:
    load_bps = facts.nodes[name].load_bps or math.inf
    variants = [row.variant for row in table.rows[way.rows]]
    return np.array([
        0.0 if v.label in resident else 8 * (v.weight_bytes or 0.0) / load_bps for v in variants
    ])  # fmt: skip
