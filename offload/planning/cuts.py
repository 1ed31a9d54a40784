"""Where a task may leave the device, and where an edge node may hand over: the cuts worth pricing."""

from functools import lru_cache
from math import inf

from offload.entities import Facts, Plan
from offload.networks import Variant
from offload.planning import exits
from offload.planning.cost import crossing

Way = tuple[int, str | None]  # a cut, and the codec of what crosses it

# Kinds of layers behind which an input can still be read: it is only written differently.
_REWRITES = frozenset({"view", "quantize", "elementwise"})


def first_cut(facts: Facts, variant: Variant) -> int:
    """Return the first cut at which a task may leave the device: raw input of a private one may not.

    Nor may the same input rewritten: an int8 network begins with quantising the frame.
    """
    if not facts.private:
        return 0
    kinds = [layer.kind for layer in variant.layers]
    begun = (
        cut for cut, each in enumerate(variant.cuts) if not _REWRITES.issuperset(kinds[: each.after])
    )
    return next(begun, variant.last)


@lru_cache(maxsize=1024)
def ways_out(facts: Facts, variant: Variant) -> tuple[Way, ...]:
    """Return the cuts at which a task may leave the device, and how: raw, or by a codec on offer.

    All at which a codec was measured, where some server is slower than the device at some layer. Else
    those that some bandwidth or load can make best: a way is left out if one at no later a cut is as
    good in all that counts, since the server is then at least as quick from there, at any rate, while
    nobody waits. (When a server's backlog outlasts the transfer, a later cut may win by what the extra
    layers would have cost at that server.)
    """
    ways = [
        (cut, codec)
        for cut in range(first_cut(facts, variant), variant.last)
        for codec in (None, *facts.codecs)
        if codec is None or ((codec, cut) in variant.codecs and variant in facts.profiles["device"])
    ]
    if not _servers_quicker(facts, variant):
        return tuple(ways)
    kept: dict[Way, tuple[float, ...]] = {}
    for cut, codec in ways:
        demands = _demands(facts, variant, cut, codec)
        passed = _passed(facts, variant, cut)
        if not any(
            passed == _passed(facts, variant, way[0])
            and all(less <= more for less, more in zip(each, demands, strict=True))
            for way, each in kept.items()
        ):
            kept[cut, codec] = demands
    return tuple(kept)


def ways_on(facts: Facts, plan: Plan) -> tuple[int, ...]:
    """Return the cuts at which an edge node, taking over at a plan's device cut, may hand over, raw."""
    variant = plan.variant
    later = range(plan.device_cut + 1, variant.last)
    if not _servers_quicker(facts, variant):
        return tuple(later)
    chosen = []
    fewest = _at_most(facts, variant, plan.device_cut, plan.codec)
    for cut in later:
        if _passed(facts, variant, cut) != _passed(facts, variant, cut - 1):
            fewest = inf  # what has left by now need not be sent on
        if variant.cuts[cut].payload_bytes < fewest:
            chosen.append(cut)
            fewest = variant.cuts[cut].payload_bytes
    return tuple(chosen)


def confidences(facts: Facts, variant: Variant) -> tuple[float | None, ...]:
    """Return how sure a variant may have to be to leave early: None never does."""
    return (None, *facts.confidences) if variant.leaves_early else (None,)


def _demands(facts: Facts, variant: Variant, cut: int, codec: str | None) -> tuple[float, ...]:
    """What a way out asks for: bytes, coding, wrong answers, and for each confidence who stays on."""
    demands = [_at_most(facts, variant, cut, codec)]
    if codec is None:
        demands += [0.0, 0.0]
    else:
        demands += [variant.codecs[codec, cut].encode_share, variant.codecs[codec, cut].decode_share]
    for confidence in confidences(facts, variant):
        plan = Plan(variant, cut, variant.last, codec=codec, confidence=confidence)
        demands.append(-(exits.accuracy(plan) or 0.0))
        taken = exits.exits_taken(plan) if confidence is not None else b""
        demands += [-sum(map(taken.count, range(each + 1))) for each in range(exits.last_exit(plan))]
    return tuple(demands)


def _at_most(facts: Facts, variant: Variant, cut: int, codec: str | None) -> float:
    """The bytes that cross, of inputs of several sizes the most: less than that may be worth it."""
    if cut == 0 and codec is None and facts.most_input_bytes is not None:
        return facts.most_input_bytes
    return crossing(facts, variant, cut, codec)


def _passed(facts: Facts, variant: Variant, cut: int) -> int:
    """How many exits lie before a cut, where they count: who leaves there sends nothing."""
    return sum(exit_ <= cut for exit_ in variant.exits) if facts.confidences else 0


def _servers_quicker(facts: Facts, variant: Variant) -> bool:
    """Tell whether every node runs every layer at least as quickly as the device, as pruning assumes."""
    mine = facts.profiles["device"].get(variant)
    if mine is None:
        return True
    theirs = [facts.profiles[name][variant] for name in facts.nodes if variant in facts.profiles[name]]
    return all(
        there <= here
        for profile in theirs
        for here, there in zip(mine.layers_s[1], profile.layers_s[1], strict=True)
    )
