"""Waiting for the air: a cell that devices share, or a hop of one's own."""

from collections import deque
from heapq import heapify, heappop, heappush
from itertools import count

from offload.simulation.clock import Alarm, Clock
from offload.simulation.stations import LATE, Note, Wake
from offload.world.mobility import Presence

OUT_OF_RANGE = "out-of-range"
NO_ROUTE = "no-route"


class _Transfer:
    __slots__ = ("due_s", "ends_at", "left_s", "wake", "whole_s")

    def __init__(self, air_s: float, due_s: float, wake: Wake) -> None:
        self.whole_s = air_s  # at the full rate
        self.left_s = air_s  # of it, when last put on or taken off the air
        self.due_s = due_s
        self.wake = wake
        self.ends_at = 0.0  # in the cell's virtual time, while on air

    def fail(self, cause: str) -> None:
        """Tell of a failure, and what air time it had used."""
        self.wake(cause, self.whole_s - self.left_s)


class Shared:
    """A cell direction: equal air time for each device that has traffic, a device's own in order.

    Processor sharing in virtual time: the clock `virtual_s` advances by 1/n of real time while n
    devices are on air, so a transfer that needs `a` seconds of air ends when it has advanced by `a`,
    whatever comes and goes meanwhile. One heap entry a transfer, one pending wake-up a cell. A device
    out of range stalls without taking part; after `give_up_s` of that its transfers fail. What was
    sent arrives `delay_s` later.
    """

    def __init__(
        self,
        clock: Clock,
        delay_s: float = 0.0,
        give_up_s: float = float("inf"),
        unreachable: str = NO_ROUTE,
    ) -> None:
        self.clock = clock
        self.unreachable = unreachable  # the cause of what was handed over out of range
        self.delay_s = delay_s
        self.give_up_s = give_up_s
        self.queues: dict[str, deque[_Transfer]] = {}
        self.stalled: set[str] = set()
        self.watched: set[str] = set()
        self.on_air: list[tuple[float, int, str, _Transfer]] = []
        self.active = 0
        self.virtual_s = 0.0
        self.updated_s = 0.0
        self.wakes_at = float("inf")
        self.order = count()
        self.note: Note | None = None

    def send(
        self,
        device: str,
        air_s: float,
        wake: Wake,
        due_s: float = float("inf"),
        coverage: Presence | None = None,
    ) -> None:
        """Send what takes `air_s` alone at the full rate; drop it if it would start after `due_s`.

        Returns None: `wake` will be called on its arrival, or with the cause of its failure.
        """
        now = self.clock.now
        self._advance(now)
        queue = self.queues.get(device)
        transfer = _Transfer(air_s, due_s, wake)
        inside = coverage is None or coverage.inside(now)
        if queue is not None:
            queue.append(transfer)
        elif inside and due_s < now:
            self.clock.at(now, lambda _: wake(LATE))
            return
        else:
            self.queues[device] = deque((transfer,))
            if inside:
                self._start(device, transfer)
            else:
                self.stalled.add(device)
            if coverage is not None:
                self._watch(device, coverage)
        if device in self.stalled and coverage is not None:
            self._may_give_up(device, transfer, coverage, self.unreachable)
        self._arm(now)

    def is_on_air(self, device: str) -> bool:
        """Tell whether a device is sending now."""
        return device in self.queues and device not in self.stalled

    def queued_air_s(self, device: str) -> float:
        """Air time of what a device still has to send, what is on air included."""
        queue = self.queues.get(device)
        if queue is None:
            return 0.0
        self._advance(self.clock.now)
        total = sum(transfer.left_s for transfer in queue)
        if device not in self.stalled:
            total += queue[0].ends_at - self.virtual_s - queue[0].left_s
        return total

    def _advance(self, now: float) -> None:
        if self.note is not None:
            self.note(now)
        if self.active:
            self.virtual_s += (now - self.updated_s) / self.active
        self.updated_s = now

    def _start(self, device: str, transfer: _Transfer) -> None:
        if not self.active:
            self.virtual_s = 0.0
            self.on_air.clear()
        self.active += 1
        transfer.ends_at = self.virtual_s + transfer.left_s
        heappush(self.on_air, (transfer.ends_at, next(self.order), device, transfer))

    def _arm(self, now: float) -> None:
        """See to it that the cell wakes no later than its next transfer ends."""
        if self.on_air:
            ends_s = now + (self.on_air[0][0] - self.virtual_s) * self.active
            ends_s = max(now, ends_s)  # two that end at once may differ by a rounding error
            if ends_s < self.wakes_at:
                self.wakes_at = ends_s
                self.clock.at(ends_s, self._wake, ends_s)

    def _wake(self, event: Alarm) -> None:
        now = self.clock.now
        if event.value != self.wakes_at:  # superseded
            return
        self.wakes_at = float("inf")
        self._advance(now)
        late: list[_Transfer] = []
        # The next to end is due unless others joined since it was armed, to a rounding error.
        while self.on_air and (self.on_air[0][0] - self.virtual_s) * self.active <= 1e-12 * max(
            1.0, now
        ):
            self.virtual_s, _, device, transfer = heappop(self.on_air)
            self.active -= 1
            self._arrive(transfer.wake, now)
            queue = self.queues[device]
            queue.popleft()
            self._next(device, now, late)
        self._arm(now)
        for transfer in late:
            transfer.fail(LATE)

    def _arrive(self, wake: Wake, now: float) -> None:
        self.clock.at(now + self.delay_s, lambda _: wake(""))

    def _next(self, device: str, now: float, late: list[_Transfer]) -> None:
        """Start a device's next transfer that is not too late for it."""
        queue = self.queues[device]
        while queue and queue[0].due_s < now and queue[0].left_s == queue[0].whole_s:
            late.append(queue.popleft())
        if not queue:
            del self.queues[device]
        elif device not in self.stalled:
            self._start(device, queue[0])

    # What follows happens only to devices that move.

    def _watch(self, device: str, coverage: Presence) -> None:
        """Follow a device in and out of range while it has traffic."""
        change_s = coverage.changes_after(self.clock.now)
        if device in self.watched or change_s == float("inf"):
            return
        self.watched.add(device)
        self.clock.at(change_s, lambda _: self._crossed(device, coverage))

    def _crossed(self, device: str, coverage: Presence) -> None:
        self.watched.discard(device)
        queue = self.queues.get(device)
        if queue is None:
            return
        now = self.clock.now
        self._advance(now)
        late: list[_Transfer] = []
        if device in self.stalled:
            self.stalled.discard(device)
            self._next(device, now, late)
        else:
            self._stop(device, queue[0])
            self.stalled.add(device)
            for transfer in tuple(queue):
                self._may_give_up(device, transfer, coverage, OUT_OF_RANGE)
        self._watch(device, coverage)
        self._arm(now)
        for transfer in late:
            transfer.fail(LATE)

    def _stop(self, device: str, transfer: _Transfer) -> None:
        transfer.left_s = max(0.0, transfer.ends_at - self.virtual_s)
        self.on_air = [entry for entry in self.on_air if entry[2] != device]
        heapify(self.on_air)
        self.active -= 1
        self.wakes_at = float("inf")  # the remaining ones may now end sooner

    def _may_give_up(self, device: str, transfer: _Transfer, coverage: Presence, cause: str) -> None:
        """Let a stalled transfer fail unless the device is back in time."""
        gives_up_s = self.clock.now + self.give_up_s
        if gives_up_s < coverage.changes_after(self.clock.now):
            self.clock.at(gives_up_s, lambda _: self._give_up(device, transfer, cause))

    def _give_up(self, device: str, transfer: _Transfer, cause: str) -> None:
        queue = self.queues.get(device)
        if queue is None or transfer not in queue:
            return
        queue.remove(transfer)
        if not queue:
            del self.queues[device]
            self.stalled.discard(device)
        transfer.fail(cause)

    def drop(self, device: str, now: float, cause: str) -> None:
        """Let everything of a device fail that is not through."""
        queue = self.queues.pop(device, None)
        if queue is None:
            return
        self._advance(now)
        if device in self.stalled:
            self.stalled.discard(device)
        else:
            self._stop(device, queue[0])
        self._arm(now)
        for transfer in queue:
            transfer.fail(cause)

    def close(self, now: float, cause: str) -> None:
        """Let everything fail that is not through."""
        for device in tuple(self.queues):
            self.drop(device, now, cause)


