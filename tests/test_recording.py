"""Recordings: which points are kept, and what a recording cannot be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.world import recording
from offload.world.recording import Recording, TraceError

INFINITE = float("inf")


def record(ways: dict[str, dict[float, tuple[float, float]]], **options: float) -> Recording:
    """Record vehicles, of each of which the places at some times are given."""
    found = Recording(**options)
    for now in sorted({now for way in ways.values() for now in way}):
        there = {name: way[now] for name, way in ways.items() if now in way}
        codes = [found.code(name) for name in there]
        found.step(now, codes, *zip(*there.values(), strict=True))
    return found


@st.composite
def drives(draw: st.DrawFn) -> dict[str, dict[float, tuple[float, float]]]:
    """Draw vehicles that change their speed now and then; positions have two decimals."""
    ways = {}
    for number in range(draw(st.integers(1, 4))):
        now, x, y, way = draw(st.integers(0, 5)), 0.0, float(number), {}
        for steps, dx, dy in draw(
            st.lists(st.tuples(st.integers(1, 6), *[st.floats(-30, 30)] * 2), min_size=1, max_size=6)
        ):
            for _ in range(steps):
                way[now] = (round(x, 2), round(y, 2))
                now, x, y = now + 1, x + dx, y + dy
        ways[str(number)] = way
    return ways


@given(drives(), st.sampled_from([0.01, 0.5, 3.0]))
def test_no_recorded_place_is_missed_by_more_than_the_tolerance(ways, tolerance: float) -> None:
    tracks = record(ways, tolerance_m=tolerance).tracks()
    last = max(now for way in ways.values() for now in way)
    assert set(tracks) == set(ways)
    for name, way in ways.items():
        track = tracks[name]
        assert (np.diff(track.times_s) > 0).all()
        for now, (x, y) in way.items():
            there = track.position(now)
            assert abs(there[0] - x) <= tolerance + 1e-9
            assert abs(there[1] - y) <= tolerance + 1e-9
        assert track.enters_s == min(way)
        assert track.leaves_s == (INFINITE if max(way) == last else max(way))
        assert track.position(max(way)) == way[max(way)]


def test_only_turns_are_kept() -> None:
    way = {float(k): (10.0 * min(k, 50), 0.0) for k in range(100)}  # drives for 50 s, then stands
    (track,) = record({"a": way}).tracks().values()
    assert track.times_s.tolist() == [0, 50, 99]
    assert track.x_m.tolist() == [0, 500, 500]


def test_a_slow_bend_is_kept_within_the_tolerance() -> None:
    # Each step is nearly straight: what only compares neighbours would keep nothing.
    way = {float(k): (10.0 * k, 0.001 * k * k) for k in range(300)}
    (track,) = record({"a": way}, tolerance_m=0.1).tracks().values()
    assert 5 < len(track.times_s) < 60
    assert max(abs(track.position(now)[1] - y) for now, (_, y) in way.items()) <= 0.1 + 1e-9


def test_time_may_begin_elsewhere_and_vehicles_may_come_by_the_thousand() -> None:
    found = Recording()
    for now in (100.0, 101.0):
        found.step(now, [found.code(str(k)) for k in range(3000)], np.arange(3000.0), np.full(3000, now))
    tracks = found.tracks(from_s=100.0)
    assert list(tracks) == [str(k) for k in range(3000)]
    assert tracks["2999"].times_s.tolist() == [0.0, 1.0]
    assert tracks["2999"].position(0.5) == (2999.0, 100.5)
    assert found.rows == 6000


def test_tracks_can_be_asked_for_again() -> None:
    found = record({"a": {0.0: (0.0, 0.0), 1.0: (1.0, 0.0), 2.0: (1.0, 0.0)}})
    first, second = (found.tracks()["a"].times_s.tolist() for _ in range(2))
    assert first == second == [0, 1, 2]


def test_a_vehicle_of_one_step_is_there_for_no_time() -> None:
    tracks = record({"a": {0.0: (0.0, 0.0)}, "b": {0.0: (0.0, 1.0), 1.0: (0.0, 1.0)}}).tracks()
    assert (tracks["a"].enters_s, tracks["a"].leaves_s) == (0.0, 0.0)
    assert tracks["a"].present_s(10.0) == 0.0


@pytest.mark.parametrize(
    ("ways", "message"),
    [
        (
            {"a": {0.0: (0.0, 0.0), 1.0: (101.0, 0.0)}},
            "vehicle a jumps: 101 m/s is more than top_speed, 100 m/s at time 1",
        ),
        ({"a": {3.0: (float("nan"), 0.0)}}, "vehicle a lies at nan, 0 at time 3"),
        ({"a": {3.0: (0.0, float("inf"))}}, "vehicle a lies at 0, inf at time 3"),
        ({"a": {3.0: (0.0, 2e7)}}, "vehicle a lies at 0, 2e+07 at time 3"),
    ],
)
def test_impossible_places_are_refused(ways, message: str) -> None:
    with pytest.raises(TraceError) as refused:
        record(ways)
    assert str(refused.value) == message


def test_a_jump_is_judged_by_the_time_between() -> None:
    record({"a": {0.0: (0.0, 0.0), 10.0: (990.0, 0.0)}})
    record({"a": {0.0: (0.0, 0.0), 1.0: (990.0, 0.0)}}, top_speed_mps=1000.0)


def test_a_vehicle_at_two_places_and_a_clock_that_goes_back_are_refused() -> None:
    found = Recording()
    a, b = found.code("a"), found.code("b")
    with pytest.raises(TraceError, match="vehicle b is at two places at time 1"):
        found.step(1.0, [b, a, b], [0.0] * 3, [0.0] * 3)
    for now, message in [
        (1.0, "time 1 does not follow 1; sort by time"), (0.5, "does not follow"),
        (float("nan"), "not finite"), (INFINITE, "not finite"),
    ]:  # fmt: skip
        with pytest.raises(TraceError, match=message):
            found.step(now, [], [], [])


def test_too_many_points_or_vehicles_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MOST_POINTS", 5)
    with pytest.raises(TraceError, match="more than 5 points"):
        record({"a": {float(k): (k * k, 0.0) for k in range(9)}})
    monkeypatch.setattr(recording, "MOST_VEHICLES", 2)
    with pytest.raises(TraceError, match="more than 2 vehicles"):
        record({str(k): {0.0: (k, 0.0)} for k in range(3)})
