"""Which plan is the quickest at what bandwidth and load: priced by the planner, not simulated.

A load u is how busy the cell, and the servers of its site and of all other edge nodes, are with others,
who ask for whole networks:

    rate of the cell   1 - u of the full one, up and down: processor sharing (M/G/1-PS, Kleinrock 1967)
    wait at a node     C(c, c u) s / (c (1 - u)): M/M/c, C of Erlang, with c servers and s seconds of the
                       whole network that the node would run for this task by itself

Clouds and wires are idle, and so is the device. Batches, priorities and scaling are left out of the
wait. A cell that nobody shares keeps its rate.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offload.entities import Cell, Facts, Observation, Plan, Uplink
from offload.planning.columns import columns
from offload.planning.price import price_at
from offload.planning.slot import work
from offload.planning.whole import places_at

Floats = npt.NDArray[np.float64]

TIMES = tuple(10.0 ** (step / 6) for step in range(-6, 7))  # the cell's own rate
LOADS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True, slots=True, eq=False)
class BestSplit:
    """The quickest plan at each load and rate, and how long it takes; shape (loads, rates)."""

    facts: Facts
    cell: Cell
    up_bps: tuple[float, ...]
    loads: tuple[float, ...]
    plans: tuple[tuple[Plan, ...], ...]
    latency_s: Floats


def best_split(
    facts: Facts, cell: Cell, times: Sequence[float] = TIMES, loads: Sequence[float] = LOADS
) -> BestSplit | None:
    """Find the quickest of all plans of a task over a cell; None if there is none to choose from.

    `times` are multiples of the cell's rate up, `loads` from 0 to below 1.
    """
    plans = columns(facts, cell.name).plans
    if not plans:
        return None
    up_bps = tuple(each * cell.up_bps for each in times)
    found = np.array([[latencies_s(facts, cell, rate, load) for rate in up_bps] for load in loads])
    best = found.argmin(axis=2)
    return BestSplit(
        facts, cell, up_bps, tuple(loads),
        tuple(tuple(plans[index] for index in row) for row in best.tolist()), found.min(axis=2),
    )  # fmt: skip


def latencies_s(facts: Facts, cell: Cell, up_bps: float, load: float) -> Floats:
    """Return the mean seconds of each plan that is open over a cell, at a rate and a load."""
    left = 1.0 - load if cell.shared else 1.0
    uplink = Uplink(cell.name, True, up_bps * left, cell.down_bps * left, 0.0)
    prices = price_at(Observation(0.0, 0.0, cell.name, {cell.name: uplink}, {}, facts))
    table = prices.table
    latency_s = prices.latency_s
    for name, node in facts.nodes.items():
        if node.kind == "edge" or name == cell.node:
            comes = np.array([name in (row.edge, row.cloud) for row in table.rows], dtype=np.float64)
            latency_s = latency_s + table.by_plan(comes) * node_wait_s(facts, cell, name, load)
    return latency_s


def node_wait_s(facts: Facts, cell: Cell, name: str, load: float) -> float:
    """Return the mean wait at a node behind a cell, where each of the others wants a whole network."""
    whole = places_at(facts, cell.name).get(name)
    if whole is None:
        return 0.0
    asks = work(facts, whole.plan)
    return mean_wait_s(facts.nodes[name].servers, asks.edge_s + asks.cloud_s, load)


def mean_wait_s(servers: int, service_s: float, load: float) -> float:
    """Return the mean wait in an M/M/c queue (Erlang 1917); a load is below 1.

    Erlang's B by its recursion, and C from it: the probability to wait.
    """
    offered, blocked = servers * load, 1.0
    for count in range(1, servers + 1):
        blocked = offered * blocked / (count + offered * blocked)
    waits = blocked / (1.0 - load * (1.0 - blocked))
    return waits * service_s / (servers * (1.0 - load))
