"""What kinds of radios draw, and processors at slower clocks."""

from typing import NamedTuple

from offload.energy import INFINITE, Line, Radio
from offload.networks import Figure

_HUANG = "Huang et al., MobiSys 2012, as widely repeated; not checked against the paper"
_PHONE = (
    "our fit to MN-Transfer_combined.csv in the artifact of SIGCOMM 2021's 5G study (Verizon, a Samsung "
    "S20U): the whole phone with its screen, about 2.34 W of which are no radio's; r = {up} up, {down} "
    "down; no figures for its tail, so none is counted"
)


def _line(base_mw: float, mw_per_mbps: float, fitted_mbps: float = INFINITE) -> Line:
    return Line(base_mw / 1e3, mw_per_mbps * 1e-9, fitted_mbps * 1e6)


RADIOS: dict[str, Radio] = {
    "lte": Radio(
        _line(1288.04, 438.39), _line(1288.04, 51.97), "assumed", _HUANG,
        tail_s=11.6, tail_w=1.060, promotion_s=0.260, promotion_w=1.211,
    ),
    "3g": Radio(
        _line(817.88, 868.98), _line(817.88, 122.12), "assumed", _HUANG + "; its two tails as one",
        tail_s=8.9, tail_w=0.785, promotion_s=0.582, promotion_w=0.659,
    ),
    "wifi": Radio(
        _line(132.86, 283.17), _line(132.86, 137.01), "assumed", _HUANG,
        tail_s=0.238, tail_w=0.119, promotion_s=0.079, promotion_w=0.124,
    ),
    "phone-lte": Radio(
        _line(2926, 76.68, 28), _line(2839, 11.54, 96), "published",
        _PHONE.format(up=0.74, down=0.64), phone_w=2.34,
    ),
    "phone-nsa-low": Radio(
        _line(3199, 32.17, 46), _line(3059, 11.54, 120), "published",
        _PHONE.format(up=0.74, down=0.69), phone_w=2.34,
    ),
    "phone-mmwave": Radio(
        _line(5664, 8.88, 220), _line(5237, 1.73, 2482), "published",
        _PHONE.format(up=0.92, down=0.94), phone_w=2.34,
    ),
}  # fmt: skip

# Effective switched capacitance of a core: E = kappa f^2 a cycle, P = kappa f^3.
KAPPA = Figure(1e-26, "assumed", "DROO and LyDROO; the literature has 1e-28 to 1e-26 J s^2 a cycle")


def cycles_j(cycles: float, frequency_hz: float, kappa: float = KAPPA.value) -> float:
    """Return the joules of so many cycles: kappa f^2 each."""
    return kappa * frequency_hz**2 * cycles


class Work(NamedTuple):
    """What work takes at some frequency: seconds, and joules above idling."""

    latency_s: float
    energy_j: float


def at_share(latency_s: float, marginal_w: float, share: float) -> Work:
    """Return what work takes at a share of full frequency (above 0, at most 1).

    It takes 1 / share times as long at share^3 of the power above idling, hence share^2 of the joules
    (the cube law of DVFS). Assumed: time goes with the clock alone, as it does not where memory is the
    limit, and voltage goes with frequency, as it does not near its least.
    """
    longer_s = latency_s / share
    return Work(longer_s, marginal_w * share**3 * longer_s)
