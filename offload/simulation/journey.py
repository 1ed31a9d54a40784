"""A request under way: what wakes it, and where its time and energy have gone."""

from collections.abc import Generator

from offload.entities import Outcome, Plan, Request
from offload.simulation.clock import Clock

# The legs, in the order of an Outcome's columns, and the places where joules are spent.
DECIDE, ON_DEVICE, UPLINK, AT_EDGE, WAN, IN_CLOUD, DOWNLINK = range(7)
DEVICE, EDGE, CLOUD = range(3)

Steps = Generator[float | None, None, None]


class Lost(Exception):  # noqa: N818 - no error: a request that ends without an answer
    """Ends a request; the argument is the cause."""


class Journey:
    """Carries a request's life from event to event, and keeps its accounts.

    The life is a generator: it yields the time at which it goes on, or None if a station will wake
    it. One event a leg, and no process.
    """

    __slots__ = (
        "batch", "clock", "down_bytes", "fate", "joules", "leg", "mark_s", "plan", "request",
        "spent_s", "steps", "up_bytes",
    )  # fmt: skip

    def __init__(self, clock: Clock, request: Request, plan: Plan, fate: list[float]) -> None:
        self.clock = clock
        self.request = request
        self.plan = plan
        self.fate = fate
        self.steps: Steps
        self.leg = DECIDE
        self.mark_s = request.born_s
        self.spent_s = [0.0] * 7
        self.joules = [0.0] * 3
        self.up_bytes = self.down_bytes = 0.0
        self.batch = 0

    def go_on(self, _event: object = None) -> None:
        """Live on to the next leg."""
        for until_s in self.steps:
            if until_s is not None:
                self.clock.at(until_s, self.go_on)
            return

    def wake(self, cause: str) -> None:
        """Go on, or end for a cause: what stations call."""
        if not cause:
            self.go_on()
            return
        try:
            self.steps.throw(Lost(cause))
        except StopIteration:
            return

    def enter(self, leg: int) -> None:
        """Close the leg that ends now and open the next."""
        now = self.clock.now
        self.spent_s[self.leg] += now - self.mark_s
        self.leg, self.mark_s = leg, now

    def outcome(self, cause: str, correct: bool | None) -> Outcome:  # noqa: FBT001 - a value
        """Close the accounts."""
        self.enter(self.leg)
        return Outcome(
            self.request, self.plan, self.plan, 1, self.mark_s, cause, correct, *self.spent_s,
            self.up_bytes, self.down_bytes, *self.joules, self.batch,
        )  # fmt: skip
