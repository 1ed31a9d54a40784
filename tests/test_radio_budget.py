"""A link budget by hand, and how rates go with distance, power and bandwidth."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.networks import Figure
from offload.world.radio.budget import budget, up_noise_dbm
from offload.world.radio.presets import PRESETS

UMI = PRESETS["nr-umi-3.5ghz"]


def test_a_budget_by_hand() -> None:
    found = budget(UMI, 100.0)
    # 32.4 + 21 log10 sqrt(100^2 + 8.5^2) + 20 log10 3.5 = 32.4 + 42.0328 + 10.8814
    assert found.path_loss_db == pytest.approx(85.3142, abs=1e-3)
    assert found.los_probability == pytest.approx(0.18 + 0.82 * math.exp(-100 / 36))
    # 40 dBm + 8 dB - loss; 3333.3 subcarriers; -174 + 80 + 9 dBm of noise.
    assert found.rsrp_dbm == pytest.approx(48 - 85.3142 - 35.2288, abs=1e-3)
    assert found.down_snr_db == pytest.approx(48 - 85.3142 + 85, abs=1e-3)
    assert found.up_snr_db == pytest.approx(23 + 8 - 85.3142 + 89, abs=1e-3)
    assert (found.down_cqi, found.up_cqi, found.down_mcs) == (15, 15, 27)
    assert found.down_bps == pytest.approx(7.40625 * 100e6 * 0.743 * (1 - 0.211))
    assert found.up_bps == pytest.approx(7.40625 * 100e6 * 0.229 * (1 - 0.156))


def test_a_narrow_band_reaches_farther() -> None:
    wide, narrow = (budget(UMI, 1000.0, sight=False, bandwidth_hz=band) for band in (100e6, 10e6))
    assert narrow.down_snr_db == pytest.approx(wide.down_snr_db + 10)
    assert (wide.down_cqi, wide.down_mcs, wide.down_bps) == (0, None, 0.0)
    assert narrow.down_bps > 0


def test_far_away_a_device_sends_in_a_part_of_the_band() -> None:
    found = budget(UMI, 500.0, sight=False)
    assert found.up_cqi == 0
    assert 0 < found.up_bps < budget(UMI, 300.0, sight=False).up_bps
    whole = replace(UMI, up_narrowest=Figure(1.0, "assumed", "a test"))
    assert budget(whole, 500.0, sight=False).up_bps == 0


@given(st.sampled_from(sorted(PRESETS)), st.floats(0, 3000), st.floats(0, 3000), st.booleans())
def test_nearer_is_never_slower(name, one_m, other_m, sight) -> None:
    near, far = (budget(PRESETS[name], away_m, sight=sight) for away_m in sorted((one_m, other_m)))
    assert near.rsrp_dbm >= far.rsrp_dbm
    assert near.down_bps >= far.down_bps
    assert near.up_bps >= far.up_bps


@given(st.sampled_from(sorted(PRESETS)), st.floats(0, 3000))
def test_an_obstacle_never_helps(name, away_m) -> None:
    seen, hidden = (budget(PRESETS[name], away_m, sight=sight) for sight in (True, False))
    assert hidden.path_loss_db >= seen.path_loss_db
    assert hidden.up_bps <= seen.up_bps


def test_vehicles_in_the_way_cost_what_they_cost_on_average() -> None:
    seen, hidden = (budget(PRESETS["dsrc-5.9ghz"], 100.0, sight=sight) for sight in (True, False))
    assert hidden.path_loss_db == pytest.approx(seen.path_loss_db + 5)


def test_loaded_neighbours_raise_the_noise_at_a_site() -> None:
    quiet, half, full = (up_noise_dbm(UMI, 100e6, load) for load in (0.0, 0.5, 1.0))
    assert quiet == pytest.approx(-174 + 80 + 5)
    assert full == pytest.approx(quiet + 6)
    assert half == pytest.approx(quiet + 10 * math.log10((1 + 10**0.6) / 2))


@pytest.mark.parametrize(
    ("away_m", "band_hz"), [(-1, 1e6), (math.nan, 1e6), (math.inf, 1e6), (1, 0), (1, -1)]
)
def test_nonsense_is_refused(away_m, band_hz) -> None:
    with pytest.raises(ValueError, match="a distance is 0 m or more"):
        budget(UMI, away_m, bandwidth_hz=band_hz)
