"""The nouns about energy: what a radio draws while it is used, and while it is not."""

from dataclasses import dataclass

from offload.networks import Known

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

    @classmethod
    def constant(cls, watts: float, source: str) -> "Radio":
        """Return a radio that draws the same whatever it does, and nothing once it is done."""
        return cls(Line(watts, 0.0), Line(watts, 0.0), "assumed", source)

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
    def lingers(self) -> bool:
        """Whether it draws anything between transfers."""
        return self.tail_s * self.tail_w > 0.0 or self.promotion_j > 0.0

    @property
    def promotion_j(self) -> float:
        """The joules of waking."""
        return self.promotion_w * self.promotion_s
