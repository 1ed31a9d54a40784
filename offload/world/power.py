"""What radios and processors draw: lines over the rate, tails after transfers, and slower clocks."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from offload.networks import Figure, Known

INFINITE = float("inf")


@dataclass(frozen=True, slots=True)
class Line:
    """Power while sending or receiving: `base_w` + `j_per_bit` x rate; fitted up to `fitted_bps`."""

    base_w: float
    j_per_bit: float
    fitted_bps: float = INFINITE

    def watts(self, rate_bps: float) -> float:
        """Return the power at a rate."""
        return self.base_w + self.j_per_bit * rate_bps

    def extrapolates(self, rate_bps: float) -> bool:
        """Tell whether nothing was measured at such a rate."""
        return rate_bps > self.fitted_bps


@dataclass(frozen=True, slots=True)
class Radio:
    """A kind of radio: P = alpha_u t_u + alpha_d t_d + beta with a line for each direction.

    After a transfer it stays awake for `tail_s`, drawing `tail_w`; to wake it takes `promotion_s` at
    `promotion_w`. Where lines were fitted to a whole phone, `phone_w` of them is not the radio's.
    """

    up: Line
    down: Line
    known: Known
    source: str
    tail_s: float = 0.0
    tail_w: float = 0.0
    promotion_s: float = 0.0
    promotion_w: float = 0.0
    phone_w: float = 0.0

    def up_j(self, size_bytes: float, air_s: float) -> float:
        """Return the joules of so many bytes sent in so many seconds of air, less the phone's own."""
        return (self.up.base_w - self.phone_w) * air_s + self.up.j_per_bit * 8.0 * size_bytes

    def down_j(self, size_bytes: float, air_s: float) -> float:
        """Return the joules of receiving, likewise."""
        return (self.down.base_w - self.phone_w) * air_s + self.down.j_per_bit * 8.0 * size_bytes

    def sleeps_after(self, gap_s: float) -> bool:
        """Tell whether the radio falls asleep in a gap, so that the next transfer must wake it."""
        return gap_s > self.tail_s

    def tail_j(self, gap_s: float) -> float:
        """Return the joules of staying awake after a transfer, until the next one `gap_s` later."""
        return self.tail_w * min(gap_s, self.tail_s)

    @property
    def promotion_j(self) -> float:
        """The joules of waking."""
        return self.promotion_w * self.promotion_s


class Tails(NamedTuple):
    """What a radio draws between transfers: awake without use, and waking so many times."""

    tail_j: float
    promotion_j: float
    promotions: int


def tails(radio: Radio, transfers: Iterable[tuple[float, float]], until_s: float) -> Tails:
    """Sum what lies between transfers, (begin, end) in order of their beginnings, up to `until_s`.

    Asleep at first. Transfers may overlap: the radio is busy while any goes on.
    """
    busy: list[list[float]] = []
    for begin_s, end_s in transfers:
        if busy and begin_s <= busy[-1][1]:
            busy[-1][1] = max(busy[-1][1], end_s)
        else:
            busy.append([begin_s, end_s])
    gaps = [after[0] - before[1] for before, after in pairwise(busy)]
    last = [max(0.0, until_s - busy[-1][1])] if busy else []
    promotions = sum(map(radio.sleeps_after, gaps)) + bool(busy)
    return Tails(sum(map(radio.tail_j, gaps + last)), promotions * radio.promotion_j, promotions)


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
