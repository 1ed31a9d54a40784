"""What papers on partitioning ask: one network, the device and one server, at a rate between them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp, inf, log, log1p

import numpy as np

from offload.algorithms.dag import Costs, Dag, of
from offload.entities import Cell, Facts, Observation, OffloadError, Plan, Uplink, Wire
from offload.networks import Variant
from offload.planning.columns import Columns, Floats, tabulate
from offload.planning.cost import crossing
from offload.planning.cuts import first_cut
from offload.planning.price import price_at


@dataclass(frozen=True, slots=True, eq=False)
class Division:
    """The plans that divide one variant at a listed cut between the device and one server, raw.

    `latency_s` is that of each plan in an idle world; `stages_s` are its seconds on the device, of
    sending and at the server, one row a plan. `dag` and `costs` tell of single layers, for solvers;
    None where nobody knows the network's edges, or where there is nothing to divide. The wires between
    cell and server count as part of one link: whatever crosses takes `up_delay_s` and
    `costs.s_per_byte`, on the way back `down_delay_s` and `down_s_per_byte`.
    """

    plans: tuple[Plan, ...]
    latency_s: Floats
    stages_s: Floats
    dag: Dag | None = None
    costs: Costs | None = None
    up_delay_s: float = 0.0
    down_delay_s: float = 0.0
    down_s_per_byte: float = 0.0

    @property
    def quickest(self) -> Plan:
        """The plan of least latency."""
        return self.plans[int(self.latency_s.argmin())]

    @property
    def steadiest(self) -> Plan:
        """The plan whose slowest stage is shortest: the most requests a second get through."""
        return self.plans[int(self.stages_s.max(axis=1).argmin())]

    def slowest_s(self, plan: Plan) -> float:
        """Return the seconds of a plan's slowest stage."""
        return float(self.stages_s[self.plans.index(plan)].max())


@lru_cache(maxsize=4096)
def solved(division: Division, solve: Callable[[Dag, Costs], frozenset[int]]) -> Plan:
    """Return the plan that a minimum cut finds; where it is none of those at hand, the quickest.

    The world divides a network behind its first so many layers, and a minimum cut may be another set.
    Delays and the result's way back are in no cut, so that staying on the device may be quicker.
    """
    if division.dag is None or division.costs is None:
        return division.quickest
    ran = solve(division.dag, division.costs)
    if ran == frozenset(range(1, len(ran) + 1)):
        staying = (row for row, plan in enumerate(division.plans) if plan.uplinks is None)
        stays_s = min((division.latency_s[row] for row in staying), default=inf)
        for row, plan in enumerate(division.plans):
            after = plan.variant.cuts[plan.device_cut].after
            if after == len(ran) and division.latency_s[row] <= stays_s:
                return plan
    return division.quickest


def rounded(rate_bps: float, step: float) -> float:
    """Round a rate to a power of 1 + `step`: a plan holds until the rate leaves that range."""
    if step <= 0:
        return rate_bps
    return exp(round(log(rate_bps) / log1p(step)) * log1p(step))


def seen_division(seen: Observation, form: str | None, step: float) -> Division:
    """Return the division at the rate that a device sees, rounded.

    Out of range it is the device alone, or the nearest cell is waited for if that can do nothing.
    """
    cell = seen.serving
    if cell is None and not any(_is(plan, form) for plan in listed(seen.facts, None).plans):
        cell = next(iter(seen.uplinks), None)
    rate_bps = 0.0 if cell is None else rounded(seen.uplinks[cell].rate_bps, step)
    return divide(seen.facts, cell, rate_bps, form)


def _is(plan: Plan, form: str | None) -> bool:
    return form in (None, plan.variant.name, plan.variant.label)


