"""What of a scenario a testbed cannot do."""

from collections.abc import Iterator

from offload.entities import Node
from offload.policies.protocol import slot_s
from offload.policies.table import Choice
from offload.scenario.load import Scenario
from offload.scenario.setup import Setting
from offload.simulation.run import fresh
from offload.streams import Streams

MOST_DEVICES = 16


def why_not(scenario: Scenario, setting: Setting, choice: Choice) -> Iterator[str]:
    """Name what a testbed cannot do, each with its key; nothing if it can do all."""
    yield from _of_devices(scenario, setting)
    yield from _of_tasks(setting)
    for name, link in scenario.file.links.items():
        if link.drawn:
            yield f"links.{name}: a rate by chance or by radio; a testbed shapes constant ones"
        if link.loss:
            yield f"links.{name}.loss: a testbed's links lose nothing; leave it out"
    for node in setting.nodes.values():
        yield from _of_node(node)
    yield from (f"faults of {thing}: kill a process instead" for thing in setting.speeds)
    if choice.knowledge != "reported":
        yield f"policy {choice.label}: nobody is {choice.knowledge} in reality"
    if slot_s(fresh(choice, Streams(0, 0))):
        yield f"policy {choice.label}: a testbed asks one by one, without slots"


def _of_devices(scenario: Scenario, setting: Setting) -> Iterator[str]:
    if len(setting.devices) > MOST_DEVICES:
        yield f"devices: {len(setting.devices)}, each a process; at most {MOST_DEVICES}"
    for group, table in scenario.file.devices.items():
        key = f"devices.{group}"
        if table.mobility is not None:
            yield f"{key}.mobility: what runs on one machine does not move; leave it out"
        if group in setting.supplies:
            yield f"{key}.battery: no testbed has one; leave it out"
        cells = {
            name: cell
            for facts in setting.facts
            if facts.group == group
            for name, cell in facts.cells.items()
        }
        if len(cells) > 1:
            yield f"{key}: may use {', '.join(cells)}; a testbed's device has one cell"
        if table.at_most > 1:
            yield from (
                f"links.{name}: shared by {table.at_most} of {group}, and each process shapes its own"
                " hop; write shared = false"
                for name, cell in cells.items()
                if cell.shared
            )


def _of_tasks(setting: Setting) -> Iterator[str]:
    for facts in setting.facts:
        key = f"devices.{facts.group}.tasks.{facts.task}"
        if facts.stage is not None:
            yield f"{key}.stages: a testbed asks one network for each request"
        if facts.confidences:
            yield f"{key}.confidences: a testbed runs networks to their end; leave them out"


def _of_node(node: Node) -> Iterator[str]:
    given = {
        "servers": node.servers > 1,
        "load": node.load_bps is not None,
        "admit": node.admit != "all",
        "scale": node.scale is not None,
        "policy": node.decides_s is not None,
    }
    for key, odd in given.items():
        if odd:
            yield f"nodes.{node.name}.{key}: a testbed's node has one server, and takes who comes"
