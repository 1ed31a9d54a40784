"""What nodes report, and what a device knows when it must decide."""

from collections import deque
from collections.abc import Mapping
from copy import copy
from types import MappingProxyType

from offload.entities import Cell, Facts, Knowledge, Luck, Observation, Plan, Report, Uplink
from offload.scenario.setup import Device
from offload.simulation.air import Air, Shared
from offload.simulation.batching import Batching
from offload.simulation.journey import Journey
from offload.simulation.queueing import Queueing
from offload.simulation.stations import InOrder
from offload.world.rate import Rate

# When a server falls free, seconds queued behind that, devices active up and down by cell, and whose
# weights are there.
State = tuple[float, float, Mapping[str, float], Mapping[str, float], tuple[str, ...] | None]


# What is shown is a view through which nobody can change it: others may be shown the same.
NOTHING: tuple[float, Mapping[str, Report | None]] = (0.0, MappingProxyType({}))  # has been heard


class Book:
    """One node's reports: its state at each multiple of its period, taken lazily.

    Before anything changes at the node, `note` keeps what was true until then; nothing changed at the
    multiples passed since the last note. So reports cost no event, and no bandwidth.
    """

    def __init__(
        self,
        every_s: float,
        longest_s: float,
        servers: InOrder | Batching | Queueing,
        cells: Mapping[str, tuple[Air, Air]],
        speed: Rate | None = None,
    ) -> None:
        """Keep reports every `every_s` that take up to `longest_s` to arrive; none at speed 0."""
        self.speed = speed
        self.last: Report | None = None  # before it broke down
        self.every_s = every_s
        self.longest_s = longest_s
        self.servers = servers
        # A direction that nobody shares has nothing to report.
        self.up = [(name, air) for name, (air, _) in cells.items() if isinstance(air, Shared)]
        self.down = [(name, air) for name, (_, air) in cells.items() if isinstance(air, Shared)]
        # They ask first whether there is anything to note.
        self.told = [air for _, air in (*self.up, *self.down)] + [
            each for each in (servers,) if isinstance(each, InOrder)
        ]
        self.pages: deque[tuple[int, State]] = deque()
        self.next_s = 0.0

    def note(self, now: float) -> None:
        """Keep the state until now, before it changes."""
        if now < self.next_s:
            return
        index = int(now / self.every_s)
        if index * self.every_s == now:
            index -= 1  # a report at this very moment tells what is true after it
        self.pages.append((index, self._state()))
        self.next_s = (index + 1) * self.every_s
        for station in self.told:
            station.noted_until_s = self.next_s
        oldest = int((now - self.longest_s) / self.every_s)  # the oldest still on its way to someone
        while len(self.pages) > 1 and self.pages[0][0] < oldest:
            self.pages.popleft()

    def report(self, index: int) -> Report | None:
        """Return the report of `index` periods after the start; None before the first."""
        if index < 0:
            return None
        if self.speed is not None and self.speed.at(index * self.every_s) == 0.0:
            return self.last
        state = next((page[1] for page in self.pages if page[0] >= index), None)
        return self._told(index * self.every_s, state or self._state())

    def fall_silent(self, now: float) -> None:
        """Remember the last report before a node breaks down; it sends no other until it is repaired."""
        index = int(now / self.every_s)
        if index * self.every_s == now:
            index -= 1
        self.last = self.report(index)

    def fresh(self, now: float) -> Report:
        """Return what is true now."""
        return self._told(now, self._state())

    def _state(self) -> State:
        up = MappingProxyType({name: air.active for name, air in self.up})
        down = MappingProxyType({name: air.active for name, air in self.down})
        resident = self.servers.resident() if isinstance(self.servers, Queueing) else None
        return *self.servers.load(), up, down, resident

    def _told(self, at_s: float, state: State) -> Report:
        """Report a state that did not change until `at_s`; servers have worked on meanwhile."""
        free_s, queued_s, up, down, resident = state
        return Report(at_s, max(0.0, free_s - at_s) + queued_s, up, down, resident)


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
        between: Mapping[tuple[str, str], float],
    ) -> None:
        self.knowledge = knowledge
        self.reported = knowledge == "reported"
        self.books = books
        self.airs = airs
        self.cells = cells
        self.wires = wires
        self.delays = delays
        self.between = between
        self.arrived: dict[str | None, tuple[float, Mapping[str, Report | None]]] = {}
        self.own_rates: dict[tuple[str, str], tuple[float, float]] = {}

    def all_knowing(self) -> "Observer":
        """Return one that sees the same stations as they truly are; to ask it changes nothing."""
        other = copy(self)
        other.knowledge, other.reported = "clairvoyant", False
        return other

    def observe(self, journey: Journey, now: float) -> Observation:
        """Return what a device knows now that must decide about a request."""
        device, hop, luck = journey.device, journey.hop, None
        if hop is not None:
            cells, serving = hop.seen
        else:
            cells, serving = device.place.seen(now)
        if self.reported:
            until_s, reports = self.arrived.get(serving, NOTHING)
            if now >= until_s and serving is not None:
                _, reports = self.arrived[serving] = self._reports(serving, self.delays, now)
        else:
            reports = MappingProxyType({name: book.fresh(now) for name, book in self.books.items()})
            if self.knowledge == "clairvoyant":
                wires_free_s = {way: station.free[0] for way, station in self.wires.items()}
                device_, edge, cloud, wire_out, wire_back, answer = journey.fate
                luck = Luck(
                    device_, edge, cloud, wire_out, wire_back, answer, MappingProxyType(wires_free_s)
                )
        if hop is not None and hop.uplink.free_s.get(device.name, 0.0) <= now:
            uplinks = hop.empty
        else:
            found = {}
            for name in cells:  # most often one
                found[name] = self._uplink(now, device, name, reports)
            uplinks = MappingProxyType(found)
        free_s = journey.compute.free[0]
        return Observation(
            now,
            free_s - now if free_s > now else 0.0,
            serving,
            uplinks,
            reports,
            journey.facts,
            None if journey.meter is None else journey.meter.charge_j(),
            luck,
        )

    def observe_at(self, node: str, now: float, facts: Facts, begun: Plan) -> Observation:
        """Return what an edge node knows of a request that has come to it."""
        _, reports = self._reports(node, self.between, now)
        own = self.books[node].fresh(now)
        reports = MappingProxyType({**reports, node: own})
        cell = self.cells[(begun.uplinks or ("",))[0]]
        site = reports.get(cell.node)
        others = site.active_down.get(cell.name, 0) if site is not None else 0
        uplink = Uplink(cell.name, True, cell.up_bps, cell.down_bps / (1 + others), 0.0)
        uplinks = MappingProxyType({cell.name: uplink})
        return Observation(now, own.backlog_s, cell.name, uplinks, reports, facts, begun=begun)

    def sent(self, device: str, cell: Cell, sent_bytes: float, begun_s: float, now: float) -> None:
        """Remember what rate a device's own transfer got, its wait behind others of its own included."""
        took_s = now - cell.delay_s - begun_s
        if took_s > 0:
            self.own_rates[device, cell.name] = (8 * sent_bytes / took_s, now - cell.delay_s)

    def _reports(
        self, here: str, delays: Mapping[tuple[str, str], float], now: float
    ) -> tuple[float, Mapping[str, Report | None]]:
        """Return until when what reports are the last to have come, over a cell or to a node."""
        until_s = float("inf")
        reports = {}
        for name, book in self.books.items():
            delay_s = delays.get((here, name))
            if delay_s is None:  # no route leads there
                continue
            index = int((now - delay_s) / book.every_s) if now >= delay_s else -1
            reports[name] = book.report(index)
            until_s = min(until_s, (index + 1) * book.every_s + delay_s)
        return until_s, MappingProxyType(reports)

    def _uplink(
        self, now: float, device: Device, name: str, reports: Mapping[str, Report | None]
    ) -> Uplink:
        """What a device expects of a cell: its rate over one more than were active in the report."""
        cell, (up, down) = self.cells[name], self.airs[name]
        place = device.place
        rate_bps, down_bps, reachable = cell.up_bps, cell.down_bps, True
        # What it would get if it were in reach, where it is not.
        if name in place.up.speeds:
            share = place.up.speeds[name].at(now)
            reachable = share > 0.0
            rate_bps *= share or 1.0
        if name in place.down.speeds:
            down_bps *= place.down.speeds[name].at(now) or 1.0
        queued_s = up.queued_air_s(device.name)
        if not cell.shared:  # a hop of one's own: what is queued takes as long as it does
            return Uplink(name, reachable, rate_bps, down_bps, queued_s * rate_bps / 8)
        alone_bps = rate_bps
        report = reports.get(cell.node)
        if report is not None:
            others_up, others_down = report.active_up[name], report.active_down[name]
            weight = device.weight
            if not self.reported:  # what is true now can leave oneself out
                others_up -= weight * up.is_on_air(device.name)
                others_down -= weight * down.is_on_air(device.name)
            rate_bps /= 1 + others_up / weight
            down_bps /= 1 + others_down / weight
        own_rate, own_at = self.own_rates.get((device.name, name), (None, None))
        return Uplink(
            name,
            reachable,
            rate_bps,
            down_bps,
            queued_s * cell.up_bps / 8,
            own_rate,
            None if own_at is None else now - own_at,
            alone_bps,
        )
