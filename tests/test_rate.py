"""Integrals of stepwise rates and their inverse, against walking the pieces in exact fractions."""

import math
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from offload.world.rate import INFINITE, Rate, product

STARTS = Rate((0.0, 10.0, 20.0), (1.0, 0.0, 2.0))
LOOPED = Rate((0.0, 10.0, 20.0), (1.0, 0.0, 2.0), 30.0)
AGAIN = Rate((0.0, 2.0, 3.0), (5.0, 1.0, 5.0), 4.0)  # the last piece goes on into the next lap

VALUES = st.one_of(st.just(0.0), st.integers(1, 4).map(float), st.floats(0.01, 1e7))
MOMENTS = st.one_of(st.integers(0, 60).map(lambda n: n / 2), st.floats(0, 300))


@st.composite
def rates(draw: st.DrawFn, *, loops: bool | None = None) -> Rate:
    """Draw a rate on a grid, where things meet exactly, or anywhere."""
    gap = st.integers(1, 5).map(float) if draw(st.booleans()) else st.floats(0.01, 5)
    values = draw(st.lists(VALUES, min_size=1, max_size=8))
    times = [0.0]
    for _ in values[1:]:
        times.append(times[-1] + draw(gap))
    looped = draw(st.booleans()) if loops is None else loops
    return Rate(tuple(times), tuple(values), times[-1] + draw(gap) if looped else INFINITE)


def pieces(rate: Rate) -> list[tuple[Fraction, Fraction]]:
    """Return the lengths, but for a last that is infinite, and the values of one lap, exactly."""
    ends = rate.edges_s[1:] if rate.period_s < INFINITE else (*rate.edges_s[1:-1], 1e15)
    return [
        (Fraction(end) - Fraction(begin), Fraction(value))
        for begin, end, value in zip(rate.times_s, ends, rate.values, strict=True)
    ]


def walked(rate: Rate, until: Fraction) -> Fraction:
    """Integrate from 0, piece after piece, lap after lap."""
    lap = pieces(rate)
    laps = 0
    if rate.period_s < INFINITE:
        laps, until = divmod(until, Fraction(rate.period_s))
    total = laps * sum(length * value for length, value in lap)
    for length, value in lap:
        total += value * max(Fraction(0), min(length, until))
        until -= length
    return total


@given(rates(), MOMENTS, MOMENTS)
def test_amounts_agree_with_walking(rate: Rate, begin: float, other: float) -> None:
    begin, end = sorted((begin, other))
    expected = walked(rate, Fraction(end)) - walked(rate, Fraction(begin))
    assert rate.amount(begin, end) == pytest.approx(float(expected), rel=1e-9, abs=1e-6)


@given(rates(), MOMENTS, st.one_of(st.integers(1, 400).map(float), st.floats(1e-9, 1e9)))
@example(LOOPED, 5.0, 25.0)
@example(LOOPED, 15.0, 30.0)
@example(LOOPED, 29.0, 3e5)
@example(Rate((0.0, 1.0), (0.0, 1.0), 2.0), 0.0, 3.0)
@example(Rate((0.0, 0.1), (0.0, 0.1), 0.3), 0.3, 0.06)
def test_ends_is_the_first_moment_that_suffices(rate: Rate, begin: float, amount: float) -> None:
    end = rate.ends(begin, amount)
    most = max(rate.values)
    if end == INFINITE:
        lap = sum(length * value for length, value in pieces(rate))
        rest = walked(rate, Fraction(10**15)) - walked(rate, Fraction(begin))
        assert lap == 0 if rate.period_s < INFINITE else rest < amount
        return
    assert end >= begin
    slack = Fraction(amount) * Fraction(1, 10**11) + Fraction(most) * Fraction(1 + end) * Fraction(
        1, 10**14
    )
    start = walked(rate, Fraction(begin))
    assert walked(rate, Fraction(end)) - start >= Fraction(amount) - slack
    # And no earlier: a moment before, less had been done; so no stretch of zero was waited out in vain.
    earlier = Fraction(end) - Fraction(1 + end) * Fraction(1, 10**9)
    if earlier > begin:
        assert walked(rate, earlier) - start < Fraction(amount)


@given(rates(), MOMENTS, st.floats(0, 1e9), st.floats(0, 1e9))
def test_two_amounts_in_turn_end_when_their_sum_does(
    rate: Rate, begin: float, a: float, b: float
) -> None:
    middle = rate.ends(begin, a)
    end = rate.ends(middle, b) if middle < INFINITE else INFINITE
    whole = rate.ends(begin, a + b)
    if min(end, whole) == INFINITE or rate.amount(min(end, whole), max(end, whole)) > 1e-9 * (a + b):
        assert end == pytest.approx(whole, rel=1e-9, abs=1e-6)


@given(rates(), MOMENTS)
def test_changes_come_one_after_another_and_are_done_when_they_come(rate: Rate, now: float) -> None:
    for _ in range(40):
        change = rate.changes_after(now)
        assert change > now
        if change == INFINITE:
            assert len(set(rate.values)) == 1 or rate.period_s == INFINITE
            assert rate.at(now) == rate.at(now + 1e6) or rate.period_s < INFINITE
            return
        before = rate.at(now)
        assert rate.at((now + change) / 2) == before
        assert rate.at(change) != before
        now = change


@given(rates(), st.integers(0, 10**6))
def test_every_change_of_a_late_lap_is_seen(rate: Rate, lap: int) -> None:
    # A clock that wakes at each change must find the new rate in force, however late and odd the sums.
    if rate.period_s == INFINITE or len(rate.values) == 1:
        return
    seen, now = [], lap * rate.period_s
    for _ in rate.values:
        seen.append(rate.at(now))
        now = rate.changes_after(now)
    assert set(seen) == set(rate.values)


