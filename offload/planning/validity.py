"""What is wrong with a plan, if anything."""

from itertools import pairwise
from numbers import Integral, Real

from offload.entities import Facts, Plan
from offload.networks import Variant
from offload.planning import exits
from offload.planning.cuts import first_cut


def why_invalid(facts: Facts, plan: object) -> str | None:
    """Say what is wrong with a plan, or None if the world can carry it out."""
    if not isinstance(plan, Plan):
        return f"it is {type(plan).__name__}, no Plan"
    if plan.variant not in facts.variants:
        known = ", ".join(variant.label for variant in facts.variants)
        return f"its variant is none of this task's: {known}"
    wrongs = (_wrong_cuts, _wrong_codec, _wrong_exit, _wrong_places, _wrong_way)
    return next((why for wrong in wrongs if (why := wrong(facts, plan)) is not None), None)


def fits(variant: Variant, memory_bytes: float) -> bool:
    """Tell whether the weights of a network fit into so much memory, as far as one knows their size."""
    return (variant.weight_bytes or 0.0) <= memory_bytes


def why_not_at(facts: Facts, place: str, variant: Variant) -> str | None:
    """Say why "device" or a node cannot run a network; None if it can."""
    if variant in facts.profiles[place]:
        return None
    memory_bytes = (facts.hardware if place == "device" else facts.nodes[place]).memory_bytes
    if not fits(variant, memory_bytes):
        size = f"{(variant.weight_bytes or 0.0) / 1e6:.4g} MB"
        return (
            f"the weights of {variant.label}, {size}, do not fit into the memory of {place},"
            f" {memory_bytes / 1e6:.4g} MB"
        )
    return f"{place} has no profile of {variant.label}"


def choices(facts: Facts) -> str:
    """Say what a plan for a task may name."""
    variants = ", ".join(variant.label for variant in facts.variants)
    return (
        f"variants: {variants}; nodes: {', '.join(facts.nodes) or 'none'};"
        f" cells: {', '.join(facts.cells) or 'none'}"
    )


def _wrong_cuts(facts: Facts, plan: Plan) -> str | None:
    last = plan.variant.last
    cuts = (plan.device_cut, plan.edge_cut)
    if not all(isinstance(cut, Integral) for cut in cuts) or not 0 <= cuts[0] <= cuts[1] <= last:
        return f"its cuts {cuts} must satisfy 0 <= device_cut <= edge_cut <= {last}"
    first = first_cut(facts, plan.variant)
    if cuts[0] < first:
        return (
            f"raw input of a private task may not leave the device (device_cut is {cuts[0]}"
            f"; {plan.variant.label} may leave from {first} on)"
        )
    return None


def _wrong_codec(facts: Facts, plan: Plan) -> str | None:
    if plan.codec is None:
        return None
    if plan.codec not in facts.codecs:
        return f"codec is {plan.codec!r}; this task offers: {', '.join(facts.codecs) or 'none'}"
    if (plan.codec, plan.device_cut) not in plan.variant.codecs:
        cuts = sorted(cut for codec, cut in plan.variant.codecs if codec == plan.codec)
        where = ", ".join(map(str, cuts)) or "none"
        return f"codec {plan.codec} of {plan.variant.label} was measured at the cuts: {where}"
    if plan.variant not in facts.profiles["device"]:
        return f"device has no profile of {plan.variant.label}, so nobody knows how long it encodes"
    return None


def _wrong_exit(_: Facts, plan: Plan) -> str | None:
    exits_ = len(plan.variant.exits)
    if plan.exit is not None and not (isinstance(plan.exit, Integral) and 0 <= plan.exit < exits_):
        return f"exit is {plan.exit!r}; the exits of {plan.variant.label} are: {list(range(exits_))}"
    if plan.confidence is None:
        return None
    if not plan.variant.leaves_early or exits.answers(plan) is None:
        return f"it states a confidence, but nobody measured {plan.variant.label} leaving early"
    if not isinstance(plan.confidence, Real) or not 0 <= plan.confidence <= 1:
        return f"confidence is {plan.confidence!r}; it must lie between 0 and 1"
    return None


def _wrong_places(facts: Facts, plan: Plan) -> str | None:
    """Check that each part runs on a node of its kind that has a profile of the variant."""
    for role, used, name in (
        ("device", plan.device_cut > 0, "device"),
        ("edge", plan.device_cut < min(plan.edge_cut, plan.end), plan.edge),
        ("cloud", plan.edge_cut < plan.end, plan.cloud),
    ):
        if not used:
            if role != "device" and name is not None:
                return f"it names {role} node {name!r} but gives it nothing to run"
            continue
        node = facts.nodes.get(name) if name is not None else None
        if role != "device" and (node is None or node.kind != role):
            known = ", ".join(each.name for each in facts.nodes.values() if each.kind == role)
            return f"{role} is {name!r}; the {role} nodes are: {known or 'none'}"
        if name is not None and (why := why_not_at(facts, name, plan.variant)):
            return why
    return None


def _wrong_way(facts: Facts, plan: Plan) -> str | None:
    if (plan.uplinks is None) != (plan.device_cut >= plan.end):
        return "it must name an uplink if and only if something runs off the device"
    if plan.uplinks is None:
        return None if plan.codec is None else "it names a codec, but nothing leaves the device"
    if (
        not isinstance(plan.uplinks, tuple)
        or len(plan.uplinks) != 1
        or plan.uplinks[0] not in facts.cells
    ):
        return f"uplinks is {plan.uplinks}; choose one of ({', '.join(facts.cells)},)"
    stops = [facts.cells[plan.uplinks[0]].node, *(n for n in (plan.edge, plan.cloud) if n)]
    for here, there in pairwise(stops):
        if (here, there) not in facts.routes:
            return f"no route leads from {here} to {there}"
    return None
