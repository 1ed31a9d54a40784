"""Any policy, with estimates in place of what was last reported."""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace as with_changes

from offload.entities import Observation, Plan, Question, Request
from offload.planning.estimate import Estimator
from offload.policies.protocol import Joint, Policy


def estimating(policy: Policy, estimator: Estimator) -> Policy:
    """Let a policy see estimates, and the estimator what the policy then does.

    What comes of it decides as the policy does, jointly or not. It is asked of the policy itself whether
    it starts or learns.
    """
    if isinstance(policy, Joint):
        return _Jointly(policy, estimator)
    return _Estimating(policy, estimator)


@dataclass
class _Estimating:
    """One question at a time."""

    policy: Policy
    estimator: Estimator

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return the policy's plan."""
        plan = self.policy.decide(request, self.estimator(request, seen))
        self.estimator.chosen(request, seen, plan)
        return plan


@dataclass
class _Jointly(_Estimating):
    """All questions at once."""

    policy: Joint

    def decide_all(self, questions: Sequence[Question]) -> Sequence[Plan]:
        """Return the policy's plans."""
        estimate = self.estimator
        seen = [estimate(each.request, each.seen) for each in questions]
        pairs = zip(questions, seen, strict=True)
        plans = list(self.policy.decide_all([with_changes(each, seen=what) for each, what in pairs]))
        for each, plan in zip(questions, plans):  # noqa: B905 - a wrong number is told by who asked
            estimate.chosen(each.request, each.seen, plan)
        return plans
