"""Path loss against the test vectors of ns-3 for TR 38.901 and TR 37.885, and its shape elsewhere."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.world.radio import pathloss
from offload.world.radio.pathloss import Floats

# At 5 GHz with a device at 1.5 m (vehicles: both antennas at one height); ns-3 allows 0.05 dB.
NEAR_FAR = (10, 100, 1000, 5000)
VECTORS = [
    (pathloss.uma_los, 25, NEAR_FAR, (72.9380, 86.2362, 109.7252, 137.6794)),
    (pathloss.uma_nlos, 25, NEAR_FAR, (82.5131, 106.1356, 144.7641, 172.0753)),
    (pathloss.umi_los, 10, NEAR_FAR, (69.8591, 88.4122, 119.3114, 147.2696)),
    (pathloss.umi_nlos, 10, NEAR_FAR, (76.7563, 107.9432, 143.1886, 167.8617)),
    (pathloss.rma_los, 35, (10, 100, 1000, 10000), (77.3784, 87.2965, 108.5577, 140.3896)),
    (pathloss.rma_nlos, 35, NEAR_FAR, (77.3784, 95.7718, 133.5223, 160.5169)),
    (pathloss.inh_los, 3, (1, 10, 50, 100), (50.8072, 63.7630, 75.7750, 80.9802)),
    (pathloss.inh_nlos, 3, (1, 10, 50, 100), (50.8072, 73.1894, 99.7824, 111.3062)),
    (pathloss.v2v_urban_los, 1.5, (10, 100, 1000), (68.1913, 84.8913, 101.5913)),
    (pathloss.v2v_highway_los, 1.5, (10, 100, 1000), (66.3794, 86.3794, 106.3794)),
    (pathloss.v2v_nlos, 1.5, (10, 100, 1000), (80.0605, 110.0605, 140.0605)),
]
PAIRS = [
    (pathloss.umi_los, pathloss.umi_nlos, 10.0),
    (pathloss.uma_los, pathloss.uma_nlos, 25.0),
    (pathloss.rma_los, pathloss.rma_nlos, 35.0),
    (pathloss.inh_los, pathloss.inh_nlos, 3.0),
]


def metres(*values: float) -> Floats:
    """Return distances as an array."""
    return np.array(values, dtype=float)


@pytest.mark.parametrize(("loss", "site_m", "away_m", "expected_db"), VECTORS)
def test_the_test_vectors_of_ns3(loss, site_m, away_m, expected_db) -> None:
    assert loss(metres(*away_m), site_m, 1.5, 5e9) == pytest.approx(expected_db, abs=5e-5)


@given(
    st.sampled_from(PAIRS),
    st.lists(st.floats(0, 9000), min_size=2, max_size=20),
    st.floats(1.0, 12.0),
    st.floats(0.7e9, 28e9),
)
def test_losses_grow_with_distance_and_without_a_sight(pair, away, device_m, frequency_hz) -> None:
    los, nlos, site_m = pair
    away_m = np.sort(metres(*away))
    seen, hidden = (loss(away_m, site_m, device_m, frequency_hz) for loss in (los, nlos))
    assert np.isfinite(seen).all()
    assert (hidden >= seen).all()
    assert (np.diff(seen) >= -1e-9).all()
    assert (np.diff(hidden) >= -1e-9).all()


@pytest.mark.parametrize(("loss", "site_m"), [(los, site_m) for los, _, site_m in PAIRS[:3]])
def test_losses_do_not_jump_at_the_breakpoint(loss, site_m) -> None:
    away_m = np.arange(10.0, 5000.0)
    assert np.abs(np.diff(loss(away_m, site_m, 1.5, 3.5e9))).max() < 2.5  # which is at 10 m


@pytest.mark.parametrize("loss", [pathloss.umi_los, pathloss.umi_nlos, pathloss.uma_los])
def test_devices_lower_than_the_model_count_as_its_lowest(loss) -> None:
    low, lowest = (loss(metres(2000), 25.0, height, 3.5e9)[0] for height in (0.5, 1.5))
    assert low == pytest.approx(lowest, abs=0.01)  # but for the distance between the antennas


def test_what_a_vehicle_in_the_way_adds() -> None:
    away = metres(100, 10_000)
    over, _ = pathloss.v2v_blockage(away, 5.0, 2.0)
    assert over.tolist() == [0, 0]
    mean, sigma = pathloss.v2v_blockage(away, 1.6, 1.6)
    assert (mean.tolist(), sigma) == (pytest.approx([5, 24]), 4.0)  # 15 log10(10 000) - 41 = 19
    mean, sigma = pathloss.v2v_blockage(away, 1.6, 1.6, blocker_m=3.0)
    assert (mean.tolist(), sigma) == (pytest.approx([9, 28]), 4.5)
