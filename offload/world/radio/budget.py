"""One link: what arrives, over which noise, what rate that makes; and all of it as a budget."""

import math
from dataclasses import dataclass

import numpy as np

from offload.world.radio.pathloss import Floats
from offload.world.radio.presets import Preset
from offload.world.radio.rates import STEPS, cqi, mcs, noise_dbm, rates_bps


def down_dbm(preset: Preset, loss_db: Floats) -> Floats:
    """Return what a device receives of a site, over the whole band."""
    gains_db = preset.site_gain_db.value + preset.device_gain_db.value
    return preset.site_power_dbm.value + gains_db - loss_db


def up_dbm(preset: Preset, loss_db: Floats) -> Floats:
    """Return what a site receives of a device that sends over the whole band."""
    gains_db = preset.site_gain_db.value + preset.device_gain_db.value
    return preset.device_power_dbm.value + gains_db - loss_db


def rsrp_dbm(preset: Preset, bandwidth_hz: float, received_dbm: Floats) -> Floats:
    """Return the power in one subcarrier of what a device receives, all subcarriers alike."""
    return received_dbm - 10 * math.log10(bandwidth_hz / preset.subcarrier_hz.value)


def down_noise_dbm(preset: Preset, bandwidth_hz: float) -> float:
    """Return the noise at a device."""
    return noise_dbm(bandwidth_hz, preset.device_noise_db.value)


def up_noise_dbm(preset: Preset, bandwidth_hz: float, load: float = 0.0) -> float:
    """Return noise and interference at a site whose busiest neighbour on its frequency has this load."""
    rise = 1 + load * (10 ** (preset.rise_db.value / 10) - 1)
    return noise_dbm(bandwidth_hz, preset.site_noise_db.value) + 10 * math.log10(rise)


def down_bps(preset: Preset, bandwidth_hz: float, sinr_db: Floats) -> Floats:
    """Return the rate to a device that has all the air time."""
    return rates_bps(sinr_db, bandwidth_hz, preset.steps, preset.gap_db.value, preset.down_usable)


def up_bps(preset: Preset, bandwidth_hz: float, sinr_db: Floats) -> Floats:
    """Return the rate from a device that has all the air time; `sinr_db` is that over the whole band."""
    return rates_bps(
        sinr_db,
        bandwidth_hz,
        preset.steps,
        preset.gap_db.value,
        preset.up_usable,
        preset.up_narrowest.value,
    )


@dataclass(frozen=True, slots=True)
class Budget:
    """The budget of one link without shadowing, fading and neighbours.

    `*_cqi` are the steps of the preset's table over the whole band (in LTE and NR the CQI, 0 out of
    range), `down_mcs` the MCS of the table of the same modulations, None for radios that have none. The
    uplink may get through at CQI 0: in a part of the band.
    """

    distance_m: float
    sight: bool
    los_probability: float
    path_loss_db: float
    rsrp_dbm: float
    down_snr_db: float
    up_snr_db: float
    down_cqi: int
    up_cqi: int
    down_mcs: int | None
    down_bps: float
    up_bps: float


def budget(
    preset: Preset, distance_m: float, *, sight: bool = True, bandwidth_hz: float | None = None
) -> Budget:
    """Return the mean budget at a horizontal distance, with or without a line of sight.

    Raises ValueError for a distance that is negative or not finite, and for a bandwidth not positive.
    """
    band_hz = preset.bandwidth_hz.value if bandwidth_hz is None else bandwidth_hz
    if not (0 <= distance_m < np.inf and 0 < band_hz < np.inf):
        msg = "a distance is 0 m or more and a bandwidth more than 0 Hz, both finite"
        raise ValueError(msg)
    away = np.array([distance_m], dtype=float)
    loss_db = _mean_loss_db(preset, away, sight)
    received = down_dbm(preset, loss_db)
    down_snr = received - down_noise_dbm(preset, band_hz)
    up_snr = up_dbm(preset, loss_db) - up_noise_dbm(preset, band_hz)
    down_cqi, up_cqi = (
        int(cqi(snr, preset.steps, preset.gap_db.value)[0]) for snr in (down_snr, up_snr)
    )
    table = {"cqi-1": "mcs-1", "cqi-2": "mcs-2"}.get(preset.steps)
    return Budget(
        distance_m=float(distance_m),
        sight=sight,
        los_probability=float(preset.path_loss.los_probability(away, preset.device_height_m.value)[0]),
        path_loss_db=float(loss_db[0]),
        rsrp_dbm=float(rsrp_dbm(preset, band_hz, received)[0]),
        down_snr_db=float(down_snr[0]),
        up_snr_db=float(up_snr[0]),
        down_cqi=down_cqi,
        up_cqi=up_cqi,
        down_mcs=mcs(STEPS[preset.steps][down_cqi], table) if table and down_cqi else None,
        down_bps=float(down_bps(preset, band_hz, down_snr)[0]),
        up_bps=float(up_bps(preset, band_hz, up_snr)[0]),
    )


def _mean_loss_db(preset: Preset, away: Floats, sight: bool) -> Floats:
    model, site_m, device_m = preset.path_loss, preset.site_height_m.value, preset.device_height_m.value
    if sight:
        return model.los(away, site_m, device_m, preset.frequency_hz.value)
    loss_db = model.obstructed(away, site_m, device_m, preset.frequency_hz.value)
    return loss_db if model.blockage is None else loss_db + model.blockage(away, site_m, device_m)[0]
