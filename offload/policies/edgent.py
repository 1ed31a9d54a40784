"""The deepest exit that is still on time, and the best cut for it."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from offload.entities import Facts, Observation, Plan, Request
from offload.planning.columns import Columns, Floats, columns, tabulate
from offload.planning.exits import shortened
from offload.planning.price import cell_in_use, open_to, price_at
from offload.units import Seconds


@dataclass
class Edgent:
    """Tries exits from the most accurate on, each with its quickest cut; takes the first on time.

    Edgent (Li, Zhou and Chen, MECOMM 2018; with Zeng, IEEE TWC 2020): with ED_k and ES_k the seconds of
    layer k on the device and on the server, D_p the bytes at cut p, B the rate, L the deadline,

        for exit i = M, ..., 1:  p_i = argmin_p sum_{k<=p} ED_k + D_p / B + sum_{k>p} ES_k
                                 return (i, p_i) if that is at most L

    Every request ends at the exit that was chosen, whoever asks. Where none is on time, the quickest
    plan of all (the paper returns none). `margin` is kept free before the deadline.

    Against the paper, the device runs the first layers, not the last, so that inputs need not be sent;
    exits go by their measured accuracy, which with one network is by depth (without a measurement they
    come last, deeper ones first), since a task may offer several networks, of which some have only
    their end; any one server may be used. Its map from states of bandwidth to plans, made in advance, is
    left out: a plan is chosen anew each time. An edge node that asks chooses among the ways to go on.
    """

    margin: Seconds = 0.0

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return the quickest plan of the best exit that is on time."""
        table = _right_sized(seen.facts, cell_in_use(seen)) if seen.begun is None else open_to(seen)
        prices = price_at(seen, table, request.input_bytes)
        on_time = prices.latency_s <= request.deadline_s - self.margin
        if not on_time.any():
            return prices.least(prices.latency_s)
        turn = _turn(table)
        first = np.where(on_time, turn, np.inf).min()
        return prices.least(prices.latency_s, among=turn == first)


@lru_cache(maxsize=1024)
def _right_sized(facts: Facts, serving: str | None) -> Columns:
    """List each network up to each exit, on the device and at most one server, raw between them."""
    whole = [
        plan
        for plan in columns(facts, serving).plans
        if plan.codec is None and plan.confidence is None and None in (plan.edge, plan.cloud)
    ]
    return tabulate(facts, shortened(whole))


@lru_cache(maxsize=1024)
def _turn(table: Columns) -> Floats:
    """When each plan's exit is tried: by falling accuracy, and where that is unknown last, by depth."""
    depth = np.array([plan.end / plan.variant.last for plan in table.plans])
    return np.where(np.isnan(table.accuracy), 2.0 - depth, -table.accuracy)
