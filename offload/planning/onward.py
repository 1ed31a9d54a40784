"""How a request may go on from an edge node that has a policy of its own."""

from dataclasses import replace
from functools import lru_cache

import numpy as np

from offload.entities import Facts, Plan
from offload.planning.columns import Columns, Mixture, columns, lock, tabulate


def why_not_onward(begun: Plan, plan: Plan) -> str | None:
    """Say why a request that came by one plan cannot go on by another, or None if it can.

    What has left the device has left it. Of raw input any network may be run; of anything else only the
    rest of the same.
    """
    if (plan.device_cut, plan.uplinks, plan.codec) != (begun.device_cut, begun.uplinks, begun.codec):
        return (
            f"it has come to {begun.edge} from cut {begun.device_cut} over {begun.uplinks}, coded by"
            f" {begun.codec}, and a plan from there must say so"
        )
    same = (plan.variant, plan.exit, plan.confidence) == (begun.variant, begun.exit, begun.confidence)
    if not same and (begun.device_cut > 0 or begun.codec is not None):
        return f"what has come to {begun.edge} is a part of {begun.variant.label}; only its rest can run"
    return None


@lru_cache(maxsize=4096)
def onward(facts: Facts, begun: Plan) -> Columns:
    """List the plans by which a request may go on; the one by which it came is the first.

    Of a plan that may leave early, only the exits count that it can still take.
    """
    cell = begun.uplinks[0] if begun.uplinks else None
    others = [plan for plan in columns(facts, cell).plans if why_not_onward(begun, plan) is None]
    table = tabulate(facts, list(dict.fromkeys([begun, *others])))
    if table.mixture is None:
        return table
    plan_of, weights = table.mixture.plan_of, table.mixture.weights.copy()
    weights[[row.uplinks is None for row in table.rows]] = 0.0
    weights /= np.bincount(plan_of, weights)[plan_of]
    lock(weights)
    return replace(table, mixture=Mixture(plan_of, weights))
