"""Where devices are: positions between the points of a trace, and when they are in which circle."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from offload.world.rate import Rate

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


def presence(track: Track, centre_m: tuple[float, float], radius_m: float) -> Rate:
    """Find when a device is within a circle: 1 within, 0 without, and while it does not exist."""
    edges = _edges(track, [_crossings(track, centre_m, radius_m)])
    # Between these times a device is inside or outside throughout: ask at two moments of each, for at
    # one it may just touch the circle. (A track may turn on the circle, so counting would not do.)
    inside = (track.enters_s <= edges) & (edges < track.leaves_s)
    for share in (0.4, 0.7):
        inside &= _away_m(track, _moments(edges, share), centre_m) <= radius_m
    return stepwise(edges, inside.astype(np.float64))


def nearest(
    track: Track, centres_m: Sequence[tuple[float, float]], radii_m: Sequence[float]
) -> tuple[Floats, npt.NDArray[np.intp]]:
    """Find which of some circles a device is in, of several that of the nearest centre.

    Returns times (seconds), and from each time on the index of the circle, -1 for none. Two centres are
    equally far where (c2 - c1) . (2 p - c1 - c2) = 0, which is linear on every piece.
    """
    times = [_crossings(track, *circle) for circle in zip(centres_m, radii_m, strict=True)]
    for one, other in combinations(np.array(centres_m, dtype=float), 2):
        side = (other[0] - one[0]) * (2 * track.x_m - one[0] - other[0])
        side = side + (other[1] - one[1]) * (2 * track.y_m - one[1] - other[1])
        turns = np.flatnonzero(side[:-1] * side[1:] < 0)
        share = side[turns] / (side[turns] - side[turns + 1])
        times.append(track.times_s[turns] + share * np.diff(track.times_s)[turns])
    edges = _edges(track, times)
    moments = _moments(edges, 0.55)
    away_m = np.array([_away_m(track, moments, centre) for centre in centres_m])
    away_m[away_m > np.array(radii_m)[:, None]] = np.inf
    found = np.where(np.isfinite(away_m).any(0), away_m.argmin(0), -1)
    found[(edges < track.enters_s) | (edges >= track.leaves_s)] = -1
    new = np.append(True, found[1:] != found[:-1])
    return edges[new], found[new]


def _crossings(track: Track, centre_m: tuple[float, float], radius_m: float) -> Floats:
    """When a track crosses a circle (seconds): the roots of |p + s d - c|^2 = r^2 on every piece."""
    x, y = track.x_m - centre_m[0], track.y_m - centre_m[1]
    far = x.min() > radius_m or x.max() < -radius_m or y.min() > radius_m or y.max() < -radius_m
    if far or radius_m == FOREVER:
        return np.empty(0)
    dx, dy, dt = np.diff(x), np.diff(y), np.diff(track.times_s)
    a = dx**2 + dy**2
    b = x[:-1] * dx + y[:-1] * dy
    c = x[:-1] ** 2 + y[:-1] ** 2 - radius_m**2
    discriminant = b**2 - a * c
    moves = (a > 0) & (discriminant > 0)
    times = [track.times_s]  # one may turn on the very edge
    for sign in (-1.0, 1.0):
        at = (-b[moves] + sign * np.sqrt(discriminant[moves])) / a[moves]
        hit = (at > 0) & (at < 1)
        times.append(track.times_s[:-1][moves][hit] + at[hit] * dt[moves][hit])
    return np.concatenate(times)


def _edges(track: Track, times_s: Sequence[Floats]) -> Floats:
    """Sort some times, with 0 and those at which a device enters and leaves."""
    exists = [time_s for time_s in (track.enters_s, track.leaves_s) if abs(time_s) < FOREVER]
    return np.unique(np.concatenate([*times_s, np.zeros(1), np.array(exists)]))


def _moments(edges: Floats, share: float) -> Floats:
    return edges + share * np.append(np.diff(edges), 1.0)


def _away_m(track: Track, moments: Floats, centre_m: tuple[float, float]) -> Floats:
    x, y = np.interp(moments, track.times_s, track.x_m), np.interp(moments, track.times_s, track.y_m)
    return np.hypot(x - centre_m[0], y - centre_m[1])


def stepwise(times_s: Floats, values: Floats) -> Rate:
    """Return a rate from times that need not begin at 0; before the first it is as from there on."""
    times = np.maximum(times_s, 0.0)  # what was before the run does not matter
    last = np.append(times[1:] > times[:-1], True)
    times, values = times[last], values[last]
    times[0] = 0.0
    return Rate(tuple(times.tolist()), tuple(values.tolist()))
