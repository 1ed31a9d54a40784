"""The policies by name, and how a table of a scenario file becomes one."""

import dataclasses
import difflib
import importlib
import importlib.metadata
import json
import math
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from offload.entities import NAME_RULE, Knowledge, OffloadError, is_name
from offload.planning.estimate import Estimate
from offload.policies.named import NAMED
from offload.policies.protocol import Policy
from offload.units import UNITS, Quantity, Seconds

# What every policy table may say besides its options, its label and its knowledge.
GENERIC: dict[str, tuple[Any, Any]] = {
    "estimate": (Estimate, None),
    "overhead": (Seconds, 0.0),
    "time_limit": (Seconds | None, None),
}

_KNOWN = '"offload policies" lists those that there are'

KNOWLEDGE: tuple[Knowledge, ...] = get_args(Knowledge)


@dataclass(frozen=True, slots=True)
class Choice:
    """A policy as chosen: what to call, its options, what it may know and how it makes use of that."""

    label: str
    name: str
    knowledge: Knowledge
    overhead_s: float
    time_limit_s: float | None
    options: tuple[tuple[str, Any], ...]
    said: tuple[tuple[str, Any], ...]
    estimate: Estimate | None = None

    def make(self) -> Policy:
        """Return a fresh policy."""
        policy: Policy = load(self.name)(**dict(self.options))
        return policy


def folder_name(label: str) -> str:
    """Return the name of the folder that a policy's rows go to."""
    return label.replace(":", "-")


class PolicyTableError(OffloadError):
    """Faults in a policy table: pairs of a key (or "") and what to write instead."""

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{key}: {what}" if key else what for key, what in faults))
        self.faults = faults

    def __reduce__(self) -> tuple[type["PolicyTableError"], tuple[list[tuple[str, str]]]]:
        """Cross from a worker process whole."""
        return type(self), (self.faults,)


@cache
def installed() -> dict[str, str]:
    """Return the policies of installed packages: entry points of the group `offload.policies`.

    Names that are taken here stay what they are.
    """
    found = importlib.metadata.entry_points(group="offload.policies")
    return {each.name: each.value for each in found if each.name not in NAMED and ":" in each.value}


def load(name: str) -> Callable[..., Policy]:
    """Return the class of a policy by its name or as "module:Class". Raises PolicyTableError."""
    path = NAMED.get(name) or (name if ":" in name else installed().get(name, name))
    if ":" not in path:
        near = difflib.get_close_matches(name, [*NAMED, *installed()], 1)
        known = f'did you mean "{near[0]}"?' if near else f"{_KNOWN}, or write module:Class"
        raise PolicyTableError([("name", f'no policy "{name}"; {known}')])
    module, _, attribute = path.partition(":")
    try:
        found: Callable[..., Policy] = getattr(importlib.import_module(module), attribute)
    except Exception as error:
        msg = f"{name} cannot be loaded: {type(error).__name__}: {error}"
        raise PolicyTableError([("name", msg)]) from error
    if not callable(getattr(found, "decide", None)):
        raise PolicyTableError([("name", f"{name} has no method decide(request, seen)")])
    return found


def choose(table: Mapping[str, Any]) -> Choice:
    """Check a policy table and return the choice. Raises PolicyTableError with every fault."""
    given = dict(table)
    name = given.pop("name", None)
    if not isinstance(name, str):
        raise PolicyTableError([("name", f"give the policy a name; {_KNOWN}")])
    made = load(name)
    fields = options(made) | GENERIC
    faults: list[tuple[str, str]] = []
    label = given.pop("label", name)
    if not isinstance(label, str) or not is_name(label):
        faults.append(("label", NAME_RULE))
    knowledge = given.pop("knowledge", getattr(made, "knowledge", "reported"))
    if knowledge not in KNOWLEDGE:
        faults.append(("knowledge", f"must be one of {', '.join(KNOWLEDGE)}"))
    chosen: dict[str, Any] = {}
    for key, value in given.items():
        try:
            if key not in fields:
                faults.append((key, _no_such(key, name, [*fields, "knowledge", "label"])))
            else:
                chosen[key] = _convert(fields[key][0], value)
        except ValueError as error:
            faults.append((key, str(error)))
    faults += [
        (key, f"{name} needs it") for key, (_, default) in fields.items()
        if default is dataclasses.MISSING and key not in given
    ]  # fmt: skip
    overhead_s, time_limit_s = chosen.pop("overhead", 0.0), chosen.pop("time_limit", None)
    estimate = chosen.pop("estimate", None)
    if estimate and knowledge != "reported":
        faults.append(("estimate", f"who knows what is {knowledge} estimates nothing; leave it out"))
    if time_limit_s == 0.0:
        faults.append(("time_limit", "must be more than nothing"))
    if faults:
        raise PolicyTableError(faults)
    said = tuple((key, value) for key, value in table.items() if key not in ("name", "label"))
    return Choice(
        str(label), name, knowledge, overhead_s, time_limit_s, tuple(chosen.items()), said, estimate
    )


