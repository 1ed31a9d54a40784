"""What of a scenario a testbed cannot do."""

from collections.abc import Iterator, Mapping

from offload.entities import Facts, Node
from offload.policies.protocol import slot_s
from offload.policies.table import Choice
from offload.scenario.load import Scenario
from offload.scenario.schema import NodeTable
from offload.scenario.setup import Setting
from offload.simulation.run import fresh
from offload.streams import Streams
from offload.testbed import specs
from offload.testbed.message import MOST_BODY_BYTES

MOST = 16  # devices, and nodes
MOST_BATCH = 32
LEAST_REPORT_S = 0.001

_ONE = "a testbed's node has one server, and takes who comes; leave it out"
_MONEY = "a testbed counts no money; leave it out"


def why_not(scenario: Scenario, setting: Setting, choice: Choice) -> Iterator[str]:
    """Name what a testbed cannot do, each with its key; nothing if it can do all."""
    yield from _of_devices(scenario, setting)
    yield from _of_tasks(scenario, setting)
    yield from _of_links(scenario)
    if not setting.nodes:
        yield "nodes: there is none; a testbed needs one at least"
    if len(setting.nodes) > MOST:
        yield f"nodes: {len(setting.nodes)}, each a process; at most {MOST}"
    for name, table in scenario.file.nodes.items():
        yield from _of_node(setting.nodes[name], table)
    yield from _of_ways_back(setting)
    yield from (f"faults of {thing}: kill a process instead" for thing in setting.speeds)
    if choice.knowledge != "reported":
        yield f"policy {choice.label}: nobody is {choice.knowledge} in reality"
    if slot_s(fresh(choice, Streams(0, 0))):
        yield f"policy {choice.label}: a testbed asks one by one, without slots"


def _of_devices(scenario: Scenario, setting: Setting) -> Iterator[str]:
    if len(setting.devices) > MOST:
        yield f"devices: {len(setting.devices)}, each a process; at most {MOST}"
    for group, table in scenario.file.devices.items():
        key = f"devices.{group}"
        if table.mobility is not None:
            yield f"{key}.mobility: what runs on one machine does not move; leave it out"
        if group in setting.supplies:
            yield f"{key}.battery: no testbed has one; leave it out"
        if table.frequency < 1.0:
            yield f"{key}.frequency: a testbed's processor runs as fast as it does; leave it out"
        cells = {name for facts in setting.facts if facts.group == group for name in facts.cells}
        if len(cells) > 1:
            yield f"{key}: may use {', '.join(sorted(cells))}; a testbed's device has one cell"
    for name, cell in setting.cells.items():
        users = sum(name in device.place.cells for device in setting.devices)
        if cell.shared and users > 1:
            yield (
                f"links.{name}: shared by {users} devices, and each process shapes its own hop; write"
                " shared = false"
            )


def _of_tasks(scenario: Scenario, setting: Setting) -> Iterator[str]:
    for facts in setting.facts:
        key = f"devices.{facts.group}.tasks.{facts.task}"
        task = scenario.file.devices[facts.group].tasks[facts.task]
        if facts.stage is not None:
            yield f"{key}.stages: a testbed asks one network for each request"
        if task.scene is not None:
            yield f"{key}.scene: a testbed's cameras see no devices; leave it out"
        if task.result is not None:
            yield f"{key}.result: a testbed sends what the network answers; leave it out"
        if facts.input_bytes > MOST_BODY_BYTES:
            yield f"{key}.input: {facts.input_bytes:.3g} bytes; a message has at most {MOST_BODY_BYTES}"
        if facts.confidences:
            yield f"{key}.confidences: a testbed runs networks to their end; leave them out"
        yield from _of_networks(scenario, facts, key)


def _of_networks(scenario: Scenario, facts: Facts, key: str) -> Iterator[str]:
    for model in dict.fromkeys(variant.model for variant in facts.variants):
        if model in scenario.file.models:
            yield f"{key}.models: {model} has figures only, and a testbed runs networks"
    for variant in facts.variants:
        if variant.exits:
            yield f"{key}.variants: {variant.label} has several exits; name others, without them"


def _of_links(scenario: Scenario) -> Iterator[str]:
    for name, link in scenario.file.links.items():
        if link.is_cell and not (isinstance(link.up, float) and isinstance(link.down, float)):
            yield f"links.{name}: a rate that changes; a testbed shapes constant ones"
        if link.loss:
            yield f"links.{name}.loss: a testbed's links lose nothing; leave it out"
        if link.price_per_gb:
            yield f"links.{name}.price_per_GB: {_MONEY}"


def _of_node(node: Node, table: NodeTable) -> Iterator[str]:
    given: Mapping[str, tuple[bool, str]] = {
        "servers": (node.servers > 1, _ONE),
        "load": (node.load_bps is not None, "a testbed's nodes hold all weights; leave it out"),
        "admit": (node.admit != "all", _ONE),
        "scale": (node.scale is not None, _ONE),
        "policy": (node.decides_s is not None, "a testbed's nodes do as they are told; leave it out"),
        "price_per_hour": (table.price_per_hour > 0.0, _MONEY),
        "batch.max": (node.batch_max > MOST_BATCH, f"each size is made ready; at most {MOST_BATCH}"),
        "reports.every": (node.report_every_s < LEAST_REPORT_S, "a testbed's nodes need 1 ms at least"),
    }
    for key, (odd, told) in given.items():
        if odd:
            yield f"nodes.{node.name}.{key}: {told}"


def _of_ways_back(setting: Setting) -> Iterator[str]:
    """Name the first answers that would not go back as in the simulator, which is by the shortest way.

    They go back as the request came, but where it came twice.
    """
    used = {specs.cell_of(setting, each.name) for each in setting.devices}
    sites = {cell.node for name, cell in setting.cells.items() if name in used}
    facts, *_ = setting.facts
    for site in sorted(sites):
        for edge, cloud in _pairs(facts, site):
            out = [*_stops(facts, site, edge), *_stops(facts, edge, cloud)[1:]]
            way: list[str] = []
            for name in out:
                way = [*way[: way.index(name)], name] if name in way else [*way, name]
            if way[::-1] != _stops(facts, cloud, site):
                yield (
                    f"links: from {site} by {edge} to {cloud} is not the way back from {cloud}, and a"
                    " testbed's answers take no other; leave out a wire"
                )
                return


def _pairs(facts: Facts, site: str) -> Iterator[tuple[str, str]]:
    """An edge node other than a site, and a cloud, one after the other."""
    for edge in facts.nodes.values():
        if edge.kind == "edge" and edge.name != site and (site, edge.name) in facts.routes:
            for cloud in facts.nodes.values():
                if cloud.kind == "cloud" and (edge.name, cloud.name) in facts.routes:
                    yield edge.name, cloud.name


def _stops(facts: Facts, here: str, there: str) -> list[str]:
    """The nodes on a route, its ends included."""
    found = [here]
    for wire in facts.routes[here, there]:
        ends = facts.wires[wire].ends
        found.append(ends[1] if ends[0] == found[-1] else ends[0])
    return found
