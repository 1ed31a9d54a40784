"""Drawn rates: their shares, means, memories, and that a longer run begins as a shorter one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.streams import Streams
from offload.world.generated import gauss_ar1, markov
from offload.world.rate import Rate

T_999 = 3.66  # Student's 99.9 % two-sided quantile of 29 degrees of freedom


def stream(number: int) -> np.random.Generator:
    return Streams(3, number).generator("link")


def means_within(found: list[float], expected: float) -> bool:
    """Tell whether the expected mean lies within the 99.9 % interval over 30 replications."""
    assert len(found) == 30
    return abs(np.mean(found) - expected) <= T_999 * np.std(found, ddof=1) / np.sqrt(30)


@pytest.mark.parametrize(
    ("states", "dwell"),
    [((0.0, 8e6), (1.0, 3.0)), ((1e6, 5e6, 2e7), (2.0, 0.5, 1.0)), ((1.0, 2.0), (5.0, 5.0))],
)
def test_markov_holds_each_state_for_its_share(
    states: tuple[float, ...], dwell: tuple[float, ...]
) -> None:
    rates = [markov(states, dwell, 500.0, stream(n)) for n in range(30)]
    expected = np.dot(states, dwell) / sum(dwell)
    assert means_within([rate.amount(0.0, 500.0) / 500.0 for rate in rates], expected)
    assert all(set(rate.values) <= set(states) for rate in rates)
    # Stays are exponential: their mean and standard deviation are the dwell time.
    for state, mean in zip(states, dwell, strict=True):
        stays = np.array([
            end - begin
            for rate in rates
            for begin, end, value in zip(rate.times_s, rate.edges_s[1:-1], rate.values, strict=False)
            if value == state
        ])  # fmt: skip
        assert (
            abs(stays.mean() - mean) < 3.3 * mean / np.sqrt(len(stays)) + 0.01 * mean
        )  # 500 s cut some
        assert stays.std() == pytest.approx(mean, rel=0.15)


def test_markov_begins_in_its_steady_share() -> None:
    first = [markov((0.0, 1.0), (1.0, 3.0), 1e-9, stream(n)).at(0.0) for n in range(1000)]
    assert abs(sum(first) - 750) < 3.3 * np.sqrt(1000 * 0.25 * 0.75)


def test_all_other_states_follow_equally_often() -> None:
    rate = markov((0.0, 1.0, 2.0, 3.0), (1.0, 0.1, 2.0, 0.5), 4000.0, stream(0))
    pairs = list(zip(rate.values, rate.values[1:], strict=False))
    for state in range(4):
        after = [b for a, b in pairs if a == state]
        counts = [after.count(other) for other in range(4) if other != state]
        chi2 = sum((count - len(after) / 3) ** 2 / (len(after) / 3) for count in counts)
        assert chi2 < 13.8  # 99.9 % of chi-square, two degrees


@given(st.integers(0, 500), st.floats(0.5, 60), st.floats(0.5, 60))
def test_a_longer_run_begins_as_a_shorter_one(number: int, a: float, b: float) -> None:
    short, long = sorted((a, b))
    for draw in (
        lambda until: markov((1.0, 2.0, 3.0), (0.1, 0.2, 0.3), until, stream(number)),
        lambda until: gauss_ar1(5.0, 2.0, 1.0, until, stream(number)),
    ):
        one, other = draw(short), draw(long)
        for now in np.linspace(0, short * 0.999, 50):
            assert one.at(now) == other.at(now)


def test_gauss_ar1_has_its_mean_spread_and_memory() -> None:
    step, memory = 0.5, 4.0
    found = [
        np.array(gauss_ar1(50.0, 5.0, memory, 2000.0, stream(n), step_s=step).values) for n in range(30)
    ]
    assert all(len(values) == 4000 for values in found)
    assert means_within([values.mean() for values in found], 50.0)
    # About the known mean, so that neither estimate is biased by one of its own.
    assert means_within([((values - 50.0) ** 2).mean() for values in found], 25.0)
    for lag in (1, 8):
        products = [((values[lag:] - 50.0) * (values[:-lag] - 50.0)).mean() for values in found]
        assert means_within(products, 25.0 * np.exp(-lag * step / memory))


def test_gauss_ar1_begins_as_spread_as_it_goes_on() -> None:
    first = np.array([gauss_ar1(50.0, 5.0, 9.0, 0.1, stream(n)).at(0.0) for n in range(900)])
    assert abs(first.mean() - 50) < 3.3 * 5 / 30
    assert abs(first.var() - 25) < 3.3 * 25 * np.sqrt(2 / 900)


def test_gauss_ar1_never_falls_below_its_floor() -> None:
    rate = gauss_ar1(1.0, 3.0, 0.2, 100.0, stream(0), floor=0.25)
    assert min(rate.values) == 0.25
    assert rate.amount(0.0, 100.0) / 100 > 1.0  # which raises the mean
    assert gauss_ar1(7.0, 0.0, 1.0, 10.0, stream(0)) == Rate.constant(7.0)


@pytest.mark.parametrize(
    ("states", "dwell", "until"),
    [
        ((1.0,), (1.0,), 1.0),
        ((1.0, 2.0), (1.0,), 1.0),
        ((1.0, 2.0), (1.0, 0.0), 1.0),
        ((1.0, 2.0), (1.0, np.inf), 1.0),
        ((1.0, 2.0), (1.0, 1.0), np.inf),
    ],
)
def test_markov_refuses(states: tuple[float, ...], dwell: tuple[float, ...], until: float) -> None:
    with pytest.raises(ValueError, match="two states at least"):
        markov(states, dwell, until, stream(0))


@pytest.mark.parametrize("figures", [(-1, 1, 1, 1), (1, -1, 1, 1), (1, 1, 0, 1), (1, 1, 1, np.inf)])
def test_gauss_ar1_refuses(figures: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="must not be negative; times must be above 0"):
        gauss_ar1(*figures, stream(0))
