"""What a configuration must reach, like `on_time >= 99%`."""

import difflib
import math
import re
from dataclasses import dataclass

from offload.analysis.measures import MEASURES, Summary
from offload.analysis.statistics import Interval
from offload.entities import OffloadError
from offload.units import Quantity, show_seconds

SHARES = ("useful", "on_time", "accuracy")
_TARGET = re.compile(r"\s*([\w-]+)\s*(>=|<=|\u2265|\u2264)\s*(.+)")
_EXAMPLE = (
    "write MEASURE >= VALUE or MEASURE <= VALUE, like 'on_time >= 99%' or 'latency_p95_s <= 80 ms'"
)


class TargetError(OffloadError):
    """What is to be reached cannot be."""


@dataclass(frozen=True, slots=True)
class Target:
    """A measure, whether it is to be at least (`sign` 1) or at most (-1) the limit, and that."""

    measure: str
    sign: int
    limit: float

    def __str__(self) -> str:
        return f"{self.measure} {'>=' if self.sign > 0 else '<='} {self.show(self.limit)}"

    @property
    def is_share(self) -> bool:
        """Whether it is a share of requests."""
        return self.measure in SHARES

    @property
    def zero(self) -> float | None:
        """The share that clears a share's limit by nothing, counted from the side that is wanted."""
        if not self.is_share:
            return None
        return self.limit if self.sign > 0 else 1 - self.limit

    def counted(self, run: Summary) -> int:
        """Return of how many requests a replication's share is: only answers can be right."""
        return run.requests - run.unfinished if self.measure == "accuracy" else run.requests

    def margin(self, run: Summary) -> float:
        """Return by how much a replication clears the limit; what was never answered is no answer.

        Raises TargetError if the measure is not defined in a replication.
        """
        value = run.values[self.measure]
        if math.isnan(value) and run.requests and run.unfinished:
            late = self.measure == "latency_mean_s"
            nobody = self.measure == "accuracy" and run.unfinished == run.requests
            if late or nobody:
                return -math.inf
        if math.isnan(value):
            msg = (
                f"--target {self}: not defined in a replication of {run.requests} requests; lengthen the"
                " duration, or choose another measure"
            )
            raise TargetError(msg)
        return self.sign * (value - self.limit)

    def missed_by(self, bound: Interval) -> bool:
        """Tell whether all within the bounds of the measure miss the limit."""
        return bound.high < self.limit if self.sign > 0 else bound.low > self.limit

    def show(self, value: float) -> str:
        """Write a value of the measure for people."""
        if self.is_share:
            return f"{100 * value:.4g}%"
        if self.measure.startswith("latency"):
            return show_seconds(value)
        return f"{1e3 * value:.4g} mJ" if self.measure == "energy_j" else f"{value:.4g}"


def read(text: str) -> Target:
    """Read what follows --target. Raises TargetError.

    >>> read("on_time >= 99%"), str(read("latency_p95_s<=80 ms"))
    (Target(measure='on_time', sign=1, limit=0.99), 'latency_p95_s <= 80 ms')
    """
    match = _TARGET.fullmatch(text)
    if match is None:
        msg = f"--target {text:.60}: {_EXAMPLE}"
        raise TargetError(msg)
    measure, comparison, limit = match.groups()
    sign = 1 if comparison in (">=", "\u2265") else -1
    if measure not in MEASURES:
        near = difflib.get_close_matches(measure, MEASURES, 1)
        hint = f'; did you mean "{near[0]}"?' if near else f"; it must be one of {', '.join(MEASURES)}"
        msg = f"--target {text:.60}: no measure {measure}{hint}"
        raise TargetError(msg)
    try:
        value = _limit(measure, sign, limit.strip())
    except ValueError as error:
        msg = f"--target {text:.60}: {error}"
        raise TargetError(msg) from None
    return Target(measure, sign, value)


def _limit(measure: str, sign: int, text: str) -> float:
    """Read a limit in the measure's unit. Raises ValueError."""
    if measure.startswith("latency"):
        return Quantity("time").parse(text)
    if measure == "energy_j":
        return Quantity("energy").parse(text)
    percent = measure in SHARES and text.endswith("%")
    try:
        value = float(text.removesuffix("%").strip() if percent else text) / (100 if percent else 1)
    except ValueError:
        msg = f"not a number{' nor a share like 99%' if measure in SHARES else ''}: {text:.20}"
        raise ValueError(msg) from None
    if not math.isfinite(value) or (measure in SHARES and not 0 <= value <= 1):
        msg = "a share lies between 0% and 100%" if measure in SHARES else "not a finite number"
        raise ValueError(msg)
    if measure in SHARES and value == (1.0 if sign > 0 else 0.0):
        msg = "no number of requests can show that of all there will be; name a share like 99.9%"
        raise ValueError(msg)
    return value
