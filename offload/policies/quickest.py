"""The least predicted latency, over all variants and cuts."""

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from offload.entities import Observation, Plan, Request
from offload.planning.price import Prices, price


@dataclass
class Quickest:
    """Least predicted latency; with `split = false` among plans that run in one place.

    Neurosurgeon (Kang et al., ASPLOS 2017) chooses so between device and cloud.
    """

    split: bool = True

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return the quickest plan."""
        return _quickest(price(request, seen), self.split)


@lru_cache(maxsize=1024)
def _quickest(prices: Prices, split: bool) -> Plan:
    """The quickest plan; the same prices are shown to many."""
    return prices.least(prices.latency_s, among=None if split else prices.unsplit)


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
