"""Waiting for the air: a cell that devices share, or a hop of one's own.

Work is told in seconds of air: what it takes alone, at the cell's nominal rate. A device whose radio
gets another rate has a speed, the ratio of the two, which may change as it moves.
"""

from collections import deque
from collections.abc import Mapping
from functools import partial
from heapq import heapify, heappop, heappush
from itertools import count
from types import MappingProxyType

from msgspec import Struct

from offload.entities import Cell, Uplink
from offload.simulation.clock import Clock
from offload.simulation.stations import LATE, Note, Receiver
from offload.world.rate import Rate

OUT_OF_RANGE = "out-of-range"
NO_ROUTE = "no-route"
HANDOVER = "handover"  # no failure: what is left goes over the next cell


class Transfer(Struct, eq=False):
    """A message on its way: what is left of it, and what it has used of the air so far.

    Of what is on air, both are as of when its device was last put there.
    """

    whole_s: float  # at the nominal rate
    left_s: float
    due_s: float
    receiver: Receiver
    used_s: float = 0.0
    ends_at: float = 0.0  # in the cell's virtual time, while on air

    def fail(self, cause: str) -> None:
        """Tell of a failure, what share of it was through and what air time it had used."""
        share = 1.0 - self.left_s / self.whole_s if self.whole_s else 1.0
        self.receiver.wake(cause, share, self.used_s)


def _fail_late(transfer: Transfer, _now: float) -> None:
    transfer.fail(LATE)


class Line(Struct, eq=False):
    """The messages of a device, the first of them on air unless it is out of reach: at speed 0."""

    device: str
    weight: float
    queue: deque[Transfer]
    speed: float = 1.0  # of its radio while it has traffic, a share of the nominal rate
    watched: bool = False


