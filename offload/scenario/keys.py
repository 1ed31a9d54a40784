"""Every key that a scenario file may have: what it takes, its default, and what it means.

All is read from the models of the schema and from the sentences below their fields, so that it cannot
say anything else than what is checked.
"""

import ast
import difflib
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from types import ModuleType
from typing import Any

from pydantic.fields import FieldInfo

from offload.entities import OffloadError
from offload.scenario.fields import Table
from offload.scenario.forms import Form, Forms, field_example, forms, mark, told, write
from offload.scenario.schema import ScenarioFile

# What stands in paths for a name, for a place in a list (from 0), and for what others decide.
NAME, PLACE, OPTION, KEY = "NAME", "N", "OPTION", "KEY"
FREE = {NAME, PLACE, OPTION, KEY}
NEEDED = "needed"
LONGEST = 500  # characters of a question
HINT = "--explain '*' tells of all, and `offload policies NAME` of a policy's options"

_PART = re.compile(r'"([^"]*)"|([^."]+)')


class NoSuchKeyError(OffloadError):
    """A key that no scenario can have."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key: its path, the forms of its value, its meaning, its default and an example as TOML.

    `beside` is what a file says beside it, where its table is one of several: `model = "manhattan"`.
    `inside` are the keys of its table, or of the tables that it names.
    """

    path: tuple[str, ...]
    forms: Forms
    meaning: str
    default: str
    example: str
    beside: str = ""
    inside: tuple[str, ...] = ()

    @property
    def dotted(self) -> str:
        """The path as messages write it."""
        return ".".join(self.path)

    @property
    def spoken(self) -> tuple[str, ...]:
        """The path up to its last own name: `devices` for `devices.NAME`."""
        end = len(self.path)
        while end > 1 and self.path[end - 1] in FREE - {OPTION}:
            end -= 1
        return self.path[:end]

    def under(self, depth: int) -> str:
        """Return the first own name of the path from a depth on; "" if there is none."""
        return next((part for part in self.path[depth:] if part not in FREE), "")

    @property
    def takes(self) -> str:
        """What its value may be, in words."""
        return told(self.forms)

    @property
    def ranges(self) -> str:
        """The bounds of its values, in words; "" where there are none."""
        return "; ".join(dict.fromkeys(form.range for form in self.forms if form.range))


@cache
def keys() -> tuple[Key, ...]:
    """Return every key, in the order of the schema, what is inside a table behind it."""
    return tuple(_of_table(ScenarioFile, ()))


def _of_table(table: type[Table], path: tuple[str, ...], beside: str = "") -> Iterator[Key]:
    for name, field in table.model_fields.items():
        yield from _of_field(table, name, field, (*path, field.alias or name), beside)
    if table.model_config.get("extra") == "allow":
        meaning = "An option of the policy; `offload policies NAME` lists those that it has."
        yield Key((*path, OPTION), (Form("anything"),), meaning, "", '"10 ms"', beside)


def _of_field(
    table: type[Table], name: str, field: FieldInfo, path: tuple[str, ...], beside: str
) -> Iterator[Key]:
    found = forms(field.annotation, [field])
    whole = (*path, *_below(found))
    inside = [key for each in _tables(found) for key in _of_table(each[0], (*path, *each[1]), each[2])]
    own = dict.fromkeys(filter(None, (key.under(len(whole)) for key in inside)))
    default = NEEDED if field.is_required() else default_of(field, found)
    text = meanings(table).get(name, "")
    yield Key(whole, found, text, default, write(field_example(field), found), beside, tuple(own))
    yield from inside


def default_of(field: FieldInfo, found: Forms) -> str:
    """Return the default of a field as a file would write it; "" for none, and for what is empty."""
    text = "" if field.is_required() or field.default is None else write(field.default, found)
    return "" if text in ("{}", "[]", '""') else text


def _below(found: Forms) -> tuple[str, ...]:
    """What follows the path of a value that is made of names: any name, or a key to vary."""
    for form in found:
        if form.kind == "names":
            return (NAME if form.of[0].kind == "table" else KEY,)
    return ()


