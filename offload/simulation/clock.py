"""SimPy's event loop, called at absolute times and stopped when someone must decide."""

from collections.abc import Callable, Sized
from heapq import heappop, heappush
from typing import Any

import simpy
from msgspec import Struct
from simpy.events import NORMAL

Callback = Callable[[Any], object]


class Alarm(Struct):
    """Calls one function; to SimPy's own loop it looks like an event, but is made in half the time."""

    callback: Callback
    value: object = None

    @property
    def callbacks(self) -> list[Callback]:
        """What SimPy's loop calls; that it sets this to None changes nothing."""
        return [self.callback]

    @callbacks.setter
    def callbacks(self, _none: None) -> None:
        pass

    @property
    def _ok(self) -> bool:
        return True

    @property
    def _value(self) -> object:
        return self.value


class Clock(simpy.Environment):
    """A SimPy environment with two additions; every SimPy program runs on it as on its parent."""

    now = 0.0  # the time in seconds: a plain attribute, since it is read many times in each life

    @property
    def _now(self) -> Any:  # noqa: ANN401 - what SimPy sets and reads
        return self.now

    @_now.setter
    def _now(self, time: float) -> None:
        self.now = time

    def at(self, time: float, callback: Callback, value: object = None) -> None:
        """Call `callback(event)` at `time`, to the bit: a Timeout would add a difference to now.

        Raises ValueError for a time that is past.
        """
        if time < self.now:
            msg = f"time {time} lies before now, {self.now}"
            raise ValueError(msg)
        alarm: Any = Alarm(callback, value)
        heappush(self._queue, (time, NORMAL, next(self._eid), alarm))

    def run_while_empty(self, box: Sized, until: float) -> None:
        """Run until something lies in `box`, the clock would pass `until`, or nothing is left.

        It is `step()` in a loop, without a call for each event.
        """
        queue: list[Any] = self._queue
        while not box and queue and queue[0][0] <= until:
            self.now, _, _, event = heappop(queue)
            if type(event) is Alarm:
                event.callback(event)
                continue
            callbacks, event.callbacks = event.callbacks, None  # as SimPy does
            for callback in callbacks:
                callback(event)
            if not event._ok and not hasattr(event, "_defused"):  # noqa: SLF001
                raise event._value  # noqa: SLF001
