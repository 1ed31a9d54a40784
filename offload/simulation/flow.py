"""Rows on their way out of a world: passed on in the order of births, once that is certain."""

import time
from bisect import bisect_left
from collections.abc import Callable
from itertools import islice

from offload.entities import Outcome
from offload.simulation.world import World

CHUNK = 65_536  # rows that are passed on together

# Is given outcomes in the order of births, CHUNK of them or the last, and those that must still wait: a
# frame goes before its stages, which may be among these.
Take = Callable[[list[Outcome], list[Outcome]], None]

Tell = Callable[[float], None]  # is told the time in the world, a few times a second at most
TELL_EVERY_S = 0.2


class Flow:
    """Passes a world's outcomes on and forgets them; without `take` they stay in the world.

    They are passed on in the order of (born_s, id), though they end in another: a row waits until all
    that was born before it has one too. So there are never more in memory than twice CHUNK and what was
    born since the oldest request that is under way. `energy_j` is what the requests of each device cost,
    summed as they end; `last_s` is when the last one ended. `tell` is told how far the world is.
    """

    def __init__(self, world: World, take: Take | None = None, tell: Tell | None = None) -> None:
        self.world = world
        self.take = take
        self.tell = tell
        self.told_s = time.monotonic()
        self.step = 1  # of outcomes that end before it is worth looking at the time again
        self.full = 0  # of how many outcomes in the world it is worth to pass some on
        self.energy_j = dict.fromkeys((device.name for device in world.setting.devices), 0.0)
        self.last_s = 0.0
        self.waiting = 0  # of the world's outcomes: the first so many are counted already

    def look(self) -> int:
        """Pass on what may go; return of how many outcomes in the world it is worth the next look."""
        outcomes = self.world.outcomes
        if len(outcomes) >= self.full:
            self._count(outcomes)
            if self.take is not None:
                settled = bisect_left(outcomes, self._settled_s(), key=lambda o: o.request.born_s)
                self._pass_on(outcomes, settled, CHUNK)
            self.waiting = len(outcomes)
            self.full = self.waiting + CHUNK
        return self.full if self.tell is None else min(self.full, len(outcomes) + self._told())

    def end(self) -> None:
        """Pass on the rest: the world has ended."""
        outcomes = self.world.outcomes
        self._count(outcomes)
        if self.take is not None:
            self._pass_on(outcomes, len(outcomes), 1)

    def _told(self) -> int:
        """Tell how far the world is, if it is time to; return after how many outcomes to ask again.

        So many that a few looks a second suffice, however long one outcome takes.
        """
        now_s = time.monotonic()
        if now_s - self.told_s < TELL_EVERY_S:
            self.step = min(2 * self.step, CHUNK)
        else:
            self.step = max(1, self.step // 2)
            self.told_s = now_s
            self.tell(self.world.clock.now)  # type: ignore[misc]  # there is one
        return self.step

    def _count(self, outcomes: list[Outcome]) -> None:
        """Add up what has ended since the last look, and put all in the order of births."""
        for outcome in outcomes[self.waiting :]:
            if outcome.ended_s > self.last_s:
                self.last_s = outcome.ended_s
            if outcome.request.parent is None:  # which holds what its stages spent
                self.energy_j[outcome.request.device] += outcome.energy_j
        if self.take is not None:
            outcomes.sort(key=lambda o: (o.request.born_s, o.request.id))

    def _pass_on(self, outcomes: list[Outcome], settled: int, least: int) -> None:
        """Pass on the first of so many, in chunks of at least `least`."""
        while settled >= least:
            due = outcomes[: min(CHUNK, settled)]
            del outcomes[: len(due)]
            settled -= len(due)
            self.take(due, outcomes)  # type: ignore[misc]  # there is one

    def _settled_s(self) -> float:
        """Return the time before which whatever was born has its row.

        Requests and frames that are under way lie in the order of their births.
        """
        world = self.world
        oldest = [journey.request.born_s for journey in islice(world.under_way.values(), 1)]
        oldest += [frame.root.born_s for frame in islice(world.frames.values(), 1)]
        return min([world.clock.now, *oldest])
