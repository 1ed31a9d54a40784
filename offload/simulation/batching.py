"""Waiting for company: servers that gather equal work into batches."""

from collections import deque
from collections.abc import Callable, Hashable
from functools import partial
from heapq import heapreplace

from offload.simulation.clock import Clock
from offload.simulation.slowing import Slowing
from offload.simulation.stations import DOWN, LATE, Note, Wake
from offload.world.rate import Rate


def _tell_late(wake: Wake, _now: float) -> None:
    wake(LATE)


class Member:
    """One piece of work that may run in a batch.

    `seconds(n)` is the mean time of a batch of n such; `key` tells what may join it; `own_s` comes on
    top, whatever the company (decoding); `factor` is this one's own time over the mean.
    `done(share_s, n)` is told its equal share of the batch's seconds.
    """

    __slots__ = ("done", "due_s", "factor", "joined_s", "key", "own_s", "seconds", "wake")

    def __init__(
        self,
        key: Hashable,
        seconds: Callable[[int], float],
        factor: float,
        due_s: float,
        done: Callable[[float, int], object],
        wake: Wake,
        own_s: float = 0.0,
    ) -> None:
        self.key = key
        self.seconds = seconds
        self.factor = factor
        self.due_s = due_s
        self.done = done
        self.wake = wake
        self.own_s = own_s
        self.joined_s = 0.0

    @property
    def alone_s(self) -> float:
        """The mean time of this one by itself."""
        return self.seconds(1) + self.own_s


class Batching:
    """Servers that gather equal work into batches.

    A batch is full at `limit`, and ripe `wait_s` after its first member; a full batch, or else the
    ripe one whose first member came first, begins when a server is free. It takes its mean time by
    size and what is each member's own, times the largest factor among its members. At a `speed` that
    changes it takes longer, and at speed 0 all that is there is lost. What is `slowing` it is told as it
    begins.
    """

    def __init__(
        self,
        clock: Clock,
        servers: int,
        limit: int,
        wait_s: float,
        speed: Rate | None = None,
        slowing: Slowing | None = None,
    ) -> None:
        self.clock = clock
        self.speed = speed
        self.slowing = slowing
        self.lives = 0  # how often it has broken down
        self.under_way: list[tuple[list[Member], float, float]] = []  # how long, since when
        self.idle = servers
        self.limit = limit
        self.wait_s = wait_s
        self.waiting: dict[Hashable, deque[Member]] = {}
        self.free = [0.0] * servers
        self.busy_s = 0.0
        self.queued_s = 0.0  # what waits, were it run one by one
        self.note: Note | None = None
        if slowing is not None:
            slowing.meets(self)

    def join(self, member: Member) -> None:
        """Take a member; its `wake` is called when its batch ends, or when it is dropped as late."""
        now = self.clock.now
        if self.note is not None:
            self.note(now)
        if self.speed is not None and self.speed.at(now) == 0.0:
            self.clock.at(now, lambda _: member.wake(DOWN))
            return
        member.joined_s = now
        self.waiting.setdefault(member.key, deque()).append(member)
        self.queued_s += member.alone_s
        self._begin(now)
        if self.wait_s and member.key in self.waiting:
            self.clock.at(now + self.wait_s, self._ripen)

    def fail(self, speed: Rate) -> None:
        """Break down: let all that is here fail, and begin anew when it is repaired."""
        now = self.clock.now
        if self.note is not None:
            self.note(now)
        self.lives += 1
        lost: list[Member] = []
        for members, seconds, begun_s in self.under_way:
            undone_s = seconds - speed.amount(begun_s, now)
            self.busy_s -= undone_s
            for member in members:
                member.done(-undone_s / len(members), len(members))
            lost += members
        lost += [member for queue in self.waiting.values() for member in queue]
        self.idle, self.free = len(self.free), [now] * len(self.free)
        self.waiting, self.under_way, self.queued_s = {}, [], 0.0
        for member in lost:
            member.wake(DOWN)

    def computes(self, now: float) -> bool:
        """Tell whether any server is at work."""
        return any(ends_s > now for ends_s in self.free)

    def load(self) -> tuple[float, float]:
        """Tell when a server falls free, and how long what is queued takes, were it run one by one."""
        if self.speed is not None and self.speed.at(self.clock.now) == 0.0:
            return float("inf"), 0.0
        return self.free[0], self.queued_s / len(self.free)

    def _begin(self, now: float) -> None:
        if self.note is not None:
            self.note(now)
        while self.idle and (queue := self._ready(now)):
            late = [member for member in queue if member.due_s < now]
            if late:
                self._drop(late, now)  # and see what is ready then
                continue
            members = [queue.popleft() for _ in range(min(self.limit, len(queue)))]
            if not queue:
                del self.waiting[members[0].key]
            self._start(members, now)

    def _ready(self, now: float) -> deque[Member] | None:
        """Find the full queue, or else the ripe one, whose first member came first."""
        ready = [
            (len(queue) < self.limit, queue[0].joined_s, number, queue)
            for number, queue in enumerate(self.waiting.values())
            if len(queue) >= self.limit or queue[0].joined_s + self.wait_s <= now
        ]
        return min(ready)[-1] if ready else None

    def _drop(self, late: list[Member], now: float) -> None:
        queue = self.waiting[late[0].key]
        for member in late:
            queue.remove(member)
            self.queued_s = max(0.0, self.queued_s - member.alone_s)
            self.clock.at(now, partial(_tell_late, member.wake))
        if not queue:
            del self.waiting[late[0].key]
        else:  # its first member is another now, which ripens later
            self.clock.at(max(now, queue[0].joined_s + self.wait_s), self._ripen)

    def _ripen(self, now: float) -> None:
        self._begin(now)

    def _start(self, members: list[Member], now: float) -> None:
        self.queued_s = max(0.0, self.queued_s - sum(member.alone_s for member in members))
        seconds = members[0].seconds(len(members)) + sum(member.own_s for member in members)
        seconds *= max(member.factor for member in members)
        if self.slowing is not None:
            seconds *= self.slowing.times(self, now, self.free[0])
        self.idle -= 1
        self.busy_s += seconds
        ends_s = now + seconds
        if self.speed is not None:
            ends_s = self.speed.ends(now, seconds)
            self.under_way.append((members, seconds, now))
        heapreplace(self.free, ends_s)
        for member in members:
            member.done(seconds / len(members), len(members))
        life = self.lives
        self.clock.at(ends_s, lambda _: self._end(members, life))

    def _end(self, members: list[Member], life: int) -> None:
        if life != self.lives:  # it broke down meanwhile
            return
        self.under_way = [each for each in self.under_way if each[0] is not members]
        self.idle += 1
        for member in members:
            member.wake("")
        self._begin(self.clock.now)
