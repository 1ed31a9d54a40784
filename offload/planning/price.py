"""What every plan would cost now, as far as a device can tell."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from offload.entities import Cell, Facts, Luck, Observation, Plan, Request, Uplink, Wire
from offload.networks import Profile
from offload.planning import exits
from offload.planning.columns import Columns, Flags, Floats, Way, columns, tabulate
from offload.planning.money import has_prices, money
from offload.planning.onward import onward
from offload.world import wires


@dataclass(frozen=True, slots=True, eq=False)
class Prices:
    """The open plans and their predicted prices: one entry a plan in each column.

    `latency_s` runs from now to the answer's arrival; `energy_j` is the device's marginal energy;
    `accuracy` is NaN where it is unknown; `unsplit` is true where one place computes all. Of a plan that
    may leave early they are means over the test images. `money` is None where nothing has a price.
    """

    table: Columns
    latency_s: Floats
    energy_j: Floats
    money: Floats | None = None

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The plans in the order of the columns."""
        return self.table.plans

    @property
    def accuracy(self) -> Floats:
        """Each plan's accuracy, NaN where it is unknown."""
        return self.table.accuracy

    @property
    def unsplit(self) -> Flags:
        """Where a single place runs the whole network."""
        return self.table.unsplit

    @property
    def at(self) -> Mapping[str, Flags]:
        """Which plans run the whole network at a place: "device" or a node's name."""
        return self.table.at

    @property
    def uses(self) -> Mapping[str, Flags]:
        """Which plans compute something at a place: "device" or a node's name."""
        return self.table.uses

    def least(self, column: Floats, among: Flags | None = None) -> Plan:
        """Return the plan with the smallest entry; the first of equals. Raises ValueError if none."""
        if among is not None:
            column = np.where(among, column, math.inf)
        return self.table.plans[int(column.argmin())]


def cell_in_use(seen: Observation) -> str | None:
    """Return the cell over which plans go: the one that serves, or None.

    A device that can do nothing alone waits for its nearest cell.
    """
    if seen.serving is None and seen.uplinks and not columns(seen.facts, None).plans:
        return next(iter(seen.uplinks))
    return seen.serving


def open_to(seen: Observation) -> Columns:
    """Return the plans that `price` prices, in its order: the same object whenever they are the same."""
    if seen.begun is not None:
        return onward(seen.facts, seen.begun)
    return columns(seen.facts, cell_in_use(seen))


def price(request: Request, seen: Observation) -> Prices:
    """Return the price of every plan open to a request, whose input may be larger than others."""
    return price_at(seen, input_bytes=request.input_bytes)


def price_at(
    seen: Observation, table: Columns | None = None, input_bytes: float | None = None
) -> Prices:
    """Follow every plan's legs in time: at a station, start = max(arrival, now + its backlog).

    Plans that leave the device exist only while a cell serves it. A `table` of others may be given, and
    the bytes of an input that is not of the mean size.
    """
    if seen.begun is not None:
        return _price_onward(seen, seen.begun, input_bytes)
    facts, serving = seen.facts, cell_in_use(seen)
    if table is None:
        table = columns(facts, serving)
    if serving is not None and input_bytes is not None and input_bytes != facts.input_bytes:
        table = _of_input(table, facts, serving, input_bytes)
    device_s, edge_s, cloud_s, energy_j = table.device_s, table.edge_s, table.cloud_s, table.energy_j
    if seen.luck is not None:
        device_s, edge_s, cloud_s, energy_j = _lucky(table, facts, seen.luck)
    ready_s = max(facts.overhead_s, seen.backlog_s)
    latency_s = np.where(table.on_device, ready_s + device_s, facts.overhead_s)
    if serving is None:
        free = np.zeros(len(table.rows)) if has_prices(facts) else None
        return _mixed(table, latency_s, energy_j, free, seen.luck)

    cell, uplink = facts.cells[serving], seen.uplinks[serving]
    up_s = table.up_bytes * (8 / uplink.rate_bps)
    own_queue_s = 8 * uplink.queued_bytes / uplink.rate_bps
    for way in table.ways:
        if way.edge is None and way.cloud is None:
            continue
        rows = way.rows
        sent_s = np.maximum(latency_s[rows], own_queue_s) + up_s[rows] + cell.delay_s
        latency_s[rows] = _served(table, way, cell.node, sent_s, edge_s[rows], cloud_s[rows], seen, cell)
    costs = money(table, facts, cell, edge_s, cloud_s) if has_prices(facts) else None
    return _mixed(table, latency_s, energy_j, costs, seen.luck)


def _price_onward(seen: Observation, begun: Plan, input_bytes: float | None) -> Prices:
    """Follow the rest of each plan from the edge node at which a request is.

    Energy and money are those of the whole plan: what has been spent already is the same for all.
    """
    facts, here = seen.facts, begun.edge or ""
    table, cell = onward(facts, begun), facts.cells[seen.serving or ""]
    if input_bytes is not None and input_bytes != facts.input_bytes:
        table = _of_input(table, facts, cell.name, input_bytes)
    latency_s = np.full(len(table.rows), facts.nodes[here].decides_s or 0.0)
    for way in table.ways:
        if way.edge is not None or way.cloud is not None:
            rows = way.rows
            edge_s, cloud_s = table.edge_s[rows], table.cloud_s[rows]
            latency_s[rows] = _served(table, way, here, latency_s[rows], edge_s, cloud_s, seen, cell)
    costs = None
    if has_prices(facts):
        costs = money(table, facts, cell, table.edge_s, table.cloud_s, here)
    return _mixed(table, latency_s, table.energy_j, costs, seen.luck)