def _no_such(key: str, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, 1, 0.7)
    hint = f'did you mean "{near[0]}"?' if near else f"{name} takes {', '.join(known)}"
    return f"no such option; {hint}"


def options(made: Callable[..., Policy]) -> dict[str, tuple[Any, Any]]:
    """Return a policy's options: annotation and default (or dataclasses.MISSING) by name."""
    if not dataclasses.is_dataclass(made):
        return {}
    try:
        hints = get_type_hints(made, include_extras=True)
    except Exception as error:
        msg = f"the annotations of its options cannot be read: {type(error).__name__}: {error}"
        raise PolicyTableError([("name", msg)]) from error
    found = {}
    for each in dataclasses.fields(made):
        if each.init:
            default = each.default
            if default is dataclasses.MISSING and each.default_factory is not dataclasses.MISSING:
                default = each.default_factory()
            found[each.name] = (hints[each.name], default)
    for name in found:
        if name in (*GENERIC, "knowledge", "label"):
            msg = f'its option "{name}" is one that every policy table takes; give it another name'
            raise PolicyTableError([("name", msg)])
    return found


def takes(annotation: Any) -> str:  # noqa: ANN401 - any type a policy declares
    """Say what a file may give for an option: a quantity with its units, or a type."""
    quantity = _quantity(annotation)
    if quantity is not None:
        return f"{quantity.dimension} ({', '.join(UNITS[quantity.dimension])})"
    words = get_args(annotation) if get_origin(annotation) is Literal else ()
    if words:
        return " | ".join(f'"{word}"' for word in words)
    return _type_name(annotation)


def said_as(annotation: Any, default: object) -> str | None:  # noqa: ANN401 - as above
    """Write an option's default as a file would."""
    if default is dataclasses.MISSING:
        return "(needed)"
    quantity = _quantity(annotation)
    if quantity is not None and isinstance(default, float | int):
        return quantity.show(default)
    if default is None:
        return None
    return json.dumps(default, default=str)


def _convert(annotation: Any, value: object) -> Any:  # noqa: ANN401 - any type a policy declares
    """Check a value from a file against a field's annotation. Raises ValueError."""
    quantity = _quantity(annotation)
    if quantity is not None:
        value = quantity.parse(value)
        if value < 0:
            msg = "must not be negative"
            raise ValueError(msg)
    try:
        return TypeAdapter(annotation, config=_STRICT).validate_python(value)
    except ValidationError as error:
        named = _type_name(annotation)
        if isinstance(value, float) and not math.isfinite(value):
            named = "a finite number"
        elif error.errors()[0]["type"] in _SAY_WHAT_TO_WRITE:
            named = error.errors()[0]["msg"].removeprefix("Input should be ")
        msg = f"must be {named}, not {reprlib.repr(value)}"
        raise ValueError(msg) from error


# Faults that pydantic words as what to write instead.
_SAY_WHAT_TO_WRITE = (
    "literal_error", "greater_than", "greater_than_equal", "less_than", "less_than_equal",
)  # fmt: skip


def _type_name(annotation: Any) -> str:  # noqa: ANN401 - as above
    if hasattr(annotation, "__metadata__"):
        annotation = annotation.__origin__
    if get_origin(annotation) in (Union, UnionType):
        return " | ".join(map(_type_name, get_args(annotation))).replace("NoneType", "None")
    plain = isinstance(annotation, type) and not get_args(annotation)
    return annotation.__name__ if plain else str(annotation).replace("typing.", "")


# As in scenario files: no text for a number, no NaN.
_STRICT = ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)


def _quantity(annotation: Any) -> Quantity | None:  # noqa: ANN401 - as above
    """Find the unit in `Seconds` or `Seconds | None`."""
    for each in (annotation, *get_args(annotation)):
        for mark in getattr(each, "__metadata__", ()):
            if isinstance(mark, Quantity):
                return mark
    return None
