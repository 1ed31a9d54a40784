"""Requests of a device that wait for an answer, and those that wait to be tried again."""

import math
import threading
from heapq import heappop, heappush

from offload.testbed.legs import Trip

Key = tuple[int, int]  # what its answer names: a number and the attempt


class Pending:
    """Who takes a request out is the only one that goes on with it, whatever the threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting: dict[Key, Trip] = {}
        self.later: list[tuple[float, int, Trip, bool]] = []  # a heap
        self.added = threading.Event()  # to what is to be tried again

    def put(self, key: Key, trip: Trip) -> None:
        """Let a request wait for its answer until its `until_s`."""
        with self.lock:
            self.waiting[key] = trip

    def take(self, key: Key) -> Trip | None:
        """Return who waits for an answer, and does so no more; None if nobody does."""
        with self.lock:
            return self.waiting.pop(key, None)

    def take_all(self) -> list[Trip]:
        """Return all who wait for an answer, and do so no more."""
        with self.lock:
            found, self.waiting = list(self.waiting.values()), {}
        return found

    def try_at(self, at_s: float, trip: Trip, *, asks: bool) -> None:
        """Let a request be tried again at some time: by asking where, or on the device."""
        with self.lock:
            heappush(self.later, (at_s, id(trip), trip, asks))
        self.added.set()

    def due(self, now_s: float) -> tuple[list[Trip], list[tuple[Trip, bool]], float]:
        """Take out who has waited long enough for an answer, and who is to be tried again.

        And tell when the next of the latter is.
        """
        with self.lock:
            late = [key for key, trip in self.waiting.items() if now_s > trip.until_s]
            gone = [self.waiting.pop(key) for key in late]
            again = []
            while self.later and self.later[0][0] <= now_s:
                _, _, trip, asks = heappop(self.later)
                again.append((trip, asks))
            return gone, again, self.later[0][0] if self.later else math.inf

    def wait(self, seconds: float) -> None:
        """Wait, but no longer than until there is another to try again."""
        self.added.wait(max(0.0, seconds))
        self.added.clear()

    def clear(self) -> None:
        """Forget all, and let nobody wait."""
        with self.lock:
            self.waiting, self.later = {}, []
        self.added.set()
