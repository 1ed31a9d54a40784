"""Intervals by simulation, warm-up against its definition, and what counts as a growing backlog."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offload.analysis.statistics import Interval, interval, mser5, pairs, saturated, warm_up_bins


@pytest.mark.parametrize(("n", "level"), [(2, 0.95), (5, 0.95), (10, 0.95), (5, 0.8)])
def test_students_interval_covers_the_mean_as_often_as_it_says(n: int, level: float) -> None:
    samples = np.random.default_rng(n).normal(3.0, 2.0, (4000, n))
    hits = sum(found.low <= 3.0 <= found.high for row in samples if (found := interval(row, level)))
    # Within four standard errors of a binomial.
    assert abs(hits / 4000 - level) < 4 * math.sqrt(level * (1 - level) / 4000)


def test_interval_by_hand() -> None:
    # Mean 2, standard deviation 1, t(0.975, 2) = 4.302653.
    found = interval([1.0, 2.0, 3.0])
    half = 4.302653 / math.sqrt(3)
    assert (found.low, found.mean, found.high) == pytest.approx((2 - half, 2.0, 2 + half))
    assert isinstance(found, Interval)


@pytest.mark.parametrize(
    "values", [[], [math.inf], [1.0, math.nan], [1.0, math.inf], [-math.inf, 1.0, 2.0]]
)
def test_no_interval_where_a_value_is_missing(values: list[float]) -> None:
    assert interval(values) is None


def test_many_comparisons_widen_an_interval() -> None:
    one, three = interval([1.0, 2.0, 4.0]), interval([1.0, 2.0, 4.0], 0.95, 3)
    assert three == interval([1.0, 2.0, 4.0], 1 - 0.05 / 3)
    assert three.high - three.low > one.high - one.low


def table(values: dict[str, list[float]]) -> dict[str, dict[str, list[float]]]:
    """Return the energy of some policies, their other measures unknown."""
    others = ("useful", "on_time", "latency_mean_s", "energy_j", "money")
    unknown = {name: [math.nan] * len(next(iter(values.values()))) for name in others}
    return {label: unknown | {"energy_j": each} for label, each in values.items()}


def test_pairs_are_paired_and_simultaneous() -> None:
    common = np.random.default_rng(1).normal(0, 100, 6)  # shared by all: pairing removes it
    values = {
        "a": (common + np.array([1, 2, 3, 1, 2, 3])).tolist(),
        "b": common.tolist(), "c": (common + 2).tolist(),
    }  # fmt: skip
    found = pairs(table(values))
    expected = [(a, b, "energy_j") for a, b in combinations("abc", 2)]
    assert [(p.a, p.b, p.measure) for p in found] == expected
    for pair in found:
        gaps = np.subtract(values[pair.a], values[pair.b])
        expected = interval(gaps.tolist(), 0.95, 3)
        assert (pair.low, pair.mean, pair.high) == (expected.low, expected.mean, expected.high)
        assert pair.differs == (not expected.low <= 0 <= expected.high)
    assert [pair.differs for pair in found] == [True, False, True]


def test_no_difference_is_no_difference() -> None:
    (pair,) = pairs(table({"a": [1.0, 5.0, 2.0], "b": [1.0, 5.0, 2.0]}))
    assert (pair.low, pair.high, pair.differs) == (0.0, 0.0, False)


def test_wrong_claims_are_as_rare_over_all_pairs_as_promised() -> None:
    rng = np.random.default_rng(2)
    wrong = 0
    for _ in range(1500):  # four policies that are all the same: six pairs
        values = dict(zip("abcd", rng.normal(0, 1, (4, 5)).tolist(), strict=True))
        wrong += any(pair.differs for pair in pairs(table(values)))
    assert wrong / 1500 < 0.05 + 4 * math.sqrt(0.05 * 0.95 / 1500)
    assert wrong / 1500 > 0.01  # and the intervals are not absurdly wide


def test_pairs_without_a_value_in_every_replication_are_left_out() -> None:
    assert pairs(table({"a": [1.0, math.nan], "b": [1.0, 2.0]})) == []


def mser5_by_definition(series: list[float]) -> int:
    """Return the cut by White's formula, summed out."""
    batches = [math.fsum(series[5 * i : 5 * i + 5]) / 5 for i in range(len(series) // 5)]
    n = len(batches)
    if n < 4:
        return 0

    def score(cut: int) -> float:
        kept = batches[cut:]
        mean = math.fsum(kept) / len(kept)
        return math.fsum((each - mean) ** 2 for each in kept) / len(kept) ** 2

    return 5 * min(range(n // 2), key=score)


@settings(max_examples=200)
@given(st.lists(st.integers(-5, 50).map(float), max_size=120), st.integers(0, 10_000))
def test_mser5_agrees_with_its_definition(series: list[float], seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 0.1, len(series))  # no two scores tie
    noisy = (np.array(series) + noise).tolist()
    assert mser5(noisy) == mser5_by_definition(noisy)


def test_mser5_leaves_a_transient_out() -> None:
    rng = np.random.default_rng(3)
    series = np.concatenate([np.linspace(0, 10, 50), np.full(150, 10.0)]) + rng.normal(0, 0.2, 200)
    assert 40 <= mser5(series) <= 60
    assert mser5(np.full(200, 10.0) + rng.normal(0, 0.2, 200)) <= 50
    assert mser5([1.0] * 19) == 0


def test_the_longest_warm_up_of_all_policies_counts() -> None:
    rng = np.random.default_rng(4)
    calm = [(10 + rng.normal(0, 0.2, 200)).tolist() for _ in range(4)]
    slow = [
        (np.concatenate([np.linspace(0, 10, 60), np.full(140, 10.0)]) + rng.normal(0, 0.2, 200)).tolist()
        for _ in range(4)
    ]
    mean = np.mean(slow, axis=0)
    assert warm_up_bins({"calm": calm, "slow": slow}) == max(
        mser5(mean), mser5(np.mean(calm, axis=0))
    ) == mser5(mean)  # fmt: skip


@pytest.mark.parametrize("replications", [1, 6])
@pytest.mark.parametrize(
    ("kind", "expected"), [("grows", True), ("stable", False), ("ramps", False), ("drains", False)]
)
def test_saturation(replications: int, kind: str, expected: bool) -> None:
    rng = np.random.default_rng(5)
    births = [[50] * 200 for _ in range(replications)]  # 10 000 in all
    shape = {
        "grows": np.linspace(0, 1000, 200),  # a tenth of what is born stays
        "stable": np.full(200, 300.0),
        "ramps": np.concatenate([np.linspace(0, 1000, 40), np.full(160, 1000.0)]),
        "drains": np.linspace(1000, 0, 200),
    }[kind]
    counts = [np.maximum(shape + rng.normal(0, 15, 200), 0).round().astype(int).tolist()
              for _ in range(replications)]  # fmt: skip
    assert saturated(counts, births, 40) is expected


def test_growth_below_a_hundredth_of_what_is_born_is_none() -> None:
    births = [[50] * 200] * 3
    slow = [np.linspace(0, 60, 200).round().astype(int).tolist() for _ in range(3)]
    assert saturated(slow, births, 0) is False


def test_without_births_nothing_saturates() -> None:
    assert saturated([[0] * 200], [[0] * 200], 0) is False


def test_warm_up_leaves_out_bins_in_which_nothing_was_born() -> None:
    nan = math.nan
    runs = [[5.0] * 20 + [1.0, nan] * 40, [7.0] * 20 + [1.0, nan] * 40]
    without = [[value for value in run if not math.isnan(value)] for run in runs]
    assert warm_up_bins({"one": runs}) == warm_up_bins({"one": without}) == 20
