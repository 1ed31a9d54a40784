"""The ways to wait: in order, shared by all, gathered into batches.

A station is handed work with a `wake` callback, or tells at once when work ends. Chance never enters
here: seconds and bits are fixed before a request arrives.
"""

from collections import deque
from collections.abc import Callable, Hashable
from functools import partial
from heapq import heapify, heappop, heappush, heapreplace
from itertools import count
from typing import Protocol

from offload.simulation.clock import Alarm, Clock

Wake = Callable[[str], object]  # is told the cause of a failure, or "" for success
Note = Callable[[float], object]  # is told the time before a station's state changes

LATE = "late"
OUT_OF_RANGE = "out-of-range"
NO_ROUTE = "no-route"


class InOrder:
    """First come, first served, by one server or several; `free[0]` is when the first falls free.

    Since the work is known on arrival, the queue need not be simulated: it is enough to know when each
    server falls free (Lindley 1952, Kiefer and Wolfowitz 1955).
    """

    __slots__ = ("busy_s", "free", "note")

    def __init__(self, servers: int = 1) -> None:
        self.free = [0.0] * servers
        self.busy_s = 0.0
        self.note: Note | None = None

    def serve(self, now: float, seconds: float) -> float:
        """Take work that arrives now and tell when it ends."""
        if self.note is not None:
            self.note(now)
        first = self.free[0]
        ends = (max(now, first)) + seconds
        heapreplace(self.free, ends)
        self.busy_s += seconds
        return ends

    def backlog_until(self, now: float) -> float:
        """Tell until when an arrival would wait if nothing else came."""
        del now
        return self.free[0]


class Coverage(Protocol):
    """When one device is in range of one cell."""

    def inside(self, now: float) -> bool:
        """Tell whether it is in range."""

    def changes_after(self, now: float) -> float:
        """Tell when it next enters or leaves; infinite if never."""


class _Transfer:
    __slots__ = ("air_s", "due_s", "ends_at", "sent_s", "wake")

    def __init__(self, air_s: float, sent_s: float, due_s: float, wake: Wake) -> None:
        self.air_s = air_s  # what is left of it, at the full rate
        self.sent_s = sent_s
        self.due_s = due_s
        self.wake = wake
        self.ends_at = 0.0  # in the cell's virtual time, while on air


class Shared:
    """A cell direction: equal air time for each device that has traffic, a device's own in order.

    Processor sharing in virtual time: the clock `virtual_s` advances by 1/n of real time while n
    devices are on air, so a transfer that needs `a` seconds of air ends when it has advanced by `a`,
    whatever comes and goes meanwhile. One heap entry a transfer, one pending wake-up a cell. A device
    out of range stalls without taking part; after `give_up_s` of that its transfers fail. What was
    sent arrives `delay_s` later.
    """

    def __init__(self, clock: Clock, delay_s: float = 0.0, give_up_s: float = float("inf")) -> None:
        self.clock = clock
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
        coverage: Coverage | None = None,
    ) -> None:
        """Send what takes `air_s` alone at the full rate; drop it if it would start after `due_s`.

        Returns None: `wake` will be called on its arrival, or with the cause of its failure.
        """
        now = self.clock.now
        self._advance(now)
        queue = self.queues.get(device)
        transfer = _Transfer(air_s, now, due_s, wake)
        if queue is not None:
            queue.append(transfer)
        else:
            self.queues[device] = deque((transfer,))
            if coverage is None or coverage.inside(now):
                self._start(device, transfer)
            else:
                self.stalled.add(device)
            if coverage is not None:
                self._watch(device, coverage)
        if device in self.stalled and coverage is not None:
            self._may_give_up(device, transfer, coverage, NO_ROUTE)
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
        total = sum(transfer.air_s for transfer in queue)
        if device not in self.stalled:
            total += queue[0].ends_at - self.virtual_s - queue[0].air_s
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
        transfer.ends_at = self.virtual_s + transfer.air_s
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
        woken: list[tuple[Wake, str]] = []
        # The next to end is due unless others joined since it was armed, to a rounding error.
        while self.on_air and (self.on_air[0][0] - self.virtual_s) * self.active <= 1e-12 * max(
            1.0, now
        ):
            self.virtual_s, _, device, transfer = heappop(self.on_air)
            self.active -= 1
            self._arrive(transfer.wake, now)
            queue = self.queues[device]
            queue.popleft()
            self._next(device, now, woken)
        self._arm(now)
        for wake, cause in woken:
            wake(cause)

    def _arrive(self, wake: Wake, now: float) -> None:
        self.clock.at(now + self.delay_s, lambda _: wake(""))

    def _next(self, device: str, now: float, woken: list[tuple[Wake, str]]) -> None:
        """Start a device's next transfer that is not too late for it."""
        queue = self.queues[device]
        while queue and queue[0].due_s < now:
            woken.append((queue.popleft().wake, LATE))
        if not queue:
            del self.queues[device]
        elif device not in self.stalled:
            self._start(device, queue[0])

    # What follows happens only to devices that move.

    def _watch(self, device: str, coverage: Coverage) -> None:
        """Follow a device in and out of range while it has traffic."""
        change_s = coverage.changes_after(self.clock.now)
        if device in self.watched or change_s == float("inf"):
            return
        self.watched.add(device)
        self.clock.at(change_s, lambda _: self._crossed(device, coverage))

    def _crossed(self, device: str, coverage: Coverage) -> None:
        self.watched.discard(device)
        queue = self.queues.get(device)
        if queue is None:
            return
        now = self.clock.now
        self._advance(now)
        woken: list[tuple[Wake, str]] = []
        if device in self.stalled:
            self.stalled.discard(device)
            self._next(device, now, woken)
        else:
            self._stop(device, queue[0])
            self.stalled.add(device)
            for transfer in tuple(queue):
                self._may_give_up(device, transfer, coverage, OUT_OF_RANGE)
        self._watch(device, coverage)
        self._arm(now)
        for wake, cause in woken:
            wake(cause)

    def _stop(self, device: str, transfer: _Transfer) -> None:
        transfer.air_s = max(0.0, transfer.ends_at - self.virtual_s)
        self.on_air = [entry for entry in self.on_air if entry[2] != device]
        heapify(self.on_air)
        self.active -= 1
        self.wakes_at = float("inf")  # the remaining ones may now end sooner

    def _may_give_up(self, device: str, transfer: _Transfer, coverage: Coverage, cause: str) -> None:
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
        transfer.wake(cause)


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
        coverage: Coverage | None = None,
    ) -> float | None:
        """Send what takes `air_s`, and tell when it arrives; drop it if it would start after `due_s`."""
        del coverage
        now = self.clock.now
        begins_s = self.free_s.get(device, 0.0)
        if begins_s < now:
            begins_s = now
        elif begins_s > due_s:
            self.clock.at(begins_s, lambda _: wake(LATE))
            return None
        self.free_s[device] = ends_s = begins_s + air_s
        return ends_s + self.delay_s

    def is_on_air(self, device: str) -> bool:
        """Tell whether a device is sending now."""
        return self.queued_air_s(device) > 0

    def queued_air_s(self, device: str) -> float:
        """Air time of what a device still has to send."""
        left_s: float = self.free_s.get(device, 0.0) - self.clock.now
        return max(0.0, left_s)


