"""From samples to figures: a line, the curve of idleness, and intervals over blocks."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

Floats = npt.NDArray[np.float64]

RESAMPLES = 400
_WITHIN_S = np.geomspace(1e-4, 1.0, 401)  # a step of 2.3 %


def line(sizes: Floats, seconds: Floats) -> tuple[float, float]:
    """Return (a, b), both >= 0, that bring a + b * size closest to the seconds, by least squares."""
    scale = sizes.max()  # else the columns differ by so much that digits are lost
    (a, b), _ = nnls(np.column_stack([np.ones_like(sizes), sizes / scale]), seconds)
    return float(a), float(b / scale)


def idling(gaps_s: Floats, ratios: Floats) -> tuple[float, float]:
    """Return (slower, within_s) that bring 1 + slower * (1 - exp(-gap / within_s)) closest to ratios.

    Least squares, slower >= 0; within_s between 0.1 ms and 1 s, to 2.3 %.
    """
    curves = 1 - np.exp(-gaps_s / _WITHIN_S[:, None])
    slower = np.maximum(0.0, curves @ (ratios - 1) / np.maximum((curves**2).sum(1), 1e-12))
    best = int(((1 + slower[:, None] * curves - ratios) ** 2).sum(1).argmin())
    return float(slower[best]), float(_WITHIN_S[best])


def medians(samples: Floats) -> Floats:
    """Return the median of each column of samples[block, cell] without what is missing (NaN)."""
    return np.array([np.median(column[np.isfinite(column)]) for column in samples.T])


def ratios(samples: Floats, base: int) -> Floats:
    """Return how much slower each column of samples[block, cell] is than column `base`.

    Each sample is held against its block's geometric mean, so that a machine which drifts from block to
    block shows in none.
    """
    logs = np.log(samples)
    found = np.median(logs - logs.mean(1, keepdims=True), axis=0)
    return np.asarray(np.exp(found - found[base]))


def interval(
    blocks: int, figures: Callable[[npt.NDArray[np.int64]], Floats], chance: np.random.Generator
) -> list[list[float]]:
    """Return the 95 % interval [low, high] of each figure: the percentile bootstrap over blocks.

    `figures` computes them anew from the blocks with these numbers; a draw from which they cannot be
    computed (ValueError) does not count.
    """
    drawn = []
    for _ in range(RESAMPLES):
        try:
            drawn.append(figures(chance.integers(blocks, size=blocks)))
        except ValueError:
            continue
    if not drawn:
        return []
    return np.percentile(np.array(drawn), [2.5, 97.5], axis=0).T.tolist()  # type: ignore[no-any-return]
