"""Which secured channels stand: a device has one over each cell, and the ends of a wire have one."""

from bisect import bisect_right

from offload.entities import Cell, Wire
from offload.scenario.breaking import stops
from offload.scenario.setup import Setting
from offload.simulation.clock import Clock
from offload.simulation.journey import Steps


class Sessions:
    """Lets messages wait until a channel stands: the first begins its handshake, which takes a while.

    A channel lasts until its link or a node at its end breaks down; who comes after that begins another.
    """

    def __init__(self, clock: Clock, setting: Setting) -> None:
        self.clock = clock
        self.begun_s: dict[tuple[str, str], float] = {}  # when a handshake began, by who and link
        self.breaks_s: dict[str, list[float]] = {}
        ends = {name: (cell.node,) for name, cell in setting.cells.items()}
        for name, at in (ends | {name: wire.ends for name, wire in setting.wires.items()}).items():
            speeds = [setting.speeds[each] for each in (name, *at) if each in setting.speeds]
            self.breaks_s[name] = sorted(begin_s for each in speeds for begin_s, _ in stops(each))

    def opened(self, who: str, link: Cell | Wire) -> Steps:
        """Wait, if need be, until the channel of this device stands, or of a wire, which is nobody's."""
        stands_s = self.stands_s(who, link)
        if stands_s > self.clock.now:
            yield stands_s

    def stands_s(self, who: str, link: Cell | Wire) -> float:
        """Tell when it stands for who needs it now; begin its handshake if nobody did."""
        now = self.clock.now
        begun_s, breaks_s = self.begun_s.get((who, link.name)), self.breaks_s[link.name]
        broken = bisect_right(breaks_s, now)
        if begun_s is None or (broken and breaks_s[broken - 1] > begun_s):
            begun_s = self.begun_s[who, link.name] = now
        return begun_s + link.toll.handshake_s
