"""The baselines that never look: always on the device, at the edge, in the cloud."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from offload.entities import Facts, Observation, OffloadError, Plan, Request
from offload.planning.columns import columns
from offload.planning.price import unloaded


class NoPlanError(OffloadError):
    """A device has no plan of the kind that a policy insists on."""


@dataclass
class _Fixed:
    """Always the same plan for a task and a cell.

    `variant` is the name of the form to run ("int8"); by default the most accurate one whose latency
    without load meets the deadline, else the quickest. With `confidence`, one that its task offers, a
    network with exits may leave early.
    """

    place: ClassVar[str]
    variant: str | None = None
    confidence: float | None = None
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
        table, prices = columns(facts, cell), unloaded(facts, cell)
        of_kind = np.array([self._fits(facts, plan) for plan in table.plans], dtype=bool)
        if not of_kind.any():
            kind = self._kind()
            msg = f"{facts.group} has no plan{kind} for task {facts.task} that runs on {self.place}"
            raise NoPlanError(msg)
        on_time = of_kind & (prices.latency_s <= facts.deadline_s)
        if on_time.any():
            accuracy = np.nan_to_num(prices.accuracy, nan=0.0)
            best = on_time & (accuracy == accuracy[on_time].max())
            return prices.least(prices.latency_s, among=best)
        return prices.least(prices.latency_s, among=of_kind)

    def _fits(self, facts: Facts, plan: Plan) -> bool:
        """Tell whether a plan is of this policy's kind."""
        return (
            self.variant in (None, plan.variant.name)
            and plan.confidence == self.confidence
            and self._here(facts, plan)
        )

    def _here(self, facts: Facts, plan: Plan) -> bool:
        """Tell whether a plan runs all it may in this policy's place."""
        raise NotImplementedError

    def _kind(self) -> str:
        """Say what was asked for, as far as it was."""
        told = f" of variant {self.variant}" if self.variant else ""
        return told + (f" with confidence {self.confidence:g}" if self.confidence is not None else "")


@dataclass
class Local(_Fixed):
    """Always on the device."""

    place = "device"

    def _here(self, facts: Facts, plan: Plan) -> bool:
        del facts
        return plan.uplinks is None


@dataclass
class _Away(_Fixed):
    """Leaves the device after `after` layers, by a `codec` that its task offers; default: at once, raw.

    Where raw input may not leave the device, at least the layers before the first cut run there.
    """

    codec: str | None = None
    after: int = 0

    def _here(self, facts: Facts, plan: Plan) -> bool:
        if plan.uplinks is None or plan.codec != self.codec:
            return False
        cuts = plan.variant.cuts
        return cuts[plan.device_cut].after == max(self.after, cuts[int(facts.private)].after)

    def _kind(self) -> str:
        told = super()._kind() + (f" with codec {self.codec}" if self.codec else "")
        return told + (f" after {self.after} layers" if self.after else "")


@dataclass
class Edge(_Away):
    """Always at the site of the nearest cell."""

    place = "edge"

    def _here(self, facts: Facts, plan: Plan) -> bool:
        at_site = plan.uplinks is not None and plan.edge == facts.cells[plan.uplinks[0]].node
        return at_site and plan.cloud is None and super()._here(facts, plan)


@dataclass
class Cloud(_Away):
    """Always in the cloud."""

    place = "cloud"

    def _here(self, facts: Facts, plan: Plan) -> bool:
        return plan.cloud is not None and plan.edge is None and super()._here(facts, plan)
