"""Radio lines against their table, and slower clocks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.energy import Line, Radio
from offload.world.power import KAPPA, RADIOS, at_share, cycles_j

LTE = RADIOS["lte"]
TICKING = Radio(Line(1.0, 0.0), Line(1.0, 0.0), "assumed", "a test", tail_s=4.0, tail_w=0.5,
                promotion_s=2.0, promotion_w=0.75)  # fmt: skip


def crossing_bps(a: Line, b: Line) -> float:
    """Return the rate at which two lines draw the same."""
    return (b.base_w - a.base_w) / (a.j_per_bit - b.j_per_bit)


def test_lines_are_those_of_the_table() -> None:
    # 10 Mbit/s up on LTE: 438.39 x 10 + 1288.04 mW.
    assert LTE.up.watts(10e6) == pytest.approx(5.67194)
    assert LTE.down.watts(10e6) == pytest.approx(1.80774)
    assert RADIOS["wifi"].up.watts(1e6) == pytest.approx(0.41603)
    assert RADIOS["3g"].down.watts(2e6) == pytest.approx(1.06212)


def test_joules_are_power_times_air_time() -> None:
    size, rate = 60_000.0, 12e6
    air_s = 8 * size / rate
    assert LTE.up_j(size, air_s) == pytest.approx(LTE.up.watts(rate) * air_s)
    assert LTE.down_j(size, air_s) == pytest.approx(LTE.down.watts(rate) * air_s)
    phone = RADIOS["phone-mmwave"]
    assert phone.up_j(size, air_s) == pytest.approx((5.664 + 8.88e-3 * 12 - 2.34) * air_s)
    assert phone.down_j(size, air_s) == pytest.approx((5.237 + 1.73e-3 * 12 - 2.34) * air_s)


def test_where_mmwave_draws_less() -> None:
    up = {name: RADIOS[f"phone-{name}"].up for name in ("lte", "nsa-low", "mmwave")}
    assert crossing_bps(up["lte"], up["mmwave"]) / 1e6 == pytest.approx(40.4, abs=0.05)
    assert crossing_bps(up["nsa-low"], up["mmwave"]) / 1e6 == pytest.approx(105.8, abs=0.05)
    # Both lie beyond what was measured of the slower of the two.
    assert up["lte"].extrapolates(40.4e6)
    assert up["nsa-low"].extrapolates(105.8e6)
    assert not up["mmwave"].extrapolates(105.8e6)


def test_every_radio_says_how_it_is_known() -> None:
    assert {name: radio.known for name, radio in RADIOS.items()} == {
        "lte": "assumed", "3g": "assumed", "wifi": "assumed",
        "phone-lte": "published", "phone-nsa-low": "published", "phone-mmwave": "published",
    }  # fmt: skip
    for name, radio in RADIOS.items():
        assert (radio.phone_w > 0) == name.startswith("phone") == ("whole phone" in radio.source)
        assert radio.up.base_w > radio.phone_w
        assert "{" not in radio.source


def test_a_tail_is_cut_short_by_the_next_transfer() -> None:
    assert [TICKING.tail_j(gap) for gap in (0, 1, 4, 9)] == [0, 0.5, 2, 2]
    assert [TICKING.sleeps_after(gap) for gap in (1, 4, 4.1)] == [False, False, True]


def test_slower_clocks_take_longer_and_save_energy() -> None:
    assert at_share(0.1, 4.0, 1.0) == (0.1, 0.4)
    assert at_share(0.1, 4.0, 0.5) == pytest.approx((0.2, 0.1))  # a quarter of the joules


@given(st.floats(1e6, 1e10), st.floats(1e8, 3e9), st.floats(0.1, 1))
def test_the_cube_law_is_that_of_kappa(cycles: float, full_hz: float, share: float) -> None:
    watts = KAPPA.value * full_hz**3
    found = at_share(cycles / full_hz, watts, share)
    assert found.latency_s == pytest.approx(cycles / (share * full_hz))
    assert found.energy_j == pytest.approx(cycles_j(cycles, share * full_hz))


def test_kappa_by_hand() -> None:
    # A billion cycles at 1 GHz: 1e-26 x 1e18 x 1e9 joules in a second.
    assert cycles_j(1e9, 1e9) == pytest.approx(10.0)
    assert KAPPA.known == "assumed"
