"""A policy that tries every plan there is: any cuts, any nodes, dominated ones too."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement, product
from zlib import crc32

from offload.entities import Facts, Observation, Plan, Request
from offload.planning.validity import why_invalid


@lru_cache(maxsize=64)
def all_plans(facts: Facts) -> tuple[Plan, ...]:
    """List every valid plan of whole networks without a codec."""
    found = []
    nodes = (None, *facts.nodes)
    for variant in facts.variants:
        for first, second in combinations_with_replacement(range(variant.last + 1), 2):
            for edge, cloud, cell in product(nodes, nodes, (None, *facts.cells)):
                plan = Plan(variant, first, second, edge, cloud, None if cell is None else (cell,))
                if why_invalid(facts, plan) is None:
                    found.append(plan)
    return tuple(found)


@dataclass
class AnyPlan:
    """One of all plans, chosen by when the request was born; the cell may be out of reach."""

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return it; for a request that has begun, where it was to go."""
        if seen.begun is not None:
            return seen.begun
        plans = all_plans(seen.facts)
        return plans[crc32(repr(request.born_s).encode()) % len(plans)]
