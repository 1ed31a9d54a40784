"""From a checked scenario to what the world needs: devices with their facts, cells, wires, nodes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush

from offload.entities import Cell, Facts, Node, Scale, Wire
from offload.networks import Variant
from offload.overheads import AfterIdle, Machine
from offload.planning.validity import fits
from offload.scenario import demand, places
from offload.scenario.catalogue import Catalogue
from offload.scenario.energy import slowed, slower
from offload.scenario.links import Link
from offload.scenario.mobility import Trace
from offload.scenario.schema import DeviceGroup, NodeTable, ScenarioFile
from offload.scenario.tasks import Stage, Task
from offload.streams import Streams
from offload.units import Quantity
from offload.world.battery import Supply
from offload.world.births import Births
from offload.world.mobility import Track
from offload.world.rate import Rate
from offload.world.reach import Place


@dataclass(frozen=True, slots=True, eq=False)
class Device:
    """One device: its name, its kind, where it is, and from when to when it exists.

    In shared cells it gets air time by its `weight`.
    """

    name: str
    group: str
    place: Place
    weight: float = 1.0
    enters_s: float = field(init=False)
    leaves_s: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "enters_s", self.place.track.enters_s)
        object.__setattr__(self, "leaves_s", self.place.track.leaves_s)


@dataclass(frozen=True, slots=True)
class Source:
    """Where requests come from: one task (one stream of it) of one device, and its parts.

    There is one part, or a frame needs several, by stage and each behind those that it comes after.
    """

    device: Device
    parts: tuple[demand.Part, ...]
    births: Births
    stream: int

    @property
    def facts(self) -> Facts:
        """Those of its first part; what concerns the whole task is the same in all."""
        return self.parts[0].facts


@dataclass(frozen=True, slots=True)
class Setting:
    """All that a world is made of.

    `delays` are seconds from a node to a device over a cell, `between` those from node to node,
    `speeds` how fast nodes and links are over time that break or slow down,
    `supplies` the batteries of groups that have one, `after_idle` how groups slow down that do nothing.
    """

    duration_s: float
    drain_s: float
    devices: tuple[Device, ...]
    sources: tuple[Source, ...]
    facts: tuple[Facts, ...]
    cells: Mapping[str, Cell]
    wires: Mapping[str, Wire]
    nodes: Mapping[str, Node]
    delays: Mapping[tuple[str, str], float]
    between: Mapping[tuple[str, str], float] = field(default_factory=dict)
    speeds: Mapping[str, Rate] = field(default_factory=dict)
    supplies: Mapping[str, Supply] = field(default_factory=dict)
    after_idle: Mapping[str, AfterIdle] = field(default_factory=dict)
    machines: tuple[Machine, ...] = ()


def setup(
    file: ScenarioFile,
    catalogue: Catalogue,
    tracks: Mapping[str, Mapping[str, Track]],
    traces: places.Traces,
    births: demand.BirthTraces,
    streams: Streams,
    overhead_s: float = 0.0,
) -> Setting:
    """Build a setting; names must be checked.

    `tracks` holds those of each moving group, `traces` those of links, `births` those of births,
    `streams` the chance of what is drawn again in each replication.
    """
    nodes = {name: _node(name, table, catalogue) for name, table in file.nodes.items()}
    cells = places.cells(file, traces)
    centres_m = {name: nodes[cell.node].at_m for name, cell in cells.items()}
    covers = places.coverage(file, cells, centres_m, traces, streams)
    wires = {name: _wire(name, link) for name, link in file.links.items() if not link.is_cell}
    routes, delays_s = find_routes(nodes, wires)
    devices: list[Device] = []
    sources: list[Source] = []
    all_facts: list[Facts] = []
    for group, table in file.devices.items():
        mine = {name: cells[name] for name in cells if _open_to(file, name, group)}
        made = _devices(group, table.weight, _tracks(group, table, tracks), mine, covers)
        devices += made
        for name, task in table.tasks.items():
            parts = []
            for stage, asked in task.networks:
                facts = _facts(
                    group, table, name, task, stage, asked, catalogue, nodes, mine, wires, routes,
                    overhead_s,
                )  # fmt: skip
                all_facts.append(facts)
                parts.append(demand.part(facts, asked))
            known = births.get((group, name), {})
            sources += [
                Source(device, tuple(parts), demand.births(task, known.get(device.name)), stream)
                for device in made
                for stream in range(task.streams)
            ]
    delays = {
        (cell.name, name): cell.delay_s + delays_s[cell.node, name]
        for cell in cells.values()
        for name in nodes
        if (cell.node, name) in routes
    }
    return Setting(
        file.duration, file.drain, tuple(devices), tuple(sources), tuple(all_facts), cells, wires,
        nodes, delays, delays_s, covers.faults,
        {group: table.battery.supply for group, table in file.devices.items() if table.battery},
        {name: table.after_idle.figure for name, table in file.devices.items() if table.after_idle},
        tuple(Machine(table.co_location.slower, tuple(table.of)) for table in file.machines.values()),
    )  # fmt: skip


def _wire(name: str, link: Link) -> Wire:
    delay_s = link.wire_delay_s
    timeout_s = 2 * delay_s if link.timeout is None else link.timeout
    return Wire(
        name=name,
        ends=(str(link.from_), link.to),
        rate_bps=link.rate or 0.0,
        delay_s=delay_s + link.toll.message_s,
        jitter_s=link.jitter or 0.0,
        loss=link.loss or 0.0,
        timeout_s=timeout_s,
        price_per_byte=link.price_per_byte,
        toll=link.toll,
    )


def _node(name: str, table: NodeTable, catalogue: Catalogue) -> Node:
    hardware, scale = catalogue.hardware(table.hardware), table.scale
    return Node(
        name=name,
        kind=table.kind,
        hardware=hardware,
        servers=scale.min if scale else table.servers,
        at_m=table.at,
        report_every_s=table.reports.every,
        batch_max=table.batch.max if table.batch else 1,
        batch_wait_s=table.batch.wait if table.batch else 0.0,
        queue=table.queue,
        memory_bytes=table.memory or hardware.memory_bytes,
        load_bps=8 * table.load if table.load else None,
        resident=tuple(dict.fromkeys(table.resident)),
        admit=table.admit,
        queue_limit=table.queue_limit,
        scale=Scale(scale.min, scale.max, scale.up, scale.start, scale.idle) if scale else None,
        decides_s=Quantity("time").parse(table.policy.get("overhead", "0 s")) if table.policy else None,
        price_per_s=table.price_per_hour / 3600,
        after_idle=table.after_idle.figure if table.after_idle else None,
    )


def drawn(
    setting: Setting,
    file: ScenarioFile,
    tracks: Mapping[str, Mapping[str, Track]],
    traces: places.Traces,
    streams: Streams,
) -> Setting:
    """Return a setting in which all that depends on chance is drawn anew: ways, and what cells give."""
    groups = [group for group in file.devices if _by_chance(file, group)]
    if not groups and not any(fault.mtbf for fault in file.faults.values()):
        return setting
    cells = setting.cells
    centres_m = {name: setting.nodes[cell.node].at_m for name, cell in cells.items()}
    covers = places.coverage(file, cells, centres_m, traces, streams)
    others = {
        device.name: device
        for group in groups
        for mine in ({name: c for name, c in cells.items() if _open_to(file, name, group)},)
        for table in (file.devices[group],)
        for device in _devices(group, table.weight, _tracks(group, table, tracks), mine, covers)
    }
    return replace(
        setting,
        devices=tuple(others.get(device.name, device) for device in setting.devices),
        sources=tuple(
            replace(source, device=others.get(source.device.name, source.device))
            for source in setting.sources
        ),
        speeds=covers.faults,
    )


def _by_chance(file: ScenarioFile, group: str) -> bool:
    """Tell whether where devices are, or what cells give them, is drawn in each replication."""
    mobility = file.devices[group].mobility
    breaking = {thing for fault in file.faults.values() if fault.mtbf for thing in fault.of}
    return (mobility is not None and not isinstance(mobility, Trace)) or any(
        link.drawn or name in breaking
        for name, link in file.links.items()
        if link.is_cell and _open_to(file, name, group)
    )


def find_routes(
    nodes: Mapping[str, Node], wires: Mapping[str, Wire]
) -> tuple[dict[tuple[str, str], tuple[str, ...]], dict[tuple[str, str], float]]:
    """Return the wires of the least-delay route between any two nodes, and that delay (Dijkstra)."""
    routes: dict[tuple[str, str], tuple[str, ...]] = {}
    delays: dict[tuple[str, str], float] = {}
    for start in nodes:
        heap: list[tuple[float, int, str, tuple[str, ...]]] = [(0.0, 0, start, ())]
        order = 1
        while heap:
            delay_s, _, here, way = heappop(heap)
            if (start, here) in routes:
                continue
            routes[start, here], delays[start, here] = way, delay_s
            for wire in wires.values():
                if here in wire.ends:
                    there = wire.ends[1] if wire.ends[0] == here else wire.ends[0]
                    further_s = delay_s + wire.delay_s + wire.jitter_s
                    heappush(heap, (further_s, order, there, (*way, wire.name)))
                    order += 1
    return routes, delays


def _open_to(file: ScenarioFile, cell: str, group: str) -> bool:
    """Tell whether a group of devices may use a cell."""
    users = file.links[cell].from_
    return users in ("*", group) or (isinstance(users, list) and group in users)


def _tracks(
    group: str, table: DeviceGroup, tracks: Mapping[str, Mapping[str, Track]]
) -> Iterable[Track]:
    if table.mobility is not None:
        return tracks[group].values()
    return [Track.standing(table.at or (0.0, 0.0))] * table.at_most


def _devices(
    group: str, weight: float, tracks: Iterable[Track], cells: Iterable[str], covers: places.Coverage
) -> list[Device]:
    mine = tuple(cells)
    by_radio = any(name in covers.sites for name in mine)
    found: list[Device] = []
    for number, track in enumerate(tracks):
        name = f"{group}-{number}"
        if found and not by_radio and track is found[-1].place.track:  # they stand together
            place = found[-1].place
        else:
            place = covers.place(name, track, mine)
        found.append(Device(name, group, place, weight))
    return found


def _facts(
    group: str, table: DeviceGroup, name: str, task: Task, stage: str | None, asked: Stage,
    catalogue: Catalogue, nodes: Mapping[str, Node], cells: Mapping[str, Cell],
    wires: Mapping[str, Wire], routes: Mapping[tuple[str, str], tuple[str, ...]], overhead_s: float,
) -> Facts:  # fmt: skip
    variants = candidates(asked, catalogue)
    inputs = demand.inputs(asked)
    mine = slower(catalogue.hardware(table.hardware), table.frequency)
    places = {"device": (table.hardware, mine.memory_bytes)} | {
        node.name: (node.hardware.name, node.memory_bytes) for node in nodes.values()
    }
    profiles = {
        place: {
            v: p for v in variants
            if fits(v, memory_bytes) and (p := catalogue.profile(v, hardware)) is not None
        }
        for place, (hardware, memory_bytes) in places.items()
    }  # fmt: skip
    if table.frequency < 1.0:
        profiles["device"] = {v: slowed(p, table.frequency) for v, p in profiles["device"].items()}
    results = {
        v: float(v.cuts[-1].payload_bytes) if asked.result is None else asked.result for v in variants
    }
    return Facts(
        group=group,
        task=name,
        hardware=mine,
        radio=table.radio_power,
        deadline_s=task.deadline,
        input_bytes=inputs.mean_bytes,
        result_bytes=results,
        private=asked.private,
        late=task.late,
        overhead_s=overhead_s,
        variants=tuple(v for v in variants if any(v in known for known in profiles.values())),
        profiles=profiles,
        nodes=nodes,
        cells=cells,
        wires=wires,
        routes=routes,
        codecs=tuple(dict.fromkeys(asked.codecs)),
        confidences=tuple(dict.fromkeys(asked.confidences)),
        priority=task.priority,
        fallback=task.fallback,
        retries=task.retries,
        retry_after_s=task.retry_after,
        stage=stage,
        most_input_bytes=None if inputs.equal else inputs.most_bytes,
        capacity_j=table.battery.capacity if table.battery else None,
    )


def candidates(asked: Stage, catalogue: Catalogue) -> list[Variant]:
    """Return the forms of a task's networks, or of a stage's, that it allows."""
    return [
        variant
        for model in asked.models
        for variant in catalogue.variants(model)
        if asked.variants is None or variant.name in asked.variants
    ]
