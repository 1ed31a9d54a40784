"""From SINR to bits per second: the CQI and MCS tables of TS 38.214, and those of IEEE 802.11."""

import math
from functools import cache

import numpy as np
import numpy.typing as npt

from offload.world.radio.pathloss import Floats

THERMAL_DBM_PER_HZ = -174.0

# Bits a symbol and code rate x 1024. TS 38.214 Tables 5.2.2.1-2 and -3.
_CQI_1 = ((2, (78, 120, 193, 308, 449, 602)), (4, (378, 490, 616)), (6, (466, 567, 666, 772, 873, 948)))
_CQI_2 = (
    (2, (78, 193, 449)), (4, (378, 490, 616)), (6, (466, 567, 666, 772, 873)), (8, (711, 797, 885, 948)),
)  # fmt: skip
# TS 38.214 Tables 5.1.3.1-1 to -3.
_MCS_1 = (
    (2, (120, 157, 193, 251, 308, 379, 449, 526, 602, 679)), (4, (340, 378, 434, 490, 553, 616, 658)),
    (6, (438, 466, 517, 567, 616, 666, 719, 772, 822, 873, 910, 948)),
)  # fmt: skip
_MCS_2 = (
    (2, (120, 193, 308, 449, 602)), (4, (378, 434, 490, 553, 616, 658)),
    (6, (466, 517, 567, 616, 666, 719, 772, 822, 873)),
    (8, (682.5, 711, 754, 797, 841, 885, 916.5, 948)),
)  # fmt: skip
_MCS_3 = (
    (2, (30, 40, 50, 64, 78, 99, 120, 157, 193, 251, 308, 379, 449, 526, 602)),
    (4, (340, 378, 434, 490, 553, 616)), (6, (438, 466, 517, 567, 616, 666, 719, 772)),
)  # fmt: skip
# IEEE 802.11 clauses 17 (OFDM, also at 10 MHz) and 21 (VHT), from memory: rates 1/2, 2/3, 3/4, 5/6.
_OFDM = ((1, (512, 768)), (2, (512, 768)), (4, (512, 768)), (6, (1024 * 2 / 3, 768)))
_VHT = (
    (1, (512,)), (2, (512, 768)), (4, (512, 768)), (6, (1024 * 2 / 3, 768, 1024 * 5 / 6)),
    (8, (768, 1024 * 5 / 6)),
)  # fmt: skip


def _efficiencies(rows: tuple[tuple[int, tuple[float, ...]], ...]) -> Floats:
    return np.array([bits * rate / 1024 for bits, rates in rows for rate in rates])


# Bits a second and hertz of the symbols that carry data, by index.
MCS = {"mcs-1": _efficiencies(_MCS_1), "mcs-2": _efficiencies(_MCS_2), "mcs-3": _efficiencies(_MCS_3)}
# The same of the steps in which a link adapts, entry 0 for out of range: index is the CQI in LTE and NR.
STEPS = {
    name: np.concatenate([[0.0], _efficiencies(rows)])
    for name, rows in (
        ("cqi-1", _CQI_1),
        ("cqi-2", _CQI_2),
        ("802.11-ofdm", _OFDM),
        ("802.11-vht", _VHT),
    )
}


def noise_dbm(bandwidth_hz: float, figure_db: float) -> float:
    """Return the thermal noise in a bandwidth behind a receiver with this noise figure."""
    return THERMAL_DBM_PER_HZ + 10 * math.log10(bandwidth_hz) + figure_db


def gap_db(error_rate: float) -> float:
    """Return how far an adaptive link stays behind Shannon's bound: -ln(5 BER) / 1.5 (Piro et al. 2010).

    >>> round(gap_db(5e-5), 2)  # the bit error rate that ns-3 uses
    7.43
    """
    return 10 * math.log10(-math.log(5 * error_rate) / 1.5)


@cache
def thresholds_db(steps: str, gap: float) -> Floats:
    """Return the SINR at which each step of a table begins: efficiency = log2(1 + SINR / gap)."""
    needed: Floats = gap + 10 * np.log10(2.0 ** STEPS[steps][1:] - 1)
    needed.flags.writeable = False
    return needed


def cqi(sinr_db: Floats, steps: str, gap: float) -> npt.NDArray[np.intp]:
    """Return the highest step that a SINR allows, 0 below the lowest."""
    return np.searchsorted(thresholds_db(steps, gap), sinr_db, side="right")


def mcs(efficiency: float, table: str) -> int:
    """Return the highest MCS that asks no more than an efficiency, printed to four digits; at least 0.

    >>> mcs(STEPS["cqi-1"][15], "mcs-1")
    28
    """
    fits = np.flatnonzero(MCS[table] <= efficiency + 5e-5)
    return int(fits[-1]) if len(fits) else 0


def rates_bps(
    sinr_db: Floats, bandwidth_hz: float, steps: str, gap: float, usable: float, narrowest: float = 1.0
) -> Floats:
    """Return the rate of a device that has all the air time, by SINR: bits/s, 0 below the lowest step.

    `usable` is the share of bandwidth and time that carries data in this direction (TDD share times one
    minus overhead). One stream, no spatial multiplexing. A device whose power is the limit may put all
    of it into a half, a quarter, ... of the band, no less than `narrowest`, and takes what is quickest:
    its SINR rises by as much, and so the edge of the cell lies farther out. It holds the air meanwhile.
    """
    efficiencies = STEPS[steps]
    best = efficiencies[cqi(sinr_db, steps, gap)]
    part = 0.5
    while part >= narrowest:
        lifted_db = sinr_db - 10 * math.log10(part)
        best = np.maximum(best, part * efficiencies[cqi(lifted_db, steps, gap)])
        part /= 2
    rates: Floats = best * (bandwidth_hz * usable)
    return rates
