"""The best accuracy that is still on time."""

from dataclasses import dataclass

from offload.entities import Observation, Plan, Request
from offload.planning.price import price
from offload.units import Seconds


@dataclass
class OnTime:
    """Best accuracy among the plans predicted to be on time, the quickest of equals.

    The quickest plan of all where none is on time. `margin` is kept free before the deadline; with
    `split = false` only plans that run in one place count.
    """

    margin: Seconds = 0.0
    split: bool = True

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return the most accurate plan that is on time."""
        prices = price(request, seen)
        on_time = prices.latency_s <= request.deadline_s - self.margin
        if not self.split:
            on_time &= prices.unsplit
        if not on_time.any():
            return prices.least(prices.latency_s, among=None if self.split else prices.unsplit)
        return prices.least(prices.latency_s, among=prices.most_accurate(on_time))
