"""A key of a scenario that is varied, and the values it takes: written out, or as a range."""

import difflib
import json
import math
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from offload.entities import OffloadError
from offload.units import UNITS, Quantity

MOST_VALUES = 10_000
STEP_DIGITS = 12  # of values by steps, which are exact but for rounding
USUAL_COUNT = 8  # values of a range that is no count of things, unless it says how many

_BARE = re.compile(r"[\w-]+", re.ASCII)  # what TOML needs no quotes for
_NUMBER = r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_RANGE = re.compile(
    rf"({_NUMBER})\s*([A-Za-z][\w/]*)?\s*\.\.\s*({_NUMBER})\s*((?!log\b|step\b|count\b)[A-Za-z1][\w/]*)?"
    rf"(\s+log)?(?:\s+step\s+({_NUMBER})\s*([A-Za-z1][\w/]*)?|\s+count\s+([0-9]{{1,6}}))?"
)
_EXAMPLE = (
    "write KEY=VALUE, VALUE, ... or KEY=LOW..HIGH, like 'nodes.*.reports.every=10 ms, 100 ms, 1 s'"
)


class VaryError(OffloadError):
    """What was to be varied cannot be."""


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high` in one unit ("" for none), evenly spaced or so in their logarithm.

    `whole` if both ends were written as whole numbers without a unit: such a range is of whole numbers.
    """

    low: float
    high: float
    unit: str
    log: bool = False
    whole: bool = False

    def at(self, share: float) -> str:
        """Return the value so far (0 to 1) from low to high, as a file would write it.

        Each whole number has an equal part of 0 to 1 (of the logarithms, from half below to half above).
        """
        low, high = (self.low - 0.5, self.high + 0.5) if self.whole else (self.low, self.high)
        value = low * (high / low) ** share if self.log else low + share * (high - low)
        if self.whole:
            return str(int(min(self.high, max(self.low, math.floor(value + 0.5)))))
        return self.write(value)

    def write(self, value: float, digits: int = 0) -> str:
        """Write a number of this range with its unit, so that a millionth of the range is told apart."""
        narrow = max(abs(self.low), abs(self.high)) / (self.high - self.low)
        digits = digits or min(15, 6 + int(math.log10(narrow)))
        number = f"{value:.0f}" if self.whole else f"{value:.{digits}g}"
        if not self.unit and not self.whole and number.lstrip("+-").isdigit():
            number += ".0"  # TOML tells whole numbers from others
        return f"{number} {self.unit}".rstrip()

    def values(self, step: float | None, count: int | None) -> Iterator[str]:
        """Write values from low to high: by steps, or so many; as many as there are of whole numbers."""
        if step is None and count is None and self.whole and not self.log:
            step = 1.0
        if step is not None:
            # A share of a step more, lest rounding leaves out the last.
            for number in range(math.floor((self.high - self.low) / step + 1e-9) + 1):
                yield self.write(self.low + number * step, STEP_DIGITS)
            return
        count = count or USUAL_COUNT
        for number in range(count):
            share = number / max(1, count - 1)
            if self.log:
                yield self.write(self.low * (self.high / self.low) ** share)
            else:
                yield self.write(self.low + share * (self.high - self.low))


@dataclass(frozen=True, slots=True)
class Vary:
    """A key of a scenario file and the values that it takes, as `--set` would be told them.

    One component of the key may be `*`: all there are. `range` is what the values were written as, if
    they were one range; `where` tells who asked, for messages.
    """

    key: str
    values: tuple[str, ...]
    range: Range | None = None
    where: str = "--vary"

    @property
    def numbers(self) -> tuple[float, ...] | None:
        """The values in SI units, None if they are no numbers of one kind."""
        for dimension in UNITS:
            try:
                return tuple(map(Quantity(dimension).parse, self.values))
            except ValueError:
                continue
        try:
            return tuple(map(float, self.values))
        except ValueError:
            return None

    def distinct(self) -> "Vary":
        """Return the same, or raise VaryError if a value is there twice."""
        if twice := [value for value, times in Counter(self.values).items() if times > 1]:
            msg = f"{self.where} {self.key}: {twice[0]} is there twice"
            raise VaryError(msg)
        return self

    def at(self, share: float) -> str:
        """Return the value so far (0 to 1) along the range, or along the list of values."""
        if self.range is not None:
            return self.range.at(share)
        return self.values[min(int(share * len(self.values)), len(self.values) - 1)]


def read(text: str) -> Vary:
    """Read what follows --vary. Raises VaryError.

    `KEY=a, b, c`; commas inside brackets and quotes divide nothing. A value may be a range: `1..8`
    (whole numbers), `50..400 Mbit/s` (eight values), with `step 50 Mbit/s` or `count 5`, and before
    that `log` for values evenly spaced in their logarithm.

    >>> read("nodes.cabinet.servers=1..3, 8").values
    ('1', '2', '3', '8')
    >>> read("links.cell.up=50..400 Mbit/s log count 4").values
    ('50 Mbit/s', '100 Mbit/s', '200 Mbit/s', '400 Mbit/s')
    """
    key, _, rest = text.partition("=")
    parts = [part for each in _split(rest) if (part := each.strip())]
    if not key.strip() or not parts:
        msg = f"--vary {text:.80}: nothing to vary; {_EXAMPLE}"
        raise VaryError(msg)
    return _vary(key.strip(), parts, "--vary")


def of(key: str, said: object, where: str) -> Vary:
    """Return what a file says of a key: a list of values, or a text like `50..400 Mbit/s`.

    Raises VaryError.
    """
    if not isinstance(said, list):
        said = [said]
    if not said:
        msg = f"{where} {key}: nothing to vary; give a list of values or a range like 1..8"
        raise VaryError(msg)
    return _vary(key, [toml(value) for value in said], where)


def toml(value: object) -> str:
    """Write a value as `--set` would be told it: quotes only where a text is TOML for something else.

    >>> toml("50 Mbit/s"), toml("4"), toml({"states": ["1 s", True]})
    ('50 Mbit/s', '"4"', '{ states = ["1 s", true] }')
    """
    if isinstance(value, str) and value.isprintable() and value.strip() == value and "," not in value:
        try:
            tomllib.loads(f"value = {value}")
        except ValueError:  # no TOML: a text without quotes
            return value or '""'
    return _toml(value)


def named(raw: Mapping[str, Any], vary: Vary) -> list[str]:
    """Return the keys of a scenario that a key with a `*` stands for. Raises VaryError."""
    before, star, after = vary.key.partition("*")
    if not star:
        return [vary.key]
    here: Any = raw
    for part in before.split(".")[:-1]:
        if not isinstance(here, dict) or part not in here:
            near = difflib.get_close_matches(part, here if isinstance(here, dict) else (), 1)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            msg = f"{vary.where} {vary.key}: the file has no table {part}{hint}"
            raise VaryError(msg)
        here = here[part]
    if "*" in after or (before and not before.endswith(".")) or (after and not after.startswith(".")):
        msg = f"{vary.where} {vary.key}: one component of the key may be *, like nodes.*.reports.every"
        raise VaryError(msg)
    if not isinstance(here, dict) or not here:
        msg = f"{vary.where} {vary.key}: there is nothing that * could stand for"
        raise VaryError(msg)
    return [f"{before}{name if _BARE.fullmatch(name) else _quoted(name)}{after}" for name in here]


def settings(raw: Mapping[str, Any], vary: Vary, value: str) -> list[str]:
    """Return the `KEY=VALUE` texts that give a key this value, as `scenario.load.load` takes them.

    Raises VaryError.
    """
    return [f"{key}={value}" for key in named(raw, vary)]


def folder(value: str) -> str:
    """Return a value as the name of a folder."""
    sign = "-" if re.match(r"-[0-9.]", value) else ""
    return sign + re.sub(r"[^\w.+-]+", "-", value).strip("-.")[:100] or "-"


def _vary(key: str, parts: list[str], where: str) -> Vary:
    values: list[str] = []
    ranges: list[Range | None] = []
    for part in parts:
        match = _RANGE.fullmatch(part)
        if match is None:
            ranges.append(None)
            values.append(part)
        else:
            range_, found = _range(match, f"{where} {key}: {part:.40}")
            ranges.append(range_)
            values += found
    if len(values) > MOST_VALUES:
        msg = f"{where} {key}: {len(values)} values; at most {MOST_VALUES} may be"
        raise VaryError(msg)
    return Vary(key, tuple(values), ranges[0] if len(parts) == 1 else None, where)


def _range(match: re.Match[str], what: str) -> tuple[Range, list[str]]:
    """Return a range and its values. Raises VaryError."""
    low, low_unit, high, unit, log, step, step_unit, count = match.groups()
    unit = unit or low_unit or ""
    dimension = next((name for name, units in UNITS.items() if unit in units), None)
    if unit and dimension is None:
        msg = f'{what}: no unit "{unit}"'
        raise VaryError(msg)

    def number(text: str, own: str | None) -> float:
        if dimension is None:
            return float(text)
        try:
            return Quantity(dimension).parse(f"{text} {own or unit}") / UNITS[dimension][unit]
        except ValueError as error:
            msg = f"{what}: {error}"
            raise VaryError(msg) from None

    whole = not unit and low.lstrip("+-").isdigit() and high.lstrip("+-").isdigit()
    whole = whole and (step is None or step.isdigit())
    found = Range(number(low, low_unit), number(high, unit), unit, bool(log), whole)
    wanted, how_many = number(step, step_unit) if step else None, int(count) if count else None
    if fault := _fault(found, wanted, how_many):
        msg = f"{what}: {fault}"
        raise VaryError(msg)
    # Whole numbers on a coarse scale may be met twice.
    return found, list(dict.fromkeys(found.values(wanted, how_many)))


def _fault(found: Range, step: float | None, count: int | None) -> str:
    """Say what is wrong with a range, "" if nothing is."""
    if not (math.isfinite(found.low) and found.low < found.high < math.inf):
        return "an empty range; write the smaller number first"
    if found.log and found.low <= 0:
        return "only what is more than 0 has a logarithm"
    if found.log and step is not None:
        return "log takes a count, no step"
    if (step is not None and step <= 0) or count == 0:
        return "the step or count must be more than 0"
    by_one = found.whole and not found.log and count is None
    if (count or (found.high - found.low) / (step or (1.0 if by_one else math.inf))) > MOST_VALUES:
        return f"more than {MOST_VALUES} values; give a step or a count"
    return ""


def _toml(value: object) -> str:
    """Write a value as TOML does in one line."""
    if isinstance(value, dict):
        pairs = (f"{k if _BARE.fullmatch(k) else _quoted(k)} = {_toml(v)}" for k, v in value.items())
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _quoted(value)
    return str(value)


def _quoted(text: str) -> str:
    """Write a text in quotes as TOML does, which is nearly as JSON does."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _split(text: str) -> Iterator[str]:
    """Divide at commas that no bracket or quote encloses."""
    part, depth, quote = "", 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        else:
            depth += (letter in "[{") - (letter in "]}")
        if letter == "," and depth == 0 and not quote:
            yield part
            part = ""
        else:
            part += letter
    yield part
