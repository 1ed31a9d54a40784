"""The least predicted latency, over all variants and cuts."""

from dataclasses import dataclass
from typing import ClassVar

from offload.entities import Observation, Plan, Request
from offload.planning.price import price


@dataclass
class Quickest:
    """Least predicted latency; with `split = false` among plans that run in one place.

    Neurosurgeon (Kang et al., ASPLOS 2017) chooses so between device and cloud.
    """

    split: bool = True

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return the quickest plan."""
        prices = price(request, seen)
        return prices.least(prices.latency_s, among=None if self.split else prices.unsplit)


@dataclass
class Fresh(Quickest):
    """`quickest` with reports of no age: a reference for what their age costs."""

    knowledge: ClassVar[str] = "fresh"


@dataclass
class Clairvoyant(Quickest):
    """`quickest` with the true state of every station and of this request's luck: a reference.

    No bound: later births overtake, and exact selfish choices herd.
    """

    knowledge: ClassVar[str] = "clairvoyant"
