"""Surroundings by name: losses, the chance of a line of sight, and how shadows spread about them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from offload.world.radio import pathloss
from offload.world.radio.pathloss import Floats

Loss = Callable[[Floats, float, float, float], Floats]


@dataclass(frozen=True, slots=True)
class PathLoss:
    """A surrounding.

    `los_probability` takes the horizontal distance and the height of the device, in metres. Deviations
    are decibels; over `*_correlation_m` a correlation falls to 1/e: that of the shadows with and without
    a line of sight, and that of having one (`state`). `far_sigma_db` replaces the deviation with a line
    of sight beyond `far_m(site_m, device_m, frequency_hz)`. `blockage(d2d_m, site_m, device_m)` is the
    mean and the deviation of what a vehicle in the way adds; it never takes away.
    """

    name: str
    los: Loss
    obstructed: Loss
    los_probability: Callable[[Floats, float], Floats]
    los_sigma_db: float
    obstructed_sigma_db: float
    los_correlation_m: float
    obstructed_correlation_m: float
    state_correlation_m: float
    source: str
    far_sigma_db: float | None = None
    far_m: Callable[[float, float, float], float] | None = None
    blockage: Callable[[Floats, float, float], tuple[Floats, float]] | None = None


def umi_los_probability(d2d_m: Floats, _device_m: float) -> Floats:
    """UMi, TR 38.901 Table 7.4.2-1."""
    return _beyond_18_m(d2d_m, 36.0)


def uma_los_probability(d2d_m: Floats, device_m: float) -> Floats:
    """UMa, TR 38.901 Table 7.4.2-1: larger for devices higher than 13 m (up to 23 m)."""
    high = ((min(device_m, 23.0) - 13) / 10) ** 1.5 if device_m > 13 else 0.0
    more = 1 + high * 1.25 * (d2d_m / 100) ** 3 * np.exp(-d2d_m / 150)
    return np.where(d2d_m <= 18, 1.0, _beyond_18_m(d2d_m, 63.0) * more)


def rma_los_probability(d2d_m: Floats, _device_m: float) -> Floats:
    """RMa, TR 38.901 Table 7.4.2-1."""
    return _decay(d2d_m - 10, 1000.0)


def inh_open_los_probability(d2d_m: Floats, _device_m: float) -> Floats:
    """Open office, TR 38.901 Table 7.4.2-1."""
    return np.where(d2d_m <= 49, _decay(d2d_m - 5, 70.8), 0.54 * _decay(d2d_m - 49, 211.7))


def inh_mixed_los_probability(d2d_m: Floats, _device_m: float) -> Floats:
    """Office of rooms and cubicles, TR 38.901 Table 7.4.2-1."""
    return np.where(d2d_m < 6.5, _decay(d2d_m - 1.2, 4.7), 0.32 * _decay(d2d_m - 6.5, 32.6))


def v2v_urban_los_probability(d2d_m: Floats, _device_m: float) -> Floats:
    """No vehicle in the way in a street, TR 37.885 Table 6.2-1."""
    chance: Floats = np.minimum(1.0, 1.05 * np.exp(-0.0114 * d2d_m))
    return chance


def v2v_highway_los_probability(d2d_m: Floats, _device_m: float) -> Floats:
    """No vehicle in the way on a highway, TR 37.885 Table 6.2-1."""
    near = 2.1013e-6 * d2d_m**2 - 0.002 * d2d_m + 1.0193
    chance: Floats = np.clip(np.where(d2d_m <= 475, near, 0.54 - 0.001 * (d2d_m - 475)), 0.0, 1.0)
    return chance


def _never(d2d_m: Floats, _device_m: float) -> Floats:
    return np.zeros_like(d2d_m)


def _beyond_18_m(d2d_m: Floats, scale_m: float) -> Floats:
    near = 18 / np.maximum(d2d_m, 18.0)
    chance: Floats = near + np.exp(-d2d_m / scale_m) * (1 - near)
    return chance


def _decay(beyond_m: Floats, scale_m: float) -> Floats:
    chance: Floats = np.exp(-np.maximum(beyond_m, 0.0) / scale_m)
    return chance


_38901 = "TR 38.901 v19.4 Tables 7.4.1-1, 7.4.2-1, 7.5-6 and 7.6.3.1-2"
_37885 = "TR 37.885 section 6.2, as ns-3 has it; correlation distances assumed"

MODELS = {
    model.name: model
    for model in (
        PathLoss(
            "umi", pathloss.umi_los, pathloss.umi_nlos, umi_los_probability,
            4.0, 7.82, 10.0, 13.0, 50.0, _38901,
        ),
        PathLoss(
            "uma", pathloss.uma_los, pathloss.uma_nlos, uma_los_probability,
            4.0, 6.0, 37.0, 50.0, 50.0, _38901,
        ),
        PathLoss(
            "rma", pathloss.rma_los, pathloss.rma_nlos, rma_los_probability,
            4.0, 8.0, 37.0, 120.0, 60.0, _38901, 6.0, pathloss.rma_break_m,
        ),
        PathLoss(
            "inh-open", pathloss.inh_los, pathloss.inh_nlos, inh_open_los_probability,
            3.0, 8.03, 10.0, 6.0, 10.0, _38901,
        ),
        PathLoss(
            "inh-mixed", pathloss.inh_los, pathloss.inh_nlos, inh_mixed_los_probability,
            3.0, 8.03, 10.0, 6.0, 10.0, _38901,
        ),
        PathLoss(
            "v2v-urban", pathloss.v2v_urban_los, pathloss.v2v_urban_los, v2v_urban_los_probability,
            3.0, 3.0, 10.0, 10.0, 10.0, _37885, blockage=pathloss.v2v_blockage,
        ),
        PathLoss(
            "v2v-highway", pathloss.v2v_highway_los, pathloss.v2v_highway_los,
            v2v_highway_los_probability,
            3.0, 3.0, 25.0, 25.0, 25.0, _37885, blockage=pathloss.v2v_blockage,
        ),
        PathLoss(
            "v2v-corner", pathloss.v2v_nlos, pathloss.v2v_nlos, _never,
            4.0, 4.0, 10.0, 10.0, 10.0, _37885,
        ),
    )
}  # fmt: skip
