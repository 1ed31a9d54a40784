"""The least energy that is still on time."""

from dataclasses import dataclass

from offload.entities import Observation, Plan, Request
from offload.planning.price import price
from offload.units import Seconds


@dataclass
class Thrifty:
    """Least energy of the device among the plans predicted to be on time; the quickest where none is.

    `margin` is kept free before the deadline.
    """

    margin: Seconds = 0.0

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return the most frugal plan that is on time."""
        prices = price(request, seen)
        on_time = prices.latency_s <= request.deadline_s - self.margin
        if on_time.any():
            return prices.least(prices.energy_j, among=on_time)
        return prices.least(prices.latency_s)
