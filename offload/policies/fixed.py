"""The baselines that never look: always on the device, at the edge, in the cloud."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from offload.entities import Facts, Observation, OffloadError, Plan, Request
from offload.planning.columns import columns
from offload.planning.cuts import open_cuts
from offload.planning.price import unloaded


class NoPlanError(OffloadError):
    """A device has no plan of the kind that a policy insists on."""


@dataclass
class _Fixed:
    """Always the same plan for a task and a cell.

    `variant` is the name of the form to run ("int8"); by default the most accurate one whose latency
    without load meets the deadline, else the quickest. Where raw input may not leave the device, as
    little as possible runs there.
    """

    place: ClassVar[str]
    variant: str | None = None
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
        of_kind = np.array([self._here(plan, facts) for plan in table.plans], dtype=bool)
        if self.variant is not None:
            of_kind &= np.array([plan.variant.name == self.variant for plan in table.plans], dtype=bool)
        if not of_kind.any():
            form = f" of variant {self.variant}" if self.variant else ""
            msg = f"{facts.group} has no plan{form} for task {facts.task} that runs on {self.place}"
            raise NoPlanError(msg)
        on_time = of_kind & (prices.latency_s <= facts.deadline_s)
        if on_time.any():
            accuracy = np.nan_to_num(prices.accuracy, nan=0.0)
            best = on_time & (accuracy == accuracy[on_time].max())
            return prices.least(prices.latency_s, among=best)
        return prices.least(prices.latency_s, among=of_kind)

    def _here(self, plan: Plan, facts: Facts) -> bool:
        """Tell whether a plan runs all it may in this policy's place."""
        if self.place == "device":
            return plan.uplinks is None
        if plan.uplinks is None or plan.device_cut != open_cuts(facts, plan.variant)[0]:
            return False
        if self.place == "edge":
            return plan.edge == facts.cells[plan.uplinks[0]].node and plan.cloud is None
        return plan.cloud is not None and plan.edge is None


@dataclass
class Local(_Fixed):
    """Always on the device."""

    place = "device"


@dataclass
class Edge(_Fixed):
    """Always at the site of the nearest cell."""

    place = "edge"


@dataclass
class Cloud(_Fixed):
    """Always in the cloud."""

    place = "cloud"
