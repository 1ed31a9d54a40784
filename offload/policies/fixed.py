"""The baselines that never look: always on the device, at the edge, in the cloud."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from offload.entities import Facts, Observation, OffloadError, Plan, Request
from offload.networks import Variant
from offload.planning.cuts import first_cut
from offload.planning.validity import why_invalid
from offload.planning.whole import best_unloaded
from offload.units import Natural, Share


class NoPlanError(OffloadError):
    """A device has no plan of the kind that a policy insists on."""


@dataclass
class _Fixed:
    """Always the same plan for a task and a cell.

    `variant` is the form to run ("int8", or "resnet18:int8" where several networks have one); by default
    the most accurate one whose latency without load meets the deadline, else the quickest. With
    `confidence` a network that has exits leaves at the first that is as sure; others are not run.
    """

    place: ClassVar[str]
    variant: str | None = None
    confidence: Share | None = None
    chosen: dict[tuple[Facts, str | None], Plan] = field(default_factory=dict, init=False, repr=False)

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return the plan, found at the first question."""
        del request
        facts, cell = seen.facts, seen.serving
        if cell is None and self.place != "device":  # out of range, the nearest cell is waited for
            cell = next(iter(seen.uplinks), None)
        try:
            return self.chosen[facts, cell]
        except KeyError:
            return self.chosen.setdefault((facts, cell), self._choose(facts, cell))

    def _choose(self, facts: Facts, cell: str | None) -> Plan:
        wanted = [
            plan
            for plan in self._plans(facts, cell)
            if self.variant in (None, plan.variant.name, plan.variant.label)
        ]
        reasons = [why_invalid(facts, plan) for plan in wanted]
        plans = [plan for plan, why in zip(wanted, reasons, strict=True) if why is None]
        if not plans:
            form = f" of variant {self.variant}" if self.variant else ""
            why = f": {reasons[0]}" if reasons else ""
            msg = (
                f"{facts.group} has no plan{form} for task {facts.asked} that runs on {self.place}{why}"
            )
            raise NoPlanError(msg)
        return best_unloaded(facts, cell, plans).plan

    def _plans(self, facts: Facts, cell: str | None) -> Iterator[Plan]:
        """Every plan of this kind, whether or not it can be carried out."""
        raise NotImplementedError


@dataclass
class Local(_Fixed):
    """Always on the device."""

    place = "device"

    def _plans(self, facts: Facts, cell: str | None) -> Iterator[Plan]:
        del cell
        for variant in facts.variants:
            yield Plan(variant, variant.last, variant.last, confidence=self.confidence)


@dataclass
class _Away(_Fixed):
    """Leaves the device after `after` layers, by a `codec` on offer; by default at once, and raw.

    Where raw input may not leave the device, as few layers as possible run there.
    """

    codec: str | None = None
    after: Natural = 0

    def _cuts(self, facts: Facts) -> Iterator[tuple[Variant, int]]:
        """Each variant that can be divided there, and the cut."""
        for variant in facts.variants:
            after = max(self.after, variant.cuts[first_cut(facts, variant)].after)
            yield from ((variant, cut) for cut, each in enumerate(variant.cuts) if each.after == after)


@dataclass
class Edge(_Away):
    """Always at the site of the nearest cell."""

    place = "edge"

    def _plans(self, facts: Facts, cell: str | None) -> Iterator[Plan]:
        if cell is None:
            return
        for variant, cut in self._cuts(facts):
            site, last = facts.cells[cell].node, variant.last
            yield Plan(variant, cut, last, site, None, (cell,), self.codec, None, self.confidence)


@dataclass
class Cloud(_Away):
    """Always in the cloud."""

    place = "cloud"

    def _plans(self, facts: Facts, cell: str | None) -> Iterator[Plan]:
        if cell is None:
            return
        for cloud in (node.name for node in facts.nodes.values() if node.kind == "cloud"):
            for variant, cut in self._cuts(facts):
                yield Plan(variant, cut, cut, None, cloud, (cell,), self.codec, None, self.confidence)
