"""Mean path loss of the surroundings that 3GPP models, as functions of distance.

Every loss takes `d2d_m` (horizontal distance in metres, an array), the antenna heights of the site and
of the device (metres) and the carrier frequency (hertz); it returns decibels in the shape of `d2d_m`.
The formulas hold from 10 m (UMi and UMa to 5 km, RMa to 10 km; InH from 1 to 150 m) and are carried on
beyond. Those without a line of sight are never less than with one.
"""

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LIGHT_M_PER_S = 3e8  # as TR 38.901 has it
LOWEST_M = 1.5  # of a device in UMi and UMa; what is lower counts as this
STREET_M, BUILDING_M = 20.0, 5.0  # RMa: mean width of streets, mean height of buildings


def umi_los(d2d_m: Floats, site_m: float, device_m: float, frequency_hz: float) -> Floats:
    """UMi street canyon with a line of sight, TR 38.901 Table 7.4.1-1."""
    log_d, log_f = _logs(d2d_m, site_m, device_m, frequency_hz)
    break_m = _break_m(site_m, device_m, frequency_hz)
    bend_db = 9.5 * math.log10(break_m**2 + (site_m - device_m) ** 2)
    return 32.4 + 20 * log_f + np.where(d2d_m <= break_m, 21 * log_d, 40 * log_d - bend_db)


def umi_nlos(d2d_m: Floats, site_m: float, device_m: float, frequency_hz: float) -> Floats:
    """UMi street canyon without, TR 38.901 Table 7.4.1-1."""
    log_d, log_f = _logs(d2d_m, site_m, device_m, frequency_hz)
    loss = 22.4 + 35.3 * log_d + 21.3 * log_f - 0.3 * (max(device_m, LOWEST_M) - 1.5)
    return _larger(umi_los(d2d_m, site_m, device_m, frequency_hz), loss)


def uma_los(d2d_m: Floats, site_m: float, device_m: float, frequency_hz: float) -> Floats:
    """UMa with a line of sight, TR 38.901 Table 7.4.1-1."""
    log_d, log_f = _logs(d2d_m, site_m, device_m, frequency_hz)
    break_m = _break_m(site_m, device_m, frequency_hz)
    bend_db = 9 * math.log10(break_m**2 + (site_m - device_m) ** 2)
    return 28 + 20 * log_f + np.where(d2d_m <= break_m, 22 * log_d, 40 * log_d - bend_db)


def uma_nlos(d2d_m: Floats, site_m: float, device_m: float, frequency_hz: float) -> Floats:
    """UMa without, TR 38.901 Table 7.4.1-1."""
    log_d, log_f = _logs(d2d_m, site_m, device_m, frequency_hz)
    loss = 13.54 + 39.08 * log_d + 20 * log_f - 0.6 * (max(device_m, LOWEST_M) - 1.5)
    return _larger(uma_los(d2d_m, site_m, device_m, frequency_hz), loss)


def rma_los(d2d_m: Floats, site_m: float, device_m: float, frequency_hz: float) -> Floats:
    """RMa with a line of sight, TR 38.901 Table 7.4.1-1."""
    log_d, log_f = _logs(d2d_m, site_m, device_m, frequency_hz)
    bend = min(0.03 * BUILDING_M**1.72, 10)
    fixed_db = 20 * math.log10(40 * math.pi / 3) + 20 * log_f - min(0.044 * BUILDING_M**1.72, 14.77)
    per_m = 0.002 * math.log10(BUILDING_M)
    break_m = rma_break_m(site_m, device_m, frequency_hz)
    near: Floats = fixed_db + (20 + bend) * log_d + per_m * 10**log_d
    log_break = math.log10(break_m)
    far = fixed_db + (20 + bend) * log_break + per_m * break_m + 40 * (log_d - log_break)
    return np.where(d2d_m <= break_m, near, far)


def rma_nlos(d2d_m: Floats, site_m: float, device_m: float, frequency_hz: float) -> Floats:
    """RMa without, TR 38.901 Table 7.4.1-1."""
    log_d, log_f = _logs(d2d_m, site_m, device_m, frequency_hz)
    log_site = math.log10(site_m)
    loss = (
        161.04 - 7.1 * math.log10(STREET_M) + 7.5 * math.log10(BUILDING_M)
        - (24.37 - 3.7 * (BUILDING_M / site_m) ** 2) * log_site
        + (43.42 - 3.1 * log_site) * (log_d - 3)
        + 20 * log_f - (3.2 * math.log10(11.75 * device_m) ** 2 - 4.97)
    )  # fmt: skip
    return _larger(rma_los(d2d_m, site_m, device_m, frequency_hz), loss)


