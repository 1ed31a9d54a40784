"""A policy that always divides a network in the same way among device, edge and cloud."""

from dataclasses import dataclass, field

from offload.entities import Facts, Observation, Plan, Request
from offload.networks import Variant
from offload.policies.fixed import NoPlanError
from offload.units import Natural


@dataclass
class Pinned:
    """The first `device` layers at home, those up to `edge` at the nearest edge, the rest in the cloud.

    `variant` names a form, like "int8"; of several networks, the first that has it. Raises NoPlanError.
    """

    variant: str
    device: Natural
    edge: Natural
    chosen: dict[Facts, Plan] = field(default_factory=dict, init=False, repr=False)

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return the plan, found at the first question."""
        del request
        if seen.facts not in self.chosen:
            self.chosen[seen.facts] = self._plan(
                seen.facts, seen.serving or next(iter(seen.uplinks), None)
            )
        return self.chosen[seen.facts]

    def _plan(self, facts: Facts, cell: str | None) -> Plan:
        variant = next((each for each in facts.variants if each.name == self.variant), None)
        cloud = next((each.name for each in facts.nodes.values() if each.kind == "cloud"), None)
        if variant is None or cell is None or cloud is None:
            msg = f"{facts.group} has no variant {self.variant}, or no cell, or no cloud to be pinned to"
            raise NoPlanError(msg)
        device_cut, edge_cut = (cut_after(variant, after) for after in (self.device, self.edge))
        return Plan(variant, device_cut, edge_cut, facts.cells[cell].node, cloud, (cell,))


def cut_after(variant: Variant, after: int) -> int:
    """Return the cut behind so many layers. Raises NoPlanError where a network cannot be divided."""
    found = [number for number, cut in enumerate(variant.cuts) if cut.after == after]
    if not found:
        msg = f"{variant.label} has no cut after {after} layers; offload split lists those that it has"
        raise NoPlanError(msg)
    return found[0]
