"""Accuracy and frame rate, subject to latency and energy, planned anew every interval."""

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from pydantic import Field

from offload.entities import Facts, Observation, Plan, Request
from offload.planning.columns import Floats
from offload.planning.price import Prices, cell_in_use, price
from offload.units import Hertz, Joules, Seconds, Weight


@dataclass
class DeepDecision:
    """Most accuracy and frame rate among the plans on time and within a budget of energy per request.

    DeepDecision (Ran, Chen, Zhu, Liu, Chen, INFOCOM 2018) searches a small table of a local small or a
    remote big network, frame resolutions and bit rates, at every interval. The score here is

        accuracy + weight * min(1, f / frames),   f = 1 / max(device s, bits up / rate)

    where f is the frame rate that the device's processor and the expected rate of its uplink can keep
    up. Adapted: the knobs are the task's forms, codecs, exits and all cuts, not resolution and bit rate;
    frames are born at the task's pace and cannot be skipped, so that f is what could be kept up, and
    the budget is per request, not per second; `frames` (assumed) is what a viewer wants. Each
    device keeps its plan for `interval` or until another cell serves it; a node that is asked searches
    for each request. Unknown accuracy counts as 0. Where no plan is on time: the quickest within
    `energy`; where none is within it: the one that takes least.
    """

    interval: Seconds = 1.0
    weight: Weight = 1.0
    frames: Annotated[Hertz, Field(gt=0)] = 30.0
    energy: Joules | None = None
    margin: Seconds = 0.0
    kept: dict[tuple[str, Facts], tuple[float, str | None, Plan]] = field(
        default_factory=dict, init=False, repr=False
    )

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return the plan of this interval."""
        if seen.begun is not None:
            return self.search(request, seen)
        key = request.device, seen.facts
        until_s, serving, plan = self.kept.get(key, (0.0, None, None))
        if plan is None or seen.now_s >= until_s or serving != seen.serving:
            plan = self.search(request, seen)
            self.kept[key] = (seen.now_s + self.interval, seen.serving, plan)
        return plan

    def search(self, request: Request, seen: Observation) -> Plan:
        """Look through the table."""
        prices = price(request, seen)
        within = np.ones(len(prices.plans), dtype=bool)
        if self.energy is not None:
            within = prices.energy_j <= self.energy
        if not within.any():
            return prices.least(prices.energy_j)
        open_ = within & (prices.latency_s <= request.deadline_s - self.margin)
        if not open_.any():
            return prices.least(prices.latency_s, among=within)
        score = prices.sure_accuracy + self.weight * np.minimum(
            1.0, frames_hz(prices, seen) / self.frames
        )
        best = score[open_].max()
        return prices.least(prices.latency_s, among=open_ & (score == best))


def frames_hz(prices: Prices, seen: Observation) -> Floats:
    """Return the frame rate that device and uplink can keep up under each plan."""
    table, cell = prices.table, cell_in_use(seen)
    busy_s = table.by_plan(table.device_s)
    if cell is not None:
        size = seen.facts.cells[cell].toll.size
        sent_bytes = np.where(table.up_bytes > 0.0, size(table.up_bytes), 0.0)
        busy_s = np.maximum(busy_s, table.by_plan(sent_bytes) * 8 / seen.uplinks[cell].rate_bps)
    return 1 / np.maximum(busy_s, 1e-9)