class Dedicated:
    """A cell direction in which every device has the full rate to itself, in order, always in range."""

    def __init__(self, clock: Clock, delay_s: float = 0.0) -> None:
        self.clock = clock
        self.delay_s = delay_s
        self.free_s: dict[str, float] = {}
        self.active = 0
        self.note: Note | None = None  # nothing is shared, so nothing is reported

    def send(
        self,
        device: str,
        air_s: float,
        wake: Wake,
        due_s: float = float("inf"),
        coverage: Presence | None = None,
    ) -> float | None:
        """Send what takes `air_s`, and tell when it arrives; drop it if it would start after `due_s`."""
        del coverage
        now = self.clock.now
        begins_s = self.free_s.get(device, 0.0)
        if begins_s < now:
            begins_s = now
        if begins_s > due_s:
            self.clock.at(begins_s, lambda _: wake(LATE))
            return None
        ends_s: float = begins_s + air_s
        self.free_s[device] = ends_s
        return ends_s + self.delay_s

    def is_on_air(self, device: str) -> bool:
        """Tell whether a device is sending now."""
        return self.queued_air_s(device) > 0

    def queued_air_s(self, device: str) -> float:
        """Air time of what a device still has to send."""
        left_s: float = self.free_s.get(device, 0.0) - self.clock.now
        return left_s if left_s > 0.0 else 0.0

    def drop(self, device: str, now: float, cause: str) -> None:
        """Do nothing: what a hop will have sent was told when it was handed over."""

    def close(self, now: float, cause: str) -> None:
        """Do nothing, as above."""


Air = Shared | Dedicated
