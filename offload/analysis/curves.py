"""The numbers behind curves and bars: how many are answered within a time, where it goes, what pays."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from offload.analysis.rows import LEGS

STEP = 1e-3  # between two latencies that a curve tells apart, as a share of them
Floats = npt.NDArray[np.float64]


def answered_within(rows: pl.LazyFrame) -> tuple[Floats, Floats]:
    """Return latencies in ms, rising, and the shares of all rows that were answered within them.

    Latencies are told to a thousandth of themselves, which no figure shows, so that a file of any size
    is read piece by piece into a few thousand of them.
    """
    steps = (pl.col("latency_s").clip(lower_bound=1e-9).log() / STEP).ceil()
    found = collected(rows.group_by(step=steps).len().sort("step", nulls_last=True))
    answered = found.drop_nulls()
    shares = np.cumsum(answered["len"].to_numpy()) / max(1, found["len"].sum())
    return 1e3 * np.exp(answered["step"].to_numpy() * STEP), shares


def shares_within(rows: pl.LazyFrame, times_s: Sequence[float]) -> list[float]:
    """Return the share of all rows that were answered within each of these times, exactly."""
    within = [(pl.col("latency_s") <= each).sum().alias(str(n)) for n, each in enumerate(times_s)]
    count, *found = collected(rows.select(pl.len(), *within)).row(0)
    return [each / max(1, count) for each in found]


def leg_means(rows: pl.LazyFrame) -> dict[str, float]:
    """Return the mean seconds of each leg of finished requests, waiting included; 0 if none did."""
    finished = rows.filter(pl.col("cause") == "")
    means = collected(finished.select([pl.col(leg).mean() for leg in LEGS])).row(0)
    return {leg: mean or 0.0 for leg, mean in zip(LEGS, means, strict=True)}


def front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Return who is on the Pareto front, the cheapest first: nobody else costs less and is worth more.

    A point is (cost, worth). Of equal points all are on it.
    """

    def beaten(mine: tuple[float, float]) -> bool:
        return any(
            cost <= mine[0] and worth >= mine[1] and (cost, worth) != mine
            for cost, worth in points.values()
        )

    return sorted((name for name in points if not beaten(points[name])), key=lambda name: points[name])


def collected(rows: pl.LazyFrame) -> pl.DataFrame:
    """Read what is small of rows that may be many, piece by piece."""
    return rows.collect(engine="streaming")
