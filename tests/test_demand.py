"""Sizes and counts that are drawn, and what is in view: against their distributions and by hand."""

import math
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtrit

from offload.streams import Streams, uniforms
from offload.world.demand import Counts, Inputs, Scene, Sizes, View
from offload.world.mobility import Track
from tests.test_mobility import track, tracks

INFINITE = math.inf
QUANTILES = np.array(list(islice(uniforms(Streams(1, 0).generator("q")), 20_000)))


def agrees(values: np.ndarray, theory: float) -> None:
    """Assert that the 99.9 % interval of a mean holds the theory."""
    half = stdtrit(len(values) - 1, 0.9995) * values.std(ddof=1) / math.sqrt(len(values))
    assert half < 0.05 * theory
    assert abs(values.mean() - theory) <= half


@pytest.mark.parametrize("cv", [0.1, 0.5, 1.0])
def test_log_normal_sizes_have_their_mean_and_their_spread(cv: float) -> None:
    sizes = Sizes(0.0, INFINITE, 60e3, cv)
    found = np.array([sizes.at(quantile) for quantile in QUANTILES])
    agrees(found, 60e3)
    logs = np.log(found)
    agrees((logs - logs.mean()) ** 2, math.log1p(cv**2))
    assert sizes.at(0.5) == pytest.approx(60e3 / math.sqrt(1 + cv**2))  # the median


def test_uniform_sizes_lie_between_their_ends() -> None:
    sizes = Sizes(20e3, 100e3, 60e3)
    assert [sizes.at(quantile) for quantile in (0.0, 0.25, 0.5)] == [20e3, 40e3, 60e3]


@given(st.floats(0, 1, exclude_max=True), st.floats(0.01, 20))
def test_drawn_sizes_keep_their_bounds_and_rise(quantile: float, cv: float) -> None:
    sizes = Sizes(50.0, 200.0, 100.0, cv)
    assert 50.0 <= sizes.at(quantile / 2) <= sizes.at(quantile) <= 200.0
    assert 0.0 <= Sizes(0.0, INFINITE, 100.0, cv).at(quantile) < INFINITE


@pytest.mark.parametrize(("mean", "most"), [(3.0, 10), (0.5, 1), (100.0, 100), (7.0, 100)])
def test_counts_are_poisson_given_that_they_are_at_most_so_many(mean: float, most: int) -> None:
    counts = Counts.poisson(mean, most)
    weights = [mean**n / math.factorial(n) for n in range(most + 1)]
    found = np.array([counts.at(float(quantile), 0) for quantile in QUANTILES])
    assert counts.most == most
    assert found.max() <= most
    agrees(found, sum(n * w for n, w in enumerate(weights)) / sum(weights))
    assert np.mean(found == 0) == pytest.approx(weights[0] / sum(weights), abs=0.015)


def test_an_exact_count_is_always_the_same() -> None:
    assert {Counts.exactly(6).at(quantile, 0) for quantile in (0.0, 0.5, 1 - 1e-16)} == {6}


@given(st.lists(tracks(), min_size=1, max_size=5), st.sampled_from([1.0, 5.0, 7.3]), st.data())
def test_a_scene_counts_whom_one_would_see_one_by_one(
    ways: list[Track], within_m: float, data: st.DataObject
) -> None:
    stays = [sorted(data.draw(st.tuples(*[st.floats(0, 30)] * 2))) for _ in ways]
    ways = [replace(way, enters_s=a, leaves_s=b) for way, (a, b) in zip(ways, stays, strict=True)]
    scene = Scene.of(ways)
    for now in np.linspace(0.0, 30.0, 40):
        here = ways[0].position(now)
        there = [way.position(now) for way in ways if way.enters_s <= now < way.leaves_s]
        away_m = [math.dist(here, each) for each in there]
        if all(abs(each - within_m) > 1e-6 for each in away_m):  # at the very edge, rounding decides
            assert scene.count(now, here, within_m) == sum(each < within_m for each in away_m)


def test_inputs_and_counts_grow_with_what_is_in_view() -> None:
    passing = track((0, -10, 3), (20, 10, 3))  # within 5 m of the origin from 6 s to 14 s
    scene = Scene.of([passing, Track.standing((1.0, 0.0))])
    near = [scene.count(now, (0.0, 0.0), 5.0) for now in (0.0, 5.9, 6.1, 13.9, 14.1)]
    assert near == [1, 1, 2, 2, 1]
    view = View(("car",), 5.0)
    inputs = Inputs(100.0, Sizes(0.0, 200.0, 100.0), view, 7.0)
    assert [inputs.at(0.25, objects) for objects in (0, 1, 2)] == [50.0, 57.0, 64.0]
    assert inputs.most_bytes == INFINITE
    assert not inputs.equal
    assert Inputs(100.0).equal
    counts = Counts(Counts.exactly(1).cumulative, view)
    assert [counts.at(0.9, objects) for objects in (0, 1, 2)] == [0, 1, 1]  # one at most
