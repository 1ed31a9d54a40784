"""The quickest cut and codec that cost little accuracy."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from offload.entities import Observation, Plan, Request
from offload.planning.columns import Columns, Flags
from offload.planning.price import open_to, price
from offload.units import Share


@dataclass
class Jalad:
    """Least predicted latency over cuts and codecs that lose at most `loss` of accuracy.

    JALAD (Li et al., ICPADS 2018): with TE_i and TC_i the seconds before and after cut i, S_i(c) the
    bytes there in c bits, A_i(c) the accuracy lost by them, B the rate,

        min_{i,c}  TE_i + S_i(c) / B + TC_i   subject to  A_i(c) <= loss

    It is solved by looking at every pair, as integer programs of this size are. The codecs that were
    measured (`uint8`, `uint8+zstd`, ...) stand for its 1 to 8 bits with Huffman coding, and what they
    cost to encode and decode counts. A plan whose accuracy nobody measured does not qualify. Loss is
    against the most accurate network of the task that is open, uncoded: choosing a smaller one loses
    accuracy too. If no accuracy is known, raw values qualify; if all plans are coded (an edge node that
    asks), the best of those is what others are held against. One server helps at most; nobody leaves
    early.
    """

    loss: Share = 0.01

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return the quickest plan that qualifies."""
        prices = price(request, seen)
        return prices.least(prices.latency_s, among=_accurate(open_to(seen), self.loss))


@lru_cache(maxsize=1024)
def _accurate(table: Columns, loss: float) -> Flags:
    """Which plans lose at most this much."""
    plans = table.plans
    chain = np.array([p.confidence is None and None in (p.edge, p.cloud) for p in plans], dtype=bool)
    if not chain.any():
        chain = np.ones(len(plans), dtype=bool)
    raw = chain & np.array([plan.codec is None for plan in plans], dtype=bool)
    held = raw if raw.any() else chain
    known = table.accuracy[held & ~np.isnan(table.accuracy)]
    if not known.size:
        return held
    # A share of images: what differs by less than the rounding of floats is equal.
    found: Flags = chain & (table.accuracy >= known.max() - loss - 1e-9)
    return found
