"""Where devices are: positions between the points of a trace, and when they enter or leave a circle."""

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
FOREVER = float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """A way through the plane: straight at constant speed from point to point.

    `times_s` rise strictly. Before the first point and after the last, the device stands there. It
    exists from `enters_s` until `leaves_s`.
    """

    times_s: Floats
    x_m: Floats
    y_m: Floats
    enters_s: float = -FOREVER
    leaves_s: float = FOREVER

    @classmethod
    def standing(cls, at_m: tuple[float, float]) -> "Track":
        """Return the track of a device that never moves."""
        return cls(np.zeros(1), np.array([at_m[0]]), np.array([at_m[1]]))

    def position(self, now: float) -> tuple[float, float]:
        """Return x and y in metres."""
        x = np.interp(now, self.times_s, self.x_m)
        y = np.interp(now, self.times_s, self.y_m)
        return float(x), float(y)

    def present_s(self, until_s: float) -> float:
        """Return for how long it exists between time 0 and `until_s`."""
        return max(0.0, min(until_s, self.leaves_s) - max(0.0, self.enters_s))

    @property
    def closed(self) -> bool:
        """Whether the way ends where it began, to a millimetre, so that it can be repeated."""
        gap_m = np.hypot(self.x_m[-1] - self.x_m[0], self.y_m[-1] - self.y_m[0])
        return bool(gap_m < 1e-3)

    def points_looped(self, until_s: float) -> float:
        """Return about how many points the way has when it is looped."""
        return float(len(self.times_s) * max(1.0, until_s / (self.times_s[-1] - self.times_s[0])))

    def looped(self, until_s: float) -> "Track":
        """Repeat the way, from its first time to its last, until it covers `until_s`.

        Raises ValueError for a way that does not end where it began.
        """
        if not self.closed:
            msg = "it does not end where it began"
            raise ValueError(msg)
        start_s, period_s = float(self.times_s[0]), float(self.times_s[-1] - self.times_s[0])
        laps = max(1, int(np.ceil((until_s - start_s) / period_s)))
        # The last point of a lap is the first of the next.
        times = np.concatenate([self.times_s[:-1] + lap * period_s for lap in range(laps)])
        return Track(
            np.append(times, start_s + laps * period_s),
            np.append(np.tile(self.x_m[:-1], laps), self.x_m[-1]),
            np.append(np.tile(self.y_m[:-1], laps), self.y_m[-1]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Presence:
    """When a device is within a circle: whether at first, and the times at which that changes."""

    at_first: bool
    changes_s: tuple[float, ...]

    def inside(self, now: float) -> bool:
        """Tell whether the device is within."""
        return self.at_first ^ (bisect_right(self.changes_s, now) % 2 == 1)

    def changes_after(self, now: float) -> float:
        """Tell when it next enters or leaves; infinite if never."""
        index = bisect_right(self.changes_s, now)
        return self.changes_s[index] if index < len(self.changes_s) else FOREVER

    def while_it_exists(self, track: Track) -> "Presence":
        """Return the same for a device that is nowhere before it enters and after it leaves."""
        first_s, last_s = track.enters_s, track.leaves_s
        if first_s == -FOREVER and last_s == FOREVER:
            return self
        changes = [time_s for time_s in self.changes_s if first_s < time_s < last_s]
        if self.inside(first_s):
            changes.insert(0, first_s)
        if len(changes) % 2 and last_s < FOREVER:
            changes.append(last_s)
        if changes and changes[0] == -FOREVER:
            return Presence(at_first=True, changes_s=tuple(changes[1:]))
        return Presence(at_first=False, changes_s=tuple(changes))


EVERYWHERE = Presence(at_first=True, changes_s=())
NOWHERE = Presence(at_first=False, changes_s=())


def presence(track: Track, centre_m: tuple[float, float], radius_m: float) -> Presence:
    """Find when a track crosses a circle: the roots of |p + s d - c|^2 = r^2 on every piece.

    A device is in no circle, however large, while it does not exist.
    """
    if radius_m == FOREVER:
        return EVERYWHERE.while_it_exists(track)
    x, y = track.x_m - centre_m[0], track.y_m - centre_m[1]
    if x.min() > radius_m or x.max() < -radius_m or y.min() > radius_m or y.max() < -radius_m:
        return NOWHERE
    dx, dy, dt = np.diff(x), np.diff(y), np.diff(track.times_s)
    a = dx**2 + dy**2
    b = x[:-1] * dx + y[:-1] * dy
    c = x[:-1] ** 2 + y[:-1] ** 2 - radius_m**2
    discriminant = b**2 - a * c
    moves = (a > 0) & (discriminant > 0)
    times = [track.times_s]
    for sign in (-1.0, 1.0):
        at = (-b[moves] + sign * np.sqrt(discriminant[moves])) / a[moves]
        hit = (at > 0) & (at < 1)
        times.append(track.times_s[:-1][moves][hit] + at[hit] * dt[moves][hit])
    # Between these times a device is inside or outside throughout: ask at two moments of each, for at
    # one it may just touch the circle. (A track may turn on the circle, so counting would not do.)
    edges = np.unique(np.concatenate(times))
    lengths = np.append(np.diff(edges), 1.0)
    inside = np.ones(len(edges), dtype=bool)
    for share in (0.4, 0.7):
        moments = edges + share * lengths
        away_m = np.hypot(np.interp(moments, track.times_s, x), np.interp(moments, track.times_s, y))
        inside &= away_m <= radius_m
    changes = edges[1:][inside[1:] != inside[:-1]]
    return Presence(bool(inside[0]), tuple(changes.tolist())).while_it_exists(track)
