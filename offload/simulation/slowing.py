"""What makes work take longer that begins now: idleness before it, and who else computes."""

from typing import NamedTuple, Protocol

from offload.overheads import AfterIdle


class Station(Protocol):
    """Servers that can tell whether any of them is at work."""

    def computes(self, now: float) -> bool:
        """Tell it."""


class Beside(NamedTuple):
    """What shares a machine: all of its stations, and how much slower work is beside another's."""

    slower: float
    stations: list[Station]


class Slowing(NamedTuple):
    """What slows the work of a station down, decided as it begins: a function of what is then.

    Who comes or ends while it is under way changes nothing any more. Of two that begin at the same
    moment the second meets the first. Other servers of the same station are no others.
    """

    after_idle: AfterIdle | None
    beside: Beside | None

    def meets(self, station: Station) -> None:
        """Let a station, which this slows, slow others of its machine."""
        if self.beside is not None:
            self.beside.stations.append(station)

    def times(self, station: Station, now: float, idle_since_s: float) -> float:
        """Return how many times as long work takes on a server that has been idle since then."""
        times = 1.0 if self.after_idle is None else self.after_idle.times(now - idle_since_s)
        if self.beside is not None and any(
            other is not station and other.computes(now) for other in self.beside.stations
        ):
            times *= 1.0 + self.beside.slower
        return times
