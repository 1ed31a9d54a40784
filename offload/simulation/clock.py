"""SimPy's event loop, called at absolute times and stopped when someone must decide."""

from collections.abc import Callable, Sized
from functools import partial
from heapq import heappop, heappush
from typing import Any

import simpy
from simpy.core import EmptySchedule
from simpy.events import NORMAL, Event

AHEAD_OF_ALL = -2  # SimPy's own priorities begin at -1

# What is called at a time is told that time. If it returns another, it is called again then.
Call = Callable[[float], float | None]


class Clock(simpy.Environment):
    """A SimPy environment with two additions; every SimPy program runs on it as on its parent."""

    # The time in seconds, read many times in each life: Python is quick to find what lies in a slot, not
    # what hides an attribute of the class.
    __slots__ = ("now",)
    now: float

    @property
    def _now(self) -> Any:  # noqa: ANN401 - what SimPy sets and reads
        return self.now

    @_now.setter
    def _now(self, time: float) -> None:
        self.now = time

    def at(self, time: float, call: Call) -> None:
        """Call `call(time)` then, to the bit: a Timeout would add a difference to now.

        Raises ValueError for a time that is past.
        """
        if time < self.now:
            msg = f"time {time} lies before now, {self.now}"
            raise ValueError(msg)
        heappush(self._queue, (time, NORMAL, next(self._eid), call))  # type: ignore[misc]  # no Event

    def run_while_empty(self, box: Sized, until: float) -> None:
        """Run until something lies in `box`, the clock would pass `until`, or nothing is left.

        It is `step()` in a loop, without a call for each event.
        """
        queue: list[Any] = self._queue
        order = self._eid
        while not box and queue and queue[0][0] <= until:
            now, _, _, call = heappop(queue)
            self.now = now
            again_s = call(now)
            if again_s is not None:
                heappush(queue, (again_s, NORMAL, next(order), call))

    def step(self) -> None:
        """Let happen what comes next. Raises EmptySchedule."""
        if not self._queue:
            raise EmptySchedule
        entry: Any = heappop(self._queue)
        self.now, _, _, call = entry
        again_s = call(self.now)
        if again_s is not None:
            self.at(again_s, call)

    def schedule(self, event: Event, priority: Any = NORMAL, delay: float = 0) -> None:  # noqa: ANN401
        """Let an event of SimPy's happen after a delay."""
        call: Any = partial(self._happen, event)
        heappush(self._queue, (self.now + delay, priority, next(self._eid), call))

    def _happen(self, event: Event, now: float) -> None:
        """Let SimPy do what it does with an event whose time has come."""
        heappush(self._queue, (now, AHEAD_OF_ALL, -1, event))  # type: ignore[misc]
        super().step()
