"""One-sided bounds: those of theory where it is known, and no more often wrong than said."""

import numpy as np
import pytest
from scipy.special import betaincinv

from offload.analysis.sizing.bounds import bounds


def test_agreeing_shares_are_as_sure_as_their_requests_allow() -> None:
    """All of n requests on time: the share is above 1 - p with confidence 1 - (1 - p)^n."""
    assert bounds([0.01] * 10, 0.05, 0.99, 200).low == pytest.approx(0.05 ** (1 / 200) - 0.99)
    assert bounds([0.01] * 10, 0.05, 0.99, 200).low < 0 < bounds([0.01] * 10, 0.05, 0.99, 2000).low
    assert bounds([0.01] * 10, 0.05).low == 0.01


def test_bounds_of_shares_are_students_where_shares_are_normal() -> None:
    margins = np.random.default_rng(1).normal(0.02, 0.01, 30).tolist()
    students, shares = bounds(margins, 0.01), bounds(margins, 0.01, 0.5, 30 * 10_000)
    assert shares.low == pytest.approx(students.low, abs=2e-4)
    assert shares.high == pytest.approx(students.high, abs=2e-4)


def test_bounds_of_shares_are_those_of_as_many_requests_as_there_were_at_most() -> None:
    """Replications that differ less than chance would have them: Clopper and Pearson's, of all."""
    margins = [0.0, 1e-6] * 5
    assert bounds(margins, 0.05, 0.9, 100).low == pytest.approx(betaincinv(90, 11, 0.05) - 0.9, abs=1e-6)


def wrong(values: np.ndarray, error: float, zero: float | None = None, requests: int = 0) -> float:
    """Return how often the lower bound of margins whose mean is 0 is above it."""
    return float(np.mean([bounds(row.tolist(), error, zero, requests).low > 0 for row in values]))


def wrong_of_students(values: np.ndarray) -> float:
    """Return the same for Student's bound at 0.2 %, of 20 replications."""
    low = values.mean(axis=1) - 3.27 * values.std(axis=1, ddof=1) / np.sqrt(20)
    return float(np.mean(low > 0))


@pytest.mark.parametrize(("spread", "allowed"), [(100, 1), (20, 5)])
def test_shares_near_one_that_fail_in_bursts(spread: int, allowed: float) -> None:
    """99 % of 400 requests on average, most late ones in few replications; `allowed` times 0.2 %."""
    chance = np.random.default_rng(1)
    late = chance.beta(0.01 * spread, 0.99 * spread, (4000, 20))
    values = chance.binomial(400, 1 - late) / 400 - 0.99
    noise = 3 * np.sqrt(0.002 * 0.998 / 4000)
    assert wrong(values, 0.002, 0.99, 20 * 400) <= allowed * 0.002 + noise
    assert wrong_of_students(values) > 3 * wrong(values, 0.002, 0.99, 20 * 400)


def test_latencies_that_are_skewed_are_wrong_half_as_often_as_students() -> None:
    """Not as seldom as said: of few replications nobody can tell how long the tail is."""
    chance = np.random.default_rng(2)
    latencies = chance.lognormal(0.0, 0.5, (4000, 20))
    margins = np.exp(0.125) - latencies
    assert wrong(margins, 0.002) < 0.7 * wrong_of_students(margins)
    assert wrong(margins, 0.002) < 0.02


def test_what_is_not_skewed_has_students_bounds() -> None:
    values = [-2.0, -1.0, 0.0, 1.0, 2.0]
    found = bounds(values, 0.05)
    assert found.high == -found.low == pytest.approx(2.132 * np.sqrt(2.5 / 5), abs=1e-3)
