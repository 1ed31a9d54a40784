"""Who leaves a network early: the exit that each test image takes under a plan, and who is right."""

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from msgspec.structs import replace

from offload.entities import Plan
from offload.networks import Answers


def answers(plan: Plan) -> Answers | None:
    """Return the answers that were measured with a plan's codec at its cut; None if nobody did."""
    key = (None, 0) if plan.codec is None else (plan.codec, plan.device_cut)
    return plan.variant.answers.get(key)


def accuracy(plan: Plan) -> float | None:
    """Return the share of right answers under a plan: measured, else published of the whole network."""
    known = answers(plan)
    if known is not None:
        return _share_right(known, plan.confidence, last_exit(plan))
    published = plan.variant.accuracy
    if published is None or plan.codec is not None or plan.exit is not None:
        return None
    return published.value


def last_exit(plan: Plan) -> int:
    """Return the last exit that a plan may use, as an index of measured answers."""
    return plan.exit if plan.exit is not None else max(0, len(plan.variant.exits) - 1)


def exits_taken(plan: Plan) -> bytes:
    """Return the exit at which each test image leaves under a plan that states a confidence.

    Raises KeyError where nobody measured how sure the network is.
    """
    known = answers(plan)
    if known is None:
        raise KeyError(plan.codec, plan.device_cut)
    return _taken(known, plan.confidence, last_exit(plan))


def exit_taken(plan: Plan, number: float) -> int | None:
    """Return the exit that a request takes whose Fate holds this number in [0, 1)."""
    if plan.confidence is None:
        return plan.exit
    taken = exits_taken(plan)
    return taken[int(number * len(taken))]


def branches(plan: Plan) -> tuple[tuple[float, Plan], ...]:
    """Return what may become of a plan: the share that takes each exit, and the plan it is then."""
    if plan.confidence is None:
        return ((1.0, plan),)
    taken = exits_taken(plan)
    return tuple((taken.count(exit_) / len(taken), leaving(plan, exit_)) for exit_ in sorted(set(taken)))


def leaving(plan: Plan, exit_: int) -> Plan:
    """Return what a plan comes to for a request that takes this exit: who lies beyond is not asked."""
    end = plan.variant.exits[exit_]
    return replace(
        plan,
        exit=exit_,
        confidence=None,
        edge=plan.edge if plan.device_cut < end else None,
        cloud=plan.cloud if plan.edge_cut < end else None,
        uplinks=plan.uplinks if plan.device_cut < end else None,
    )


def shortened(plans: Iterable[Plan]) -> list[Plan]:
    """Return plans that run to the end, each followed by the same up to earlier exits, deepest first.

    None of an exit that the device passes before its cut, unless nothing leaves it.
    """
    return [
        plan if exit_ is None else replace(plan, exit=exit_)
        for plan in plans
        for exit_ in (None, *reversed(range(len(plan.variant.exits) - 1)))
        if exit_ is None or plan.uplinks is None or plan.device_cut < plan.variant.exits[exit_]
    ]


@lru_cache(maxsize=4096)
def _taken(known: Answers, confidence: float | None, last: int) -> bytes:
    """The first exit that is sure enough, image by image, `last` at the latest."""
    taken = np.full(known.images, last, np.uint8)
    if confidence is not None:
        for exit_ in reversed(range(last)):
            taken[np.frombuffer(known.confidence[exit_], np.uint8) >= 255 * confidence] = exit_
    return taken.tobytes()


@lru_cache(maxsize=4096)
def _share_right(known: Answers, confidence: float | None, last: int) -> float:
    taken = np.frombuffer(_taken(known, confidence, last), np.uint8)
    right = np.frombuffer(b"".join(known.right), np.uint8).reshape(-1, known.images)
    return float(right[taken, np.arange(known.images)].mean())
