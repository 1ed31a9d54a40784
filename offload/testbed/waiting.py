"""The queue of a real server: by rank, or gathered into batches, as in the simulated one."""

import time
from collections.abc import Callable
from heapq import heappop, heappush
from threading import Condition

from offload.entities import Node
from offload.testbed.link import Link
from offload.testbed.message import Ask

MOST_JOBS, MOST_BYTES = 10_000, 2**30  # that may wait


class Job:
    """A request that has come to a node: what it asks, its body, and where the answer goes."""

    __slots__ = ("ask", "back", "body", "received_ns")

    def __init__(self, ask: Ask, body: memoryview, back: Link, received_ns: int) -> None:
        self.ask, self.body, self.back, self.received_ns = ask, body, back, received_ns

    @property
    def key(self) -> tuple[str, int, int]:
        """What may run in one batch is equal in this."""
        stop = self.ask.stops[0]
        return (self.ask.variant, stop.first, stop.last)


RANKS: dict[str, Callable[[Job], float]] = {
    "fifo": lambda _: 0.0,
    "priority": lambda job: -job.ask.priority,
    "edf": lambda job: job.ask.deadline_ns,
}


class Waiting:
    """What waits for a node's server.

    One by one by rank, the first that came first among equals; or in batches of equal work: a full
    one, or else the ripe one whose first member came first, is next. `put` tells whether there was
    room.
    """

    def __init__(self, node: Node) -> None:
        self.rank = RANKS[node.queue]
        self.limit = node.queue_limit
        self.most, self.wait_ns = node.batch_max, round(node.batch_wait_s * 1e9)
        self.jobs: list[tuple[float, int, Job]] = []
        self.came = self.bytes = 0
        self.changed = Condition()
        self.serving = False
        self.closed = False

    def __len__(self) -> int:
        return len(self.jobs)

    def put(self, job: Job) -> bool:
        """Let a job wait; tell whether it may."""
        with self.changed:
            if len(self.jobs) >= MOST_JOBS or self.bytes > MOST_BYTES:
                return False
            if self.limit is not None and len(self.jobs) >= self.limit and (self.jobs or self.serving):
                return False
            self.came += 1
            self.bytes += len(job.body)
            heappush(self.jobs, (self.rank(job), self.came, job))
            self.changed.notify()
            return True

    def take(self) -> list[Job]:
        """Wait for what is next, and take it; nothing once it is closed."""
        with self.changed:
            self.serving = False
            while not self.closed:
                wait_s = None
                if self.jobs and self.most == 1:
                    self.serving = True
                    return self._taken([heappop(self.jobs)])
                if self.jobs:
                    found, wait_s = self._batch(time.monotonic_ns())
                    if found:
                        self.serving = True
                        return found
                self.changed.wait(wait_s)
            return []

    def close(self) -> None:
        """Let nobody wait any more."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def _batch(self, now_ns: int) -> tuple[list[Job], float]:
        """Take the batch that is next, or tell in how many seconds the first one will be ripe."""
        queues: dict[tuple[str, int, int], list[tuple[float, int, Job]]] = {}
        for entry in sorted(self.jobs, key=lambda each: each[1]):
            queues.setdefault(entry[2].key, []).append(entry)
        ripe_ns = min(queue[0][2].received_ns for queue in queues.values()) + self.wait_ns
        ready = [
            (len(queue) < self.most, queue[0][1], queue)
            for queue in queues.values()
            if len(queue) >= self.most or queue[0][2].received_ns + self.wait_ns <= now_ns
        ]
        if not ready:
            return [], max(0.0, (ripe_ns - now_ns) * 1e-9)
        members = min(ready)[2][: self.most]
        gone = {number for _, number, _ in members}
        self.jobs = [entry for entry in self.jobs if entry[1] not in gone]
        return self._taken(members), 0.0

    def _taken(self, entries: list[tuple[float, int, Job]]) -> list[Job]:
        self.bytes -= sum(len(job.body) for _, _, job in entries)
        return [job for _, _, job in entries]
