"""A battery that is drawn from and harvests: its charge later on, and when it meets a level."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from offload.world.rate import INFINITE, Rate

DAY_S = 86_400.0
NOTHING = Rate.constant(0.0)


@dataclass(frozen=True, slots=True)
class Battery:
    """A store of `capacity_j` joules, charged by a harvest in watts; what does not fit is lost.

    Charges (joules) are the caller's: each answer follows from one at some moment and a constant draw in
    watts. What an event takes at once, such as a transfer, the caller subtracts, and asks anew. An empty
    battery stays empty while more is drawn than harvested; what is off draws 0.
    """

    capacity_j: float
    harvest_w: Rate = NOTHING

    def after(self, charge_j: float, begin_s: float, end_s: float, draw_w: float) -> float:
        """Return the charge at a later moment."""
        for piece_begin_s, piece_end_s, net_w in self._pieces(begin_s, end_s, draw_w):
            charge_j = self._held(charge_j + net_w * (piece_end_s - piece_begin_s))
        return charge_j

    def falls_to(self, charge_j: float, begin_s: float, level_j: float, draw_w: float) -> float:
        """Tell when the charge is first no more than a level; infinite if never."""
        return begin_s if charge_j <= level_j else self._meets(charge_j, begin_s, level_j, draw_w, -1.0)

    def rises_to(self, charge_j: float, begin_s: float, level_j: float, draw_w: float) -> float:
        """Tell when the charge is first no less than a level; infinite if never."""
        return begin_s if charge_j >= level_j else self._meets(charge_j, begin_s, level_j, draw_w, 1.0)

    def _held(self, charge_j: float) -> float:
        return min(max(charge_j, 0.0), self.capacity_j)

    def _pieces(
        self, begin_s: float, end_s: float, draw_w: float
    ) -> Iterator[tuple[float, float, float]]:
        """Yield begin, end and net watts of the stretches in which these are constant."""
        while begin_s < end_s:
            change_s = min(self.harvest_w.changes_after(begin_s), end_s)
            yield begin_s, change_s, self.harvest_w.at(begin_s) - draw_w
            begin_s = change_s

    def _meets(self, charge_j: float, now: float, level_j: float, draw_w: float, sign: float) -> float:
        """Follow the charge down (sign -1) or up (1), a period of the harvest at a time.

        More charge at the beginning of a period is never less at any time of it. So a period without
        progress is followed by none. And a period that met neither bound is followed by its like, each
        as much further, until the level is met: they need not be followed one by one.
        """
        if not 0.0 <= level_j <= self.capacity_j:
            return INFINITE
        while True:
            first_j, furthest_j, bounded = charge_j, 0.0, False
            for begin_s, end_s, net_w in self._pieces(now, now + self.harvest_w.period_s, draw_w):
                if sign * net_w > 0.0 and (meets_s := begin_s + (level_j - charge_j) / net_w) <= end_s:
                    return meets_s
                if end_s == INFINITE:
                    return INFINITE
                free_j = charge_j + net_w * (end_s - begin_s)
                charge_j = self._held(free_j)
                bounded |= charge_j != free_j
                furthest_j = max(furthest_j, sign * (charge_j - first_j))
            now += self.harvest_w.period_s
            gain_j = sign * (charge_j - first_j)
            if gain_j <= 1e-12 * self.capacity_j:
                return INFINITE
            if not bounded:
                laps = max(0, math.floor((sign * (level_j - charge_j) - furthest_j) / gain_j) - 1)
                charge_j += sign * laps * gain_j
                now += laps * self.harvest_w.period_s


@dataclass(frozen=True, slots=True)
class Supply:
    """What a device lives on: a battery, its charge at first, and that at which it comes back on."""

    battery: Battery
    start_j: float
    low_j: float


def solar(
    peak_w: float,
    sunrise_h: float = 6.0,
    sunset_h: float = 18.0,
    cloud_factor: float = 1.0,
    starts_h: float = 0.0,
    steps: int = 24,
) -> Rate:
    """Return what a panel gives through a day that repeats, from the hour at which the run starts.

    Assumed: half a sine from sunrise to sunset (0 <= sunrise < sunset <= 24) with its peak under a clear
    sky, times a constant factor for clouds. Each of the day's `steps` holds the mean of its stretch, so
    that a day gives exactly 2 / pi x peak x hours of light x factor.
    """
    light_s = (sunset_h - sunrise_h) * 3600.0

    def given_j(at_s: float) -> float:
        """Return the joules since the first midnight at 1 W of peak."""
        days, of_day_s = divmod(at_s, DAY_S)
        lit = min(max((of_day_s - sunrise_h * 3600.0) / light_s, 0.0), 1.0)
        return light_s / math.pi * (2.0 * days + 1.0 - math.cos(math.pi * lit))

    step_s = DAY_S / steps
    given = [given_j(starts_h * 3600.0 + step * step_s) for step in range(steps + 1)]
    means = [max(0.0, peak_w * cloud_factor * (b - a) / step_s) for a, b in pairwise(given)]
    return Rate(tuple(step * step_s for step in range(steps)), tuple(means), DAY_S)
