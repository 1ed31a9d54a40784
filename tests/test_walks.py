"""Ways by a rule: where devices may be, how fast, and that time does not change their statistics."""

from math import dist, log, sqrt
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.world import walks
from offload.world.mobility import Track, presence

AREA = (-100.0, 50.0), (900.0, 350.0)
SPEED, PAUSE = (1.0, 20.0), (10.0, 50.0)
UNTIL = 600.0
MANY = 2000


def generator(number: int) -> np.random.Generator:
    return np.random.default_rng(number)


def roam(number: int) -> Track:
    return walks.random_waypoint(AREA, SPEED, PAUSE, UNTIL, generator(number))


def drive(number: int) -> Track:
    offsets = generator(10**6).random((6, 4)) * 60
    return walks.manhattan((6, 4), 100.0, 10.0, 60.0, offsets, UNTIL, generator(number))


def speeds(tracks: list[Track], now: float) -> np.ndarray:
    """Return the speeds of all just then; none turns within a microsecond, or hardly one."""
    return np.array([dist(t.position(now), t.position(now + 1e-6)) * 1e6 for t in tracks])


def inside(values: np.ndarray, low: float, high: float) -> bool:
    return bool(((low <= values) & (values <= high)).all())


def within(values, expected: float) -> None:
    """Assert that a mean lies within 3.3 standard errors of what it should be: 99.9 %."""
    assert abs(np.mean(values) - expected) < 3.3 * np.std(values) / sqrt(len(values))


# Given points


def test_a_way_is_driven_once_and_then_stands() -> None:
    way = walks.waypoints([(0, 0), (30, 0), (30, 0), (30, 40)], 10.0, 0.0, UNTIL, loop=False)
    assert [way.position(now) for now in (0, 1.5, 3, 5, 7, 99)] == [
        (0, 0), (15, 0), (30, 0), (30, 20), (30, 40), (30, 40),
    ]  # fmt: skip


def test_those_behind_wait_or_are_on_their_way_already() -> None:
    points = [(0, 0), (30, 0), (30, 40)]
    waits = walks.waypoints(points, 10.0, 2.0, UNTIL, loop=False)
    assert [waits.position(now) for now in (0, 2, 3)] == [(0, 0), (0, 0), (10, 0)]
    first, behind = (walks.waypoints(points, 10.0, s, UNTIL, loop=True) for s in (0.0, 2.0))
    for now in np.linspace(0, UNTIL - 2, 97):  # the lap takes 12 s
        assert behind.position(now + 2) == pytest.approx(first.position(now))
        assert first.position(now) == pytest.approx(first.position(now % 12))
    assert behind.position(0) == pytest.approx((12, 16))


# Random waypoint


@given(st.integers(0, 10**6))
def test_who_roams_stays_in_the_area_and_keeps_to_its_speeds(number: int) -> None:
    way = roam(number)
    assert way.times_s[0] == 0.0
    assert way.times_s[-1] >= UNTIL - PAUSE[1]  # it may pause at the end
    assert (np.diff(way.times_s) > 0).all()
    assert inside(way.x_m, AREA[0][0], AREA[1][0])
    assert inside(way.y_m, AREA[0][1], AREA[1][1])
    speed = np.hypot(np.diff(way.x_m), np.diff(way.y_m)) / np.diff(way.times_s)
    moves = speed > 0
    assert inside(speed[moves], SPEED[0] - 1e-9, SPEED[1] + 1e-9)
    assert (np.diff(way.times_s)[~moves] <= PAUSE[1]).all()


@pytest.mark.parametrize("now", [0.0, 300.0, 590.0])
def test_roaming_is_stationary_from_the_start(now: float) -> None:
    # A start with a fresh way at a uniform place would move at 10.5 m/s at first: the trap.
    tracks = [roam(number) for number in range(MANY)]
    found = speeds(tracks, now)
    width, height = (b - a for a, b in zip(*AREA, strict=True))
    way_s = walks.mean_distance_m(width, height) * log(20) / 19
    within(found == 0, 30 / (30 + way_s))
    within(found[found > 0], 19 / log(20))
    x, y = np.array([way.position(now) for way in tracks]).T
    within(x, 400.0)
    within(y, 200.0)
    # Who moves is nearer to the middle than a uniform place, whose variance is width^2 / 12.
    assert x[found > 0].std() < 0.93 * width / sqrt(12)


def test_the_mean_distance_in_a_rectangle() -> None:
    ends = generator(1).random((200_000, 2, 2)) * (3.0, 0.5)
    within(np.hypot(*(ends[:, 0] - ends[:, 1]).T), walks.mean_distance_m(3.0, 0.5))


