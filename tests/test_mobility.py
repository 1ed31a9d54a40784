"""When tracks cross circles, against sampling; tracks that repeat; devices that stand."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from offload.world.mobility import Track, nearest, presence

INFINITE = float("inf")


def track(*points: tuple[float, float, float]) -> Track:
    """Return a track through points (time, x, y)."""
    times, x, y = (np.array(column, dtype=float) for column in zip(*points, strict=True))
    return Track(times, x, y)


@st.composite
def tracks(draw: st.DrawFn) -> Track:
    """Draw points on a coarse grid, where tracks meet circles in every awkward way, or anywhere."""
    place = st.integers(-10, 10).map(float) if draw(st.booleans()) else st.floats(-20, 20)
    gaps = draw(st.lists(st.floats(0.5, 5), min_size=1, max_size=8))
    times = np.cumsum(gaps) - draw(st.floats(0, 3))
    xs, ys = (draw(st.lists(place, min_size=len(gaps), max_size=len(gaps))) for _ in range(2))
    return Track(times, np.array(xs), np.array(ys))


@given(tracks(), st.tuples(*[st.integers(-3, 3).map(float)] * 2), st.sampled_from([1.0, 5.0, 7.3]))
@example(track((0, 10, 0), (1, 5, 0), (2, 10, 0)), (0.0, 0.0), 5.0)  # touches and turns back
@example(track((0, 0, 0), (1, 5, 0), (2, 0, 0)), (0.0, 0.0), 5.0)  # the same from within
@example(track((0, 5, 0), (1, 10, 0)), (0.0, 0.0), 5.0)  # leaves from the very edge
@example(track((0, 5, 0), (1, 0, 0)), (0.0, 0.0), 5.0)  # enters from the very edge
@example(track((0, 10, 0), (1, 5, 0), (3, 5, 0), (4, 0, 0)), (0.0, 0.0), 5.0)  # waits on the edge
@example(track((0, 10, 5), (1, -10, 5)), (0.0, 0.0), 5.0)  # a tangent
@example(track((0, 10, 0), (1, 3, 4), (2, 0, 0)), (0.0, 0.0), 5.0)  # enters at a corner
def test_presence_agrees_with_sampling(way: Track, centre: tuple[float, float], radius: float) -> None:
    found = presence(way, centre, radius)
    times = np.linspace(0.0, max(0.0, way.times_s[-1]) + 1, 400)
    for now in times:
        gap = math.dist(way.position(now), centre) - radius
        if abs(gap) > 1e-6:  # at the very edge, rounding decides
            assert found.at(now) == (gap < 0)


@given(
    tracks(), st.sampled_from([5.0, 7.3, INFINITE]), st.floats(-5, 30), st.floats(0, 20), st.booleans()
)
def test_a_device_is_nowhere_before_it_enters_and_after_it_leaves(
    way: Track, radius: float, enters: float, stays: float, for_good: bool
) -> None:
    leaves = INFINITE if for_good else enters + stays
    brief = replace(way, enters_s=enters, leaves_s=leaves)
    found, always = (presence(each, (0.0, 0.0), radius) for each in (brief, way))
    for now in [enters - 1e-6, enters, enters + 1e-6, enters + stays, *np.linspace(0, 60, 100)]:
        if now >= 0:
            exists = enters <= now < leaves
            assert found.at(now) == (exists and always.at(now))


def test_one_that_stands_may_leave_too() -> None:
    way = replace(Track.standing((1.0, 0.0)), leaves_s=5.0)
    near, far = presence(way, (0.0, 0.0), 2.0), presence(way, (9.0, 0.0), 2.0)
    assert (near.times_s, near.values) == ((0.0, 5.0), (1.0, 0.0))
    assert far.values == (0.0,)
    assert way.present_s(3.0) == 3.0
    assert way.present_s(8.0) == 5.0
    assert replace(way, enters_s=4.0).present_s(8.0) == 1.0
    assert replace(way, enters_s=9.0, leaves_s=12.0).present_s(8.0) == 0.0


@given(tracks(), st.sampled_from([1.0, 5.0, 7.3]))
def test_changes_lie_on_the_circle_and_rise(way: Track, radius: float) -> None:
    found = presence(way, (0.0, 0.0), radius)
    for now in found.times_s[1:]:
        assert way.times_s[0] <= now <= way.times_s[-1]
        assert math.dist(way.position(now), (0, 0)) == pytest.approx(radius, abs=1e-6)


def test_a_straight_crossing_by_hand() -> None:
    way = track((0, -10, 3), (20, 10, 3))  # 1 m/s; within 5 m of the origin where |x| < 4
    found = presence(way, (0.0, 0.0), 5.0)
    assert found.values == (0.0, 1.0, 0.0)
    assert found.times_s == pytest.approx((0.0, 6.0, 14.0))
    assert found.changes_after(0.0) == pytest.approx(6.0)
    assert found.changes_after(10.0) == pytest.approx(14.0)
    assert found.changes_after(14.5) == INFINITE


@given(
    tracks(),
    st.lists(
        st.tuples(*[st.integers(-9, 9).map(float)] * 2, st.sampled_from([2.0, 6.0, 50.0])),
        max_size=4,
        min_size=1,
    ),
)
def test_nearest_agrees_with_sampling(way: Track, circles: list[tuple[float, float, float]]) -> None:
    centres, radii = [(x, y) for x, y, _ in circles], [radius for *_, radius in circles]
    times, found = nearest(way, centres, radii)
    assert list(times) == sorted(set(times))
    assert all(a != b for a, b in pairwise(found))
    for now in np.linspace(0.0, max(0.0, way.times_s[-1]) + 1, 200):
        gaps = [math.dist(way.position(now), centre) for centre in centres]
        inside = [gap for gap, radius in zip(gaps, radii, strict=True) if gap <= radius]
        if any(abs(g - r) < 1e-6 for g, r in zip(gaps, radii, strict=True)):
            continue  # at the very edge, rounding decides
        serving = found[np.searchsorted(times, now, side="right") - 1]
        assert (serving < 0) == (not inside)
        if inside:
            assert gaps[serving] == pytest.approx(min(inside), abs=1e-6)


@pytest.mark.parametrize(("at", "inside"), [((3.0, 4.0), True), ((3.1, 4.0), False)])
def test_a_device_that_stands_never_changes(at: tuple[float, float], inside: bool) -> None:
    way = Track.standing(at)
    assert {way.position(now) for now in (-1.0, 0.0, 1e6)} == {at}
    found = presence(way, (0.0, 0.0), 5.0)
    assert (found.times_s, found.values) == ((0.0,), (float(inside),))


def test_an_infinite_circle_holds_everything() -> None:
    assert presence(track((0, 0, 0), (1, 1e9, 0)), (0.0, 0.0), INFINITE).at(0.5)


def test_before_and_after_its_points_it_stands() -> None:
    way = track((5, 1, 2), (7, 3, 6))
    assert [way.position(now) for now in (0, 5, 6, 7, 99)] == [(1, 2), (1, 2), (2, 4), (3, 6), (3, 6)]


@given(tracks(), st.floats(0.1, 80))
def test_a_looped_round_trip_repeats(way: Track, until: float) -> None:
    closed = Track(
        np.append(way.times_s, way.times_s[-1] + 1),
        np.append(way.x_m, way.x_m[0]),
        np.append(way.y_m, way.y_m[0]),
    )
    looped = closed.looped(until)
    start, period = closed.times_s[0], closed.times_s[-1] - closed.times_s[0]
    assert looped.times_s[-1] >= until - 1e-9
    assert (np.diff(looped.times_s) > 0).all()
    for now in np.linspace(start, looped.times_s[-1], 300):
        expected = closed.position(start + (now - start) % period)
        assert math.dist(looped.position(now), expected) < 1e-6


def test_a_way_that_ends_elsewhere_cannot_be_looped() -> None:
    # A car that drives from 0 to 30 m would have to be carried back.
    with pytest.raises(ValueError, match="does not end where it began"):
        track((0, 0, 0), (1, 10, 0), (2, 20, 0), (3, 30, 0)).looped(9.0)
