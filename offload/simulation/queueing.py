"""Waiting by rank: servers that choose what to take up next, what to turn away, how many they are."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from heapq import heapify, heappop, heappush, heapreplace
from itertools import count

from offload.entities import Node, Scale
from offload.simulation.clock import Clock
from offload.simulation.memory import Memory
from offload.simulation.slowing import Slowing
from offload.simulation.stations import DOWN, LATE, SHED, Note, Wake
from offload.world.rate import Rate


class Job:
    """One piece of work: how long it takes, how urgent it is, and whose weights it needs.

    It is dropped if it would be taken up after `due_s`; its answer is wanted by `deadline_s`, dropped
    or not. `begun(load_s, seconds)` is told when a server takes it up, how long that waits for the
    weights, and the work; or what was not done of it when the server broke down, as a negative number.
    """

    __slots__ = ("begun", "deadline_s", "due_s", "label", "priority", "seconds", "wake")

    def __init__(
        self,
        seconds: float,
        due_s: float,
        deadline_s: float,
        priority: int,
        label: str,
        begun: Callable[[float, float], object],
        wake: Wake,
    ) -> None:
        self.seconds = seconds
        self.due_s = due_s
        self.deadline_s = deadline_s
        self.priority = priority
        self.label = label
        self.begun = begun
        self.wake = wake


# The least rank is taken up first, and of equals who came first.
RANKS: Mapping[str, Callable[[Job], float]] = {
    "fifo": lambda _: 0.0,
    "priority": lambda job: -job.priority,
    "edf": lambda job: job.deadline_s,
}

Entry = tuple[float, int, Job]


class Queueing:
    """Servers that each take up one piece of work after the other, by rank, and finish what they begin.

    Where weights must be loaded, a server is held until they are there; if those in use leave no room,
    the first in line waits, and all behind it. Who comes may be turned away: if `queue_limit` wait
    already, or if its deadline would pass before it is taken up, as things stand.

    At a `speed` that changes work takes longer, and at speed 0 all that is there is lost, weights too.

    What is `slowing` them is looked at as work begins, and is part of that work's seconds from then on.

    Where servers come and go, another starts when more than `up_s` of work waits for each that runs or
    starts; one that has been idle for `idle_s` stops. The one that worked last is taken first.
    """

    def __init__(
        self,
        clock: Clock,
        node: Node,
        memory: Memory | None = None,
        speed: Rate | None = None,
        slowing: Slowing | None = None,
    ) -> None:
        self.clock = clock
        self.speed = speed
        self.slowing = slowing
        self.lives = 0  # how often it has broken down
        self.under_way: list[tuple[Job, float]] = []  # since when; kept where it may break
        self.rank = RANKS[node.queue]
        self.admit = node.admit
        self.limit = float("inf") if node.queue_limit is None else node.queue_limit
        self.scale = node.scale
        self.memory = memory
        self.idle = [0.0] * node.servers  # since when; the last of them worked last
        self.busy: list[float] = []  # a heap: until when
        self.starting: list[float] = []  # until when
        self.waiting: list[Entry] = []  # a heap
        self.queued_s = 0.0  # the work that waits
        self.busy_s = 0.0
        self.order = count()
        self.note: Note | None = None
        self._counted_s, self._server_s = 0.0, 0.0
        if slowing is not None:
            slowing.meets(self)

    @property
    def servers(self) -> int:
        """How many servers run or start."""
        return len(self.idle) + len(self.busy) + len(self.starting)

    @property
    def free(self) -> tuple[float, ...]:
        """When a server is free for what would come last now: its first entry, as of those in order."""
        return (self.load()[0],)

    def computes(self, now: float) -> bool:
        """Tell whether any server is at work."""
        return any(ends_s > now for ends_s in self.busy)

    def server_seconds(self, now: float) -> float:
        """Tell for how long servers have been on, each from when it began to start."""
        return self._server_s + self.servers * (now - self._counted_s)

    def join(self, job: Job) -> None:
        """Take a job; its `wake` is called when it ends, is dropped as late, or is turned away."""
        now = self.clock.now
        self._note(now)
        entry = (self.rank(job), next(self.order), job)
        if self.speed is not None and self.speed.at(now) == 0.0:
            self.clock.at(now, lambda _: job.wake(DOWN))
            return
        if self._turns_away(entry):
            self.clock.at(now, lambda _: job.wake(SHED))
            return
        heappush(self.waiting, entry)
        self.queued_s += job.seconds
        self._begin(now)
        if self.scale is not None:
            self._grow(self.scale, now)

    def fail(self, speed: Rate) -> None:
        """Break down: let all that is here fail, and begin anew when it is repaired."""
        now = self.clock.now
        self._note(now)
        self.lives += 1
        lost = [job for _, _, job in sorted(self.waiting)]
        for job, begun_s in self.under_way:
            undone_s = job.seconds - (speed.amount(begun_s, now) if begun_s < now else 0.0)
            job.begun(0.0, -undone_s)
            self.busy_s -= undone_s
        lost = [*(job for job, _ in self.under_way), *lost]
        self._count(now)
        self.idle = [now] * (self.scale.min if self.scale else self.servers)
        self.busy, self.starting, self.waiting, self.under_way = [], [], [], []
        self.queued_s = 0.0
        if self.memory is not None:
            self.memory.clear()
        for job in lost:
            job.wake(DOWN)

    def load(self) -> tuple[float, float]:
        """Tell when a server is free for what would come last now, and what is queued behind that."""
        if self.speed is not None and self.speed.at(self.clock.now) == 0.0:
            return float("inf"), 0.0
        return self._free_s(self.waiting), 0.0

    def resident(self) -> tuple[str, ...] | None:
        """Tell whose weights are there or on their way; None if nothing need be loaded."""
        return None if self.memory is None else tuple(sorted(self.memory.there_s))

    def _note(self, now: float) -> None:
        if self.note is not None:
            self.note(now)

    def _turns_away(self, entry: Entry) -> bool:
        if len(self.waiting) >= self.limit and (self.waiting or not self.idle):
            return True
        if self.admit == "all":
            return False
        deadline_s = entry[-1].deadline_s
        free_s = self._free_s(other for other in self.waiting if other < entry)
        return free_s > deadline_s or self.clock.now > deadline_s

    def _free_s(self, ahead: Iterable[Entry]) -> float:
        """When a server is free for what comes after these, if nobody else comes."""
        free = [*self.busy, *self.starting]
        if not self.waiting:  # else they lack room in memory
            free += self.idle
        heapify(free)
        loaded = set()
        for _, _, job in sorted(ahead):
            if free[0] <= job.due_s:
                seconds = job.seconds
                if self.memory is not None and job.label not in loaded:
                    seconds += self.memory.seconds(job.label)
                    loaded.add(job.label)
                heapreplace(free, free[0] + seconds)
        return free[0]

    def _begin(self, now: float) -> None:
        """Let idle servers take up what is first in line."""
        while self.idle and self.waiting:
            job = self.waiting[0][-1]
            late = job.due_s < now
            there_s = now if late or self.memory is None else self.memory.take(job.label, now)
            if there_s is None:  # no room until some work ends
                return
            heappop(self.waiting)
            self.queued_s = self.queued_s - job.seconds if self.waiting else 0.0
            if late:
                self.clock.at(now, partial(_tell_late, job.wake))
            else:
                self._start(job, now, there_s)

    def _start(self, job: Job, now: float, there_s: float) -> None:
        idle_since_s = self.idle.pop()
        if self.slowing is not None:
            job.seconds *= self.slowing.times(self, now, idle_since_s)
        ends_s = there_s + job.seconds
        if self.speed is not None:
            ends_s = self.speed.ends(there_s, job.seconds)
            self.under_way.append((job, there_s))
        heappush(self.busy, ends_s)
        self.busy_s += job.seconds
        job.begun(there_s - now, job.seconds)
        life = self.lives
        self.clock.at(ends_s, lambda _: self._end(job, life))

    def _end(self, job: Job, life: int) -> None:
        if life != self.lives:  # it broke down meanwhile
            return
        now = self.clock.now
        self._note(now)
        self.under_way = [each for each in self.under_way if each[0] is not job]
        heappop(self.busy)
        self.idle.append(now)
        if self.memory is not None:
            self.memory.release(job.label)
        job.wake("")
        self._begin(now)
        if self.scale is not None:
            self._rest(self.scale, now)

    # What follows happens only where servers come and go.

    def _grow(self, scale: Scale, now: float) -> None:
        """Start servers while more work waits than those that there are should have."""
        while self.servers < scale.max and self.queued_s > scale.up_s * self.servers:
            self._count(now)
            ready_s = now + scale.start_s
            self.starting.append(ready_s)
            self.clock.at(ready_s, partial(self._ready, scale, self.lives))

    def _ready(self, scale: Scale, life: int, now: float) -> None:
        if life != self.lives:
            return
        self._note(now)
        self.starting.pop(0)
        self.idle.append(now)
        self._begin(now)
        self._rest(scale, now)

    def _rest(self, scale: Scale, now: float) -> None:
        """Stop the servers that have been idle for long, and look again when the last may have been."""
        while self.idle and self.idle[0] + scale.idle_s <= now:
            if len(self.idle) + len(self.busy) <= scale.min:
                return
            self._count(now)
            self.idle.pop(0)
        if self.idle and self.idle[-1] == now:
            self.clock.at(now + scale.idle_s, lambda _: self._look(scale))

    def _look(self, scale: Scale) -> None:
        self._note(self.clock.now)
        self._rest(scale, self.clock.now)

    def _count(self, now: float) -> None:
        """Keep count of server-seconds, before their number changes."""
        self._server_s, self._counted_s = self.server_seconds(now), now


def _tell_late(wake: Wake, _now: float) -> None:
    wake(LATE)
