"""One cut between the device and a server, where it costs least time or energy."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from offload.entities import Observation, Plan, Request
from offload.planning.columns import Columns, Flags
from offload.planning.price import open_to, price


@dataclass
class Neurosurgeon:
    """Least predicted latency, or energy of the device, over the cuts between the device and a server.

    Neurosurgeon (Kang et al., ASPLOS 2017): with TM_i and TC_i the seconds of layer i on the device and
    in the cloud, D_j the bytes at cut j, B the rate, PM and PU the watts of computing and of sending,

        latency  argmin_j  sum_{i<=j} TM_i + D_j / B + sum_{i>j} TC_i
        energy   argmin_j  sum_{i<=j} TM_i PM_i + D_j / B PU

    So it is `quickest` or least energy among plans that send raw values to one server. `place` is
    "cloud", as in the paper, or "edge"; where no plan leads to such a server, the other kind serves.
    Where plans have neither (an edge node's question about coded values), any counts.

    Against the paper: measured profiles replace its regressions; a server's reported backlog replaces
    the load that multiplies TC; the delays of links and the way back count; a task may offer several
    networks. Sending is charged at the cell's full rate, as the energy of every plan here is.
    """

    place: Literal["cloud", "edge"] = "cloud"
    objective: Literal["latency", "energy"] = "latency"

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return the plan with the best cut."""
        prices = price(request, seen)
        column = prices.latency_s if self.objective == "latency" else prices.energy_j
        return prices.least(column, among=_one_server(open_to(seen), self.place))


@lru_cache(maxsize=1024)
def _one_server(table: Columns, place: Literal["cloud", "edge"]) -> Flags:
    """Which plans send raw values to a server of this kind, or nothing, and run to the end."""
    raw = np.array([plan.codec is None and plan.confidence is None for plan in table.plans], dtype=bool)
    edge, cloud = (
        np.array([getattr(plan, kind) is not None for plan in table.plans], dtype=bool)
        for kind in ("edge", "cloud")
    )
    wanted, other = (raw & cloud & ~edge, raw & edge & ~cloud)
    if place == "edge":
        wanted, other = other, wanted
    found = (raw & ~edge & ~cloud) | (wanted if wanted.any() else other)
    return found if found.any() else np.ones(len(table.plans), dtype=bool)
