"""What a policy is: an object with `decide`, and what else it may have."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from offload.entities import Observation, Outcome, Plan, Question, Request


@runtime_checkable
class Policy(Protocol):
    """Decides where each request runs.

    A policy is any object with `decide`; no base class. It is made anew for each replication. Its
    dataclass fields are options that scenario files may set. It may also have

    `start(rng)`, called once before the first question with a generator of its own;
    `learn(outcome)`, called when an outcome reaches the device, not before; where a frame needs several
    networks with that of each stage, and then that of the frame, which has no plan, and neither has that
    of a request that ended before it was asked about; a policy of a node hears of none;
    `decide_all(questions)`, called instead of `decide` to answer several questions at once: those of the
    same moment, or all that came up in a slot of so many seconds if it has a `slot`;
    `knowledge`, a class attribute that overrides "reported".
    """

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return the plan for a request."""


@runtime_checkable
class Starts(Protocol):
    """A policy that draws random numbers."""

    def start(self, rng: np.random.Generator) -> None:
        """Keep the generator."""


@runtime_checkable
class Learns(Protocol):
    """A policy that hears what became of its plans."""

    def learn(self, outcome: Outcome) -> None:
        """Take note of an outcome."""


@runtime_checkable
class Joint(Protocol):
    """A policy that answers several questions at once."""

    def decide_all(self, questions: Sequence[Question]) -> Sequence[Plan]:
        """Return one plan for each question."""


def slot_s(policy: Policy) -> float:
    """Return for how long a policy gathers questions before it answers all at once, in seconds."""
    return float(getattr(policy, "slot", 0.0)) if isinstance(policy, Joint) else 0.0
