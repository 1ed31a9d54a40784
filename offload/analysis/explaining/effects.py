"""Which key of a scenario moves a result most, across the points of a sweep.

Where every value of every key was met with every value of the others, a key's main effect is the
difference between the best and the worst mean over the points that share a value of it (Saltelli et
al., Global Sensitivity Analysis, 2008, for it and what follows). Where numbers vary all at once, as in
a Latin hypercube, it is the standardised coefficient of the key's ranks in a linear regression of the
ranks of the results (SRRC): what one standard deviation of the key's ranks does to those of the
result, all else being equal.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import comb
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from offload.analysis import statistics
from offload.analysis.statistics import Interval
from offload.analysis.sweeping.vary import Vary
from offload.streams import Streams

Method = Literal["main effect", "main effect, others vary too", "rank regression"]
Floats = npt.NDArray[np.float64]
RESAMPLES = 1000
NO_FACTORS = ("policy", "compare", "seed", "name", "format", "sweep")


@dataclass(frozen=True)
class Factor:
    """Keys that always vary together, the values they take, and which of these each point has."""

    keys: tuple[str, ...]
    values: tuple[str, ...]
    taken: tuple[int, ...]

    @cached_property
    def numbers(self) -> tuple[float, ...] | None:
        """The values in SI units; None if they are no numbers of one kind."""
        return Vary(self.keys[0], tuple(value.strip('"') for value in self.values)).numbers


@dataclass(frozen=True, slots=True)
class Effect:
    """How much a factor moves a measure: a difference of means in its unit, or an SRRC.

    Of a main effect, `best` and `worst` are the values with the largest and the smallest mean; its
    interval is Student's over replications, on the same births and luck. The results themselves chose
    these two values, so it is as wide as it takes for all pairs of values to hold at once (Bonferroni);
    the effect itself is on the large side. That of an SRRC holds 95 % of what points drawn again from
    these points give.
    """

    keys: tuple[str, ...]
    values: int
    effect: Interval
    best: str
    worst: str


@dataclass(frozen=True, slots=True)
class Effects:
    """What the keys of a sweep do to one policy's measure, the strongest first.

    `fit` is the share of the variance of ranks that a rank regression explains, None of main effects.
    """

    label: str
    measure: str
    method: Method
    points: int
    replications: int
    fit: float | None
    effects: tuple[Effect, ...]


def factors(tables: Sequence[Mapping[str, Any]]) -> list[Factor]:
    """Return what differs between the resolved scenarios of points; keys that differ alike are one."""
    flat = [dict(_leaves(table)) for table in tables]
    alike: dict[tuple[int, ...], list[str]] = defaultdict(list)
    values: dict[tuple[int, ...], tuple[str, ...]] = {}
    for key in sorted({key for each in flat for key in each}):
        told = [json.dumps(each[key]) if key in each else "not given" for each in flat]
        found = tuple(dict.fromkeys(told))
        if len(found) > 1:
            taken = tuple(found.index(value) for value in told)
            alike[taken].append(key)
            values.setdefault(taken, found)
    return [Factor(tuple(keys), values[taken], taken) for taken, keys in alike.items()]


def _leaves(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if not above and key in NO_FACTORS:
            continue
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield above + key, value


def effects(
    label: str, measure: str, found: Sequence[Factor], results: Floats, seed: int
) -> Effects | None:
    """Rank factors by how much they move a measure: `results[point, replication]`.

    None where nothing can be told: where almost every point has values of its own, and they are no
    numbers, or too few.
    """
    points, replications = results.shape
    full = int(np.prod([len(factor.values) for factor in found])) == points
    crowded = any(len(factor.values) > max(2, points // 2) for factor in found)
    numeric = all(factor.numbers is not None for factor in found)
    if not full and crowded and numeric and points > len(found) + 2:
        moved, fit = _regression(found, results.mean(axis=1), seed)
        method: Method = "rank regression"
    elif not full and crowded:
        return None  # the best and the worst point would be those of every key alike
    else:
        moved, fit = [_main(factor, results) for factor in found], None
        method = "main effect" if full else "main effect, others vary too"
    moved.sort(key=lambda each: -abs(each.effect.mean))
    return Effects(label, measure, method, points, replications, fit, tuple(moved))


def _main(factor: Factor, results: Floats) -> Effect:
    """The difference of the means at the best and the worst value, replication by replication."""
    taken = np.array(factor.taken)
    means = np.array([results[taken == value].mean(axis=0) for value in range(len(factor.values))])
    order = means.mean(axis=1)
    best, worst = int(order.argmax()), int(order.argmin())
    spread = statistics.interval((means[best] - means[worst]).tolist(), comparisons=comb(len(means), 2))
    effect = spread or Interval(np.nan, float(order[best] - order[worst]), np.nan)
    return Effect(factor.keys, len(factor.values), effect, factor.values[best], factor.values[worst])


def _regression(found: Sequence[Factor], results: Floats, seed: int) -> tuple[list[Effect], float]:
    """Regress ranks on ranks; the interval from points drawn again."""
    columns = [np.array(factor.numbers)[list(factor.taken)] for factor in found]
    inputs, points = np.array(columns).T, len(results)
    mean, fit = _srrc(inputs, results)
    chance = Streams(seed, 0).generator("effects")
    again = np.array([
        _srrc(inputs[rows], results[rows])[0]
        for rows in chance.integers(points, size=(RESAMPLES, points))
    ])  # fmt: skip
    low, high = np.quantile(again, (0.025, 0.975), axis=0)
    moved = []
    for number, factor in enumerate(found):
        order = np.argsort(columns[number])
        ends = [factor.values[factor.taken[place]] for place in (order[0], order[-1])]
        best, worst = ends[::-1] if mean[number] > 0 else ends
        effect = Interval(float(low[number]), float(mean[number]), float(high[number]))
        moved.append(Effect(factor.keys, len(factor.values), effect, best, worst))
    return moved, fit


def _srrc(inputs: Floats, results: Floats) -> tuple[Floats, float]:
    """Return the coefficients of standardised ranks (one a column), and the R squared."""
    x, y = _standard(rankdata(inputs, axis=0)), _standard(rankdata(results))
    coefficients = np.asarray(np.linalg.lstsq(x, y, rcond=None)[0], dtype=np.float64)
    rest = float(((y - x @ coefficients) ** 2).sum())
    return coefficients, 1.0 - rest / (float((y**2).sum()) or 1.0)


def _standard(ranks: Floats) -> Floats:
    centred = ranks - ranks.mean(axis=0)
    spread = centred.std(axis=0)
    found: Floats = centred / np.where(spread > 0.0, spread, 1.0)
    return found