class Shared:
    """A cell direction: air time by weight for each device that has traffic, a device's own in order.

    Processor sharing in virtual time: the clock `virtual_s` advances by 1/w of real time while devices
    of weight w in all are on air, so a transfer that needs `a` seconds of air ends when it has advanced
    by `a` over its device's weight, whatever comes and goes meanwhile. One heap entry a transfer, one
    pending wake-up a cell. A device out of reach, at speed 0, stalls without taking part; after
    `give_up_s` of that its transfers fail. What was sent arrives `delay_s` later. Where devices roam, a
    transfer that loses its cell is given back at once, with the cause HANDOVER and the share of it that
    is through.
    """

    def __init__(
        self,
        clock: Clock,
        delay_s: float = 0.0,
        give_up_s: float = float("inf"),
        unreachable: str = NO_ROUTE,
        *,
        roaming: bool = False,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self.clock = clock
        self.weights = weights or {}  # of devices where it is not 1
        self.roaming = roaming
        self.unreachable = unreachable  # the cause of what was handed over out of range
        self.delay_s = delay_s
        self.give_up_s = give_up_s
        self.lines: dict[str, Line] = {}  # of devices that have ever sent
        self.on_air: list[tuple[float, int, Line]] = []
        self.active: float = 0  # the weight of all that is on air
        self.virtual_s = 0.0
        self.updated_s = 0.0
        self.wakes_at = float("inf")
        self.order = count()
        self.note: Note | None = None
        self.noted_until_s = 0.0  # whoever takes notes need not be told of changes before
        self.price_per_byte = 0.0

    def send(
        self,
        device: str,
        air_s: float,
        receiver: Receiver,
        due_s: float = float("inf"),
        speed: Rate | None = None,
    ) -> None:
        """Send what takes `air_s` alone at the nominal rate; drop it if it would start after `due_s`.

        Returns None: the receiver will be told when it arrives, as its last bit is sent, or why not.
        """
        now = self.clock.now
        self._advance(now)
        transfer = Transfer(air_s, air_s, due_s, receiver)
        line = self.lines.get(device)
        if line is None:
            line = self.lines[device] = Line(device, self.weights.get(device, 1), deque())
        line.queue.append(transfer)
        if len(line.queue) == 1:
            if speed is not None:
                line.speed = speed.at(now)
                self._watch(line, speed)
            if line.speed:
                self._next(line, now)
        if not line.speed and speed is not None:
            self._may_give_up(line, transfer, speed, self.unreachable)
        self._arm(now)

    def is_on_air(self, device: str) -> bool:
        """Tell whether a device is sending now."""
        line = self.lines.get(device)
        return line is not None and bool(line.queue) and line.speed != 0.0

    def queued_air_s(self, device: str) -> float:
        """Air time, at the nominal rate, of what a device still has to send, with what is on air."""
        line = self.lines.get(device)
        if line is None or not line.queue:
            return 0.0
        self._advance(self.clock.now)
        queue = line.queue
        total = sum(transfer.left_s for transfer in queue)
        pace = line.speed * line.weight
        if pace:
            total += (queue[0].ends_at - self.virtual_s) * pace - queue[0].left_s
        return total

    def _advance(self, now: float) -> None:
        if now >= self.noted_until_s and self.note is not None:
            self.note(now)
        if self.active:
            self.virtual_s += (now - self.updated_s) / self.active
        self.updated_s = now

    def _next(self, line: Line, now: float) -> None:
        """Put on air a device's next transfer that is not too late for it, if there is one."""
        queue = line.queue
        while queue:
            transfer = queue[0]
            if transfer.due_s >= now or transfer.left_s != transfer.whole_s:
                if not self.active:
                    self.virtual_s = 0.0
                self.active += line.weight
                ends_at = self.virtual_s + transfer.left_s / line.speed / line.weight
                transfer.ends_at = ends_at
                heappush(self.on_air, (ends_at, next(self.order), line))
                return
            self.clock.at(now, partial(_fail_late, queue.popleft()))

    def _arm(self, now: float) -> None:
        """See to it that the cell wakes no later than its next transfer ends."""
        if self.on_air:
            ends_s = now + (self.on_air[0][0] - self.virtual_s) * self.active
            if ends_s < now:  # two that end at once may differ by a rounding error
                ends_s = now
            if ends_s < self.wakes_at:
                self.wakes_at = ends_s
                self.clock.at(ends_s, self._wake)

    def _wake(self, now: float) -> float | None:
        """End what is due, and tell when to wake again, if anything is on air still."""
        if now != self.wakes_at:  # superseded
            return None
        self._advance(now)
        # The next to end is due unless others joined since it was armed, to a rounding error.
        on_air, nearly_s = self.on_air, 1e-12 * now if now > 1.0 else 1e-12
        while on_air:
            left_s = (on_air[0][0] - self.virtual_s) * self.active
            if left_s > nearly_s:
                self.wakes_at = now + left_s
                return self.wakes_at
            self.virtual_s, _, line = heappop(on_air)
            self._take_off(line)
            self._arrive(line, now)
            if line.queue:
                self._next(line, now)
        self.wakes_at = float("inf")
        return None

    def _arrive(self, line: Line, now: float) -> None:
        """Tell of a device's transfer that is through."""
        transfer = line.queue.popleft()
        used_s = transfer.used_s + transfer.left_s / line.speed
        transfer.receiver.arrives(now + self.delay_s, used_s)

    def _take_off(self, line: Line) -> None:
        # No sum of weights but that of none is exact.
        self.active = self.active - line.weight if self.on_air else 0

    # What follows happens only to devices whose speed changes.

    def _watch(self, line: Line, speed: Rate) -> None:
        """Follow the speed of a device while it has traffic."""
        if line.watched:
            return
        change_s = speed.changes_after(self.clock.now)
        if change_s < float("inf"):
            line.watched = True
            self.clock.at(change_s, lambda _: self._changed(line, speed))

    def _changed(self, line: Line, speed: Rate) -> None:
        line.watched = False
        queue = line.queue
        if not queue:
            return
        now = self.clock.now
        self._advance(now)
        if line.speed:
            self._stop(line)
            if queue[0].left_s <= 1e-12 * queue[0].whole_s:  # it ends at this very moment
                self._arrive(line, now)
        line.speed = speed.at(now)
        if line.speed:
            self._next(line, now)
        elif queue:
            self._lost(line, speed)
        self._watch(line, speed)
        self._arm(now)

    def _lost(self, line: Line, speed: Rate) -> None:
        """Give back what a device that is out of reach had under way, or let it wait."""
        if self.roaming:
            for transfer in _emptied(line):
                transfer.fail(HANDOVER)
        else:
            for transfer in line.queue:
                self._may_give_up(line, transfer, speed, OUT_OF_RANGE)

    def _stop(self, line: Line) -> None:
        """Take a device off the air, and note what is left of its transfer."""
        transfer = line.queue[0]
        left_s = max(0.0, transfer.ends_at - self.virtual_s) * line.speed * line.weight
        transfer.used_s += (transfer.left_s - left_s) / line.speed
        transfer.left_s = left_s
        self.on_air = [entry for entry in self.on_air if entry[2] is not line]
        heapify(self.on_air)
        self._take_off(line)
        self.wakes_at = float("inf")  # the remaining ones may now end sooner

    def _may_give_up(self, line: Line, transfer: Transfer, speed: Rate, cause: str) -> None:
        """Let a stalled transfer fail unless the device is back in time."""
        gives_up_s = self.clock.now + self.give_up_s
        if gives_up_s < speed.changes_after(self.clock.now):
            self.clock.at(gives_up_s, lambda _: self._give_up(line, transfer, cause))

    def _give_up(self, line: Line, transfer: Transfer, cause: str) -> None:
        if transfer in line.queue:
            line.queue.remove(transfer)
            transfer.fail(cause)

    def drop(self, device: str, now: float, cause: str) -> None:
        """Let everything of a device fail that is not through."""
        line = self.lines.get(device)
        if line is None or not line.queue:
            return
        self._advance(now)
        if line.speed:
            self._stop(line)
        dropped = _emptied(line)
        self._arm(now)
        for transfer in dropped:
            transfer.fail(cause)

    def close(self, now: float, cause: str) -> None:
        """Let everything fail that is not through."""
        for device in self.lines:
            self.drop(device, now, cause)


def _emptied(line: Line) -> deque[Transfer]:
    """Take all transfers from a device."""
    queue, line.queue = line.queue, deque()
    return queue


class Dedicated:
    """A cell direction in which every device has the full rate to itself, in order."""

    def __init__(self, clock: Clock, delay_s: float = 0.0) -> None:
        self.clock = clock
        self.delay_s = delay_s
        self.free_s: dict[str, float] = {}
        self.active = 0
        self.note: Note | None = None  # nothing is shared, so nothing is reported
        self.price_per_byte = 0.0

    def send(
        self,
        device: str,
        air_s: float,
        receiver: Receiver,
        due_s: float = float("inf"),
        speed: Rate | None = None,
    ) -> float | None:
        """Send what takes `air_s`, and tell when it arrives; drop it if it would start after `due_s`.

        At a speed that changes, None is told, and the receiver woken on arrival, if ever. The radio
        stays on while the speed is 0.
        """
        now = self.clock.now
        begins_s = self.free_s.get(device, 0.0)
        if begins_s < now:
            begins_s = now
        if begins_s > due_s:
            self.clock.at(begins_s, lambda _: receiver.wake(LATE))
            return None
        if speed is None:
            ends_s = self.free_s[device] = begins_s + air_s
            return ends_s + self.delay_s
        ends_s = speed.ends(begins_s, air_s) if begins_s < float("inf") else begins_s
        self.free_s[device] = ends_s
        if ends_s < float("inf"):
            self.clock.at(ends_s + self.delay_s, lambda _: receiver.wake("", 1.0, ends_s - begins_s))
        return None

    def book(self, device: str, air_s: float, ready_s: float) -> float:
        """Tell when arrives what will be ready then; whatever is sent later must be ready later too."""
        free_s = self.free_s.get(device, 0.0)
        ends_s = self.free_s[device] = (free_s if free_s > ready_s else ready_s) + air_s
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


class Hop:
    """All that a device sees of its cells which has but one, for itself and at full speed."""

    __slots__ = ("empty", "seen", "uplink")

    def __init__(self, uplink: Dedicated, cell: Cell) -> None:
        self.uplink = uplink
        self.seen: tuple[tuple[str, ...], str | None] = (cell.name,), cell.name  # as `Place.seen`
        empty = Uplink(cell.name, True, cell.up_bps, cell.down_bps, 0.0)
        self.empty: Mapping[str, Uplink] = MappingProxyType({cell.name: empty})  # with nothing on it
