"""What of a scenario a testbed can do, and what it cannot."""

from collections.abc import Iterator

from offload.policies.table import Choice
from offload.scenario.load import Scenario
from offload.scenario.setup import Setting
from offload.simulation.run import fresh
from offload.policies.protocol import slot_s
from offload.streams import Streams

MOST_DEVICES = 16
INFINITE = float("inf")


def why_not(scenario: Scenario, setting: Setting, choice: Choice) -> Iterator[str]:
    """Name what a testbed cannot do, each with its key; nothing if it can do all."""
    if len(setting.devices) > MOST_DEVICES:
        yield f"devices: {len(setting.devices)}, each a process; at most {MOST_DEVICES}"
    for group, table in scenario.file.devices.items():
        key = f"devices.{group}"
        if table.mobility is not None:
            yield f"{key}.mobility: what runs on one machine does not move; leave it out"
        if group in setting.supplies:
            yield f"{key}.battery: no testbed has one; leave it out"
        users = [cell for cell in setting.cells.values() if _uses(setting, group, cell.name)]
        if len(users) > 1:
            names = ", ".join(cell.name for cell in users)
            yield f"{key}: may use {names}; a testbed's device has one cell"
        if table.at_most > 1 and any(cell.shared for cell in users):
            yield (
                f"links.{users[0].name}: {table.at_most} of {group} share it, and each process shapes its"
                " own hop; write shared = false"
            )
    for facts in setting.facts:
        key = f"devices.{facts.group}.tasks.{facts.task}"
        if facts.stage is not None:
            yield f"{key}.stages: a testbed asks one network for each request"
        if facts.confidences:
            yield f"{key}.confidences: a testbed runs networks to their end; leave them out"
    for name, link in scenario.file.links.items():
        if link.drawn:
            yield f"links.{name}: a rate by chance or by radio; a testbed shapes constant ones"
        if link.loss:
            yield f"links.{name}.loss: a testbed's links lose nothing; leave it out"
    for name, node in setting.nodes.items():
        odd = {
            "servers": node.servers > 1, "load": node.load_bps is not None,
            "admit": node.admit != "all", "scale": node.scale is not None,
            "policy": node.decides_s is not None,
        }  # fmt: skip
        yield from (f"nodes.{name}.{each}: a testbed's node has one server, and takes who comes"
                    for each, given in odd.items() if given)  # fmt: skip
    yield from (f"faults of {thing}: kill a process instead" for thing in setting.speeds)
    if choice.knowledge != "reported":
        yield f"policy {choice.label}: nobody is {choice.knowledge} in reality"
    if slot_s(fresh(choice, Streams(0, 0))):
        yield f"policy {choice.label}: a testbed asks one by one, without slots"


def _uses(setting: Setting, group: str, cell: str) -> bool:
    return any(facts.group == group and cell in facts.cells for facts in setting.facts)
