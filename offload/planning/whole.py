"""Whole networks: the places where one can run, and which form of it would run there."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from msgspec.structs import replace

from offload.entities import Facts, Observation, Plan
from offload.planning.cuts import first_cut
from offload.planning.price import unloaded
from offload.planning.validity import why_invalid


class Whole(NamedTuple):
    """A plan that runs all in one place, and what it costs while nobody else is there."""

    plan: Plan
    latency_s: float
    energy_j: float


def best_unloaded(facts: Facts, cell: str | None, plans: Sequence[Plan]) -> Whole:
    """Choose the most accurate plan whose latency without load meets the deadline, else the quickest."""
    prices = unloaded(facts, cell, plans)
    on_time = prices.latency_s <= facts.deadline_s
    among = prices.most_accurate(on_time) if on_time.any() else None
    row = prices.plans.index(prices.least(prices.latency_s, among))
    return Whole(prices.plans[row], float(prices.latency_s[row]), float(prices.energy_j[row]))


def places(seen: Observation, *, device: bool = True) -> Mapping[str, Whole]:
    """Return each place that can run a whole network, and what it would run: device, then nodes.

    Nodes stand in the order of declaration, and are those that a route leads to from the serving cell;
    the form is chosen as by `best_unloaded`. Where raw input may not leave the device, as few layers as
    possible run there. Without `device`, or if the device has no form that it can run, the nearest cell
    is waited for; the device does what no node can. An edge node that is asked sends on what has come to
    it as it came.
    """
    facts = seen.facts
    found = places_at(facts, seen.serving, seen.begun, device=device)
    if not found and seen.serving is None:
        found = places_at(facts, next(iter(seen.uplinks), None), device=device)
    return found or places_at(facts, None)


@lru_cache(maxsize=4096)
def places_at(
    facts: Facts, cell: str | None, begun: Plan | None = None, *, device: bool = True
) -> Mapping[str, Whole]:
    """Return each place open while `cell` serves, and what it would run there; as `places` tells."""
    found = {}
    for place in ("device", *facts.nodes) if device else facts.nodes:
        open_ = [p for p in _plans(facts, cell, begun, place) if why_invalid(facts, p) is None]
        if open_:
            found[place] = best_unloaded(facts, cell, open_)
    return found


def backlog_s(seen: Observation, place: str) -> float:
    """Return how long one waits at a place by its last report; 0 before the first."""
    if place == "device":
        return seen.backlog_s
    report = seen.reports.get(place)
    return 0.0 if report is None else report.backlog_s


def _plans(facts: Facts, cell: str | None, begun: Plan | None, place: str) -> Iterator[Plan]:
    """Each form, as it would run at this place alone, whether or not that can be carried out."""
    if place == "device":
        if begun is None:
            yield from (Plan(variant, variant.last, variant.last) for variant in facts.variants)
        return
    if begun is None and cell is None:
        return
    sent = [begun] if begun is not None else [
        Plan(variant, first_cut(facts, variant), variant.last, uplinks=(cell or "",))
        for variant in facts.variants
    ]  # fmt: skip
    for plan in sent:
        if facts.nodes[place].kind == "edge":
            yield replace(plan, edge_cut=plan.variant.last, edge=place, cloud=None)
        else:
            yield replace(plan, edge_cut=plan.device_cut, edge=None, cloud=place)
