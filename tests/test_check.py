"""check_policy passes every shipped policy and tells an author what is wrong with another."""

from dataclasses import dataclass

import pytest

import offload
from offload.policies import table


class Forgetful:
    """Gives no plan."""

    def decide(self, request, seen):
        return None


class Capricious:
    """Answers the same question differently each time."""

    asked = 0

    def decide(self, request, seen):
        Capricious.asked += 1
        prices = offload.price(request, seen)
        return prices.plans[Capricious.asked % len(prices.plans)]


class Raises:
    """Fails where a device is out of range."""

    def decide(self, request, seen):
        return offload.price(request, seen).plans[0 if seen.serving else "none"]


class Lost:
    """Sends what it should not."""

    def decide(self, request, seen):
        plan = offload.price(request, seen).plans[0]
        return offload.Plan(plan.variant, 0, plan.variant.last, edge="nowhere", uplinks=("cell",))


class Presumes:
    """Takes it that every outcome has a plan; that of a frame with stages has none."""

    def decide(self, request, seen):
        return offload.price(request, seen).plans[0]

    def learn(self, outcome):
        assert outcome.plan.variant is not None


class Short:
    """Answers several questions with one plan."""

    def decide(self, request, seen):
        raise AssertionError

    def decide_all(self, questions):
        return [offload.price(questions[0].request, questions[0].seen).plans[0]]


class Alone(Short):
    """Is surprised to be asked about more than one."""

    def decide_all(self, questions):
        (question,) = questions
        return [offload.price(question.request, question.seen).plans[0]]


class Stops:
    """Looks for a plan that is not there."""

    def decide(self, request, seen):
        return next(plan for plan in () if plan)


@dataclass
class Taken:
    """Has an option that every policy table takes."""

    overhead: float = 0.0

    def decide(self, request, seen):
        return offload.price(request, seen).plans[0]


@dataclass
class Unreadable:
    """Has an option of a type that nobody can find."""

    weight: "Joules" = 1.0  # noqa: F821 - that is what is wrong

    def decide(self, request, seen):
        return offload.price(request, seen).plans[0]


@pytest.mark.parametrize("name", table.NAMED)
def test_shipped_policies_are_sound(name):
    assert offload.check_policy(table.load(name)) == []


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (Forgetful, "it is NoneType, no Plan"),
        (Stops, "it raises StopIteration"),
        (Taken, 'its option "overhead" is one that every policy table takes'),
        (Short, "questions with 1 plans"),
        (Alone, "it raises ValueError: too many values to unpack"),
        (Unreadable, "the annotations of its options cannot be read"),
        (Capricious, "differently"),
        (Raises, "it raises TypeError"),
        (Lost, "edge is 'nowhere'; the edge nodes are: edge"),
        (Presumes, "it raises AttributeError: 'NoneType' object has no attribute 'variant'"),
        (object, "no method decide"),
    ],
)
def test_what_is_wrong_is_told(policy, said):
    (fault,) = offload.check_policy(policy)
    assert said in fault