def rma_break_m(site_m: float, device_m: float, frequency_hz: float) -> float:
    """Return from where the loss of RMa grows faster, note 5 of the table."""
    return 2 * math.pi * site_m * device_m * frequency_hz / LIGHT_M_PER_S


def inh_los(d2d_m: Floats, site_m: float, device_m: float, frequency_hz: float) -> Floats:
    """Indoor office with a line of sight, TR 38.901 Table 7.4.1-1."""
    log_d, log_f = _logs(d2d_m, site_m, device_m, frequency_hz)
    return 32.4 + 17.3 * log_d + 20 * log_f


def inh_nlos(d2d_m: Floats, site_m: float, device_m: float, frequency_hz: float) -> Floats:
    """Indoor office without, TR 38.901 Table 7.4.1-1."""
    log_d, log_f = _logs(d2d_m, site_m, device_m, frequency_hz)
    loss = 17.3 + 38.3 * log_d + 24.9 * log_f
    return _larger(inh_los(d2d_m, site_m, device_m, frequency_hz), loss)


def v2v_urban_los(d2d_m: Floats, site_m: float, device_m: float, frequency_hz: float) -> Floats:
    """Between vehicles in a street, TR 37.885 Table 6.2.1-1; one in the way adds `v2v_blockage`."""
    log_d, log_f = _logs(d2d_m, site_m, device_m, frequency_hz)
    return 38.77 + 16.7 * log_d + 18.2 * log_f


def v2v_highway_los(d2d_m: Floats, site_m: float, device_m: float, frequency_hz: float) -> Floats:
    """Between vehicles on a highway, TR 37.885 Table 6.2.1-1; one in the way adds `v2v_blockage`."""
    log_d, log_f = _logs(d2d_m, site_m, device_m, frequency_hz)
    return 32.4 + 20 * log_d + 20 * log_f


def v2v_nlos(d2d_m: Floats, site_m: float, device_m: float, frequency_hz: float) -> Floats:
    """Between vehicles around a corner, TR 37.885 Table 6.2.1-1."""
    log_d, log_f = _logs(d2d_m, site_m, device_m, frequency_hz)
    return 36.85 + 30 * log_d + 18.9 * log_f


def v2v_blockage(
    d2d_m: Floats, site_m: float, device_m: float, blocker_m: float = 1.6
) -> tuple[Floats, float]:
    """Return mean and deviation in dB of what a vehicle of a height adds, TR 37.885 section 6.2.1.

    A car is 1.6 m high, a truck 3 m. The report calls the addition log-normal: taken here as normal in
    decibels, like a shadow, and cut off at 0 by who draws it. (ns-3 takes logarithms once more.)
    """
    if min(site_m, device_m) > blocker_m:
        return np.zeros_like(d2d_m), 0.0
    log_d, _ = _logs(d2d_m, site_m, device_m, 1e9)
    far_db = _larger(np.zeros_like(log_d), 15 * log_d - 41)
    return (9 + far_db, 4.5) if max(site_m, device_m) < blocker_m else (5 + far_db, 4.0)


def _logs(d2d_m: Floats, site_m: float, device_m: float, frequency_hz: float) -> tuple[Floats, float]:
    """Return the logarithms of the distance between the antennas, at least 1 m, and of the GHz."""
    d3d_m = _larger(np.hypot(d2d_m, site_m - device_m), np.ones(1))
    return np.log10(d3d_m), math.log10(frequency_hz / 1e9)


def _break_m(site_m: float, device_m: float, frequency_hz: float) -> float:
    # Note 1 of the table, with an effective environment height of 1 m (UMa: for devices under 13 m).
    return 4 * (site_m - 1) * (max(device_m, LOWEST_M) - 1) * frequency_hz / LIGHT_M_PER_S


def _larger(one: Floats, other: Floats) -> Floats:
    larger: Floats = np.maximum(one, other)
    return larger