@lru_cache(maxsize=4096)
def divide(facts: Facts, serving: str | None, rate_bps: float, form: str | None = None) -> Division:
    """Return the division of one variant between the device and one server.

    The variant is the one of that name or label, else the most accurate that meets the task's deadline
    in an idle world, else the quickest; the server is the quickest for it. Inputs are of the mean size.
    Raises OffloadError if the task has no such variant.
    """
    table = listed(facts, serving)
    own = np.array([_is(plan, form) for plan in table.plans], dtype=bool)
    if not own.any():
        msg = f"{facts.group} has no plan of variant {form} for task {facts.asked}"
        raise OffloadError(msg)
    uplinks = {}
    if serving is not None:
        uplinks[serving] = Uplink(serving, True, rate_bps, facts.cells[serving].down_bps, 0.0)
    prices = price_at(Observation(0.0, 0.0, serving, uplinks, {}, facts), table)
    among = own & (prices.latency_s <= facts.deadline_s)
    best = prices.least(prices.latency_s, prices.most_accurate(among) if among.any() else own)
    variant = best.variant
    same = np.array([plan.variant is variant for plan in table.plans])
    away = same & ~table.at["device"]
    node = None
    if away.any():
        server = prices.least(prices.latency_s, away)
        node = server.edge or server.cloud
    rows = [
        row
        for row, plan in enumerate(table.plans)
        if same[row] and (plan.edge or plan.cloud) in (None, node)
    ]
    plans, latency_s = tuple(table.plans[row] for row in rows), prices.latency_s[rows]
    if serving is None or node is None:
        return Division(
            plans, latency_s, np.column_stack([table.device_s[rows], *[[0.0] * len(rows)] * 2])
        )
    return _between(facts, serving, rate_bps, variant, node, plans, latency_s)


@lru_cache(maxsize=1024)
def listed(facts: Facts, serving: str | None) -> Columns:
    """List the plans that divide a variant at a listed cut between the device and one server, raw."""
    plans = []
    for variant in facts.variants:
        alone = variant in facts.profiles["device"]
        for node in facts.nodes.values() if serving is not None else ():
            reached = (facts.cells[serving or ""].node, node.name) in facts.routes
            if not reached or variant not in facts.profiles[node.name]:
                continue
            for cut in range(first_cut(facts, variant), variant.last if alone else 1):
                edge, cloud = (node.name, None) if node.kind == "edge" else (None, node.name)
                second = variant.last if edge else cut
                plans.append(Plan(variant, cut, second, edge, cloud, (serving or "",)))
        if alone:
            plans.append(Plan(variant, variant.last, variant.last))
    return tabulate(facts, plans)


def _between(
    facts: Facts,
    serving: str,
    rate_bps: float,
    variant: Variant,
    node: str,
    plans: tuple[Plan, ...],
    latency_s: Floats,
) -> Division:
    cell, server = facts.cells[serving], facts.nodes[node]
    wires = [facts.wires[name] for name in facts.routes[cell.node, node]]
    delay_s = cell.delay_s + sum(wire.delay_s + wire.jitter_s for wire in wires)
    up_s, s_per_byte = _sending(cell, rate_bps, wires)
    down_s, down_s_per_byte = _sending(cell, cell.down_bps, wires)
    layers, own = facts.profiles[node][variant].layers_s[1], facts.profiles["device"].get(variant)
    here = own.layers_s[1] if own else (inf,) * len(layers)
    kept = variant.cuts[first_cut(facts, variant)].after
    dag = of(variant, facts.input_bytes)
    return Division(
        plans,
        latency_s,
        np.array([
            _stages(facts, plan, here, layers, up_s, s_per_byte) for plan in plans
        ]),
        dag,
        Costs(here, (*[inf] * kept, *layers[kept:]), s_per_byte),
        delay_s + (server.batch_wait_s if server.batch_max > 1 else 0.0) + up_s,
        delay_s + down_s,
        down_s_per_byte,
    )  # fmt: skip


def _sending(cell: Cell, rate_bps: float, wires: Sequence[Wire]) -> tuple[float, float]:
    """Seconds of sending a message of any size over all links, delays apart, and more for each byte."""
    links = [(cell.toll, 8 / rate_bps), *((wire.toll, 8 / wire.rate_bps) for wire in wires)]
    return (
        sum(toll.message_bytes * byte_s for toll, byte_s in links),
        sum(toll.per_byte_s(byte_s) for toll, byte_s in links),
    )


def _stages(
    facts: Facts, plan: Plan, here: Sequence[float], there: Sequence[float], up_s: float,
    s_per_byte: float,
) -> tuple[float, float, float]:  # fmt: skip
    after, sending_s = plan.variant.cuts[plan.device_cut].after, 0.0
    if plan.uplinks:
        sending_s = up_s + s_per_byte * crossing(facts, plan.variant, plan.device_cut)
    return sum(here[:after]), sending_s, sum(there[after:])
