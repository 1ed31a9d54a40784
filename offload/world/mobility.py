"""Where devices are: positions between the points of a trace, and when they enter or leave a circle."""

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """A way through the plane: straight at constant speed from point to point.

    `times_s` rise strictly. Before the first point and after the last, the device stands there.
    """

    times_s: Floats
    x_m: Floats
    y_m: Floats

    @classmethod
    def standing(cls, at_m: tuple[float, float]) -> "Track":
        """Return the track of a device that never moves."""
        return cls(np.zeros(1), np.array([at_m[0]]), np.array([at_m[1]]))

    def position(self, now: float) -> tuple[float, float]:
        """Return x and y in metres."""
        x = np.interp(now, self.times_s, self.x_m)
        y = np.interp(now, self.times_s, self.y_m)
        return float(x), float(y)

    def looped(self, until_s: float) -> "Track":
        """Repeat the way, from its first time to its last, until it covers `until_s`."""
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
        return self.changes_s[index] if index < len(self.changes_s) else float("inf")


def presence(track: Track, centre_m: tuple[float, float], radius_m: float) -> Presence:
    """Find when a track crosses a circle: the roots of |p + s d - c|^2 = r^2 on every piece."""
    x, y = track.x_m - centre_m[0], track.y_m - centre_m[1]
    at_first = bool(x[0] ** 2 + y[0] ** 2 <= radius_m**2)
    if not np.isfinite(radius_m):
        return Presence(at_first=True, changes_s=())
    dx, dy = np.diff(x), np.diff(y)
    a = dx**2 + dy**2
    b = x[:-1] * dx + y[:-1] * dy
    c = x[:-1] ** 2 + y[:-1] ** 2 - radius_m**2
    discriminant = b**2 - a * c
    crosses = (a > 0) & (discriminant > 0)
    changes: list[float] = []
    for sign in (-1.0, 1.0):
        with np.errstate(divide="ignore", invalid="ignore"):
            share = (-b + sign * np.sqrt(np.maximum(discriminant, 0.0))) / a
        hit = crosses & (share > 0) & (share <= 1)
        starts, lengths = track.times_s[:-1][hit], np.diff(track.times_s)[hit]
        changes += (starts + share[hit] * lengths).tolist()
    return Presence(at_first, tuple(sorted(changes)))
