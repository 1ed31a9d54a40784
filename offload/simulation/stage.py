"""What a world is played on: the stations of its cells and nodes, and the books that these keep."""

from collections.abc import Callable, Mapping

from offload.entities import Cell, Node
from offload.overheads import AfterIdle
from offload.scenario.setup import Device, Setting
from offload.simulation.air import NO_ROUTE, OUT_OF_RANGE, Air, Dedicated, Hop, Shared
from offload.simulation.batching import Batching
from offload.simulation.clock import Clock
from offload.simulation.memory import Memory
from offload.simulation.meters import Meter, Powered
from offload.simulation.observing import Book
from offload.simulation.queueing import Queueing
from offload.simulation.slowing import Beside, Slowing
from offload.simulation.stations import InOrder, Paced
from offload.simulation.trips import Servers
from offload.world.demand import Scene, View


def airs(clock: Clock, setting: Setting) -> dict[str, tuple[Air, Air]]:
    """Return each cell's uplink and downlink.

    A request that cannot reach a cell has no route; an answer that cannot, missed its device.
    """
    weights = {device.name: device.weight for device in setting.devices if device.weight != 1.0}
    return {
        c.name: (_air(clock, c, NO_ROUTE, weights), _air(clock, c, OUT_OF_RANGE, weights))
        for c in setting.cells.values()
    }


def _air(clock: Clock, cell: Cell, unreachable: str, weights: Mapping[str, float]) -> Air:
    air: Air = Dedicated(clock, cell.delay_s)
    if cell.shared:
        roaming = cell.interruption_s is not None
        air = Shared(clock, cell.delay_s, cell.give_up_s, unreachable, roaming=roaming, weights=weights)
    air.price_per_byte = cell.price_per_byte
    return air


def hops(
    setting: Setting, airs_: Mapping[str, tuple[Air, Air]], meters_: Mapping[str, Meter]
) -> dict[str, Hop]:
    """Return the hop of each device without a meter that stands in one cell which it does not share."""
    mine = {c: Hop(up, setting.cells[c]) for c, (up, _) in airs_.items() if isinstance(up, Dedicated)}
    found = {}
    for device in setting.devices:
        cells, _ = device.place.seen(0.0)
        plain = device.place.steady and device.name not in meters_
        if plain and len(cells) == 1 and cells[0] in mine:
            found[device.name] = mine[cells[0]]
    return found


def servers(
    clock: Clock, setting: Setting
) -> tuple[Mapping[str, InOrder | Queueing], Mapping[str, Servers]]:
    """Return each device's core and each node's servers: who can do without simulating a queue does."""
    beside: dict[str, Beside] = {}
    for machine in setting.machines:
        beside |= dict.fromkeys(machine.of, Beside(machine.slower, []))
    hardware = {facts.group: facts.hardware for facts in setting.facts}
    cores: dict[str, InOrder | Queueing] = {}
    for device in setting.devices:
        slowing = _slowing(setting.after_idle.get(device.group), beside.get(device.group))
        if slowing is None:
            cores[device.name] = InOrder()
        else:  # its queue is simulated as that of a node with one server would be
            alike = Node(device.name, "edge", hardware[device.group], 1, (0.0, 0.0), float("inf"))
            cores[device.name] = Queueing(clock, alike, slowing=slowing)
    return cores, {
        name: _servers(clock, setting, node, _slowing(node.after_idle, beside.get(name)))
        for name, node in setting.nodes.items()
    }


def _slowing(after_idle: AfterIdle | None, beside: Beside | None) -> Slowing | None:
    return None if after_idle is None and beside is None else Slowing(after_idle, beside)


def _servers(clock: Clock, setting: Setting, node: Node, slowing: Slowing | None) -> Servers:
    speed = setting.speeds.get(node.name)
    if node.batch_max > 1:
        return Batching(clock, node.servers, node.batch_max, node.batch_wait_s, speed, slowing)
    if node.in_order and speed is None and slowing is None:
        return InOrder(node.servers)
    memory = None
    if node.load_bps is not None:
        here = [variant for facts in setting.facts for variant in facts.profiles[node.name]]
        sizes = {variant.label: variant.weight_bytes or 0.0 for variant in here}
        memory = Memory(node.memory_bytes, node.load_bps, sizes, node.resident)
    return Queueing(clock, node, memory, speed, slowing)


def only_server(stations: Mapping[str, Servers]) -> InOrder | None:
    """Return the one that serves all, one after the other, where there is no other."""
    (first, *others) = [*stations.values(), None]
    return first if others == [None] and isinstance(first, InOrder) and len(first.free) == 1 else None


def wires(setting: Setting) -> dict[tuple[str, str], InOrder]:
    """Return the queue of each direction of a wire, by its name and the node that it leaves."""
    return {
        (wire.name, end): Paced(speed) if (speed := setting.speeds.get(wire.name)) else InOrder()
        for wire in setting.wires.values()
        for end in wire.ends
    }


def books(
    setting: Setting, stations: Mapping[str, Servers], airs_: Mapping[str, tuple[Air, Air]]
) -> dict[str, Book]:
    """Return each node's book, of which its stations tell when they change."""
    found = {}
    for name, node in setting.nodes.items():
        mine = {c: pair for c, pair in airs_.items() if setting.cells[c].node == name}
        ways_there = (*setting.delays.items(), *setting.between.items())
        longest_s = max((seconds for (_, to), seconds in ways_there if to == name), default=0.0)
        speed = setting.speeds.get(name)
        book = found[name] = Book(node.report_every_s, longest_s, stations[name], mine, speed)
        for station in (stations[name], *(air for pair in mine.values() for air in pair)):
            station.note = book.note
    return found


def meters(
    clock: Clock,
    setting: Setting,
    compute: Mapping[str, InOrder | Queueing],
    lose: Callable[[Device], object],
    over: Callable[[], bool],
) -> dict[str, Meter]:
    """Return the meters of devices: only where something draws energy beside their requests."""
    facts = {each.group: each for each in setting.facts}
    end_s = setting.duration_s + setting.drain_s
    found: dict[str, Meter] = {}
    for device in setting.devices:
        mine, supply = facts[device.group], setting.supplies.get(device.group)
        if supply is not None:
            core: InOrder = compute[device.name]  # type: ignore[assignment]  # as scenarios are checked
            found[device.name] = Powered(
                clock, device, supply, mine.hardware, mine.radio, core, end_s, lose, over
            )
        elif mine.radio is not None and mine.radio.lingers:
            found[device.name] = Meter(clock, mine.radio)
    return found


def scenes(setting: Setting) -> dict[View, Scene]:
    """Return whom each view may show."""
    views = {view for source in setting.sources for part in source.parts for view in part.views}
    return {
        view: Scene.of([each.place.track for each in setting.devices if each.group in view.groups])
        for view in views
    }