def _tables(found: Forms) -> list[tuple[type[Table], tuple[str, ...], str]]:
    """Return the tables of a value: their class, how a path goes on, and what tells them apart."""
    several = sum(form.kind == "table" for form in found) > 1
    tables: list[tuple[type[Table], tuple[str, ...], str]] = []
    for form in found:
        if form.kind == "table" and form.table is not None:
            tables.append((form.table, (), mark(form.table) if several else ""))
        elif form.kind in ("names", "list"):
            step = NAME if form.kind == "names" else PLACE
            tables += [(table, (step, *more), beside) for table, more, beside in _tables(form.of)]
    return tables


@cache
def meanings(table: type[Table]) -> Mapping[str, str]:
    """Return the sentences below the fields of a table and of those that it extends, by field.

    They are read from the source: running a scenario need not know them.
    """
    found: dict[str, str] = {}
    for each in reversed(table.__mro__):
        if issubclass(each, Table):
            found |= _sentences(sys.modules[each.__module__])[each.__name__]
    return found


@cache
def _sentences(module: ModuleType) -> dict[str, dict[str, str]]:
    """Return what stands below the fields of each class of a module."""
    tree = ast.parse(inspect.getsource(module))
    return {
        each.name: {
            field.target.id: " ".join(text.value.value.split())
            for field, text in pairwise(each.body)
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
            if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
            if isinstance(text.value.value, str)
        }
        for each in tree.body
        if isinstance(each, ast.ClassDef)
    }


def find(asked: str) -> list[Key]:
    """Return the keys that are asked for: by a whole path, in which * is any name, or by its end.

    A * alone asks for all. Raises NoSuchKeyError, which says what comes nearest.

    >>> [key.dotted for key in find("links.cell.up")], [key.dotted for key in find("retries")]
    (['links.NAME.up'], ['devices.NAME.tasks.NAME.retries'])
    """
    parts = _parts(asked)
    if parts == ["*"]:
        return list(keys())
    whole = [key for key in keys() if len(parts) > 1 and _fits(key.path, parts)]
    found = whole or [key for key in keys() if parts and _ends(key, parts)]
    if not found:
        raise NoSuchKeyError(_unknown(asked, parts))
    # Of `hardware.x86-core.price` rather what says "price" than what would take it for a name.
    best = max(len(set(parts) & set(key.path)) for key in found)
    return [key for key in found if len(set(parts) & set(key.path)) == best]


def at(path: tuple[str, ...]) -> Key:
    """Return the key at a path in which names are what a file has. Raises NoSuchKeyError."""
    parts = list(path)
    found = [key for key in keys() if _fits(key.path, parts) or _fits(key.spoken, parts)]
    if not found:
        raise NoSuchKeyError(_unknown(".".join(path), parts))
    return max(found, key=lambda key: len(set(path) & set(key.path)))


def _parts(asked: str) -> list[str]:
    return [quoted or bare for quoted, bare in _PART.findall(asked[:LONGEST])]


def _fits(path: tuple[str, ...], parts: list[str]) -> bool:
    return len(path) == len(parts) and all(
        part in (own, "*") or own in FREE for own, part in zip(path, parts, strict=True)
    )


def _ends(key: Key, parts: list[str]) -> bool:
    return any(
        path[-1] not in FREE and _fits(path[-len(parts) :], parts) for path in (key.path, key.spoken)
    )


def _unknown(asked: str, parts: list[str]) -> str:
    names = dict.fromkeys(key.spoken[-1] for key in keys())
    near = difflib.get_close_matches(parts[-1] if parts else "", names, 3, 0.7)
    known = dict.fromkeys(key.dotted for each in near for key in keys() if key.spoken[-1] == each)
    hint = f"did you mean {', '.join([*known][:5])}?" if near else HINT
    return f"--explain {asked:.80}: no such key; {hint}"


def there(raw: Mapping[str, Any], key: Key, asked: str) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield where a file has a key that is asked for, and the value: once for each name that fits."""
    parts = _parts(asked)
    wanted = ["*"] * (len(key.spoken) - len(parts)) + parts
    found: list[tuple[tuple[str | int, ...], Any]] = [((), raw)]
    for own, part in zip(key.path, wanted, strict=False):
        found = [
            ((*path, name), value)
            for path, here in found
            for name, value in _items(here)
            if own in (name, *FREE) and part in ("*", own, str(name))
        ]
    yield from found


def _items(here: Any) -> Iterator[tuple[str | int, Any]]:  # noqa: ANN401 - any TOML value
    if isinstance(here, dict):
        yield from here.items()
    elif isinstance(here, list):
        yield from enumerate(here)
