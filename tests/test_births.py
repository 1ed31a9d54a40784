"""How often requests are born, from which phase, and how late."""

import math
from array import array
from itertools import islice, pairwise, takewhile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtrit

from offload.streams import Streams
from offload.world.births import Births, times

KINDS = st.one_of(
    st.builds(Births, st.just("poisson"), st.floats(0.01, 5)),
    st.builds(
        lambda every, share: Births("periodic", every, jitter_s=share * every),
        st.floats(0.01, 5), st.floats(0, 0.99),
    ),
    st.builds(
        lambda every, on, off: Births("on-off", every, on_s=on, off_s=off),
        st.floats(0.01, 5), st.floats(0.1, 9), st.floats(0.1, 9),
    ),
    st.builds(
        lambda states: Births("mmpp", states=((0.5, 2.0), *states)),
        st.lists(st.tuples(st.one_of(st.none(), st.floats(0.01, 5)), st.floats(0.1, 9)), min_size=1,
                 max_size=4),
    ),
)  # fmt: skip


def born(births: Births, until_s: float, number: int = 0) -> np.ndarray:
    """Return all births before a time, from the stream of this number."""
    generator = Streams(1, number).generator("births")
    return np.array(list(takewhile(lambda at: at < until_s, times(births, generator))))


@given(KINDS, st.integers(0, 1000))
def test_times_rise(births: Births, number: int) -> None:
    first = list(islice(times(births, Streams(1, number).generator("births")), 100))
    assert first[0] >= 0
    assert all(a < b for a, b in pairwise(first))


@given(KINDS, st.integers(1, 100))
def test_how_many_are_drawn_at_once_decides_nothing(births: Births, block: int) -> None:
    one, other = (
        list(islice(times(births, Streams(1, 0).generator("births"), size), 50)) for size in (block, 32)
    )
    assert one == other


@pytest.mark.parametrize("jitter", [0.0, 0.3, 1.0])
def test_periodic_births_are_late_by_at_most_the_jitter(jitter: float) -> None:
    every = 2.0
    found = born(Births("periodic", every, jitter_s=jitter), 2000 * every)
    phase = Streams(1, 0).generator("births").random() * every
    late = found - phase - every * np.arange(len(found))
    assert (late >= -1e-9).all()
    assert (late <= jitter + 1e-9).all()
    # Uniform on [0, jitter]: the mean lies within four standard errors, and both ends are met.
    assert abs(late.mean() - jitter / 2) <= 4 * jitter / np.sqrt(12 * len(late)) + 1e-9
    if jitter:
        assert late.min() < 0.01 * jitter
        assert late.max() > 0.99 * jitter


def test_periodic_phases_are_uniform() -> None:
    phases = np.array([born(Births("periodic", 4.0), 4.0, number)[0] for number in range(1000)])
    counts, _ = np.histogram(phases, 10, (0, 4.0))
    assert ((counts - 100) ** 2 / 100).sum() < 27.9  # 99.9 % of chi-square, nine degrees


def test_poisson_gaps_are_exponential() -> None:
    found = born(Births("poisson", 0.5), 10_000.0)
    gaps = np.diff(found)
    n = len(gaps)
    assert abs(gaps.mean() / 0.5 - 1) < 4 / np.sqrt(n)
    # Kolmogorov and Smirnov's distance, at the 99.9 % point.
    expected = 1 - np.exp(-np.sort(gaps) / 0.5)
    assert np.abs(expected - (np.arange(n) + 0.5) / n).max() < 1.95 / np.sqrt(n)


def test_poisson_counts_scatter_as_they_should() -> None:
    counts = [len(born(Births("poisson", 0.1), 10.0, number)) for number in range(400)]
    # Mean and variance are both 100; the standard error of a variance is var * sqrt(2 / n).
    assert abs(np.mean(counts) - 100) < 4 * 10 / 20
    assert abs(np.var(counts, ddof=1) - 100) < 4 * 100 * np.sqrt(2 / 400)


