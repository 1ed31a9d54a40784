"""One-sided bounds of a mean over replications, for shares near 0 and 1 and for what is skewed."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import betaincinv, stdtrit

from offload.analysis.statistics import Interval


def bounds(
    margins: Sequence[float], error: float, zero: float | None = None, requests: int = 0
) -> Interval:
    """Return a mean and its one-sided bounds, each wrong with probability `error` or about that.

    Student's, over replications, and wider where these are skewed (Johnson 1978). Where margins are
    those of a share (`zero` is the share at margin 0, `requests` how many were counted in all) those of
    Clopper and Pearson for as many requests as have the spread that the replications have, but no more
    than there were (Korn and Graubard 1998): near 0 and 1 shares are far from normal, and replications
    that agree do not tell all.

    Of twenty replications that are spread as a lognormal with sigma 0.5, the bound on the side of the
    tail is wrong in 0.7 % of cases where 0.2 % were asked for; Student's in 1.2 %. No bound knows of
    what none of the replications showed, like a failure in one of a hundred.
    """
    n = len(margins)
    if not all(map(math.isfinite, margins)):
        return Interval(-math.inf, -math.inf, -math.inf)
    agree = max(margins) == min(margins)
    mean = margins[0] if agree else float(np.mean(margins))
    variance = 0.0 if agree else float(np.var(margins, ddof=1)) / n
    below, above = _errors(margins, error) if variance else (0.0, 0.0)  # in standard errors
    if zero is None:
        return Interval(mean - below * math.sqrt(variance), mean, mean + above * math.sqrt(variance))
    share = min(1.0, max(0.0, mean + zero))

    def counted(far: float) -> float:
        if not variance:
            return float(requests)
        spread = share * (1 - share) / variance
        return min(float(requests), spread * (float(stdtrit(requests - 1, 1 - error)) / far) ** 2)

    count = counted(below)
    low = float(betaincinv(share * count, (1 - share) * count + 1, error)) if share > 0 else 0.0
    count = counted(above)
    high = float(betaincinv(share * count + 1, (1 - share) * count, 1 - error)) if share < 1 else 1.0
    return Interval(low - zero, mean, high - zero)


def _errors(values: Sequence[float], error: float) -> tuple[float, float]:
    """Return how many standard errors below and above the mean of differing values the bounds lie.

    As Student's; further, to the first order of the skewness, on the side where few values lie far out
    (N. J. Johnson, Modified t tests, J. Am. Statist. Assoc. 73 (1978) 536-544).
    """
    n = len(values)
    t = float(stdtrit(n - 1, 1 - error))
    if n < 3:
        return t, t
    away = np.asarray(values) - np.mean(values)
    skewness = float(np.mean(away**3) / np.mean(away**2) ** 1.5) * math.sqrt(n * (n - 1)) / (n - 2)
    more = skewness / (6 * math.sqrt(n)) * (1 + 2 * t**2)
    return t + max(0.0, -more), t + max(0.0, more)
