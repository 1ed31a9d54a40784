"""What nodes report, and what a device knows when it must decide."""

from collections import deque
from collections.abc import Mapping
from typing import Literal

from offload.entities import Cell, Facts, Luck, Observation, Report, Uplink
from offload.scenario.setup import Device
from offload.simulation.stations import Batching, Dedicated, InOrder, Shared

Knowledge = Literal["reported", "fresh", "clairvoyant"]
KNOWLEDGE: tuple[Knowledge, ...] = ("reported", "fresh", "clairvoyant")

Air = Shared | Dedicated


class Book:
    """One node's reports: its state at each multiple of its period, taken lazily.

    Before anything changes at the node, `note` keeps what was true until then; nothing changed at the
    multiples passed since the last note. So reports cost no event, and no bandwidth.
    """

    def __init__(
        self, every_s: float, servers: InOrder | Batching, cells: Mapping[str, tuple[Air, Air]]
    ) -> None:
        self.every_s = every_s
        self.servers = servers
        self.cells = cells
        self.pages: deque[tuple[int, float, dict[str, int], dict[str, int]]] = deque()
        self.next_s = 0.0

    def note(self, now: float) -> None:
        """Keep the state until now, before it changes."""
        if now < self.next_s:
            return
        index = int(now / self.every_s)
        if index * self.every_s == now:
            index -= 1  # a report at this very moment tells what is true after it
        self.pages.append((index, *self._state(now)))
        self.next_s = (index + 1) * self.every_s
        while len(self.pages) > 2 and self.pages[1][0] * self.every_s < now - 100 * self.every_s:
            self.pages.popleft()

    def report(self, index: int, now: float) -> Report | None:
        """Return the report of `index` periods after the start; None before the first."""
        if index < 0:
            return None
        sent_s = index * self.every_s
        for last, free_s, up, down in self.pages:
            if last >= index:
                return Report(sent_s, max(0.0, free_s - sent_s), up, down)
        free_s, up, down = self._state(now)
        return Report(sent_s, max(0.0, free_s - sent_s), up, down)

    def fresh(self, now: float) -> Report:
        """Return what is true now."""
        free_s, up, down = self._state(now)
        return Report(now, max(0.0, free_s - now), up, down)

    def _state(self, now: float) -> tuple[float, dict[str, int], dict[str, int]]:
        up = {name: air.active for name, (air, _) in self.cells.items()}
        down = {name: air.active for name, (_, air) in self.cells.items()}
        return self.servers.backlog_until(now), up, down


class Observer:
    """Makes observations from reports and from what a device knows of itself."""

    def __init__(
        self,
        knowledge: Knowledge,
        books: Mapping[str, Book],
        airs: Mapping[str, tuple[Air, Air]],
        cells: Mapping[str, Cell],
        wires: Mapping[tuple[str, str], InOrder],
        delays: Mapping[tuple[str, str], float],
    ) -> None:
        self.knowledge = knowledge
        self.books = books
        self.airs = airs
        self.cells = cells
        self.wires = wires
        self.delays = delays
        self.arrived: dict[str, tuple[float, Mapping[str, Report | None]]] = {}
        self.own_rates: dict[tuple[str, str], tuple[float, float]] = {}

    def observe(
        self, now: float, device: Device, compute: InOrder, facts: Facts, fate: list[float]
    ) -> Observation:
        """Return what a device knows now."""
        cells, serving = device.place.cells(now)
        luck = None
        if self.knowledge == "reported":
            reports = self._reports(serving, now) if serving else {}
        else:
            reports = {name: book.fresh(now) for name, book in self.books.items()}
            if self.knowledge == "clairvoyant":
                free_s = {way: station.free[0] for way, station in self.wires.items()}
                luck = Luck(*fate[:5], free_s)
        free_s = compute.free[0]
        backlog_s = free_s - now if free_s > now else 0.0
        uplinks = {name: self._uplink(now, device, name, reports) for name in cells}
        return Observation(now, backlog_s, serving, uplinks, reports, facts, None, luck)

    def sent(self, device: str, cell: str, payload_bytes: float, begun_s: float, now: float) -> None:
        """Remember what rate a device's own transfer got."""
        if now > begun_s:
            self.own_rates[device, cell] = (8 * payload_bytes / (now - begun_s), now)

    def _reports(self, serving: str, now: float) -> Mapping[str, Report | None]:
        """Return the last reports that have arrived over a cell; the same to all whom it serves."""
        kept = self.arrived.get(serving)
        if kept is not None and now < kept[0]:
            return kept[1]
        until_s = float("inf")
        reports = {}
        for name, book in self.books.items():
            delay_s = self.delays.get((serving, name))
            if delay_s is None:  # no route leads there
                continue
            index = int((now - delay_s) / book.every_s) if now >= delay_s else -1
            reports[name] = book.report(index, now)
            until_s = min(until_s, (index + 1) * book.every_s + delay_s)
        self.arrived[serving] = (until_s, reports)
        return reports

    def _uplink(
        self, now: float, device: Device, name: str, reports: Mapping[str, Report | None]
    ) -> Uplink:
        cell, (up, down) = self.cells[name], self.airs[name]
        report = reports.get(cell.node)
        others_up = others_down = 0
        if report is not None and cell.shared:
            others_up, others_down = report.active_up[name], report.active_down[name]
            if self.knowledge != "reported":  # what is true now can leave oneself out
                others_up -= up.is_on_air(device.name)
                others_down -= down.is_on_air(device.name)
        own_rate, own_at = self.own_rates.get((device.name, name), (None, None))
        return Uplink(
            name,
            device.place.presence(name).inside(now),
            cell.up_bps / (1 + others_up),
            cell.down_bps / (1 + others_down),
            up.queued_air_s(device.name) * cell.up_bps / 8,
            own_rate,
            None if own_at is None else now - own_at,
        )