Air = Shared | Dedicated


def _tell_late(wake: Wake, _event: object) -> None:
    wake(LATE)


class Member:
    """One piece of work that may run in a batch.

    `seconds(n)` is the mean time of a batch of n such; `key` tells what may join it; `factor` is this
    one's own time over the mean. `done(share_s, n)` is told its equal share of the batch's seconds.
    """

    __slots__ = ("done", "due_s", "factor", "joined_s", "key", "seconds", "wake")

    def __init__(
        self,
        key: Hashable,
        seconds: Callable[[int], float],
        factor: float,
        due_s: float,
        done: Callable[[float, int], object],
        wake: Wake,
    ) -> None:
        self.key = key
        self.seconds = seconds
        self.factor = factor
        self.due_s = due_s
        self.done = done
        self.wake = wake
        self.joined_s = 0.0


class Batching:
    """Servers that gather equal work into batches.

    A batch is full at `limit`, and ripe `wait_s` after its first member; a full batch, or else the
    ripe one whose first member came first, begins when a server is free. It takes its mean time by
    size, times the largest factor among its members.
    """

    def __init__(self, clock: Clock, servers: int, limit: int, wait_s: float) -> None:
        self.clock = clock
        self.idle = servers
        self.limit = limit
        self.wait_s = wait_s
        self.waiting: dict[Hashable, deque[Member]] = {}
        self.free = [0.0] * servers
        self.busy_s = 0.0
        self.queued_s = 0.0  # what waits, were it run one by one
        self.note: Note | None = None

    def join(self, member: Member) -> None:
        """Take a member; its `wake` is called when its batch ends, or when it is dropped as late."""
        now = self.clock.now
        if self.note is not None:
            self.note(now)
        member.joined_s = now
        self.waiting.setdefault(member.key, deque()).append(member)
        self.queued_s += member.seconds(1)
        self._begin(now)
        if self.wait_s and member.key in self.waiting:
            self.clock.at(now + self.wait_s, lambda _: self._begin(self.clock.now))

    def backlog_until(self, now: float) -> float:
        """Tell until when an arrival would wait, were what is queued run one by one."""
        return max(now, self.free[0]) + self.queued_s / len(self.free)

    def _begin(self, now: float) -> None:
        if self.note is not None:
            self.note(now)
        while self.idle:
            self._drop_late(now)
            ready = [
                (len(queue) < self.limit, queue[0].joined_s, number, key)
                for number, (key, queue) in enumerate(self.waiting.items())
                if len(queue) >= self.limit or queue[0].joined_s + self.wait_s <= now
            ]
            if not ready:
                return
            *_, key = min(ready)
            queue = self.waiting[key]
            members = [queue.popleft() for _ in range(min(self.limit, len(queue)))]
            if not queue:
                del self.waiting[key]
            self._start(members, now)

    def _start(self, members: list[Member], now: float) -> None:
        self.queued_s = max(0.0, self.queued_s - sum(member.seconds(1) for member in members))
        seconds = members[0].seconds(len(members)) * max(member.factor for member in members)
        self.idle -= 1
        self.busy_s += seconds
        heapreplace(self.free, now + seconds)
        for member in members:
            member.done(seconds / len(members), len(members))
        self.clock.at(now + seconds, lambda _: self._end(members))

    def _drop_late(self, now: float) -> None:
        for key, queue in tuple(self.waiting.items()):
            late = [member for member in queue if member.due_s < now]
            for member in late:
                queue.remove(member)
                self.queued_s -= member.seconds(1)
                self.clock.at(now, partial(_tell_late, member.wake))
            if not queue:
                del self.waiting[key]

    def _end(self, members: list[Member]) -> None:
        self.idle += 1
        for member in members:
            member.wake("")
        self._begin(self.clock.now)
