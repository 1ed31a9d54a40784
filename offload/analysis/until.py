"""How many replications it takes until intervals are as narrow as was asked for."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from offload.analysis.measures import MEASURES
from offload.analysis.statistics import PAIRED, Interval, Pair
from offload.entities import OffloadError
from offload.units import Quantity

START = 20  # replications before the first look
LEVEL = 0.97  # of the intervals that are looked at, and shown, so that they hold in 95 %
MOST = 1000

_SHARES = ("useful", "on_time", "accuracy")
_TARGET = re.compile(r"\s*(\w+)(\s+of\s+pairs)?\s*(?:±|\+-|\+/-)\s*(.+?)\s*")
_PLAIN = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)\s*(%?)", re.ASCII)
_EXAMPLE = "write MEASURE ±WIDTH, like 'useful ±1%' or 'latency_p95_s ±2 ms'"


class UntilError(OffloadError):
    """What replications were to be added for cannot be understood."""


@dataclass(frozen=True, slots=True)
class Target:
    """A measure and the half-width that all its intervals are to have, as it was written too.

    `of_mean` tells that `half` is a share of the mean; `pairs` that it is about differences.
    """

    measure: str
    half: float
    of_mean: bool
    pairs: bool
    said: str

    def room(self, mean: float) -> float:
        """Return the half-width that an interval around this mean may have."""
        return self.half * abs(mean) if self.of_mean else self.half


@dataclass(frozen=True, slots=True)
class Until:
    """What is to be that narrow, with at most so many replications.

    Looked at after 20 replications and then after as many as the widest interval is predicted to need,
    n (half / target)^2, at most twice as many as before (Chow and Robbins 1965 look after each; Law and
    Kelton, Simulation Modeling and Analysis, section 9.4.1, advise a pilot of ten or more).

    Who stops when the spread looks small stops too early, so that Student's 95 % intervals at the stop
    hold less often: in 93.5 % of 20 000 simulated studies of normal values in the worst case (a need of
    about 20; pilot of ten). Therefore intervals are taken at 97 %, which a third more replications pay
    for. So they held in 96.4 to 97.2 % for normal values with a need of 8 to 300 at 95 %, in 93.5 to
    96.4 % for values of skewness 1.75 (log-normal) and in 91.8 to 96.1 % for skewness 2 (exponential),
    where as many replications chosen beforehand give 92.0 to 94.7 % and 90.1 to 94.8 %. Values that are
    all alike at first, like a share of on-time answers of 1, stop at once: there it is no interval.
    """

    targets: tuple[Target, ...]
    most: int = MOST

    def wanted(
        self,
        count: int,
        policies: Mapping[str, Mapping[str, Interval | None]],
        pairs: Sequence[Pair] = (),
    ) -> int:
        """Return how many replications to go on to from `count`; `count` itself is enough.

        `policies[label][measure]` are intervals at LEVEL, and so are the pairs.
        """
        wide = [(have / room if room else math.inf) for _, have, room in self._wide(policies, pairs)]
        if not wide or count >= self.most:
            return count
        need = count * min(min(max(wide), 2.0) ** 2, 2.0)  # of large numbers there is no square
        return min(self.most, max(math.ceil(need), math.ceil(1.1 * count)))

    def unmet(
        self, policies: Mapping[str, Mapping[str, Interval | None]], pairs: Sequence[Pair] = ()
    ) -> tuple[str, ...]:
        """Return what is not that narrow, a line each, and what can never be."""
        lines = [
            f"{target.said}: {what} is ±{have:.3g}, not ±{room:.3g}"
            for (target, what), have, room in self._wide(policies, pairs)
        ]
        return tuple(lines) + tuple(
            f"{target.said}: not defined for {label}, and left out"
            for target in self.targets
            for label, measures in policies.items()
            if measures[target.measure] is None
        )

    def _wide(
        self, policies: Mapping[str, Mapping[str, Interval | None]], pairs: Sequence[Pair]
    ) -> list[tuple[tuple[Target, str], float, float]]:
        """Find what is too wide: which target and whose, its half-width and the one wanted."""
        found: list[tuple[tuple[Target, str], float, float]] = []
        for target in self.targets:
            of = {label: measures[target.measure] for label, measures in policies.items()}
            whose: dict[str, Interval | Pair | None] = dict(of)
            if target.pairs:
                mine = [pair for pair in pairs if pair.measure == target.measure]
                whose = {f"{pair.a} minus {pair.b}": pair for pair in mine}
            for label, each in whose.items():
                if each is not None and each.high - each.mean > target.room(each.mean):
                    room = target.room(each.mean)
                    found.append(((target, label), each.high - each.mean, room))
        return found


def read(texts: Sequence[str]) -> tuple[Target, ...]:
    """Read targets, several in one text with commas between. Raises UntilError with every fault.

    A share's % are percentage points, another measure's % are of its mean; with a unit, or a bare
    number where the measure has none, the half-width itself.

    >>> [(t.measure, t.half, t.of_mean) for t in read(["useful ±1%, latency_p95_s +-2 ms"])]
    [('useful', 0.01, False), ('latency_p95_s', 0.002, False)]
    """
    targets, faults = [], []
    for text in [part for each in texts for part in each.split(",")]:
        try:
            targets.append(_target(text))
        except ValueError as error:
            faults.append(f"--until {text.strip():.60}: {error}")
    if faults:
        raise UntilError("\n".join(faults))
    return tuple(targets)


def _target(text: str) -> Target:
    """Read one target. Raises ValueError saying what to write instead."""
    found = _TARGET.fullmatch(text) if len(text) < 100 else None
    if found is None:
        msg = f"not understood; {_EXAMPLE}"
        raise ValueError(msg)
    measure, pairs, width = found[1], bool(found[2]), found[3]
    known = PAIRED if pairs else MEASURES
    if measure not in known:
        msg = f"no measure {measure}{' of pairs' if pairs else ''}; one of {', '.join(known)}"
        raise ValueError(msg)
    plain = _PLAIN.fullmatch(width)
    of_mean = bool(plain and plain[2]) and measure not in _SHARES
    if of_mean and pairs:
        msg = "a difference may be 0, so that % of it say nothing; give the half-width itself"
        raise ValueError(msg)
    if plain and plain[2]:
        half = float(plain[1]) / 100
    elif dimension := {"_s": "time", "_j": "energy"}.get(measure[-2:]):
        half = Quantity(dimension).parse(width)
    elif plain:
        half = float(plain[1])
    else:
        msg = f"{width} is no number or share; {_EXAMPLE}"
        raise ValueError(msg)
    if half <= 0:
        msg = "no interval is that narrow; give a width above 0"
        raise ValueError(msg)
    return Target(measure, half, of_mean, pairs, " ".join(text.split()))
