"""Waiting in order, and what all stations have in common.

A station is handed work with a `wake` callback, or tells at once when work ends. Chance never enters
one: seconds and bits are fixed before a request arrives.
"""

from collections.abc import Callable
from heapq import heapreplace
from typing import Protocol

from offload.world.rate import Rate

DOWN = "node-down"
LATE = "late"
SHED = "shed"

Note = Callable[[float], object]  # is told the time before a station's state changes


class Wake(Protocol):
    """What a station calls when work ends."""

    def __call__(self, cause: str, share: float = 0.0, air_s: float = 0.0) -> None:
        """Be told the cause of a failure, or "" for success; what share was sent, in what air time."""


class Receiver(Protocol):
    """Who waits for a message."""

    def arrives(self, at_s: float, air_s: float) -> None:
        """Be told, as the last bit is sent, when all of it will be there, and its air time."""

    def wake(self, cause: str, share: float = 0.0, air_s: float = 0.0) -> None:
        """Be told now, as above, above all of a failure."""


class InOrder:
    """First come, first served, by one server or several; `free[0]` is when the first falls free.

    Since the work is known on arrival, the queue need not be simulated: it is enough to know when each
    server falls free (Lindley 1952, Kiefer and Wolfowitz 1955).
    """

    __slots__ = ("busy_s", "free", "note", "noted_until_s")

    def __init__(self, servers: int = 1) -> None:
        self.noted_until_s = 0.0  # whoever takes notes need not be told of changes before
        self.free = [0.0] * servers
        self.busy_s = 0.0
        self.note: Note | None = None

    def serve(self, now: float, seconds: float) -> float:
        """Take work that arrives now and tell when it ends."""
        if now >= self.noted_until_s and self.note is not None:
            self.note(now)
        first = self.free[0]
        ends = (first if first > now else now) + seconds
        heapreplace(self.free, ends)
        self.busy_s += seconds
        return ends

    def load(self) -> tuple[float, float]:
        """Tell when a server falls free, and how long what is queued behind that takes: nothing."""
        return self.free[0], 0.0


class Paced(InOrder):
    """The same at a speed that changes: work waits while it is 0, and goes on."""

    __slots__ = ("speed",)

    def __init__(self, speed: Rate, servers: int = 1) -> None:
        super().__init__(servers)
        self.speed = speed

    def serve(self, now: float, seconds: float) -> float:
        """Take work that arrives now and tell when it ends; never, perhaps."""
        if self.note is not None:
            self.note(now)
        first = self.free[0]
        begins = first if first > now else now
        ends = self.speed.ends(begins, seconds) if begins < float("inf") else begins
        heapreplace(self.free, ends)
        self.busy_s += seconds
        return ends
