"""A policy of an installed package."""

from dataclasses import dataclass

from offload import Observation, Plan, Request, Seconds, price


@dataclass
class Homebody:
    """The quickest plan on the device while it is on time, the quickest of all else.

    `margin` is kept free before the deadline.
    """

    margin: Seconds = 0.0

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return a plan that stays if it can."""
        prices = price(request, seen)
        stays = prices.at["device"] & (prices.latency_s <= request.deadline_s - self.margin)
        return prices.least(prices.latency_s, among=stays if stays.any() else None)
