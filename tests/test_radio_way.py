"""Where a device is when its channel is sampled, and how often that is."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.world.mobility import Track
from offload.world.radio import way
from offload.world.radio.way import RadioError, sampled


@st.composite
def tracks(draw: st.DrawFn) -> Track:
    """Draw points on a coarse grid, so that a device often stands."""
    gaps = draw(st.lists(st.floats(0.5, 9), min_size=1, max_size=8))
    xs, ys = (
        draw(st.lists(st.integers(-9, 9).map(float), min_size=len(gaps), max_size=len(gaps)))
        for _ in range(2)
    )
    return Track(np.cumsum(gaps) - draw(st.floats(0, 3)), np.array(xs), np.array(ys))


@given(tracks(), st.floats(0.5, 60), st.floats(0.3, 5), st.floats(0.1, 5))
def test_samples_lie_on_the_track_and_close_enough(track, until_s, step_m, step_s) -> None:
    found = sampled(track, until_s, step_m, step_s)
    assert found.times_s[0] == 0
    assert found.times_s[-1] < until_s
    assert (np.diff(found.times_s) > 0).all()
    for now, x_m, y_m in zip(found.times_s, found.x_m, found.y_m, strict=True):
        assert math.dist(track.position(now), (x_m, y_m)) < 1e-9
    moved_m = np.hypot(np.diff(found.x_m), np.diff(found.y_m))
    assert np.diff(found.travelled_m) == pytest.approx(moved_m, abs=1e-9)
    assert (moved_m <= step_m + 1e-9).all()
    assert (np.diff(found.times_s)[moved_m > 1e-9] <= step_s + 1e-9).all()


@given(tracks(), st.floats(0.5, 60), st.floats(0.3, 5), st.floats(0.1, 5))
def test_the_length_does_not_depend_on_the_sampling(track, until_s, step_m, step_s) -> None:
    assert sampled(track, until_s, step_m, step_s).length_m == sampled(track, until_s, 1, 1).length_m


def test_standing_takes_one_sample() -> None:
    found = sampled(Track.standing((3.0, 4.0)), 60.0, 1.0, 0.1)
    assert (found.times_s.tolist(), found.x_m.tolist(), found.length_m) == ([0.0], [3.0], 0.0)


def test_multiples_of_a_time_are_sampled_too() -> None:
    found = sampled(Track.standing((3.0, 4.0)), 1.0, 1.0, 0.1, every_s=[0.25])
    assert found.times_s.tolist() == [0.0, 0.25, 0.5, 0.75]


def test_a_device_that_flies_to_the_moon_is_refused_before_it_fills_the_memory() -> None:
    track = Track(np.array([0.0, 1.0]), np.array([0.0, 3.8e15]), np.zeros(2))
    with pytest.raises(RadioError, match=r"a way of 3.8e\+15 m in 60 s needs 3.8e\+15 samples"):
        sampled(track, 60.0, 1.0, 0.1)
    with pytest.raises(RadioError, match=f"more than {way.MAX_SAMPLES}; let it move less"):
        sampled(Track.standing((0.0, 0.0)), 60.0, 1.0, 0.1, every_s=[1e-9])


@pytest.mark.parametrize("until_s", [0.0, -1.0, math.inf, math.nan])
def test_a_horizon_is_positive_and_finite(until_s) -> None:
    with pytest.raises(ValueError, match="horizon"):
        sampled(Track.standing((0.0, 0.0)), until_s, 1.0, 0.1)
