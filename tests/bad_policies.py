"""Policies that do what a policy must not do, to see that they are told so."""
# ruff: noqa: D101 - their names say what each does wrong

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import sleep
from typing import TYPE_CHECKING

import numpy as np

from offload.entities import Observation, OffloadError, Outcome, Plan, Question, Request
from offload.networks import Variant
from offload.planning.columns import columns

if TYPE_CHECKING:
    from somewhere import Unknown


def good_plan(seen: Observation) -> Plan:
    """Return a plan that can be carried out, from which to make bad ones."""
    return columns(seen.facts, seen.serving).plans[0]


class ReturnsNone:
    def decide(self, request: Request, seen: Observation) -> Plan:
        return None  # type: ignore[return-value]


class ReturnsList:
    def decide(self, request: Request, seen: Observation) -> Plan:
        return [good_plan(seen)]  # type: ignore[return-value]


class UnknownEdge:
    def decide(self, request: Request, seen: Observation) -> Plan:
        variant = seen.facts.variants[0]
        return Plan(variant, 0, variant.last, edge="cabnet", uplinks=(next(iter(seen.uplinks)),))


class UnknownUplink:
    def decide(self, request: Request, seen: Observation) -> Plan:
        variant = seen.facts.variants[0]
        return Plan(variant, 0, variant.last, edge="cabinet", uplinks=("wifi",))


class CutsCross:
    def decide(self, request: Request, seen: Observation) -> Plan:
        return Plan(seen.facts.variants[0], 2, 1)


class CutsBeyond:
    def decide(self, request: Request, seen: Observation) -> Plan:
        variant = seen.facts.variants[0]
        return Plan(variant, variant.last + 1, variant.last + 1)


class CutsNegative:
    def decide(self, request: Request, seen: Observation) -> Plan:
        return Plan(seen.facts.variants[0], -1, -1)


class CutsNan:
    def decide(self, request: Request, seen: Observation) -> Plan:
        return Plan(seen.facts.variants[0], float("nan"), float("nan"))  # type: ignore[arg-type]


class OtherVariant:
    def decide(self, request: Request, seen: Observation) -> Plan:
        mine = seen.facts.variants[0]
        alike = Variant(
            mine.model, mine.name, mine.precision, mine.task, mine.input_shape, mine.layers, mine.cuts
        )
        return Plan(alike, mine.last, mine.last)


class UsesCodec:
    def decide(self, request: Request, seen: Observation) -> Plan:
        variant = seen.facts.variants[0]
        return Plan(variant, variant.last, variant.last, codec="jpeg")


class UsesConfidence:
    def decide(self, request: Request, seen: Observation) -> Plan:
        variant = seen.facts.variants[0]
        return Plan(variant, variant.last, variant.last, confidence=0.9)


class Raises:
    def decide(self, request: Request, seen: Observation) -> Plan:
        return good_plan(seen) if request.born_s < 3 else {}["weights"]


class RaisesWhenMade:
    def __init__(self) -> None:
        msg = "no weights here"
        raise OSError(msg)

    def decide(self, request: Request, seen: Observation) -> Plan:
        raise AssertionError


class RaisesInStart:
    def start(self, rng: np.random.Generator) -> None:
        msg = "no luck"
        raise RuntimeError(msg)

    def decide(self, request: Request, seen: Observation) -> Plan:
        raise AssertionError


class RaisesInLearn:
    def learn(self, outcome: Outcome) -> None:
        msg = "cannot learn"
        raise RuntimeError(msg)

    def decide(self, request: Request, seen: Observation) -> Plan:
        return good_plan(seen)


class TooFew:
    """Answers no question at all."""

    def decide(self, request: Request, seen: Observation) -> Plan:
        raise AssertionError

    def decide_all(self, questions: Sequence[Question]) -> Sequence[Plan]:
        return []


class TooMany:
    def decide(self, request: Request, seen: Observation) -> Plan:
        raise AssertionError

    def decide_all(self, questions: Sequence[Question]) -> Sequence[Plan]:
        return [good_plan(question.seen) for question in (*questions, *questions)]


class JointNone:
    def decide(self, request: Request, seen: Observation) -> Plan:
        raise AssertionError

    def decide_all(self, questions: Sequence[Question]) -> Sequence[Plan]:
        return None  # type: ignore[return-value]


@dataclass
class OddOption:
    """Its option's type cannot be found when the program runs."""

    weights: "Unknown | None" = None

    def decide(self, request: Request, seen: Observation) -> Plan:
        raise AssertionError


@dataclass
class FloatOption:
    weight: float = 1.0

    def decide(self, request: Request, seen: Observation) -> Plan:
        return good_plan(seen)


class Hangs:
    def decide(self, request: Request, seen: Observation) -> Plan:
        while request.born_s > 3:
            pass
        return good_plan(seen)


class Dawdles:
    """Sleeps through the alarm."""

    def decide(self, request: Request, seen: Observation) -> Plan:
        with suppress(OffloadError):
            sleep(0.2)
        return good_plan(seen)


class JointHangs:
    def decide(self, request: Request, seen: Observation) -> Plan:
        raise AssertionError

    def decide_all(self, questions: Sequence[Question]) -> Sequence[Plan]:
        while True:
            pass


class Fine:
    def decide(self, request: Request, seen: Observation) -> Plan:
        return good_plan(seen)