def test_by_hand() -> None:
    assert [STARTS.at(now) for now in (0, 9.9, 10, 20, 1e9)] == [1, 1, 0, 2, 2]
    assert [STARTS.changes_after(now) for now in (0, 10, 19, 20)] == [10, 20, 20, INFINITE]
    assert STARTS.amount(5, 21) == 7
    assert STARTS.ends(5, 5) == 10  # done before the rate falls to zero
    assert STARTS.ends(5, 6) == 20.5
    assert STARTS.ends(12, 0) == 12
    assert LOOPED.amount(0, 30) == 30
    assert LOOPED.ends(65, 3e4) == 65 + 3e4
    assert [LOOPED.changes_after(now) for now in (29, 30, 65)] == [30, 40, 70]
    assert Rate.constant(0).ends(3, 1) == INFINITE
    assert Rate((0.0, 5.0), (3.0, 0.0)).ends(4, 3.1) == INFINITE
    assert Rate((0.0, 5.0), (0.0, 0.0), 6.0).ends(4, 1) == INFINITE


def test_what_goes_on_into_the_next_lap_is_no_change() -> None:
    assert [AGAIN.changes_after(now) for now in (2.5, 3.5, 4.0, 6.0)] == [3, 6, 6, 7]


def test_equal_neighbours_are_one_piece() -> None:
    rate = Rate((0.0, 1.0, 2.0, 3.0), (4.0, 4.0, 0.0, 0.0))
    assert rate == Rate((0.0, 2.0), (4.0, 0.0))
    assert rate.changes_after(0) == 2


def test_what_ends_as_an_outage_begins_is_not_held_up_by_rounding() -> None:
    # In binary 0.1 + 0.2 is more than 0.3; a server that does so much until then is done.
    rate = Rate((0.0, 0.3, 100.0), (1.0, 0.0, 1.0))
    assert rate.ends(0.0, 0.1 + 0.2) == pytest.approx(0.3)
    steps = Rate((0.0, 0.1, 0.3, 100.0), (2.0, 1.0, 0.0, 1.0))
    assert steps.ends(0.0, 0.1 + 0.1 + 0.1 + 0.1) == pytest.approx(0.3)


def test_what_is_too_little_to_count_ends_at_once_and_not_before() -> None:
    # After 1e13 bits, a millionth of one is less than the sum can tell.
    rate = Rate((0.0, 1e6, 2e6), (1e7, 0.0, 1.0))
    assert rate.ends(1.5e6, 1e-6) in {1.5e6, 2e6 + 1e-6}


def test_whole_laps_are_counted_right_whatever_the_rounding() -> None:
    # A lap's sum, many times over, divided by itself may be more than so many.
    for part in range(1, 200):
        lap = part / 199
        rate = Rate((0.0, 1.0, 2.0), (0.0, lap, 0.0), 3.0)
        for laps in range(1, 30):
            # Less the trillionth forgiven, whole laps: done as one ends, or as the next gives more.
            exact = laps * lap * (1 + 1e-12)
            for amount in (math.nextafter(exact, 0), exact, math.nextafter(exact, math.inf)):
                end = rate.ends(0.0, amount)
                assert min(abs(end - 3 * laps + 1), abs(end - 3 * laps - 1)) < 1e-9


def test_many_laps_are_skipped_not_walked() -> None:
    rate = Rate((0.0, 0.5), (0.0, 1.0), 1.0)
    assert rate.ends(0.0, 1e12) == pytest.approx(2e12)


@given(st.lists(rates(), min_size=1, max_size=3), MOMENTS)
def test_a_product_is_the_product_at_every_moment(factors: list[Rate], now: float) -> None:
    found = product(factors, until_s=300.1)
    assert found.at(now) == pytest.approx(math.prod(rate.at(now) for rate in factors))
    assert found.period_s == INFINITE


def test_a_product_of_what_repeats_must_end() -> None:
    with pytest.raises(ValueError, match="needs a time up to which"):
        product([LOOPED, STARTS])
    assert product([STARTS, STARTS]) == Rate((0.0, 10.0, 20.0), (1.0, 0.0, 4.0))
    assert product([]) == Rate.constant(1.0)
    assert product([LOOPED], until_s=60.0).at(1e6) == 2.0  # as it was at last
    assert product([STARTS], until_s=20.0).at(1e6) == 0.0


@pytest.mark.parametrize(
    ("times", "values", "period", "message"),
    [
        ((), (), INFINITE, "as many values as times, and one at least"),
        ((0.0,), (1.0, 2.0), INFINITE, "as many values as times"),
        ((1.0,), (1.0,), INFINITE, "rise strictly from 0"),
        ((0.0, 2.0, 2.0), (1.0, 2.0, 3.0), INFINITE, "rise strictly from 0"),
        ((0.0, 2.0), (1.0, 2.0), 2.0, "a period of 2 s ends before the last of its times, 2 s"),
        ((0.0,), (1.0,), float("nan"), "a period of nan s"),
        ((0.0,), (-1.0,), INFINITE, "finite and not negative"),
        ((0.0,), (INFINITE,), INFINITE, "finite and not negative"),
        ((0.0,), (float("nan"),), INFINITE, "finite and not negative"),
    ],
)  # fmt: skip
def test_what_is_no_rate_is_refused(
    times: tuple[float, ...], values: tuple[float, ...], period: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Rate(times, values, period)