@pytest.mark.parametrize(("on_s", "off_s"), [(1.0, 3.0), (2.0, 0.5), (0.05, 0.05)])
def test_on_off_is_born_at_its_rate_while_on(on_s: float, off_s: float) -> None:
    births = Births("on-off", 0.1, on_s=on_s, off_s=off_s)
    until = 200 * (on_s + off_s)
    counts = [len(born(births, until, number)) for number in range(60)]
    expected = until * on_s / (on_s + off_s) / 0.1
    error = np.std(counts, ddof=1) / np.sqrt(len(counts))
    assert abs(np.mean(counts) - expected) < 4 * error


def test_on_off_starts_in_its_steady_share() -> None:
    # Else the first seconds of every replication would be busier, or calmer, than the rest.
    births = Births("on-off", 0.01, on_s=1.0, off_s=3.0)
    on = sum(bool(len(born(births, 0.02, number))) for number in range(1000))
    # On at first: 250 of 1000 expected; a period that ends or begins at once changes a few.
    assert abs(on - 250) < 4 * np.sqrt(1000 * 0.25 * 0.75) + 10


def test_within_an_on_time_births_are_periodic() -> None:
    gaps = np.diff(born(Births("on-off", 0.1, on_s=5.0, off_s=5.0), 500.0))
    within = gaps[gaps < 0.100001]
    assert len(within) > 0.9 * len(gaps)
    # A shorter gap can only straddle a silence shorter than the period.
    assert np.isclose(within, 0.1).mean() > 0.97


def within_interval(means: list[float], theory: float) -> None:
    """Assert that the 99.9 % interval of independent means holds the theory, and is not too wide."""
    half = stdtrit(len(means) - 1, 0.9995) * np.std(means, ddof=1) / math.sqrt(len(means))
    assert half < 0.1 * theory
    assert abs(np.mean(means) - theory) <= half


@pytest.mark.parametrize(
    "states",
    [((0.05, 1.0), (0.5, 3.0)), ((None, 2.0), (0.1, 1.0)), ((0.1, 1.0), (None, 0.5), (0.3, 3.0))],
)
def test_mmpp_has_its_mean_rate_from_the_start(states: tuple[tuple[float | None, float], ...]) -> None:
    births = Births("mmpp", states=states)
    rate = sum(stay / every for every, stay in states if every) / sum(stay for _, stay in states)
    for until_s in (0.5, 10.0):
        groups = [
            np.mean([len(born(births, until_s, 100 * group + n)) / until_s for n in range(100)])
            for group in range(40)
        ]
        within_interval(groups, rate)


def test_mmpp_scatters_as_its_index_of_dispersion_says() -> None:
    # Of two states with rates a, b and rates of leaving them r, s (Heffes and Lucantoni 1986):
    # I(t) = 1 + 2 r s (a - b)^2 / ((r + s)^2 (a s + b r)) (1 - (1 - exp(-(r + s) t)) / ((r + s) t)).
    a, b, r, s, until_s = 20.0, 2.0, 1.0, 1 / 3, 5.0
    births = Births("mmpp", states=((1 / a, 1 / r), (1 / b, 1 / s)))
    burst = 2 * r * s * (a - b) ** 2 / ((r + s) ** 2 * (a * s + b * r))
    index = 1 + burst * (1 - (1 - math.exp(-(r + s) * until_s)) / ((r + s) * until_s))
    mean = until_s * (a * s + b * r) / (r + s)
    assert index > 5  # a Poisson process has 1
    counts = np.array([len(born(births, until_s, number)) for number in range(6000)])
    within_interval([float(group.mean()) for group in np.split(counts, 60)], mean)
    within_interval([float(group.var(ddof=1)) for group in np.split(counts, 60)], index * mean)


def test_a_trace_is_born_as_it_says_and_again_only_if_it_says_so() -> None:
    trace = array("d", [0.5, 0.5, 2.0])
    generator = Streams(1, 0).generator("births")
    assert list(times(Births("trace", trace_s=trace), generator)) == [0.5, 0.5, 2.0]
    again = times(Births("trace", trace_s=trace, repeat_s=10.0), generator)
    assert list(islice(again, 7)) == [0.5, 0.5, 2.0, 10.5, 10.5, 12.0, 20.5]
    assert list(times(Births("trace", repeat_s=10.0), generator)) == []
