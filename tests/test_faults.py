"""Outages, stragglers and blackouts: unions, availability, and work that pauses or slows down."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.scenario.breaking import FaultTable, speeds
from offload.streams import Streams
from offload.world.faults import Window, breakdowns, during, merged
from offload.world.rate import INFINITE, Rate, product

T_999 = 3.66  # Student's 99.9 % two-sided quantile of 29 degrees of freedom
STARTS = st.integers(0, 30).map(float)
WINDOWS = st.lists(
    st.builds(lambda begin, length: (begin, begin + length), STARTS, st.integers(0, 9)), max_size=8
)


def stream(number: int) -> np.random.Generator:
    return Streams(5, number).generator("faults", "cabinet")


def inside(windows: list[Window], now: float) -> bool:
    return any(begin <= now < end for begin, end in windows)


def finish(windows: list[Window], begin: float, work: int, slower: int | None) -> float:
    """Return when work is done, in ticks of a second that outages skip and stragglers repeat."""
    now, left = begin, float(work)
    while left > 1e-9:
        left -= (0.0 if slower is None else 1 / slower) if inside(windows, now) else 1.0
        now += 1.0
    return now


@given(WINDOWS)
def test_a_union_holds_what_any_of_its_windows_holds(windows: list[Window]) -> None:
    found = merged(windows)
    for now in np.arange(0, 40, 0.5):
        assert inside(list(found), now) == inside(windows, now)
    assert all(begin < end for begin, end in found)
    assert all(a[1] < b[0] for a, b in pairwise(found))


@given(WINDOWS, st.sampled_from([0.0, 0.25, 1.0]))
def test_the_rate_of_windows(windows: list[Window], speed: float) -> None:
    rate = during(windows, speed)
    for now in np.arange(0, 40, 0.5):
        assert rate.at(now) == (speed if inside(windows, now) else 1.0)
    if speed == 0.0:  # a change is the begin or the end of an outage
        edges = {edge for window in merged(windows) for edge in window} - {0.0}
        now, changes = 0.0, set()
        while (now := rate.changes_after(now)) < INFINITE:
            changes.add(now)
        assert changes == edges


@given(WINDOWS, st.integers(0, 30), st.integers(1, 20), st.sampled_from([None, 2, 4]))
def test_ends_finishes_work_that_pauses_and_work_that_slows_down(
    windows: list[Window], begin: int, work: int, slower: int | None
) -> None:
    # One inverse does for both: Rate.ends with speed 0, and with speed 1 / k.
    found = during(windows, 1 / slower if slower else 0.0).ends(float(begin), float(work))
    expected = finish(windows, float(begin), work, slower)
    # Ticks are whole seconds: where a straggler ends its work within one, it is done up to one earlier.
    assert expected - 1.0 < found <= expected + 1e-9
    if slower is None:
        assert found == pytest.approx(expected)


def test_by_hand() -> None:
    down = during([(10.0, 20.0)], 0.0)
    assert down.ends(8.0, 2.0) == 10.0
    assert down.ends(8.0, 3.0) == 21.0
    assert down.ends(15.0, 1.0) == 21.0
    slow = during([(10.0, 20.0)], 1 / 5)
    assert slow.ends(8.0, 3.0) == pytest.approx(15.0)  # two seconds of work in two, one in five
    assert slow.ends(8.0, 6.0) == pytest.approx(22.0)
    assert during([(0.0, 5.0), (30.0, INFINITE)], 0.0) == Rate((0.0, 5.0, 30.0), (0.0, 1.0, 0.0))
    assert during([(0.0, INFINITE)], 0.0).ends(0.0, 1.0) == INFINITE
    assert during([], 0.0) == Rate.constant(1.0)


def test_faults_that_meet_multiply_and_a_blackout_silences_a_link() -> None:
    slow, down = during([(1.0, 8.0)], 0.5), during([(4.0, 6.0)], 0.0)
    link = Rate((0.0, 5.0), (8e6, 2e6))
    assert product([link, slow, down]) == Rate((0.0, 1.0, 4.0, 6.0, 8.0), (8e6, 4e6, 0.0, 1e6, 2e6))


@pytest.mark.parametrize(("mtbf", "mttr"), [(90.0, 10.0), (1.0, 1.0), (5.0, 20.0)])
def test_availability_is_mtbf_over_mtbf_and_mttr(mtbf: float, mttr: float) -> None:
    until = 100 * (mtbf + mttr)
    shares = []
    for number in range(30):
        windows = breakdowns(mtbf, mttr, until, stream(number))
        shares.append(during(windows, 0.0).amount(0.0, until) / until)
        assert merged(windows) == windows
    error = np.std(shares, ddof=1) / np.sqrt(30)
    assert 0 < error < 0.02
    assert abs(np.mean(shares) - mtbf / (mtbf + mttr)) <= T_999 * error


def test_times_up_and_down_are_exponential() -> None:
    windows = breakdowns(30.0, 6.0, 36_000.0, stream(0))
    down = np.array([end - begin for begin, end in windows])
    up = np.array([b[0] - a[1] for a, b in pairwise(windows)])
    for lengths, mean in ((down, 6.0), (up, 30.0)):
        n = len(lengths)
        expected = 1 - np.exp(-np.sort(lengths) / mean)  # Kolmogorov and Smirnov, 99.9 %
        assert np.abs(expected - (np.arange(n) + 0.5) / n).max() < 1.95 / np.sqrt(n)


def test_down_at_first_in_its_steady_share() -> None:
    # Else the start of every replication would be calmer than the rest.
    first = sum(bool(breakdowns(3.0, 1.0, 1e-9, stream(n))) for n in range(1000))
    assert abs(first - 250) < 3.3 * np.sqrt(1000 * 0.25 * 0.75)


@given(st.integers(0, 500), st.floats(1, 300), st.floats(1, 300))
def test_a_longer_run_breaks_down_as_a_shorter_one_does(number: int, a: float, b: float) -> None:
    short, long = sorted((a, b))
    fewer, more = (breakdowns(2.0, 1.0, until, stream(number)) for until in (short, long))
    assert more[: len(fewer)] == fewer
    assert all(begin < short for begin, _ in fewer)
    assert all(begin >= short for begin, _ in more[len(fewer) :])


@pytest.mark.parametrize(
    "times", [(0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (INFINITE, 1.0, 1.0), (1.0, 1.0, INFINITE)]
)
def test_times_that_cannot_be_are_refused(times: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="must be above 0, and all times finite"):
        breakdowns(*times, stream(0))


def test_things_of_one_fault_fail_together_and_faults_of_one_thing_multiply() -> None:
    tables = {
        "power": FaultTable(of=["cabinet", "cell"], windows=[("3 s", "5 s"), ("9 s", "10 s")]),
        "heat": FaultTable(of=["cabinet"], windows=[("4 s", "6 s")], slower=4.0),
    }
    found = speeds(tables, 20.0, Streams(1, 0))
    assert found["cell"] == during([(3.0, 5.0), (9.0, 10.0)], 0.0)
    assert found["cabinet"] == Rate((0.0, 3.0, 5.0, 6.0, 9.0, 10.0), (1.0, 0.0, 0.25, 1.0, 0.0, 1.0))
