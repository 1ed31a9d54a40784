"""Which cells a device reaches when, how fast they are for it, and which of them serves it."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import dist

from offload.entities import Cell
from offload.world.mobility import Track
from offload.world.rate import Rate

INFINITE = float("inf")
ALWAYS = Rate.constant(1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """One direction of a device's radio: how fast each of its cells is for it, over time.

    `speeds` are shares of the cells' nominal rates; a cell that is not in it always has speed 1. Of the
    `roaming` cells, which hand devices over to each other, one at most has a speed above 0 at a time.
    """

    speeds: Mapping[str, Rate]
    roaming: tuple[str, ...] = ()
    stretches: tuple[tuple[float, float, str], ...] = field(init=False, repr=False)
    _ends_s: tuple[float, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        found = sorted(
            (begin_s, end_s, name)
            for name in self.roaming
            for begin_s, end_s in _above_zero(self.speeds.get(name, ALWAYS))
        )
        object.__setattr__(self, "stretches", tuple(found))
        object.__setattr__(self, "_ends_s", tuple(end_s for _, end_s, _ in found))

    def inside(self, cell: str, now: float) -> bool:
        """Tell whether a cell reaches the device."""
        return cell not in self.speeds or self.speeds[cell].at(now) > 0.0

    def next_cell(self, now: float, within_s: float = INFINITE) -> str | None:
        """Return the roaming cell that serves the device, or the first that will within some time."""
        index = bisect_right(self._ends_s, now)
        if index == len(self.stretches) or self.stretches[index][0] > now + within_s:
            return None
        return self.stretches[index][2]


class Place:
    """Where a device is, on a track, and which of its cells reach it when, up and down."""

    __slots__ = ("cells", "centres_m", "down", "fixed", "order", "steady", "track", "up")

    def __init__(
        self,
        track: Track,
        cells: Mapping[str, Cell],
        centres_m: Mapping[str, tuple[float, float]],
        up: Reach,
        down: Reach,
    ) -> None:
        self.track = track
        self.cells = cells
        self.centres_m = centres_m
        self.up, self.down = up, down
        # What never changes: the order of cells, where there is one; all, of a device that stands.
        self.order = tuple(cells) if len(cells) < 2 else None
        self.steady = not up.speeds and not down.speeds
        changing = any(len(speed.values) > 1 for speed in up.speeds.values())
        self.fixed: tuple[tuple[str, ...], str | None] | None = None
        if not changing and len(track.times_s) < 2:
            self.fixed = self.seen(0.0)

    def seen(self, now: float) -> tuple[tuple[str, ...], str | None]:
        """Return all its cells, the nearest first, and the one that serves it.

        That is the nearest in range, or the roaming cell that it is attached to or about to be.
        """
        if self.fixed is not None:
            return self.fixed
        nearest = self.order if self.order is not None else self._nearest(now)
        for name in nearest:
            interruption_s = self.cells[name].interruption_s
            if interruption_s is not None:
                attached = self.up.next_cell(now, interruption_s)
                if attached is not None:
                    return nearest, attached
            elif self.up.inside(name, now):
                return nearest, name
        return nearest, None

    def _nearest(self, now: float) -> tuple[str, ...]:
        here = self.track.position(now)
        return tuple(sorted(self.centres_m, key=lambda name: dist(here, self.centres_m[name])))


def attachments(
    times_s: Sequence[float], cells: Sequence[str | None], interruption_s: float
) -> dict[str, Rate]:
    """Return when each cell is attached to, as 1 and 0, from which cell should serve from when on.

    A change from one cell to another interrupts service for a while; to none and from none does not.
    """
    begins: dict[str, list[tuple[float, float]]] = {name: [] for name in cells if name is not None}
    before: str | None = None
    for begin_s, end_s, name in zip(times_s, [*times_s[1:], INFINITE], cells, strict=True):
        if name is not None:
            begin = begin_s if before in (None, name) else begin_s + interruption_s
            if begin < end_s:
                begins[name].append((begin, end_s))
        before = name
    return {name: _ones(stretches) for name, stretches in begins.items()}


def _ones(stretches: Sequence[tuple[float, float]]) -> Rate:
    times, values = [0.0], [0.0]
    for begin_s, end_s in stretches:
        for time_s, value in ((begin_s, 1.0), (end_s, 0.0)):
            if time_s == times[-1]:
                values[-1] = value
            elif time_s < INFINITE:
                times.append(time_s)
                values.append(value)
    return Rate(tuple(times), tuple(values))


def _above_zero(speed: Rate) -> Iterator[tuple[float, float]]:
    """Yield the stretches above 0: when each begins and ends (seconds)."""
    begin_s = None
    for index, value in enumerate(speed.values):
        if value > 0.0 and begin_s is None:
            begin_s = speed.times_s[index]
        if value == 0.0 and begin_s is not None:
            yield begin_s, speed.times_s[index]
            begin_s = None
    if begin_s is not None:
        yield begin_s, INFINITE
