"""What a scenario is made of, as boxes and links with their figures in words: what a diagram shows."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from offload.entities import Cell, Node, Wire
from offload.scenario.breaking import FaultTable
from offload.scenario.links import Link as LinkTable
from offload.scenario.links import Traced
from offload.scenario.load import Scenario
from offload.scenario.mobility import Trace, Waypoints
from offload.scenario.schema import DeviceGroup
from offload.scenario.setup import Setting
from offload.scenario.tasks import Task
from offload.units import Quantity, show_seconds

DEVICES, CELLS, EDGE, CLOUD = range(4)
MOST_APART = 3  # sites that are alike are drawn one by one up to here
ORDERS = {
    "fifo": "first come, first served",
    "priority": "by priority",
    "edf": "earliest deadline first",
}
EVERY = {
    "periodic": "every {}", "poisson": "every {} on average, at random",
    "on-off": "every {}, on and off", "mmpp": "in episodes", "trace": "as recorded",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Box:
    """A group of devices, a cell or a node, in a column; `many` tells how many alike it stands for."""

    name: str
    title: str
    lines: tuple[str, ...]
    column: int
    many: int = 1


@dataclass(frozen=True, slots=True)
class Line:
    """What connects two boxes: devices over the air, a cell with its site, or wires between nodes."""

    kind: Literal["air", "site", "wire"]
    ends: tuple[str, str]
    title: str = ""
    figures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parts:
    """Boxes in the order of their declaration, and the lines between them."""

    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


def parts(scenario: Scenario) -> Parts:
    """Return the boxes and lines of a scenario; of many sites that are alike one stands for all."""
    setting, file = scenario.setting(0.0), scenario.file
    counts = Counter(device.group for device in setting.devices)
    boxes = [_group(name, table, counts[name]) for name, table in file.devices.items()]
    cells = {name: _cell(setting.cells[name], scenario) for name in setting.cells}
    nodes = {name: _node(setting.nodes[name], scenario) for name in setting.nodes}
    users: dict[str, dict[str, None]] = defaultdict(dict)
    for facts in setting.facts:
        for name in facts.cells:
            users[name][facts.group] = None
    first = _alike(setting, cells, nodes, users, scenario)
    trunks, among = _trunks(setting, first, scenario)
    for each in (cells, nodes):
        boxes += [
            _standing_for(box, [other for other in each if first[other] == name], among.get(name, ()))
            for name, box in each.items()
            if first[name] == name
        ]
    lines = [
        *(Line("air", (group, name)) for name in cells if first[name] == name for group in users[name]),
        *(
            Line("site", (name, first[cell.node]))
            for name, cell in setting.cells.items()
            if first[name] == name
        ),
        *trunks,
    ]
    return Parts(tuple(boxes), tuple(lines))


def _alike(
    setting: Setting, cells: Mapping[str, Box], nodes: Mapping[str, Box],
    users: Mapping[str, Mapping[str, None]], scenario: Scenario,
) -> dict[str, str]:  # fmt: skip
    """Tell for each cell and node which one stands for it: itself, or the first of many alike."""
    alike: dict[object, list[str]] = defaultdict(list)
    own = {name: [c for c, cell in setting.cells.items() if cell.node == name] for name in nodes}
    for name, box in nodes.items():
        said = [(cells[cell].lines, tuple(users[cell])) for cell in own[name]]
        up = [
            (other, _figures(wire, scenario))
            for wire in setting.wires.values()
            if name in wire.ends
            for other in wire.ends
            if other != name and setting.nodes[other].kind == "cloud"
        ]
        alike[box.column, box.lines, tuple(said), tuple(up)].append(name)
    first = {name: name for name in (*nodes, *cells)}
    for names in alike.values():
        if len(names) > MOST_APART:
            for name in names:
                first[name] = names[0]
                first |= dict(zip(own[name], own[names[0]], strict=True))
    return first


def _trunks(
    setting: Setting, first: Mapping[str, str], scenario: Scenario
) -> tuple[list[Line], dict[str, list[str]]]:
    """Put together wires with the same ends and figures; tell apart those among sites alike."""
    names: dict[tuple[tuple[str, str], tuple[str, ...]], list[str]] = defaultdict(list)
    order = sorted(setting.nodes, key=lambda name: setting.nodes[name].kind == "cloud")
    for name, wire in setting.wires.items():
        a, b = sorted(wire.ends, key=order.index)
        names[(first[a], first[b]), _figures(wire, scenario)].append(name)
    trunks, among = [], defaultdict(list)
    for (ends, figures), wires in names.items():
        if ends[0] == ends[1]:
            among[ends[0]].append(f"{len(wires)} wires among them: {', '.join(figures)}")
        else:
            title = wires[0] if len(wires) == 1 else f"{len(wires)} wires, each"
            trunks.append(Line("wire", ends, title, figures))
    return trunks, dict(among)


def _standing_for(box: Box, names: list[str], among: Iterable[str]) -> Box:
    if len(names) == 1:
        return replace(box, lines=(*box.lines, *among))
    title = f"{names[0]} to {names[-1]}: {len(names)} alike"
    return replace(box, title=title, lines=(*box.lines, *among), many=len(names))


def _group(name: str, table: DeviceGroup, count: int) -> Box:
    moves = table.mobility
    if moves is None:
        ways = "standing" if table.at is None else "standing at {:g}\xa0m, {:g}\xa0m".format(*table.at)
    elif isinstance(moves, Trace):
        ways = "moving as recorded"
    elif isinstance(moves, Waypoints):
        ways = "moving along points"
    else:
        ways = f"moving: {moves.model}"
    speed = "" if table.frequency == 1.0 else f" at {table.frequency:g} of full frequency"
    lines = [f"{table.hardware}{speed}, {ways}"]
    if table.battery is not None:
        lines.append(f"battery of {Quantity('energy').show(table.battery.capacity)}")
    for task_name, task in table.tasks.items():
        lines += _task(task_name, task)
    return Box(name, f"{count} x {name}", tuple(lines), DEVICES)


def _task(name: str, task: Task) -> Iterator[str]:
    every = EVERY[task.arrivals].format(show_seconds(task.every or 0.0))
    streams = f", {task.streams} streams" if task.streams > 1 else ""
    yield f"{name}: {every}{streams}, deadline {show_seconds(task.deadline)}"
    for stage, asked in task.networks:
        size = "" if asked.input is None else f"{Quantity('size').show(asked.input.mean_bytes)} for "
        crops = asked.count if stage is not None else None
        times = "" if crops is None or crops.exactly == 1 else f", up to {crops.at_most} of them"
        private = "; inputs stay there" if asked.private else ""
        which = f"{stage}: " if stage else ""
        yield f"{which}{size}{' or '.join(asked.models or ())}{times}{private}"


def _cell(cell: Cell, scenario: Scenario) -> Box:
    link = scenario.file.links[cell.name]
    best = "at best " if link.radio else "on average " if _varies(link) else ""
    lines: list[str] = [link.radio] if link.radio else []
    lines += [f"{best}{rate(cell.up_bps)} up, {rate(cell.down_bps)} down"]
    far = "" if cell.range_m == float("inf") else f", range {cell.range_m:g} m"
    lines += [f"delay {show_seconds(cell.delay_s)}{far}"]
    if not cell.shared:
        lines.append("each device has its own")
    if cell.price_per_byte:
        lines.append(f"{link.price_per_gb:g} a GB")
    return Box(cell.name, cell.name, (*lines, *_faults(cell.name, scenario)), CELLS)


def _varies(link: LinkTable) -> bool:
    return link.drawn or isinstance(link.up, Traced) or isinstance(link.down, Traced)


def _node(node: Node, scenario: Scenario) -> Box:
    scale = node.scale
    servers = f"{node.servers} server{'s' * (node.servers > 1)}"
    if scale is not None:
        servers = f"{scale.min} to {scale.max} servers, as needed,"
    order = ORDERS[node.queue]
    if node.batch_max > 1:
        order = f"batches of up to {node.batch_max}, waiting {show_seconds(node.batch_wait_s)}"
    lines = [f"{servers} of {node.hardware.name}", order]
    if node.queue_limit is not None:
        lines.append(f"at most {node.queue_limit} waiting")
    if node.admit == "deadline":
        lines.append("turns away what would be late")
    if node.load_bps is not None:
        lines.append(f"loads weights at {rate(node.load_bps)}")
    lines.append(f"reports every {show_seconds(node.report_every_s)}")
    if policy := scenario.forwarders.get(node.name):
        lines.append(f"decides itself: {policy.label}")
    if price := scenario.file.nodes[node.name].price_per_hour:
        lines.append(f"{price:g} an hour of computing")
    column = CLOUD if node.kind == "cloud" else EDGE
    return Box(node.name, node.name, (*lines, *_faults(node.name, scenario)), column)


def _figures(wire: Wire, scenario: Scenario) -> tuple[str, ...]:
    jitter = f" + {show_seconds(wire.jitter_s)} jitter" if wire.jitter_s else ""
    lost = f", {wire.loss:.2%} lost" if wire.loss else ""
    lines = [rate(wire.rate_bps) + lost, show_seconds(wire.delay_s) + jitter]
    return (*lines, *_faults(wire.name, scenario))


def _faults(name: str, scenario: Scenario) -> list[str]:
    """Say when a thing breaks or slows down."""
    return [_fault(key, fault) for key, fault in scenario.file.faults.items() if name in fault.of]


def _fault(name: str, fault: FaultTable) -> str:
    what = f"{name}: {'down' if fault.slower is None else f'{fault.slower:g} times slower'}"
    if fault.mtbf is not None and fault.mttr is not None:
        return f"{what} every {show_seconds(fault.mtbf)}, for {show_seconds(fault.mttr)}"
    windows = fault.windows or ()
    told = [f"{show_seconds(begin)} to {show_seconds(end)}" for begin, end in windows[:2]]
    return f"{what} {', '.join(told)}{', ...' * (len(windows) > 2)}"


def rate(bps: float) -> str:
    """Write a rate with three digits."""
    return Quantity("rate").show(float(f"{bps:.3g}"))
