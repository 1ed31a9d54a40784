"""A rate that changes stepwise over time, its integral, and when that integral reaches an amount."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

INFINITE = float("inf")
# What is done to a trillionth is done. Else what ends just when the rate falls to zero would, by a
# rounding error, end only when it rises again.
_DONE = 1.0 - 1e-12


@dataclass(frozen=True, slots=True)
class Rate:
    """A nonnegative rate: `values[i]` from `times_s[i]` to the next; the last for ever, or repeated.

    Bits a second on a link, watts of a harvest, or the speed of a server, where 1 is its own, 0 is out
    of order and 1/3 is three times slower: what n units of work take then is what n bits take on a
    link. Times rise strictly from 0 (seconds); after `period_s`, if finite, all begins again. Neighbours
    that are equal become one. Moments asked about are not negative. Raises ValueError.
    """

    times_s: tuple[float, ...]
    values: tuple[float, ...]
    period_s: float = INFINITE
    edges_s: tuple[float, ...] = field(init=False, repr=False, compare=False)  # times and the period
    sums: tuple[float, ...] = field(init=False, repr=False, compare=False)  # the integral up to each

    def __post_init__(self) -> None:
        fault = _fault(self.times_s, self.values, self.period_s)
        if fault:
            raise ValueError(fault)
        times, values = _merged(self.times_s, self.values)
        sums = [
            0.0,
            *accumulate(v * (b - a) for v, (a, b) in zip(values, pairwise(times), strict=False)),
        ]
        sums.append(sums[-1] + values[-1] * (self.period_s - times[-1]) if values[-1] else sums[-1])
        object.__setattr__(self, "times_s", times)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "edges_s", (*times, self.period_s))
        object.__setattr__(self, "sums", tuple(sums))

    @classmethod
    def constant(cls, value: float) -> "Rate":
        """Return a rate that never changes."""
        return cls((0.0,), (value,))

    def scaled(self, factor: float) -> "Rate":
        """Return the rate times a number."""
        return Rate(self.times_s, tuple(value * factor for value in self.values), self.period_s)

    def at(self, now: float) -> float:
        """Return the rate; at a change already the new one."""
        if now < self.period_s:  # what _find does, without its call
            return self.values[bisect_right(self.times_s, now) - 1]
        return self.values[self._find(now)[1]]

    def changes_after(self, now: float) -> float:
        """Tell when it next changes; infinite if never."""
        lap, index = self._find(now)
        if index + 1 < len(self.times_s):
            return self._start(lap) + self.times_s[index + 1]
        if self.period_s == INFINITE or len(self.times_s) == 1:
            return INFINITE
        again = self._start(lap + 1)
        return again if self.values[0] != self.values[-1] else again + self.times_s[1]

    def amount(self, begin_s: float, end_s: float) -> float:
        """Integrate the rate from one moment to a later one."""
        lap, index = self._find(begin_s)
        last_lap, last = self._find(end_s)
        if (lap, index) == (last_lap, last):  # no difference of two large sums
            return self.values[index] * (end_s - begin_s)
        until_end = self.values[index] * (self._start(lap) + self.edges_s[index + 1] - begin_s)
        between = self.sums[last] - self.sums[index + 1]
        if lap != last_lap:
            between += (last_lap - lap) * self.sums[-1]
        since = self.values[last] * (end_s - self._start(last_lap) - self.times_s[last])
        return until_end + between + since

    def ends(self, begin_s: float, amount: float) -> float:
        """Tell when the integral from `begin_s` on first reaches `amount`; infinite if never."""
        if amount <= 0.0:
            return begin_s
        if begin_s < self.period_s:  # what _find does, without its call
            start, index = 0.0, bisect_right(self.times_s, begin_s) - 1
        else:
            lap, index = self._find(begin_s)
            start = lap * self.period_s
        value = self.values[index]
        enough = amount * _DONE
        # Zero for ever gives zero times infinity, not a number, and so goes on below.
        if enough <= value * (start + self.edges_s[index + 1] - begin_s):
            return begin_s + amount / value
        before, total = self.sums[index] + value * (begin_s - start - self.times_s[index]), self.sums[-1]
        if before + enough > total:
            if self.period_s == INFINITE or total == 0.0:
                return INFINITE
            laps = math.ceil((before + enough) / total) - 1
            if before - laps * total + enough <= 0.0:  # a lap too many, by a rounding error
                laps -= 1
            start = (round(start / self.period_s) + laps) * self.period_s
            before -= laps * total
        # The first piece at whose end the sum suffices; its rate is not zero.
        piece = bisect_left(self.sums, min(before + enough, total)) - 1
        return max(
            begin_s,
            start + self.times_s[piece] + (before + amount - self.sums[piece]) / self.values[piece],
        )

    def _find(self, now: float) -> tuple[float, int]:
        """Return the lap and the piece that hold a moment.

        The same sums decide here and in `changes_after`: at the moment that it told, the change is done.
        """
        if now < self.period_s:
            return 0.0, bisect_right(self.times_s, now) - 1
        lap = now // self.period_s
        if (lap + 1.0) * self.period_s <= now:
            return lap + 1.0, 0
        start = lap * self.period_s
        index = bisect_right(self.times_s, now - start) - 1
        if index + 1 < len(self.times_s) and start + self.times_s[index + 1] <= now:
            index += 1
        return lap, index

    def _start(self, lap: float) -> float:
        return lap * self.period_s if lap else 0.0  # the only lap may be infinite


def product(rates: Iterable[Rate], until_s: float = INFINITE) -> Rate:
    """Multiply rates, as a link's by what an outage leaves of it, or one outage by another.

    Where one repeats, the product is written out up to `until_s`, and stays what it is then. Raises
    ValueError if one repeats and `until_s` is infinite.
    """
    factors = tuple(rates)
    if until_s == INFINITE and any(rate.period_s < INFINITE for rate in factors):
        msg = "the product of rates that repeat needs a time up to which it is written out"
        raise ValueError(msg)
    times = np.unique(np.concatenate([np.zeros(1), *(_changes(rate, until_s) for rate in factors)]))
    values = np.ones(len(times))
    for rate in factors:
        changes = _changes(rate, until_s)
        pieces = np.resize(np.array(rate.values), len(changes))
        values *= pieces[np.searchsorted(changes, times, side="right") - 1]
    return Rate(tuple(times.tolist()), tuple(values.tolist()))


def _changes(rate: Rate, until_s: float) -> Floats:
    """Return 0 and all moments before `until_s` (seconds) at which a piece begins."""
    times: Floats = np.array(rate.times_s)
    if rate.period_s < min(INFINITE, until_s):
        laps = math.ceil(until_s / rate.period_s)
        times = (np.arange(laps)[:, None] * rate.period_s + times).ravel()
    before: Floats = times[(times < until_s) | (times == 0.0)]
    return before


def _merged(
    times_s: Iterable[float], values: Iterable[float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Leave out the times at which nothing changes."""
    kept: list[tuple[float, float]] = []
    for time_s, value in zip(times_s, values, strict=True):
        if not kept or value != kept[-1][1]:
            kept.append((time_s, value))
    times, found = zip(*kept, strict=True)
    return times, found


def _fault(times_s: tuple[float, ...], values: tuple[float, ...], period_s: float) -> str | None:
    """Say what is wrong with the parts of a rate."""
    if not times_s or len(times_s) != len(values):
        return "a rate needs as many values as times, and one at least"
    if times_s[0] != 0.0 or any(b <= a for a, b in pairwise(times_s)):
        return "the times of a rate rise strictly from 0"
    if not times_s[-1] < period_s:
        return f"a period of {period_s:g} s ends before the last of its times, {times_s[-1]:g} s"
    if not all(0.0 <= value < INFINITE for value in values):
        return "a rate is finite and not negative"
    return None
