"""What each request brings: how many bytes and how many crops, drawn or counted in its surroundings."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from offload.world.mobility import Floats, Track

INFINITE = float("inf")


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes that are drawn for each input.

    log-normal: with this mean and coefficient of variation; what falls below `least_bytes` or above
    `most_bytes` is set to them, which may move the mean. Without a `cv`: uniform between the two.
    """

    least_bytes: float
    most_bytes: float
    mean_bytes: float
    cv: float | None = None

    def at(self, quantile: float) -> float:
        """Return the bytes at a quantile in [0, 1)."""
        if self.cv is None:
            return self.least_bytes + quantile * (self.most_bytes - self.least_bytes)
        sigma_squared = math.log1p(self.cv**2)
        z = NormalDist().inv_cdf(quantile) if quantile > 0 else -INFINITE
        drawn = self.mean_bytes * math.exp(math.sqrt(sigma_squared) * z - sigma_squared / 2)
        return min(max(drawn, self.least_bytes), self.most_bytes)


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """How many other devices are near one: what a camera on it may have in view.

    Column j of `x_m` and `y_m` is where the j-th is at `times_s`, straight from one time to the next,
    as on its track. `itself` tells whether the device that looks is among them.
    """

    times_s: Floats
    x_m: Floats  # (times, devices)
    y_m: Floats
    within_m: float
    itself: bool

    @classmethod
    def of(cls, tracks: Sequence[Track], within_m: float, *, itself: bool) -> "Scene":
        """Put tracks on all their times together."""
        times = np.unique(np.concatenate([track.times_s for track in tracks]))
        x, y = (
            np.stack([np.interp(times, track.times_s, getattr(track, axis)) for track in tracks], axis=1)
            for axis in ("x_m", "y_m")
        )
        return cls(times, x, y, within_m, itself)

    def count(self, now: float, at_m: tuple[float, float]) -> int:
        """Return how many others are within reach of a place now."""
        last = len(self.times_s) - 1
        index = min(max(int(np.searchsorted(self.times_s, now, side="right")) - 1, 0), max(last - 1, 0))
        after = min(index + 1, last)
        length_s = float(self.times_s[after] - self.times_s[index])
        share = min(max((now - float(self.times_s[index])) / length_s, 0.0), 1.0) if length_s else 0.0
        x = self.x_m[index] + share * (self.x_m[after] - self.x_m[index])
        y = self.y_m[index] + share * (self.y_m[after] - self.y_m[index])
        near = int(np.count_nonzero(np.hypot(x - at_m[0], y - at_m[1]) <= self.within_m))
        return near - self.itself


@dataclass(frozen=True, slots=True)
class Inputs:
    """How large inputs are: `mean_bytes`, or drawn, and so many bytes for each object in the scene."""

    mean_bytes: float
    sizes: Sizes | None = None
    scene: Scene | None = None
    per_object_bytes: float = 0.0

    @property
    def equal(self) -> bool:
        """Whether all are of one size."""
        return self.sizes is None and self.scene is None

    @property
    def most_bytes(self) -> float:
        """More than this none can have."""
        most = self.mean_bytes if self.sizes is None else self.sizes.most_bytes
        objects = 0 if self.scene is None else self.scene.x_m.shape[1]
        return most + objects * self.per_object_bytes

    def at(self, quantile: float, now: float, track: Track) -> float:
        """Return the bytes of an input that a device on this track has now."""
        drawn = self.mean_bytes if self.sizes is None else self.sizes.at(quantile)
        if self.scene is None:
            return drawn
        return drawn + self.per_object_bytes * self.scene.count(now, track.position(now))


@dataclass(frozen=True, slots=True)
class Counts:
    """How many crops of a frame go to a stage.

    `cumulative[n]` is the probability of at most n; or there is one for each object in the scene, at
    most as many as probabilities tell of.
    """

    cumulative: tuple[float, ...]
    scene: Scene | None = None

    @classmethod
    def exactly(cls, number: int) -> "Counts":
        """Return a count that is always the same."""
        return cls((0.0,) * number + (1.0,))

    @classmethod
    def poisson(cls, mean: float, most: int) -> "Counts":
        """Return counts of a Poisson distribution of this mean, given that they are at most `most`.

        So their own mean is a little less.
        """
        weights = [math.exp(n * math.log(mean) - math.lgamma(n + 1)) for n in range(most + 1)]
        shares = np.cumsum(weights) / math.fsum(weights)
        return cls((*shares[:-1].tolist(), 1.0))

    @property
    def most(self) -> int:
        """The largest count."""
        return len(self.cumulative) - 1

    def at(self, quantile: float, now: float, track: Track) -> int:
        """Return the count for a frame that a device on this track takes now."""
        if self.scene is not None:
            return min(self.scene.count(now, track.position(now)), self.most)
        return bisect_right(self.cumulative, quantile)
