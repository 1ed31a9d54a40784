"""Efficiencies as TS 38.214 prints them, and rates that follow from them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.world.radio.rates import MCS, STEPS, cqi, gap_db, mcs, noise_dbm, rates_bps, thresholds_db

GAP = gap_db(5e-5)


@pytest.mark.parametrize(
    ("table", "printed"),
    [
        ("cqi-1", (0.1523, 0.2344, 0.3770, 0.6016, 0.8770, 1.1758, 1.4766, 1.9141, 2.4063, 2.7305,
                   3.3223, 3.9023, 4.5234, 5.1152, 5.5547)),
        ("cqi-2", (0.1523, 0.3770, 0.8770, 1.4766, 1.9141, 2.4063, 2.7305, 3.3223, 3.9023, 4.5234,
                   5.1152, 5.5547, 6.2266, 6.9141, 7.4063)),
    ],
)  # fmt: skip
def test_the_printed_efficiencies_of_the_cqi(table: str, printed: tuple[float, ...]) -> None:
    assert STEPS[table][0] == 0
    assert STEPS[table][1:] == pytest.approx(printed, abs=5.1e-5)


@pytest.mark.parametrize(
    ("table", "size", "largest"), [("mcs-1", 29, 5.5547), ("mcs-2", 28, 7.4063), ("mcs-3", 29, 4.5234)]
)
def test_the_tables_of_the_mcs(table: str, size: int, largest: float) -> None:
    assert len(MCS[table]) == size
    assert MCS[table].max() == pytest.approx(largest, abs=5e-5)


def test_rates_of_80211_in_their_bandwidths() -> None:
    # 48 data subcarriers in 8 us at 10 MHz; 234 in 4 us at 80 MHz.
    assert STEPS["802.11-ofdm"][1:] * 48 / 8 == pytest.approx([3, 4.5, 6, 9, 12, 18, 24, 27])
    assert (STEPS["802.11-vht"][1:] * 234 / 4)[[0, 9]] == pytest.approx([29.25, 390])


@pytest.mark.parametrize(
    ("step", "table", "expected"),
    [
        (0, "mcs-1", 0),
        (1, "mcs-1", 0),
        (2, "mcs-1", 0),
        (3, "mcs-1", 2),
        (10, "mcs-1", 18),
        (15, "mcs-1", 28),
    ],
)
def test_the_mcs_that_asks_no_more_than_a_cqi(step: int, table: str, expected: int) -> None:
    assert mcs(STEPS["cqi-1"][step], table) == expected


@pytest.mark.parametrize("table", ["cqi-1", "cqi-2", "802.11-ofdm", "802.11-vht"])
def test_every_step_begins_at_its_threshold(table: str) -> None:
    needed = thresholds_db(table, GAP)
    steps = np.arange(1, len(STEPS[table]))
    assert (np.diff(needed) > 0).all()
    assert cqi(needed + 1e-9, table, GAP).tolist() == steps.tolist()
    assert cqi(needed - 1e-9, table, GAP).tolist() == (steps - 1).tolist()
    # The same the other way round: what Shannon's bound leaves at this SINR behind the gap.
    assert np.log2(1 + 10 ** ((needed - GAP) / 10)) == pytest.approx(STEPS[table][1:])


def test_noise_by_hand() -> None:
    assert noise_dbm(20e6, 9.0) == pytest.approx(-174 + 73.0103 + 9)


def test_a_rate_by_hand() -> None:
    # CQI 15 of table 2 in 100 MHz, three quarters of the time, 14 % overhead.
    rate = rates_bps(np.array([60.0, -20.0]), 100e6, "cqi-2", GAP, 0.75 * 0.86)
    assert rate == pytest.approx([7.40625 * 100e6 * 0.645, 0.0])


@given(
    st.lists(st.floats(-40, 60), min_size=1, max_size=40), st.sampled_from(sorted(STEPS)),
    st.sampled_from([1.0, 0.5, 0.25, 1 / 16]),
)  # fmt: skip
def test_rates_rise_with_the_sinr_and_never_beat_shannon(sinrs, table, narrowest) -> None:
    sinr_db = np.sort(np.array(sinrs))
    rates = rates_bps(sinr_db, 1e6, table, GAP, 1.0, narrowest)
    assert (np.diff(rates) >= 0).all()
    assert (rates <= 1e6 * np.log2(1 + 10 ** (sinr_db / 10))).all()


@given(st.floats(-40, 60), st.sampled_from(sorted(STEPS)))
def test_a_part_of_the_band_is_taken_where_it_is_quicker(sinr, table) -> None:
    sinr_db = np.array([sinr])
    found = rates_bps(sinr_db, 1e6, table, GAP, 1.0, 1 / 8)
    parts = [1.0, 0.5, 0.25, 0.125]
    each = [rates_bps(sinr_db - 10 * np.log10(part), part * 1e6, table, GAP, 1.0) for part in parts]
    assert found == pytest.approx(np.max(each, axis=0))


def test_in_a_part_of_the_band_the_edge_lies_farther_out() -> None:
    weak = thresholds_db("cqi-1", GAP)[:1] - 9
    assert rates_bps(weak, 1e6, "cqi-1", GAP, 1.0).tolist() == [0.0]
    assert rates_bps(weak, 1e6, "cqi-1", GAP, 1.0, 1 / 8) > 0
