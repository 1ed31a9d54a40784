"""What curves and bars are drawn from, over rows of any number."""

import numpy as np
import polars as pl
import pytest

from offload.analysis.curves import STEP, answered_within, front, leg_means, shares_within
from offload.analysis.rows import LEGS


def rows(latencies_s: list[float | None]) -> pl.LazyFrame:
    return pl.LazyFrame({"latency_s": latencies_s}, {"latency_s": pl.Float64})


def test_shares_answered_within_a_time_against_counting() -> None:
    rng = np.random.default_rng(2)
    latencies = [*rng.lognormal(-3, 1.5, 5000).tolist(), 0.0, *[None] * 700]
    at_ms, shares = answered_within(rows(latencies))
    known = np.array([each for each in latencies if each is not None]) * 1e3
    assert (np.diff(at_ms) > 0).all()
    for time_ms, share in zip(at_ms, shares, strict=True):
        # Within a step, which is a thousandth.
        low = np.count_nonzero(known <= time_ms * np.exp(-STEP)) / len(latencies)
        high = np.count_nonzero(known <= time_ms * (1 + 1e-9)) / len(latencies)
        assert low <= share <= high
    assert shares[-1] == pytest.approx(5001 / 5701)
    assert at_ms[-1] == pytest.approx(known.max(), rel=2 * STEP)


def test_more_rows_are_no_more_points() -> None:
    one = np.linspace(0.01, 0.02, 20_000).tolist()
    assert len(answered_within(rows(one))[0]) < np.log(2) / STEP + 3


@pytest.mark.parametrize("latencies", [[], [None, None]])
def test_nothing_answered_is_no_curve(latencies: list[float | None]) -> None:
    at_ms, shares = answered_within(rows(latencies))
    assert len(at_ms) == len(shares) == 0
    assert shares_within(rows(latencies), [0.1]) == [0.0]


def test_shares_within_times_are_exact_and_count_what_was_not_answered() -> None:
    latencies = rows([0.1, 0.1, 0.1 + 1e-12, None])
    assert shares_within(latencies, [0.05, 0.1, 1.0]) == [0.0, 0.5, 0.75]


def test_legs_are_means_of_what_finished() -> None:
    empty = {leg: [0.0, 0.0, 0.0] for leg in LEGS}
    table = empty | {"uplink_s": [0.1, 0.3, 9.0], "edge_s": [0.02, 0.0, 9.0], "cause": ["", "", "late"]}
    means = leg_means(pl.LazyFrame(table))
    assert list(means) == list(LEGS)
    assert means["uplink_s"] == pytest.approx(0.2)
    assert means["edge_s"] == pytest.approx(0.01)
    assert sum(means.values()) == pytest.approx(0.21)
    lost = leg_means(pl.LazyFrame(table | {"cause": ["late"] * 3}))
    assert set(lost.values()) == {0.0}


def test_the_front_against_looking_at_all_pairs() -> None:
    rng = np.random.default_rng(4)
    points = {f"p{n}": tuple(rng.integers(0, 6, 2).tolist()) for n in range(25)}
    found = front(points)
    for name, (cost, worth) in points.items():
        better = [
            other
            for other, (c, w) in points.items()
            if (c < cost and w >= worth) or (c <= cost and w > worth)
        ]
        assert (name in found) == (not better)
    assert [points[name] for name in found] == sorted(points[name] for name in found)
