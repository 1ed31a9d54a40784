"""From replications to claims: intervals, paired differences, warm-up, saturation."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

PAIRED = ("useful", "on_time", "latency_mean_s", "energy_j", "money")


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over replications and its confidence interval."""

    low: float
    mean: float
    high: float


@dataclass(frozen=True, slots=True)
class Pair:
    """The difference a - b of two policies in one measure, under the same births and luck."""

    a: str
    b: str
    measure: str
    low: float
    mean: float
    high: float
    differs: bool


def interval(values: Sequence[float], level: float = 0.95, comparisons: int = 1) -> Interval | None:
    """Return Student's interval for the mean of independent replications.

    None if a value is missing or infinite; a single one has no bounds (NaN). With several `comparisons`
    all their intervals hold at once at this level (Bonferroni).
    """
    n = len(values)
    if n == 0 or not all(math.isfinite(value) for value in values):
        return None
    mean = float(np.mean(values))
    if n == 1:
        return Interval(math.nan, mean, math.nan)
    t = float(stdtrit(n - 1, 1 - (1 - level) / comparisons / 2))
    half = t * float(np.std(values, ddof=1)) / math.sqrt(n)
    return Interval(mean - half, mean, mean + half)


def pairs(by_label: Mapping[str, Mapping[str, Sequence[float]]], level: float = 0.95) -> list[Pair]:
    """Return all paired differences, simultaneous over all pairs of one measure.

    `by_label[label][measure]` holds one value a replication, in the same order for all.
    """
    couples = list(combinations(by_label, 2))
    found = []
    for measure in PAIRED:
        for a, b in couples:
            both = zip(by_label[a][measure], by_label[b][measure], strict=True)
            gap = interval([x - y for x, y in both], level, len(couples))
            if gap is not None and math.isfinite(gap.low):
                differs = gap.low > 0 or gap.high < 0
                found.append(Pair(a, b, measure, gap.low, gap.mean, gap.high, differs))
    return found


def mser5(series: npt.ArrayLike) -> int:
    """Return how many first entries of a series to leave out (White 1997; batches of five).

    The cut d in the first half that minimises sum_{i>d} (Y_i - mean)^2 / (n - d)^2 over batch means.
    """
    values = np.asarray(series, dtype=float)
    batches = np.array([np.mean(values[i : i + 5]) for i in range(0, len(values) - 4, 5)])
    n = len(batches)
    if n < 4:
        return 0
    scores = [float(np.var(batches[d:]) / (n - d)) for d in range(n // 2)]
    return 5 * int(np.argmin(scores))


def warm_up_bins(stays: Mapping[str, Sequence[Sequence[float]]]) -> int:
    """Return how many bins to leave out: MSER-5 on the mean over replications, the largest of all."""
    cuts = [0]
    for runs in stays.values():
        values = np.array(runs, dtype=float)
        born = np.isfinite(values)
        there = born.any(axis=0)  # a bin in which no run bore anything has no mean
        sums = np.where(born, values, 0.0).sum(axis=0)
        cuts.append(mser5(sums[there] / born.sum(axis=0)[there]))
    return max(cuts)


def saturated(
    under_way: Sequence[Sequence[int]], births: Sequence[Sequence[int]], first_bin: int
) -> bool:
    """Tell whether a backlog grows: by over 1 % of what is born, beyond chance.

    Compares the mean number under way in the last quarter after the warm-up with the first quarter.
    """
    grown = []
    for count, born in zip(under_way, births, strict=True):
        kept, new = np.array(count[first_bin:]), np.array(born[first_bin:])
        quarter = max(1, len(kept) // 4)
        arrived = new.sum() * 0.75
        if arrived == 0:
            return False
        grown.append(float((kept[-quarter:].mean() - kept[:quarter].mean()) / arrived))
    if len(grown) < 2:
        return bool(grown and grown[0] > 0.01)
    found = interval(grown, 0.99)
    return found is not None and found.low > 0 and found.mean > 0.01
