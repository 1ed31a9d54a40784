"""A policy as a device of a testbed asks it, from any of its threads."""

import threading

from offload.entities import Facts, Observation, OffloadError, Outcome, Plan, Question, Request
from offload.policies.protocol import Learns
from offload.policies.table import Choice
from offload.simulation.answering import answering, guard
from offload.simulation.refusing import check
from offload.simulation.run import fresh, seeing
from offload.streams import Streams


class Decisions:
    """Asks a policy of the device's own, one question at a time, and lets it learn.

    `owner` has a chance of its own; without, it is that of the simulator's policy. Raises PolicyError.
    """

    def __init__(self, device: str, choice: Choice, streams: Streams, *owner: str) -> None:
        self.device, self.choice = device, choice
        self.policy = fresh(choice, streams, *owner)
        self.answer = answering(seeing(self.policy, choice, streams, *owner), choice)
        self.checked: set[tuple[Facts, Plan]] = set()
        self.lock = threading.Lock()
        self.broken: OffloadError | None = None  # what went wrong as it learnt

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return the plan for a request. Raises PolicyError, InvalidPlanError."""
        question = Question(self.device, request, seen)
        with self.lock:
            (plan,) = self.answer([question])
        if (seen.facts, plan) not in self.checked:
            check(question, plan)
            self.checked.add((seen.facts, plan))
        return plan

    def learn(self, outcome: Outcome) -> None:
        """Tell the policy of an outcome, if it wants to know; who did so goes on whatever it does."""
        policy = self.policy
        if isinstance(policy, Learns):
            try:
                when = f"in learn(outcome) for request {outcome.request.id}"
                with self.lock:
                    guard(self.choice, when, lambda: policy.learn(outcome))
            except OffloadError as error:
                self.broken = error
