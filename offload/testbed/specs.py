"""From a scenario's setting to what each process of a testbed must know of it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from offload.entities import Cell, Plan, Wire
from offload.planning.columns import columns
from offload.scenario.setup import Setting
from offload.testbed import legs
from offload.testbed.device import DeviceSpec
from offload.testbed.link import Shape
from offload.testbed.message import MOST_BODY_BYTES
from offload.testbed.namespaces import Pair
from offload.testbed.node import NodeSpec, Way
from offload.testbed.parts import Key

HEADROOM_BYTES = 65_536


def of_node(
    setting: Setting, plans: Sequence[Plan], name: str, folder: Path, seed: int, core: int | None,
    log: Path | None,
) -> NodeSpec:  # fmt: skip
    """Return what a node must know."""
    ways: dict[str, Way] = {}
    # Of wires between the same nodes, routes take the one of least delay.
    for wire in sorted(setting.wires.values(), key=lambda each: each.delay_s + each.jitter_s):
        if name in wire.ends:
            (there,) = (end for end in wire.ends if end != name)
            stream = f"{wire.name} from {name}"
            ways.setdefault(there, Way(Shape(wire.rate_bps, _medium_s(wire)), wire.jitter_s, stream))
    sites = set()
    for each in setting.devices:
        cell = cell_of(setting, each.name)
        if cell is not None:
            it = setting.cells[cell]
            sites.add(it.node)
            if it.node == name:
                ways[each.name] = Way(Shape(it.down_bps, _medium_s(it)))
    fellows = frozenset(ways) & frozenset(setting.nodes)
    return NodeSpec(
        setting.nodes[name], folder, seed, core, 0, ways, fellows, _next_hop(setting, name),
        _most_bytes(setting), tuple(parts_at(plans, name)), log, fellows & sites,
    )  # fmt: skip


def _next_hop(setting: Setting, name: str) -> dict[str, str]:
    """Return which neighbour is the first on the way to each other node."""
    (facts, *_), found = setting.facts, {}
    for (begin, end), route in facts.routes.items():
        if begin == name and route:
            ends = setting.wires[route[0]].ends
            found[end] = ends[1] if ends[0] == name else ends[0]
    return found


def cell_of(setting: Setting, name: str) -> str | None:
    """Return the cell that serves a device that stands still; None if it has none."""
    (found,) = (each for each in setting.devices if each.name == name)
    return found.place.seen(0.0)[1]


def way_up(setting: Setting, cell: str | None) -> tuple[Way, str | None]:
    """Return a device's way over a cell, and to which node."""
    if cell is None:
        return Way(Shape()), None
    it = setting.cells[cell]
    return Way(Shape(it.up_bps, _medium_s(it))), it.node


def pairs(specs: Mapping[str, NodeSpec | DeviceSpec]) -> Iterable[Pair]:
    """Return the links between processes, as the kernel is to shape them."""
    nodes = {name: spec for name, spec in specs.items() if isinstance(spec, NodeSpec)}
    for name, spec in specs.items():
        if isinstance(spec, DeviceSpec):
            if spec.site is not None:
                yield Pair(name, spec.site, spec.way.shape, nodes[spec.site].ways[name].shape)
            continue
        for other in sorted(spec.fellows):
            if name < other:
                way, back = spec.ways[other], nodes[other].ways[name]
                yield Pair(name, other, way.shape, back.shape, way.jitter_s)


def left_to_kernel(spec: NodeSpec | DeviceSpec, space: Path) -> NodeSpec | DeviceSpec:
    """Return what a process must know that lives in a namespace, where the kernel shapes its links."""
    if isinstance(spec, DeviceSpec):
        return replace(spec, way=Way(Shape()), space=space)
    return replace(spec, ways=dict.fromkeys(spec.ways, Way(Shape())), space=space)


def _medium_s(link: Cell | Wire) -> float:
    """Return the delay to make: what a message takes besides, it takes here without being asked to."""
    return link.delay_s - link.toll.message_s


def plans(setting: Setting) -> Iterable[Plan]:
    """Every plan that a policy may choose, of every device."""
    for each in setting.devices:
        for facts in setting.facts:
            if facts.group == each.group:
                yield from columns(facts, cell_of(setting, each.name)).plans


def parts_at(plans: Iterable[Plan], name: str | None) -> Iterable[Key]:
    """The parts that a node may have to run, or with None a device."""
    found: dict[Key, None] = {}
    for plan in plans:
        if name is None:
            if plan.device_cut:
                found[Key(plan.variant.label, 0, plan.device_cut)] = None
        else:
            for stop in legs.stops(plan):
                if stop.node == name:
                    found[Key(plan.variant.label, stop.first, stop.last)] = None
    return found


def _most_bytes(setting: Setting) -> int:
    """What any message of this scenario may have in its body, and some more."""
    sizes = [HEADROOM_BYTES]
    for facts in setting.facts:
        # Sizes that are drawn may have no bound.
        sizes.append(math.ceil(min(MOST_BODY_BYTES, facts.most_input_bytes or facts.input_bytes)))
        sizes += [cut.payload_bytes for variant in facts.variants for cut in variant.cuts]
        sizes += [8 * math.prod(variant.input_shape) for variant in facts.variants]
    return min(MOST_BODY_BYTES, max(sizes) + HEADROOM_BYTES)
