"""The same comparison at several values of one key of a scenario."""

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from offload.analysis.compare import Comparison, Progress, compare
from offload.analysis.survival import headline
from offload.analysis.workers import Workers
from offload.entities import OffloadError
from offload.policies.table import Choice
from offload.scenario.faults import ScenarioError
from offload.scenario.load import Scenario, load
from offload.units import UNITS, Quantity

_BARE = re.compile(r"[\w-]+", re.ASCII)  # what TOML needs no quotes for
_EXAMPLE = "write KEY=VALUE, VALUE, ..., like 'nodes.*.reports.every=10 ms, 100 ms, 1 s'"


class SweepError(OffloadError):
    """What was to be varied cannot be."""


@dataclass(frozen=True, slots=True)
class Vary:
    """A key of a scenario file and the values that it takes, as they were written.

    One component of the key may be `*`: all there are.
    """

    key: str
    values: tuple[str, ...]

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


@dataclass(frozen=True, slots=True)
class Sweep:
    """A comparison for each value, of the same policies on the same seeds."""

    vary: Vary
    points: tuple[Comparison, ...]

    @property
    def measure(self) -> str:
        """The measure to show unless another is asked for."""
        return headline([pair for point in self.points for pair in point.pairs])

    def as_json(self) -> dict[str, Any]:
        """Return what `sweep --json` prints."""
        values = zip(self.vary.values, self.points, strict=True)
        points = [{"value": value, **found.as_json()} for value, found in values]
        return {"scenario": self.points[0].scenario, "key": self.vary.key, "points": points}


def read(text: str) -> Vary:
    """Read `KEY=a, b, c`; commas inside brackets and quotes divide nothing. Raises SweepError."""
    key, _, rest = text.partition("=")
    values = tuple(part for each in _split(rest) if (part := each.strip()))
    if not key.strip() or not values:
        msg = f"--vary {text:.80}: nothing to vary; {_EXAMPLE}"
        raise SweepError(msg)
    folders = [folder(value) for value in values]
    twice = [value for value, name in zip(values, folders, strict=True) if folders.count(name) > 1]
    if twice:
        msg = f"--vary {key}: {twice[0]} is there twice"
        raise SweepError(msg)
    return Vary(key.strip(), values)


def folder(value: str) -> str:
    """Return the name of the folder that the rows at a value go to."""
    return re.sub(r"[^\w.+-]+", "-", value).strip("-.")[:100] or "-"


def scenarios(path: Path, vary: Vary, settings: Sequence[str]) -> list[Scenario]:
    """Read the scenario at each value. Raises ScenarioError or SweepError with every fault."""
    keys = list(_named(load(path, settings).raw, vary.key))
    found, faults = [], dict[str, None]()
    for value in vary.values:
        try:
            found.append(load(path, [*settings, *(f"{key}={value}" for key in keys)]))
        except ScenarioError as error:
            faults |= dict.fromkeys(error.faults)
    if faults:
        raise ScenarioError([fault.replace("--set", "--vary", 1) for fault in faults])
    return found


def sweep(
    vary: Vary,
    cases: Sequence[tuple[Scenario, Sequence[Choice]]],
    replications: int,
    seed: int | None,
    jobs: int | Workers,
    out: Path,
    progress: Progress,
) -> Sweep:
    """Compare policies at each value; a case is a scenario and its policies.

    These may have other options at each value, but not other labels. Rows go to a folder for each value
    in `out`; what lies there already is not simulated again. Raises SweepError, PolicyError.
    """
    labels = [[choice.label for choice in choices] for _, choices in cases]
    if other := next((each for each in labels if each != labels[0]), None):
        msg = (
            f"--vary {vary.key}: compares {', '.join(labels[0])} and {', '.join(other)}; keep the labels"
        )
        raise SweepError(msg)
    points = [
        compare(
            scenario, choices, replications, seed, jobs, out / folder(value),
            partial(_at, progress, value), second_opinion=False,
        )
        for value, (scenario, choices) in zip(vary.values, cases, strict=True)
    ]  # fmt: skip
    return Sweep(vary, tuple(points))


def _at(progress: Progress, value: str, what: str, total: int) -> Any:  # noqa: ANN401 - what progress returns
    return progress(f"{what} at {value}", total)


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


def _named(raw: Mapping[str, Any], key: str) -> Iterator[str]:
    """The keys that a key with a `*` stands for. Raises SweepError."""
    before, star, after = key.partition("*")
    if not star:
        yield key
        return
    here: Any = raw
    for part in before.split(".")[:-1]:
        if not isinstance(here, dict) or part not in here:
            near = difflib.get_close_matches(part, here if isinstance(here, dict) else (), 1)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            msg = f"--vary {key}: the file has no table {part}{hint}"
            raise SweepError(msg)
        here = here[part]
    if "*" in after or (before and not before.endswith(".")) or (after and not after.startswith(".")):
        msg = f"--vary {key}: one component of the key may be *, like nodes.*.reports.every"
        raise SweepError(msg)
    if not isinstance(here, dict) or not here:
        msg = f"--vary {key}: there is nothing that * could stand for"
        raise SweepError(msg)
    yield from (f"{before}{name if _BARE.fullmatch(name) else json.dumps(name)}{after}" for name in here)
