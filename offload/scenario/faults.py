"""Faults of a scenario file: where each is, and what to write instead."""

import difflib
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from offload.entities import OffloadError
from offload.scenario.schema import ScenarioFile

Key = tuple[str | int, ...]
Fault = tuple[Key, str]  # of which key, and what to write instead


class ScenarioError(OffloadError):
    """A scenario that cannot be used; `faults` are lines of `file:line: key: what to write`."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)

    def __reduce__(self) -> tuple[type["ScenarioError"], tuple[tuple[str, ...]]]:
        """Cross from a worker process whole."""
        return type(self), (self.faults,)


@dataclass(slots=True)
class Where:
    """Tells where a key stands: its line, or the setting that gave it."""

    path: Path
    found: dict[Key, int]

    def locate(self, key: Key) -> str:
        """Return `file:line`, or the setting."""
        for end in range(len(key), 0, -1):
            line = self.found.get(key[:end])
            if line is not None:
                return f"{self.path}:{line}" if line > 0 else f"--set {dotted(key[:end])}"
        return f"{self.path}:1"


def tell(faults: Iterable[Fault], locate: Callable[[Key], str]) -> ScenarioError:
    """Return the error that tells all faults, in the order of their lines."""
    told = dict.fromkeys((locate(key), dotted(key), what) for key, what in faults)
    return ScenarioError(
        [f"{place}: {key or 'file'}: {what}" for place, key, what in sorted(told, key=_in_order)]
    )


def _in_order(told: tuple[str, str, str]) -> tuple[str, int, str]:
    place, _, line = told[0].rpartition(":")
    return (place, int(line), told[1]) if line.isdigit() else ("--set", 0, "")


def explain(error: ValidationError, raw: Mapping[str, Any]) -> Iterator[Fault]:
    """Turn pydantic's faults into ours: which key, and what to write instead."""
    for fault in error.errors():
        place: Key = tuple("from" if part == "from_" else part for part in fault["loc"])
        key: Key = tuple(part for part in place if not _is_tag(part))
        while key and not _exists(raw, key) and _exists(raw, key[:-2]) and fault["type"] != "missing":
            key = key[:-1]  # a branch of a union, no key
        what = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "value_error" and isinstance(fault["input"], dict):
            # A table's own check names the key that it is about first.
            name, colon, rest = what.partition(": ")
            inner = tuple(name.split("."))
            if colon and " " not in name:
                key, what = (*key, *inner), rest
        yield key, _ours(fault) or _say(fault, place, what)


def _ours(fault: Any) -> str | None:  # noqa: ANN401 - pydantic's ErrorDetails
    """What pydantic says in words of its own, in ours."""
    bounds = fault.get("ctx", {})
    if fault["type"] == "missing":
        return "missing; it must be given"
    if fault["type"] == "too_short":
        return f"give at least {'one' if bounds['min_length'] == 1 else bounds['min_length']}"
    return f"give at most {bounds['max_length']}" if fault["type"] == "too_long" else None


def _is_tag(part: str | int) -> bool:
    """Tell what pydantic adds to a path from what the file says: [key], or the table of a union."""
    return isinstance(part, str) and part.startswith("[")


def _say(fault: Any, place: Key, what: str) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    given = f"{reprlib.repr(fault['input']):.60}"
    if fault["type"] == "extra_forbidden":
        known = _fields(place[:-1])
        alike = difflib.get_close_matches(str(place[-1]), known, 1)
        if alike:
            return f'no such key; did you mean "{alike[0]}"?'
        other = _elsewhere(str(place[-1])) if len(place) > 1 else ""
        return f"no such key{other}" + (f"; known here: {', '.join(known)}" if known else "")
    if fault["type"] in ("model_type", "dict_type", "model_attributes_type"):
        of = ", ".join(_fields(place))
        return f"must be a table{of and f' of {of}'}, not {given}"
    if fault["type"] == "value_error":
        said = isinstance(fault["input"], str | int | float) and what.startswith(("not", "a bare"))
        return f"{given} is {what}" if said else what
    if isinstance(fault["input"], dict | list):
        return what
    return f"{what[:1].lower()}{what[1:]}, not {given}"


def _elsewhere(name: str) -> str:
    """Say which tables of a scenario, if not that of a fault, have a key of this name."""
    there = [section for section in ScenarioFile.model_fields if name in _fields((section, "NAME"))]
    return f" (there is one in [{there[0]}.NAME])" if len(there) == 1 else ""


def _exists(raw: Any, key: Key) -> bool:  # noqa: ANN401 - any nest of dicts and lists
    for part in key:
        try:
            raw = raw[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _fields(place: Key) -> list[str]:
    """The keys that the schema knows in the table at a path."""
    found: list[type[BaseModel]] = [ScenarioFile]
    for part in place:
        if isinstance(part, str) and _is_tag(part):
            found = [table for table in found if table.__name__ == part[1:-1]]
            continue
        if not found:
            return []
        names = {field.alias or name: field for name, field in found[0].model_fields.items()}
        if part in names:
            found = _tables(names[part].annotation)
    return [field.alias or name for table in found[:1] for name, field in table.model_fields.items()]


def _tables(annotation: Any) -> list[type[BaseModel]]:  # noqa: ANN401 - any annotation
    """Find the tables inside dict[Name, Table], list[Table], Table | None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [table for each in get_args(annotation) for table in _tables(each)]


def near(name: str, known: Iterable[str], noun: str) -> str:
    """Say that a name stands for nothing, and which comes nearest."""
    known = list(known)
    alike = difflib.get_close_matches(name, known, 1)
    if alike:
        return f'no {noun} "{name}"; did you mean "{alike[0]}"?'
    return f'no {noun} "{name}"; there is {", ".join(known) or "none"}'


def dotted(key: Key) -> str:
    """Write a key as TOML does."""
    return ".".join(str(part) for part in key)
