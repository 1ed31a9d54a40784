"""How much slower work is that begins after an idle gap, or beside another process that works."""

import statistics
import time
from collections.abc import Sequence

import numpy as np

from offload.testbed.costs import fits
from offload.testbed.costs.blocks import Blocks, Look
from offload.testbed.costs.peer import Peer

GAPS_S = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
WARM_UP = 2
RUNS = 8  # of a block, alone or beside the other

# Of one block: for each gap, how long it was in truth, and the seconds of the work after it.
Idled = dict[float, tuple[float, float]]


class Idling:
    """One work of a peer after idle gaps, in random order."""

    def __init__(
        self,
        peer: Peer,
        work: str,
        looks: Sequence[Look],
        chance: np.random.Generator,
        gaps_s: Sequence[float],
    ) -> None:
        self.peer, self.work, self.chance = peer, work, chance
        self.gaps_s = gaps_s
        self.blocks: Blocks[Idled] = Blocks(f"{work} after idle gaps", looks)

    def go_once(self) -> None:
        """Work once after each gap."""
        self.blocks.measure(self._work)

    def _work(self) -> Idled:
        """Ask for work a gap after the one before was done; for none so early that it waits there."""
        line, found = self.peer.line, {}
        for _ in range(WARM_UP):
            before = line.ask(self.work)[1]
        for index in self.chance.permutation(len(self.gaps_s)):
            gap_s = self.gaps_s[index]
            if gap_s:
                time.sleep(gap_s)
                line.send(self.work)
            else:
                line.send(self.work)  # what the other waits behind
                line.send(self.work)
                before = line.hear()
            stamp = line.hear()
            gone_s = (stamp.begun_ns - before.done_ns) * 1e-9
            found[gap_s] = (gone_s, (stamp.done_ns - stamp.begun_ns) * 1e-9)
            before = stamp
        return found

    def curve(self) -> tuple[fits.Floats, fits.Floats]:
        """Return gaps[gap] as they were, and seconds[block, gap] of the work after them."""
        kept = self.blocks.kept()
        gaps_s = np.median([[block[gap][0] for gap in self.gaps_s] for block in kept], axis=0)
        return gaps_s, np.array([[block[gap][1] for gap in self.gaps_s] for block in kept])


class Beside:
    """One work of a peer alone, and while another peer does the same on its own core."""

    def __init__(self, peers: tuple[Peer, Peer], work: str, looks: Sequence[Look]) -> None:
        self.peers = peers
        self.work = work
        self.blocks: Blocks[float] = Blocks(f"{work} beside another", looks)

    def go_once(self, number: int) -> None:
        """Measure a pair of blocks; who is measured, and which comes first, goes round."""
        first, second = self.peers[:: 1 if number % 2 else -1]
        order = (False, True) if number % 4 < 2 else (True, False)

        def ratio() -> float:
            seconds = {beside: self._seconds(first, second if beside else None) for beside in order}
            return seconds[True] / seconds[False]

        self.blocks.measure(ratio)

    def _seconds(self, one: Peer, other: Peer | None) -> float:
        """Return the median seconds of the work; beside another, of what lies within that one's time."""
        more = RUNS + 2 * WARM_UP
        if other is not None:
            for _ in range(more):
                other.line.send(self.work)
            begun_ns = other.line.hear().begun_ns
        for _ in range(RUNS + WARM_UP):
            one.line.send(self.work)
        stamps = [one.line.hear() for _ in range(RUNS + WARM_UP)][WARM_UP:]
        if other is not None:
            done_ns = [other.line.hear() for _ in range(more - 1)][-1].done_ns
            stamps = [
                each for each in stamps if begun_ns <= each.begun_ns and each.done_ns <= done_ns
            ] or stamps
        return statistics.median(each.done_ns - each.begun_ns for each in stamps) * 1e-9
