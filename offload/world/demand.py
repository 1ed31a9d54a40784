"""What each request brings: how many bytes and how many crops, drawn or counted in its surroundings."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from offload.world.mobility import Floats, Track

Indices = npt.NDArray[np.intp]

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


@dataclass(frozen=True, slots=True)
class View:
    """Whom a camera on a device may see: other devices of these groups within a distance."""

    groups: tuple[str, ...]
    within_m: float


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Where several devices are, all at once: the points of their tracks one after the other.

    `first` and `last` are each one's first and last point, and `keys` its times, moved so far that they
    lie behind those of all before it: one search finds where each of them is.
    """

    times_s: Floats  # (points,), as are x, y and keys
    x_m: Floats
    y_m: Floats
    keys: Floats
    first: Indices  # (devices,), as is all that follows
    last: Indices
    moved_s: Floats
    enters_s: Floats
    leaves_s: Floats

    @classmethod
    def of(cls, tracks: Sequence[Track]) -> "Scene":
        """Put tracks together; one at least."""
        sizes = np.array([len(track.times_s) for track in tracks])
        times, x, y = (
            np.concatenate([getattr(track, column) for track in tracks])
            for column in ("times_s", "x_m", "y_m")
        )
        last = np.cumsum(sizes) - 1
        moved = np.arange(len(tracks)).astype(np.float64) * (float(np.ptp(times)) + 1.0)
        enters, leaves = (
            np.array([getattr(track, column) for track in tracks]) for column in ("enters_s", "leaves_s")
        )
        keys = times + np.repeat(moved, sizes)
        return cls(times, x, y, keys, last - sizes + 1, last, moved, enters, leaves)

    def count(self, now: float, at_m: tuple[float, float], within_m: float) -> int:
        """Return how many devices are within a distance of a place now."""
        then = np.clip(now, self.times_s[self.first], self.times_s[self.last])
        before = np.searchsorted(self.keys, then + self.moved_s, side="right") - 1
        before = np.clip(before, self.first, np.maximum(self.last - 1, self.first))
        after = np.minimum(before + 1, self.last)
        length_s = np.maximum(self.times_s[after] - self.times_s[before], 1e-300)
        share = np.clip((then - self.times_s[before]) / length_s, 0.0, 1.0)
        x = self.x_m[before] + share * (self.x_m[after] - self.x_m[before])
        y = self.y_m[before] + share * (self.y_m[after] - self.y_m[before])
        near = np.hypot(x - at_m[0], y - at_m[1]) <= within_m
        return int(np.count_nonzero(near & (self.enters_s <= now) & (now < self.leaves_s)))


@dataclass(frozen=True, slots=True)
class Inputs:
    """How large inputs are: `mean_bytes`, or drawn, and so many bytes for each object in view."""

    mean_bytes: float
    sizes: Sizes | None = None
    view: View | None = None
    per_object_bytes: float = 0.0

    @property
    def equal(self) -> bool:
        """Whether all are of one size."""
        return self.sizes is None and self.view is None

    @property
    def most_bytes(self) -> float:
        """More than this none can have."""
        if self.view is not None:
            return INFINITE
        return self.mean_bytes if self.sizes is None else self.sizes.most_bytes

    def at(self, quantile: float, in_view: int) -> float:
        """Return the bytes of an input that shows so many objects."""
        drawn = self.mean_bytes if self.sizes is None else self.sizes.at(quantile)
        return drawn + self.per_object_bytes * in_view


@dataclass(frozen=True, slots=True)
class Counts:
    """How many crops of a frame go to a stage.

    `cumulative[n]` is the probability of at most n; or there is one for each object in view, at most as
    many as probabilities tell of.
    """

    cumulative: tuple[float, ...]
    view: View | None = None

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

    def at(self, quantile: float, in_view: int) -> int:
        """Return the count for a frame that shows so many objects."""
        return bisect_right(self.cumulative, quantile) if self.view is None else min(in_view, self.most)
