"""What every plan would cost now, as far as a device can tell."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from msgspec import Struct

from offload.entities import Facts, Luck, Observation, Plan, Request, Uplink
from offload.planning import exits
from offload.planning.columns import Columns, Flags, Floats, columns, lock, tabulate
from offload.planning.itinerary import Itinerary, itinerary, keep
from offload.planning.legs import served
from offload.planning.luck import lucky_device, lucky_servers
from offload.planning.money import has_prices, money
from offload.planning.onward import onward


class Prices(Struct, frozen=True, eq=False):
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
    def sure_accuracy(self) -> Floats:
        """Each plan's accuracy, 0 where it is unknown: what can be counted on."""
        return self.table.sure_accuracy

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

    def most_accurate(self, among: Flags) -> Flags:
        """Which of these plans are the most accurate; one that nobody knows of counts as never right."""
        accuracy = np.where(among, self.table.sure_accuracy, -1.0)
        found: Flags = among & (accuracy == accuracy.max())
        return found

    def least(self, column: Floats, among: Flags | None = None) -> Plan:
        """Return the plan with the smallest entry; the first of equals. Raises ValueError if none."""
        if among is None:
            return self.table.plans[int(column.argmin())]
        row = int(np.where(among, column, math.inf).argmin())
        if not among[row]:
            msg = "no plan is among those that count; give flags of which one at least is true"
            raise ValueError(msg)
        return self.table.plans[row]


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

    Plans that leave the device exist only while a cell serves it; who can do nothing alone waits for the
    nearest. A `table` of others may be given, and the bytes of an input that is not of the mean size.
    """
    if seen.begun is not None:
        return _price_onward(seen, seen.begun, input_bytes)
    facts, serving = seen.facts, seen.serving
    if serving is None:
        serving = cell_in_use(seen)
    if table is None:
        table = columns(facts, serving)
    if serving is None:
        rests = seen.luck is None and seen.backlog_s <= facts.overhead_s
        return _alone(table, facts) if rests else _on_device(table, seen)
    more_bytes = 0.0 if input_bytes is None else input_bytes - facts.input_bytes
    way = itinerary(table, facts, serving) if seen.luck is None else None
    if way is None or (more_bytes and (way.wire_s is None or has_prices(facts))):
        return _leg_by_leg(seen, table, serving, more_bytes)
    uplink = seen.uplinks[serving]
    if more_bytes or uplink.queued_bytes or seen.backlog_s > facts.overhead_s:
        latency_s, _ = _at_device(table, seen)
        way.leave(latency_s, uplink, more_bytes)
        return _followed(way, table, latency_s, seen, serving, more_bytes)
    met = uplink.rate_bps, uplink.down_bps, way.backlogs_s(seen.reports)
    known = way.shown.get(met)
    if known is None:
        known = _kept(_followed(way, table, way.unhindered(uplink), seen, serving, 0.0))
        keep(way.shown, met, known)
    return known


def _followed(
    way: Itinerary, table: Columns, latency_s: Floats, seen: Observation, serving: str, more_bytes: float
) -> Prices:
    """Follow the rows that leave, from when they are at their first node on."""
    facts, energy_j = seen.facts, table.energy_j
    way.follow(latency_s[way.begin :], way.backlogs_s(seen.reports), seen.uplinks[serving])
    if more_bytes:
        energy_j = energy_j + table.raw * (more_bytes * _j_per_byte(facts, serving))
    costs = None
    if has_prices(facts):
        costs = money(table, facts, facts.cells[serving], table.edge_s, table.cloud_s)
    return _mixed(table, latency_s, energy_j, costs, None)


@lru_cache(maxsize=1024)
def _alone(table: Columns, facts: Facts) -> Prices:
    """What a device at rest is shown that no cell serves, or who offers it a table of its own plans."""
    return _kept(_on_device(table, Observation(0.0, 0.0, None, {}, {}, facts)))


def _on_device(table: Columns, seen: Observation) -> Prices:
    """What plans take that all stay on the device."""
    latency_s, energy_j = _at_device(table, seen)
    free = np.zeros(len(table.rows)) if has_prices(seen.facts) else None
    return _mixed(table, latency_s, energy_j, free, seen.luck)


def _kept(prices: Prices) -> Prices:
    """Return prices that nobody can change: others will be shown the same."""
    lock(prices.latency_s, prices.energy_j, *(() if prices.money is None else (prices.money,)))
    return prices


def _at_device(table: Columns, seen: Observation) -> tuple[Floats, Floats]:
    """When the device has done its part of each row, and the joules of all that it does."""
    facts, device_s, energy_j = seen.facts, table.device_s, table.energy_j
    if seen.luck is not None:
        device_s, energy_j = lucky_device(table, facts, seen.luck)
    ready_s = facts.overhead_s
    if seen.backlog_s <= ready_s:
        return device_s + ready_s, energy_j
    return np.where(table.on_device, seen.backlog_s + device_s, ready_s), energy_j


def _leg_by_leg(seen: Observation, table: Columns, serving: str, more_bytes: float) -> Prices:
    """Follow each way by itself: with luck, where weights are loaded, and what else is no plain sum."""
    facts, cell, uplink = seen.facts, seen.facts.cells[serving], seen.uplinks[serving]
    if more_bytes:
        table = _of_input(table, facts, serving, more_bytes)
    latency_s, energy_j = _at_device(table, seen)
    edge_s, cloud_s = table.edge_s, table.cloud_s
    if seen.luck is not None:
        edge_s, cloud_s = lucky_servers(table, facts, seen.luck)
    up_s = cell.toll.seconds(table.up_bytes, 8 / uplink.rate_bps)
    own_queue_s = 8 * uplink.queued_bytes / uplink.rate_bps
    for way in table.ways:
        if way.edge is None and way.cloud is None:
            continue
        rows = way.rows
        sent_s = np.maximum(latency_s[rows], own_queue_s) + up_s[rows] + cell.delay_s
        latency_s[rows] = served(table, way, cell.node, sent_s, edge_s[rows], cloud_s[rows], seen, cell)
    costs = money(table, facts, cell, edge_s, cloud_s) if has_prices(facts) else None
    return _mixed(table, latency_s, energy_j, costs, seen.luck)


def _price_onward(seen: Observation, begun: Plan, input_bytes: float | None) -> Prices:
    """Follow the rest of each plan from the edge node at which a request is.

    Energy and money are those of the whole plan: what has been spent already is the same for all.
    """
    facts, here = seen.facts, begun.edge or ""
    table, cell = onward(facts, begun), facts.cells[seen.serving or ""]
    if input_bytes is not None and input_bytes != facts.input_bytes:
        table = _of_input(table, facts, cell.name, input_bytes - facts.input_bytes)
    latency_s = np.full(len(table.rows), facts.nodes[here].decides_s or 0.0)
    for way in table.ways:
        if way.edge is not None or way.cloud is not None:
            rows = way.rows
            edge_s, cloud_s = table.edge_s[rows], table.cloud_s[rows]
            latency_s[rows] = served(table, way, here, latency_s[rows], edge_s, cloud_s, seen, cell)
    costs = None
    if has_prices(facts):
        costs = money(table, facts, cell, table.edge_s, table.cloud_s, here)
    return _mixed(table, latency_s, table.energy_j, costs, seen.luck)


def _of_input(table: Columns, facts: Facts, serving: str, more_bytes: float) -> Columns:
    """Return the table for an input that is so much larger than the mean."""
    up_bytes, mid_bytes = table.up_bytes + table.raw * more_bytes, table.mid_bytes.copy()
    for way in table.ways:
        if way.edge is None and way.cloud is not None:
            mid_bytes[way.rows] = up_bytes[way.rows]
    energy_j = table.energy_j + table.raw * (more_bytes * _j_per_byte(facts, serving))
    return replace(table, up_bytes=up_bytes, mid_bytes=mid_bytes, energy_j=energy_j)


def _j_per_byte(facts: Facts, serving: str) -> float:
    """Joules of the device for a byte that it sends at the cell's full rate."""
    cell = facts.cells[serving]
    size_bytes = 1.0 + cell.toll.bytes_per_byte
    return facts.radio.up_j(size_bytes, 8 * size_bytes / cell.up_bps) if facts.radio else 0.0


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