def test_one_speed_and_no_pause_will_do() -> None:
    way = walks.random_waypoint(AREA, (5.0, 5.0), (0.0, 0.0), UNTIL, generator(1))
    assert speeds([way], 100.0) == pytest.approx([5.0], rel=1e-3)


# Streets


@given(st.integers(0, 10**6))
def test_who_drives_keeps_to_the_streets_and_turns_at_crossings(number: int) -> None:
    way = drive(number)
    assert way.times_s[0] == -600.0
    assert way.times_s[-1] >= UNTIL
    assert inside(way.x_m, 0, 500)
    assert inside(way.y_m, 0, 300)
    i, j = way.x_m[1:] / 100, way.y_m[1:] / 100  # all but the first place are crossings
    assert np.allclose(i, i.round())
    assert np.allclose(j, j.round())
    steps = np.hypot(np.diff(way.x_m), np.diff(way.y_m))[1:]
    assert set(steps.round(9)) <= {0.0, 100.0}
    assert np.allclose(np.diff(way.times_s)[1:][steps > 0], 10.0)
    ahead = np.sign(np.diff(np.stack([way.x_m, way.y_m])[:, 1:], axis=1))[:, steps > 0]
    assert not (ahead[:, 1:] == -ahead[:, :-1]).all(axis=0).any()  # nobody turns back


@pytest.mark.parametrize("axis", [0, 1])
def test_a_signal_is_red_half_of_the_time_and_never_to_both(axis: int) -> None:
    for now in np.linspace(-100, 100, 401):
        red = walks.red_s(now, 60.0, axis)
        assert (red > 0) != (walks.red_s(now, 60.0, 1 - axis) > 0)
        assert red <= 30.0
        assert walks.red_s(now + red + 1e-9, 60.0, axis) == 0
    assert walks.red_s(5.0, 0.0, axis) == 0  # no signals


def test_streets_are_equally_busy_and_stay_so() -> None:
    tracks = [drive(number) for number in range(MANY)]
    waits = []
    for now in (0.0, 300.0, 590.0):
        x, y = np.array([way.position(now) for way in tracks]).T
        within(x, 250.0)
        within(y, 150.0)
        waits.append((speeds(tracks, now) == 0).mean())
    # 5 s of mean wait on 10 s of way if crossings were met at random; the share of those who wait.
    assert max(waits) - min(waits) < 3.3 * sqrt(2 * 0.25 / MANY)
    assert 0.2 < fmean(waits) < 0.5


@pytest.mark.parametrize("streets", [(1, 2), (2, 1), (1, 5), (2, 2), (3, 7)])
def test_streets_of_any_shape(streets: tuple[int, int]) -> None:
    seen = set()
    for number in range(60):
        way = walks.manhattan(streets, 10.0, 1.0, 0.0, np.zeros(streets), 200.0, generator(number))
        seen |= set(zip((way.x_m[1:] / 10).tolist(), (way.y_m[1:] / 10).tolist(), strict=True))
    assert seen == {(float(i), float(j)) for i in range(streets[0]) for j in range(streets[1])}


# Motorway


def test_a_motorway_is_passed_once() -> None:
    lanes = [20.0, 40.0]
    tracks = [walks.motorway(2000.0, lanes, UNTIL, generator(k), wrap=False) for k in range(MANY)]
    assert {float(way.y_m[0]) for way in tracks} == {-1.875, -5.625, 1.875, 5.625}
    for way in tracks:
        speed = 20.0 if abs(way.y_m[0]) < 2 else 40.0
        assert (way.enters_s, way.leaves_s) == tuple(way.times_s)
        assert way.leaves_s - way.enters_s == pytest.approx(2000 / speed)
        assert way.x_m.tolist() == ([0, 2000] if way.y_m[0] < 0 else [2000, 0])
    # On the way at a time: a share of pass / (pass + until), in the mean over both lanes.
    share = (100 / 700 + 50 / 650) / 2
    for now in (0.0, 300.0, 599.0):
        there = [way for way in tracks if way.enters_s <= now < way.leaves_s]
        within([way in there for way in tracks], share)
        within([way.position(now)[0] for way in there], 1000.0)


def test_a_motorway_may_begin_again_at_its_end() -> None:
    tracks = [walks.motorway(2000.0, [25.0], UNTIL, generator(k), wrap=True) for k in range(300)]
    for now in (0.0, 300.0, 599.0):
        within([way.position(now)[0] for way in tracks], 1000.0)
    way = tracks[0]
    assert way.times_s[-1] >= UNTIL
    assert way.position(100.0) == pytest.approx(way.position(100.0 + 80.0 + 1e-6))
    near = presence(way, (1000.0, 0.0), 250.0)  # 500 m of 2 000 m, and an instant on the way back
    times = np.linspace(0, 560, 7001)
    assert np.mean([near.at(now) for now in times]) == pytest.approx(0.25, abs=0.01)
