"""What curves are drawn from, over rows of any number."""

import numpy as np
import polars as pl
import pytest

from offload.analysis.compare import compare
from offload.scenario.load import load
from offload.views.figures import STEP, answered_within, useful_energy
from tests.hand_made import ROOT

SMALL = ROOT / "tests" / "small.toml"


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


def test_a_policy_that_is_never_useful_is_seen_whole() -> None:
    scenario = load(SMALL, ["devices.car.tasks.objects.deadline=1 us"])
    found = compare(scenario, scenario.compared[:1], 2)
    (axes,) = useful_energy(found).axes
    assert found.policies[0].measures["on_time"].mean == 0.0
    assert axes.get_ylim()[0] < 0.0
