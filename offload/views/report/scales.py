"""From values to places in a picture: round ticks and bounds, and places that keep their distance."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

SAME = 1e-9  # a span that is no larger a share of its ends is none


def steps(low: float, high: float, most: int) -> tuple[float, list[float]]:
    """Return the step between round numbers, and those from `low` to `high`: at most so many (or two).

    Steps are 1, 2 or 5 times a power of ten, the smallest that will do.

    >>> steps(0.0, 0.34, 4)
    (0.1, [0.0, 0.1, 0.2, 0.3])
    """
    span = high - low
    if not span > SAME * max(abs(low), abs(high)):
        return 1.0, [low]
    power = math.floor(math.log10(span / most))
    while True:
        for digit in (1, 2, 5):
            step = digit * 10.0**power
            first, last = math.ceil(low / step - SAME), math.floor(high / step + SAME)
            if last - first < max(2, most):
                # Divided by a power of ten, 3 tenths are 0.3 and not 0.30000000000000004.
                times, over = (digit * 10**power, 1) if power >= 0 else (digit, 10**-power)
                return step, [each * times / over for each in range(first, last + 1)]
        power += 1


def rounded(low: float, high: float, most: int = 6) -> tuple[float, float]:
    """Return round bounds that hold both, and are never equal.

    >>> rounded(0.0, 0.34)
    (0.0, 0.4)
    """
    if not high - low > SAME * max(abs(low), abs(high)):
        margin = abs(high) / 10 or 1.0
        low, high = low - margin, high + margin
    step, _ = steps(low, high, most)
    return math.floor(low / step + SAME) * step, math.ceil(high / step - SAME) * step


def written(values: Sequence[float]) -> list[str]:
    """Write round numbers, all with as many decimals as one of them needs.

    >>> written([0.0, 0.05, 0.1])
    ['0.00', '0.05', '0.10']
    """
    texts = [f"{value:.10g}" for value in values]
    if any("e" in text for text in texts):
        return texts
    decimals = max((len(text.partition(".")[2]) for text in texts), default=0)
    return [f"{value:.{decimals}f}" for value in values]


def prefixed(largest: float, unit: str) -> tuple[str, float]:
    """Return a unit with the prefix in which the largest is one or more, and what to multiply by.

    >>> prefixed(0.13, "s")
    ('ms', 1000.0)
    """
    for prefix, times in (("", 1.0), ("m", 1e3), ("u", 1e6)):
        if largest * times >= 1.0:
            return prefix + unit, times
    return (f"n{unit}", 1e9) if largest > 0.0 else (unit, 1.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """Puts values from `low` to `high`, which differ, between two places of a picture."""

    low: float
    high: float
    begin: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the place of a value; one beyond the ends is put there."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)

    def ticks(self, most: int) -> list[float]:
        """Return round values, at most so many."""
        return steps(self.low, self.high, most)[1]


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move places apart by a gap at least, from `low` to `high`, in their order; closer if too many.

    >>> spread([5.0, 5.0, 1.0], 2.0, 0.0, 6.0)
    [4.0, 6.0, 1.0]
    """
    if len(wanted) > 1:
        gap = min(gap, (high - low) / (len(wanted) - 1))
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    found = list(wanted)
    before = low - gap
    for index in order:
        before = found[index] = max(wanted[index], before + gap)
    after = high + gap
    for index in reversed(order):
        after = found[index] = min(found[index], after - gap)
    return found
