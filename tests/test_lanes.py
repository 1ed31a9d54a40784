"""Lanes: none overlaps, no more than are needed; batches, devices and servers have theirs."""

from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.analysis.spans import SCHEMA
from offload.scenario.load import load
from offload.views.lanes import OVERLAP, WAITS, WORKS, Track, slices
from tests.hand_made import ROOT

# Two cars, an edge server (cabinet) and a cloud (region) with one server each.
SETTING = load(ROOT / "tests" / "small.toml").setting(0.0)
INTERVALS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30)), min_size=1, max_size=40)


def sliced(legs, batches=()):
    """Cut legs (request, device, leg, place, begin, end, work; microseconds) into slices."""
    rows = [(r, d, leg, p, 1e-6 * b, 1e-6 * e, 1e-6 * w) for r, d, leg, p, b, e, w in legs]
    table = pl.DataFrame(rows, SCHEMA, orient="row").sort("begin_s")
    sizes = pl.DataFrame(list(batches), {"request": pl.Int64, "batch": pl.Int32}, orient="row")
    return list(slices(table, sizes, SETTING))


@given(INTERVALS)
def test_messages_have_as_many_lanes_as_are_on_their_way_at_once(intervals):
    legs = [
        (n, "car-0", "uplink", "cell", begin, begin + took, took)
        for n, (begin, took) in enumerate(intervals)
    ]
    found = sliced(legs)
    assert sorted((s.request, s.begin_us, s.end_us) for s in found) == [
        (n, begin, begin + took) for n, (begin, took) in enumerate(intervals)
    ]
    lanes = {s.track.number for s in found}
    for lane in lanes:
        its = sorted((s.begin_us, s.end_us) for s in found if s.track.number == lane)
        assert all(one[1] <= other[0] for one, other in pairwise(its))
    most = max(sum(begin <= at < begin + took for begin, took in intervals) for at in range(91))
    assert lanes == set(range(most))
    assert {s.track.process for s in found} == {("cell", "cell")}


def test_a_leg_is_waiting_and_then_work():
    (waits, works) = sliced([(1, "car-0", "edge", "cabinet", 10, 40, 5)])
    assert (waits.kind, waits.begin_us, waits.end_us) == (WAITS, 10, 35)
    assert (works.kind, works.begin_us, works.end_us) == (WORKS, 35, 40)
    assert (waits.track, works.track) == (
        Track(("edge", "cabinet"), "waiting", 0), Track(("edge", "cabinet"), "server", 0),
    )  # fmt: skip
    assert (waits.track.title, works.track.title) == ("waiting 1", "server 1")


def test_deciding_and_computing_have_lanes_of_their_device():
    legs = [
        (1, "car-0", "decide", "car-0", 0, 4, 4),
        (1, "car-0", "device", "car-0", 4, 9, 5),
        (2, "car-0", "device", "car-0", 6, 20, 11),
        (3, "car-1", "device", "car-1", 6, 8, 2),
    ]
    titles = [(s.request, s.track.title) for s in sliced(legs)]
    assert titles == [
        (1, "car-0 waiting"),
        (1, "car-0"),
        (3, "car-1"),
        (2, "car-0 waiting"),
        (2, "car-0"),
    ]
    assert {s.track.process for s in sliced(legs)} == {("devices", "car")}


def test_what_no_server_is_left_for_has_a_lane_of_its_own():
    legs = [(n, "car-0", "cloud", "region", 0, 9 + n, 9) for n in range(3)]
    assert [s.track.title for s in sliced(legs) if s.kind == WORKS] == [
        "server 1",
        "overlap 1",
        "overlap 2",
    ]
    # A node of which nobody knows has as many as it needs.
    legs = [(n, "car-0", "edge", "elsewhere", 0, 9, 9) for n in range(3)]
    assert {s.track.name for s in sliced(legs)} == {"server"}
    assert OVERLAP == "overlap"


@pytest.mark.parametrize("batches", [1, 2])
def test_members_of_a_batch_stand_one_behind_the_other(batches):
    """Three that came at 0, 2 and 4 and end at 30 after 5 each; a second batch like it has its own."""
    legs = [(n, "car-0", "edge", "cabinet", 2 * (n % 3), 30, 5) for n in range(3 * batches)]
    found = sliced(legs, [(n, 3) for n in range(3 * batches)])
    works = sorted((s.begin_us, s.end_us) for s in found if s.kind == WORKS)
    assert works == sorted([(15, 20), (20, 25), (25, 30)] * batches)
    for number in range(3 * batches):
        its = [s for s in found if s.request == number]
        assert sum(s.end_us - s.begin_us for s in its) == 30 - 2 * (number % 3)
        assert all(one.end_us == other.begin_us for one, other in pairwise(its))
    # Of two that merely end together each is at its end.
    found = sliced(legs, [(n, 1) for n in range(3 * batches)])
    assert {(s.begin_us, s.end_us) for s in found if s.kind == WORKS} == {(25, 30)}
