"""Quantities as people write them ("20 ms", "120 Mbit/s") turned into SI floats."""

import math
import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

YEAR_S = 365.25 * 86_400

# What each unit is in SI. Decimal prefixes only: "kB" is 1 000 bytes, as on a network.
UNITS: dict[str, dict[str, float]] = {
    "time": {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0},
    "rate": {"bit/s": 1.0, "kbit/s": 1e3, "Mbit/s": 1e6, "Gbit/s": 1e9},
    "byte rate": {"B/s": 1.0, "kB/s": 1e3, "MB/s": 1e6, "GB/s": 1e9},
    "size": {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9},
    "length": {"m": 1.0, "km": 1e3},
    "speed": {"m/s": 1.0, "km/h": 1 / 3.6},
    "power": {"W": 1.0, "mW": 1e-3, "kW": 1e3},
    "energy": {"J": 1.0, "mJ": 1e-3, "kJ": 1e3, "Wh": 3600.0, "kWh": 3.6e6},
    "life": {"years": YEAR_S, "year": YEAR_S, "months": YEAR_S / 12, "month": YEAR_S / 12},
    "frequency": {"1/s": 1.0, "Hz": 1.0, "kHz": 1e3, "MHz": 1e6},
}

# In which unit an example is given, where the first would be far too small.
_TYPICAL = {"rate": "Mbit/s", "byte rate": "MB/s", "size": "kB"}

_QUANTITY = re.compile(r"\s*([+-]?[0-9]+(?:_[0-9]+)*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)\s*(\S*)\s*")


@dataclass(frozen=True, slots=True)
class Quantity:
    """Marks a float annotation as one that files write with a unit of this dimension."""

    dimension: str

    def parse(self, text: object) -> float:
        """Return the SI value of `text`; raise ValueError saying what to write instead."""
        units = UNITS[self.dimension]
        example = f'"20 {_TYPICAL.get(self.dimension) or next(iter(units))}"'
        if isinstance(text, int | float) and not isinstance(text, bool):
            msg = f"a bare number; write it with a unit, like {example}"
            raise ValueError(msg)  # noqa: TRY004 - pydantic expects it
        match = _QUANTITY.fullmatch(text) if isinstance(text, str) and len(text) < 64 else None
        if match is None:
            article = "an" if self.dimension[0] in "aeiou" else "a"
            msg = f"not {article} {self.dimension}; write a number and a unit, like {example}"
            raise ValueError(msg)
        number, unit = match.groups()
        if unit not in units:
            said = f'unit "{unit}" is no {self.dimension}' if unit else "the unit is missing"
            msg = f"{said}; use one of {', '.join(units)}"
            raise ValueError(msg)
        value = float(number) * units[unit]
        if not math.isfinite(value):
            msg = "not a finite number"
            raise ValueError(msg)
        return value

    def show(self, value: float) -> str:
        """Write an SI value in the unit that reads best: the largest of which it is one or more.

        >>> Quantity("time").show(0.02), Quantity("rate").show(5e6), Quantity("power").show(0.0)
        ('20 ms', '5 Mbit/s', '0 W')
        """
        units = UNITS[self.dimension]
        base = next(iter(units))
        fitting = {name: size for name, size in units.items() if abs(value) >= size}
        name = max(fitting, key=lambda each: units[each]) if fitting else base
        return f"{value / units[name]:g} {name}"


Seconds = Annotated[float, Quantity("time")]
Bytes = Annotated[float, Quantity("size")]
Metres = Annotated[float, Quantity("length")]
Watts = Annotated[float, Quantity("power")]
Joules = Annotated[float, Quantity("energy")]
BitsPerSecond = Annotated[float, Quantity("rate")]
Hertz = Annotated[float, Quantity("frequency")]
Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]


def show_seconds(value: float) -> str:
    """Write seconds for a person, with three significant digits.

    >>> show_seconds(0.0123)
    '12.3 ms'
    """
    if value != value or math.isinf(value):  # noqa: PLR0124 - the test for NaN
        return "-"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if abs(value) >= size or unit == "us":
            return f"{value / size:.3g} {unit}"
    raise AssertionError
