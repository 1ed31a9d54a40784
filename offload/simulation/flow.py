"""Rows on their way out of a world: passed on in the order of births, once that is certain."""

from bisect import bisect_left
from collections.abc import Callable
from itertools import islice

from offload.entities import Outcome
from offload.simulation.world import World

CHUNK = 65_536  # rows that are passed on together

# Is given outcomes in the order of births, CHUNK of them or the last, and those that must still wait: a
# frame goes before its stages, which may be among these.
Take = Callable[[list[Outcome], list[Outcome]], None]


class Flow:
    """Passes a world's outcomes on and forgets them; without `take` they stay in the world.

    They are passed on in the order of (born_s, id), though they end in another: a row waits until all
    that was born before it has one too. So there are never more in memory than twice CHUNK and what was
    born since the oldest request that is under way. `energy_j` is what the requests of each device cost,
    summed as they end; `last_s` is when the last one ended.
    """

    def __init__(self, world: World, take: Take | None = None) -> None:
        self.world = world
        self.take = take
        self.energy_j = dict.fromkeys((device.name for device in world.setting.devices), 0.0)
        self.last_s = 0.0
        self.waiting = 0  # of the world's outcomes: the first so many are counted already

    def pass_on(self) -> int:
        """Pass on what may go; return of how many outcomes in the world it is worth the next look."""
        outcomes = self.world.outcomes
        self._count(outcomes)
        if self.take is not None:
            settled = bisect_left(outcomes, self._settled_s(), key=lambda o: o.request.born_s)
            self._pass_on(outcomes, settled, CHUNK)
        self.waiting = len(outcomes)
        return self.waiting + CHUNK

    def end(self) -> None:
        """Pass on the rest: the world has ended."""
        outcomes = self.world.outcomes
        self._count(outcomes)
        if self.take is not None:
            self._pass_on(outcomes, len(outcomes), 1)

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
