"""From a checked scenario to what the world needs: devices with their facts, cells, wires, nodes."""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heappop, heappush

from offload.entities import Cell, Facts, Node, Wire
from offload.networks import Variant
from offload.scenario.catalogue import Catalogue
from offload.scenario.schema import DeviceGroup, ScenarioFile
from offload.scenario.tasks import Crops, SceneTable, Stage, Task
from offload.world.births import Births
from offload.world.demand import Counts, Inputs, Scene, Sizes
from offload.world.mobility import Track, nearest, presence
from offload.world.rate import Rate
from offload.world.reach import Place, Reach, attachments

GIVE_UP_S = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Device:
    """One device: its name, its kind and where it is."""

    name: str
    group: str
    place: Place


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What a task asks of one network: for inputs of which sizes.

    Of a frame that needs several: `after` which others, and for how many crops.
    """

    facts: Facts
    inputs: Inputs
    after: tuple[str, ...]
    counts: Counts


@dataclass(frozen=True, slots=True)
class Source:
    """Where requests come from: one task (one stream of it) of one device, and its parts.

    There is one part, or a frame needs several, by stage and each behind those that it comes after.
    """

    device: Device
    parts: tuple[Part, ...]
    births: Births
    stream: int

    @property
    def facts(self) -> Facts:
        """Those of its first part; what concerns the whole task is the same in all."""
        return self.parts[0].facts


@dataclass(frozen=True, slots=True)
class Setting:
    """All that a world is made of. `delays` are seconds from a node to a device over a cell."""

    duration_s: float
    drain_s: float
    devices: tuple[Device, ...]
    sources: tuple[Source, ...]
    facts: tuple[Facts, ...]
    cells: Mapping[str, Cell]
    wires: Mapping[str, Wire]
    nodes: Mapping[str, Node]
    delays: Mapping[tuple[str, str], float]


def setup(
    file: ScenarioFile,
    catalogue: Catalogue,
    tracks: Mapping[str, Mapping[str, Track]],
    births: Mapping[tuple[str, str], Mapping[str, "array[float]"]],
    overhead_s: float = 0.0,
) -> Setting:
    """Build a setting; names must be checked.

    `tracks` holds the trace of each moving group by id, `births` those of births by group and task.
    """
    nodes = {
        name: Node(
            name=name,
            kind=table.kind,
            hardware=catalogue.hardware(table.hardware),
            servers=table.servers,
            at_m=table.at,
            report_every_s=table.reports.every,
            batch_max=table.batch.max if table.batch else 1,
            batch_wait_s=table.batch.wait if table.batch else 0.0,
        )
        for name, table in file.nodes.items()
    }
    cells = _cells(file)
    wires = {
        name: Wire(name, (str(link.from_), link.to), link.rate or 0.0, link.delay, link.jitter or 0.0)
        for name, link in file.links.items()
        if not link.is_cell
    }
    routes, delays_s = find_routes(nodes, wires)
    devices: list[Device] = []
    sources: list[Source] = []
    all_facts: list[Facts] = []
    for group, table in file.devices.items():
        mine = {name: cells[name] for name in cells if _open_to(file, name, group)}
        made = [
            Device(f"{group}-{number}", group, _place(track, mine, nodes))
            for number, track in enumerate(_tracks(group, table, tracks))
        ]
        devices += made
        for name, task in table.tasks.items():
            parts = []
            for stage, asked in task.networks:
                inputs = _inputs(asked, group, file, tracks)
                facts = _facts(
                    group, table, name, task, stage, asked, inputs, catalogue, nodes, mine, wires,
                    routes, overhead_s,
                )  # fmt: skip
                all_facts.append(facts)
                counts = _counts(asked.count, group, file, tracks)
                parts.append(Part(facts, inputs, tuple(asked.after), counts))
            traces = births.get((group, name), {})
            sources += [
                Source(device, tuple(parts), _births(task, traces.get(device.name)), stream)
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
        nodes, delays,
    )  # fmt: skip


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


def _cells(file: ScenarioFile) -> dict[str, Cell]:
    return {
        name: Cell(
            name=name,
            node=link.to,
            up_bps=link.up,
            down_bps=link.down,
            delay_s=link.delay,
            range_m=link.range or float("inf"),
            give_up_s=link.give_up or GIVE_UP_S,
            shared=link.shared is not False,
            interruption_s=link.handover,
        )
        for name, link in file.links.items()
        if link.up is not None and link.down is not None
    }


def _place(track: Track, cells: Mapping[str, Cell], nodes: Mapping[str, Node]) -> Place:
    """Find when a device on a track is in reach of which cells."""
    centres = {name: nodes[cell.node].at_m for name, cell in cells.items()}
    speeds = {
        name: presence(track, centres[name], cell.range_m)
        for name, cell in cells.items()
        if cell.range_m < float("inf")
    }
    roaming = tuple(name for name, cell in cells.items() if cell.interruption_s is not None)
    if roaming:
        times, found = nearest(
            track, [centres[name] for name in roaming], [cells[name].range_m for name in roaming]
        )
        serving = [roaming[index] if index >= 0 else None for index in found]
        interruption_s = max(cells[name].interruption_s or 0.0 for name in roaming)
        attached = attachments([0.0, *times[1:].tolist()], serving, interruption_s)
        never = Rate.constant(0.0)
        speeds |= {name: attached.get(name, never) for name in roaming}
    reach = Reach(speeds, roaming)
    return Place(track, cells, centres, reach, reach)


def _open_to(file: ScenarioFile, cell: str, group: str) -> bool:
    """Tell whether a group of devices may use a cell."""
    users = file.links[cell].from_
    return users in ("*", group) or (isinstance(users, list) and group in users)


def _tracks(group: str, table: DeviceGroup, tracks: Mapping[str, Mapping[str, Track]]) -> list[Track]:
    if table.mobility is not None:
        return list(tracks[group].values())[: table.count]
    return [Track.standing(table.at or (0.0, 0.0))] * table.count


def _births(task: Task, trace: "array[float] | None") -> Births:
    return Births(
        task.arrivals,
        task.every or 0.0,
        task.jitter,
        task.on or 0.0,
        task.off or 0.0,
        tuple((state.every, state.stay) for state in task.states or ()),
        trace or array("d"),
        task.repeat or float("inf"),
    )


def _inputs(
    asked: Stage, group: str, file: ScenarioFile, tracks: Mapping[str, Mapping[str, Track]]
) -> Inputs:
    table, objects = asked.input, asked.scene
    sizes = None
    if table.distribution != "constant":
        most = float("inf") if table.max is None else table.max
        sizes = Sizes(table.min or 0.0, most, table.mean_bytes, table.cv)
    if objects is None:
        return Inputs(table.mean_bytes, sizes)
    scene = _scene(objects, group, file, tracks)
    return Inputs(table.mean_bytes, sizes, scene, objects.per_object)


def _counts(
    crops: Crops, group: str, file: ScenarioFile, tracks: Mapping[str, Mapping[str, Track]]
) -> Counts:
    if crops.mean is not None:
        return Counts.poisson(crops.mean, crops.at_most)
    every_time = Counts.exactly(crops.at_most)
    if crops.scene is None:
        return every_time
    return Counts(every_time.cumulative, _scene(crops.scene, group, file, tracks))


def _scene(
    table: SceneTable, group: str, file: ScenarioFile, tracks: Mapping[str, Mapping[str, Track]]
) -> Scene:
    groups = dict.fromkeys(table.groups)
    found = [track for each in groups for track in _tracks(each, file.devices[each], tracks)]
    return Scene.of(found, table.within, itself=group in groups)


def _facts(
    group: str, table: DeviceGroup, name: str, task: Task, stage: str | None, asked: Stage,
    inputs: Inputs, catalogue: Catalogue, nodes: Mapping[str, Node], cells: Mapping[str, Cell],
    wires: Mapping[str, Wire], routes: Mapping[tuple[str, str], tuple[str, ...]], overhead_s: float,
) -> Facts:  # fmt: skip
    variants = candidates(asked, catalogue)
    places = {"device": table.hardware} | {node.name: node.hardware.name for node in nodes.values()}
    profiles = {
        place: {v: p for v in variants if (p := catalogue.profile(v, hardware)) is not None}
        for place, hardware in places.items()
    }
    results = {
        v: float(v.cuts[-1].payload_bytes) if asked.result is None else asked.result for v in variants
    }
    return Facts(
        group=group,
        task=name,
        hardware=catalogue.hardware(table.hardware),
        radio_w=table.radio_power,
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
        stage=stage,
        most_input_bytes=None if inputs.equal else inputs.most_bytes,
    )


def candidates(asked: Stage, catalogue: Catalogue) -> list[Variant]:
    """Return the forms of a task's networks, or of a stage's, that it allows."""
    return [
        variant
        for model in asked.models
        for variant in catalogue.variants(model)
        if asked.variants is None or variant.name in asked.variants
    ]
