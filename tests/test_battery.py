"""Charges and the moments at which they meet a level, against following them piece by piece."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from offload.world.battery import DAY_S, Battery, solar
from offload.world.rate import INFINITE, Rate

QUARTERS = st.integers(0, 40).map(lambda n: n / 4)


@st.composite
def batteries(draw: st.DrawFn) -> Battery:
    watts = draw(st.lists(QUARTERS, min_size=1, max_size=5))
    times = tuple(
        float(t) for t in np.cumsum([0, *draw(st.lists(st.integers(1, 6), min_size=4, max_size=4))])
    )
    period = times[len(watts) - 1] + draw(st.integers(1, 5)) if draw(st.booleans()) else INFINITE
    return Battery(draw(st.integers(4, 100)) / 2, Rate(times[: len(watts)], tuple(watts), period))


def course(
    battery: Battery, charge: float, begin: float, draw_w: float, until: float
) -> list[tuple[float, float]]:
    """Return moments and charges, 1/4 s after one another: all that changes here is on that grid."""
    found, now = [(begin, charge)], begin
    while now < until:
        charge += (battery.harvest_w.at(now) - draw_w) * 0.25
        charge = min(max(charge, 0.0), battery.capacity_j)
        now += 0.25
        found.append((now, charge))
    return found


@given(batteries(), st.floats(0, 1), QUARTERS, QUARTERS, QUARTERS)
def test_charges_agree_with_following_them(
    battery: Battery, share: float, begin: float, length: float, draw_w: float
) -> None:
    charge = share * battery.capacity_j
    expected = course(battery, charge, begin, draw_w, begin + length)[-1][1]
    assert battery.after(charge, begin, begin + length, draw_w) == pytest.approx(expected)


@given(batteries(), st.integers(0, 8), st.integers(0, 8), QUARTERS, QUARTERS)
@example(Battery(10.0, Rate((0.0, 1.0), (0.0, 3.0), 2.0)), 8, 0, 0.0, 2.0)  # half a joule less each lap
@example(Battery(10.0, Rate((0.0, 1.0), (0.0, 4.0), 2.0)), 8, 0, 0.0, 2.0)  # in balance for ever
@example(Battery(10.0, Rate((0.0, 5.0), (9.0, 0.0), 20.0)), 4, 2, 0.0, 1.0)  # full in each lap
def test_levels_are_met_when_following_meets_them(
    battery: Battery, eighths: int, level_eighths: int, begin: float, draw_w: float
) -> None:
    charge, level = eighths / 8 * battery.capacity_j, level_eighths / 8 * battery.capacity_j
    horizon = begin + 600.0
    followed = course(battery, charge, begin, draw_w, horizon)
    for down, found in (
        (True, battery.falls_to(charge, begin, level, draw_w)),
        (False, battery.rises_to(charge, begin, level, draw_w)),
    ):
        met = [now for now, at in followed if (at <= level + 1e-9 if down else at >= level - 1e-9)]
        if found > horizon + 1e-6:
            assert not met
        else:  # met within the step that ends at the first such moment
            assert met
            assert met[0] - 0.25 - 1e-6 <= found <= met[0] + 1e-6
            assert (
                battery.after(charge, begin, found, draw_w) == pytest.approx(level, abs=1e-6)
                or found == begin
            )


def test_by_hand() -> None:
    plain = Battery(100.0)
    assert plain.after(50.0, 10.0, 30.0, 2.0) == 10.0
    assert plain.after(50.0, 10.0, 60.0, 2.0) == 0.0
    assert plain.falls_to(50.0, 10.0, 0.0, 2.0) == 35.0
    assert plain.falls_to(50.0, 10.0, 20.0, 2.0) == 25.0
    assert plain.falls_to(50.0, 10.0, 60.0, 2.0) == 10.0  # it is already lower
    assert plain.falls_to(50.0, 10.0, 0.0, 0.0) == INFINITE
    assert plain.rises_to(50.0, 10.0, 60.0, 0.0) == INFINITE
    assert plain.falls_to(50.0, 10.0, -1.0, 2.0) == INFINITE
    assert plain.rises_to(50.0, 10.0, 101.0, 2.0) == INFINITE
    lit = Battery(100.0, Rate((0.0, 10.0), (0.0, 5.0)))
    assert lit.after(50.0, 0.0, 12.0, 2.0) == 36.0
    assert lit.rises_to(50.0, 0.0, 45.0, 2.0) == 0.0  # it is higher
    assert lit.rises_to(40.0, 0.0, 45.0, 2.0) == pytest.approx(10 + 25 / 3)  # 20 J left when light comes
    assert lit.after(0.0, 0.0, 1e6, 2.0) == 100.0  # what does not fit is lost


def test_energy_adds_up_while_no_bound_is_met() -> None:
    battery = Battery(1e6, solar(10.0))
    begin, end = 3e4, 9e5
    found = battery.after(5e5, begin, end, 3.0)
    assert found - 5e5 == pytest.approx(battery.harvest_w.amount(begin, end) - 3.0 * (end - begin))


def test_a_slow_decline_over_many_days_is_not_followed_day_by_day() -> None:
    # 1 J less every day: empty after ten thousand days or so, in the night before.
    day_j = 2 / math.pi * 10.0 * 12 * 3600
    battery = Battery(1e6, solar(10.0))
    draw_w = (day_j + 1.0) / DAY_S
    found = battery.falls_to(5e5, 0.0, 0.0, draw_w)
    assert found < INFINITE
    assert battery.after(5e5, 0.0, 5 * DAY_S, draw_w) == pytest.approx(5e5 - 5.0)
    # At that moment the sum of all is nought; and just before it, as a day before, it was not.
    left = 5e5 + battery.harvest_w.amount(0.0, found) - draw_w * found
    assert left == pytest.approx(0.0, abs=1e-2)
    assert 5e5 + battery.harvest_w.amount(0.0, found - DAY_S) - draw_w * (found - DAY_S) > 0.5


def test_a_solar_day() -> None:
    rate = solar(100.0)
    assert rate.period_s == DAY_S
    assert rate.amount(0.0, DAY_S) == pytest.approx(2 / math.pi * 100 * 12 * 3600)
    assert rate.at(5.9 * 3600) == 0.0
    assert rate.at(18.1 * 3600) == 0.0
    noon = 100 * 12 / math.pi * math.sin(math.pi / 12)  # the mean of the hour before it
    assert rate.at(11.5 * 3600) == pytest.approx(noon)
    assert rate.at(12.5 * 3600) == pytest.approx(noon)
    assert solar(100.0, cloud_factor=0.3).amount(0.0, DAY_S) == pytest.approx(
        0.3 * rate.amount(0.0, DAY_S)
    )


@given(st.floats(0, 11), st.floats(12, 24), st.floats(0, 48), st.integers(1, 200))
def test_a_solar_day_gives_the_same_whatever_its_steps_and_start(
    sunrise: float, sunset: float, starts: float, steps: int
) -> None:
    rate = solar(7.0, sunrise, sunset, 0.5, starts, steps)
    whole = 2 / math.pi * 3.5 * (sunset - sunrise) * 3600
    assert rate.amount(0.0, DAY_S) == pytest.approx(whole)
    # Every step holds the mean of the half-sine over it.
    for step in range(0, steps, max(1, steps // 5)):
        moments = (
            (starts * 3600 + (step + (np.arange(4000) + 0.5) / 4000) * DAY_S / steps) % DAY_S / 3600
        )
        lit = (moments - sunrise) / (sunset - sunrise)
        watts = np.where((lit > 0) & (lit < 1), 3.5 * np.sin(np.pi * lit), 0.0)
        assert rate.at((step + 0.5) * DAY_S / steps) == pytest.approx(watts.mean(), rel=1e-3, abs=1e-3)