def _served(
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
    rows = way.rows
    if way.edge is not None:
        elapsed = _over(here, way.edge, elapsed, table.up_bytes[rows], seen)
        elapsed = _queued(way.edge, elapsed, seen) + _load_s(table, way, way.edge, seen) + edge_s
        here = way.edge
    if way.cloud is not None:
        elapsed = _over(here, way.cloud, elapsed, table.mid_bytes[rows], seen)
        elapsed = _queued(way.cloud, elapsed, seen) + _load_s(table, way, way.cloud, seen) + cloud_s
        here = way.cloud
    elapsed = _over(here, cell.node, elapsed, table.result_bytes[rows], seen, back=True)
    down_bps = seen.uplinks[cell.name].down_bps
    return elapsed + (table.result_bytes[rows] * (8 / down_bps) + cell.delay_s)


def _of_input(table: Columns, facts: Facts, serving: str, input_bytes: float) -> Columns:
    """Return the table for an input that is not of the mean size."""
    up_bytes, mid_bytes = np.where(table.raw, input_bytes, table.up_bytes), table.mid_bytes.copy()
    for way in table.ways:
        if way.edge is None and way.cloud is not None:
            mid_bytes[way.rows] = up_bytes[way.rows]
    j_per_byte = facts.radio.up_j(1.0, 8 / facts.cells[serving].up_bps) if facts.radio else 0.0
    energy_j = table.energy_j + (up_bytes - table.up_bytes) * j_per_byte
    return replace(table, up_bytes=up_bytes, mid_bytes=mid_bytes, energy_j=energy_j)


def _mixed(
    table: Columns, latency_s: Floats, energy_j: Floats, costs: Floats | None, luck: Luck | None
) -> Prices:
    """Put the rows of each plan together: by how often its exits are taken, or for sure if one knows."""
    mixture = table.mixture
    if mixture is None:
        return Prices(table, latency_s, energy_j, costs)
    weights = mixture.weights
    if luck is not None:
        taken = [exits.exit_taken(plan, luck.answer) for plan in table.plans]
        known = zip(table.rows, mixture.plan_of, strict=True)
        weights = np.array([float(row.exit == taken[plan]) for row, plan in known])

    def together(column: Floats) -> Floats:
        return np.bincount(mixture.plan_of, weights * column).astype(np.float64)

    return Prices(
        table, together(latency_s), together(energy_j), None if costs is None else together(costs)
    )


def unloaded(facts: Facts, serving: str | None, plans: Sequence[Plan] = ()) -> Prices:
    """Return the prices if nobody else were there: no backlog, every cell at its full rate.

    Of these plans, by default of all that are open.
    """
    uplinks = {c.name: Uplink(c.name, True, c.up_bps, c.down_bps, 0.0) for c in facts.cells.values()}
    alone = Observation(0.0, 0.0, serving, uplinks, {}, facts)
    return price_at(alone, tabulate(facts, plans) if plans else None)


def _over(
    here: str, there: str, elapsed: Floats, payload: Floats, seen: Observation, *, back: bool = False
) -> Floats:
    """Cross the wires from node to node one after the other; a relay forwards whole messages."""
    luck = seen.luck
    for name in seen.facts.routes[here, there]:
        wire = seen.facts.wires[name]
        jitter = 1.0
        if luck is not None:
            elapsed = np.maximum(elapsed, luck.wire_free_s[name, here] - seen.now_s)
            jitter = exponential(luck.wire_back if back else luck.wire_out)
        elapsed = elapsed + payload * (8 / wire.rate_bps) + (wire.delay_s + jitter * wire.jitter_s)
        if wire.loss:
            quantile = None
            if luck is not None:
                quantile = luck.wire_back if back else luck.wire_out
            elapsed = elapsed + _again_s(wire, payload, quantile)
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


def _lucky(table: Columns, facts: Facts, luck: Luck) -> tuple[Floats, Floats, Floats, Floats]:
    """Compute seconds and energy with this request's own quantiles."""

    def factors(places: list[str | None], quantile: float) -> Floats:
        return np.array([
            factor(facts.profiles[place][row.variant], quantile) if place else 1.0
            for place, row in zip(places, table.rows, strict=True)
        ])  # fmt: skip

    rows = table.rows
    device_s = table.device_s * factors(["device" if r.on_device else None for r in rows], luck.device)
    edge_s = table.edge_s * factors([r.edge for r in rows], luck.edge)
    cloud_s = table.cloud_s * factors([r.cloud for r in rows], luck.cloud)
    marginal_w = facts.hardware.marginal_w
    return device_s, edge_s, cloud_s, table.energy_j + marginal_w * (device_s - table.device_s)


def factor(profile: Profile, quantile: float) -> float:
    """Return one run's time over its mean, at this quantile of the profile's spread."""
    if profile.service == "exponential":
        return exponential(quantile)
    if profile.service == "log-normal":
        sigma_squared = math.log1p(profile.cv**2)
        z = NormalDist().inv_cdf(quantile) if quantile > 0 else -8.0
        return math.exp(math.sqrt(sigma_squared) * z - sigma_squared / 2)
    spread = profile.spread
    if len(spread) == 1:
        return spread[0]
    place = quantile * (len(spread) - 1)
    low = int(place)
    if low >= len(spread) - 1:
        return spread[-1]
    return spread[low] + (spread[low + 1] - spread[low]) * (place - low)


def exponential(quantile: float) -> float:
    """Return the quantile of an exponential of mean one."""
    return -math.log1p(-quantile)
