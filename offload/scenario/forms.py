"""What a value of a scenario file may look like, read from the annotations of the schema."""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from offload.scenario.fields import NAMED, Table, Written
from offload.units import UNITS, Quantity

_BARE = re.compile(r"[\w-]+", re.ASCII)  # what TOML needs no quotes for

Kind = Literal[
    "quantity", "number", "whole number", "text", "name", "choice", "switch", "list", "names", "table",
    "anything",
]  # fmt: skip
Forms = tuple["Form", ...]

# What a quantity may look like, where its key has no better example.
EXAMPLES = {
    "time": "20 ms", "rate": "50 Mbit/s", "byte rate": "200 MB/s", "size": "60 kB", "length": "100 m",
    "speed": "50 km/h", "power": "1.2 W", "energy": "40 kJ", "life": "4 years", "frequency": "100 MHz",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Form:
    """One thing that a value may be.

    Quantities are of a `dimension`. They (in SI units) and numbers lie from `low` to `high`; these are
    allowed themselves unless it is `open_low`, `open_high`. Choices are `words`. Lists have `least` to
    `most` values, and names stand for values, each `of` these forms. Tables are of the class `table`.
    """

    kind: Kind
    dimension: str = ""
    low: float | None = None
    high: float | None = None
    open_low: bool = False
    open_high: bool = False
    words: tuple[str | int, ...] = ()
    of: Forms = ()
    least: int = 0
    most: int | None = None
    table: type[Table] | None = None

    @property
    def units(self) -> tuple[str, ...]:
        """The units that a quantity may be written in."""
        return tuple(UNITS[self.dimension])

    def __str__(self) -> str:
        """Say what it is."""
        if self.kind == "choice":
            return " | ".join(json.dumps(word) for word in self.words)
        if self.kind == "switch":
            return "true | false"
        if self.kind == "list":
            count = f" of {self.least}" if self.least == self.most else ""
            return f"list{count}: {told(self.of)}"
        if self.kind == "table" and self.table is not None:
            return f"table of {', '.join(names(self.table))}"
        if self.kind == "names":
            return f"{'tables' if self.of[0].kind == 'table' else 'values'} by name"
        return self.dimension or self.kind

    @property
    def range(self) -> str:
        """The bounds in words; "" where there are none."""
        if self.kind in ("list", "names"):
            least = f"{self.least} at least" if self.least else ""
            most = f"{self.most} at most" if self.most is not None else ""
            return "" if self.least == self.most else ", ".join(filter(None, (least, most)))
        if self.low is None or self.high is None:
            return ""
        high = f"{'less than ' * self.open_high}{self._shown(self.high)}"
        if self.open_low:
            return f"more than {self._shown(self.low)}, to {high}"
        return f"{self._shown(self.low)} to {high}"

    def _shown(self, value: float) -> str:
        if self.kind == "quantity":
            return Quantity(self.dimension).show(value)
        return f"{value:,.12g}"


def told(found: Forms) -> str:
    """Say what a value may be; of several tables only what tells them apart."""
    tables = [form.table for form in found if form.table is not None]
    if len(tables) < 2:
        return ", or ".join(map(str, found))
    others = [str(form) for form in found if form.table is None]
    return ", or ".join([*others, f"table with {' | '.join(map(mark, tables))}"])


def mark(table: type[Table]) -> str:
    """Return what tells a table from others that may stand in its place: the first key that it needs."""
    name, field = next(each for each in table.model_fields.items() if each[1].is_required())
    (form, *_) = forms(field.annotation, [field])
    return f'{name} = "{form.words[0]}"' if form.kind == "choice" and len(form.words) == 1 else name


def names(table: type[Table]) -> list[str]:
    """Return the keys of a table as files write them."""
    return [field.alias or name for name, field in table.model_fields.items()]


def forms(annotation: Any, metadata: Iterable[Any] = ()) -> Forms:  # noqa: ANN401 - any annotation
    """Return what an annotation lets a file write; None, that nothing be written, is no form.

    Raises TypeError for an annotation that it does not know.
    """
    marks = list(_flat(metadata))
    for mark in marks:
        if isinstance(mark, Written):
            words = (Form("choice", words=mark.words),) if mark.words else ()
            return (*forms(mark.annotation), *words)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return forms(arguments[0], [*arguments[1:], *marks])
    if origin in (Union, UnionType):
        return tuple(form for each in arguments if each is not type(None) for form in forms(each))
    if origin is not None:
        return (_many(origin, arguments, marks),)
    if isinstance(annotation, type) and issubclass(annotation, Table):
        plain = annotation.model_fields[annotation.alone] if annotation.alone else None
        alone = forms(plain.annotation, [plain]) if plain else ()
        return (*alone, Form("table", table=annotation))
    return (_one(annotation, marks),)


def _flat(metadata: Iterable[Any]) -> Iterator[Any]:
    """Yield marks, and of what pydantic's Field says each by itself."""
    for mark in metadata:
        if isinstance(mark, FieldInfo):
            yield from mark.metadata
        else:
            yield mark


def _many(origin: Any, arguments: Sequence[Any], marks: list[Any]) -> Form:  # noqa: ANN401 - what get_origin says
    """Return the form of a choice, a list, a tuple of equal things, or a table of names."""
    if origin is Literal:
        return Form("choice", words=tuple(arguments))
    if origin is tuple:
        if len(set(map(forms, arguments))) != 1:
            msg = f"a tuple of several things: {arguments}"
            raise TypeError(msg)
        return Form("list", of=forms(arguments[0]), least=len(arguments), most=len(arguments))
    least, most = _bound(marks, "min_length") or 0, _bound(marks, "max_length")
    kind: Kind = "list" if origin is list else "names"
    return Form(kind, of=forms(arguments[-1]), least=least, most=most)


def _one(annotation: Any, marks: list[Any]) -> Form:  # noqa: ANN401 - any annotation
    """Return the form of what is neither a list nor a table."""
    kinds: dict[Any, Kind] = {
        bool: "switch", int: "whole number", float: "number", str: "text", Any: "anything"
    }  # fmt: skip
    if annotation not in kinds:
        msg = f"what a file may write for {annotation} is not known"
        raise TypeError(msg)
    kind, dimension = kinds[annotation], ""
    for mark in marks:
        if isinstance(mark, BeforeValidator) and isinstance(
            unit := getattr(mark.func, "__self__", None), Quantity
        ):
            kind, dimension = "quantity", unit.dimension
    if NAMED in marks:
        kind = "name"
    ge, gt, le, lt = (_bound(marks, name) for name in ("ge", "gt", "le", "lt"))
    low, high = (gt if ge is None else ge), (lt if le is None else le)
    return Form(kind, dimension, low, high, gt is not None, lt is not None)


def _bound(marks: Iterable[Any], name: str) -> Any:  # noqa: ANN401 - a number, or None
    """Return what the last of the marks says by this name (of annotated_types: ge, min_length, ...)."""
    said = [getattr(mark, name) for mark in marks if hasattr(mark, name)]
    return said[-1] if said else None


def example(found: Forms) -> Any:  # noqa: ANN401 - any TOML value
    """Return a value of the first of these forms, rather of one that is no table."""
    form = next((each for each in found if each.kind != "table"), found[0])
    if form.kind == "quantity":
        return EXAMPLES[form.dimension]
    if form.kind in ("number", "whole number"):
        return _some_number(form)
    if form.kind in ("list", "names"):
        each = example(form.of)
        return [each] * max(form.least, 1) if form.kind == "list" else {"NAME": each}
    if form.kind == "table" and form.table is not None:
        return {
            field.alias or name: field_example(field)
            for name, field in form.table.model_fields.items()
            if field.is_required()
        }
    if form.kind in ("choice", "switch"):
        words = form.words or (True,)
        return "assumed" if "assumed" in words else words[0]  # who begins has measured nothing
    return "..."


def _some_number(form: Form) -> float:
    """Return a number within the bounds of a form: more than the least there is, or half of a share."""
    if form.kind == "whole number":
        return max(1, int(form.low or 0))
    return 0.5 if form.high is not None and form.high <= 1 else (form.low or 0.0) + 1.0


def field_example(field: FieldInfo) -> Any:  # noqa: ANN401 - any TOML value
    """Return what a field may hold: its own example, its default, or one of what it may be."""
    said = [each.examples for each in _fields(field) if each.examples]
    if said:
        return said[0][0]
    found = forms(field.annotation, [field])
    text = "" if field.is_required() or not field.default else write(field.default, found)
    return tomllib.loads(f"value = {text}")["value"] if text else example(found)


def _fields(mark: Any) -> Iterator[FieldInfo]:  # noqa: ANN401 - a FieldInfo, an annotation, a mark
    """Yield what pydantic's Field says of a value, if need be within `X | None`."""
    if isinstance(mark, FieldInfo):
        yield mark
        yield from _fields(mark.annotation)
    elif get_origin(mark) in (Annotated, Union, UnionType):
        for each in get_args(mark):
            if not (isinstance(each, type) and issubclass(each, BaseModel)):
                yield from _fields(each)


def write(value: Any, found: Forms = ()) -> str:  # noqa: ANN401 - any value of the schema
    """Write a value, in SI units where it is a quantity, as a file would: of these forms."""
    if isinstance(value, Table):
        return _write_table(value)
    if isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | tuple):
        of = next((form.of for form in found if form.kind == "list"), ())
        return f"[{', '.join(write(each, of) for each in value)}]"
    if isinstance(value, dict):
        pairs = ", ".join(f"{quoted(key)} = {write(each)}" for key, each in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    quantity = next((form for form in found if form.kind == "quantity"), None)
    if quantity is not None:
        return json.dumps(Quantity(quantity.dimension).show(float(value)))
    return str(value)


def _write_table(value: Table) -> str:
    fields = type(value).model_fields
    said = {
        name: write(getattr(value, name), forms(fields[name].annotation, [fields[name]]))
        for name in fields
        if name in value.model_fields_set
    }
    if value.alone and set(said) == {value.alone}:
        return said[value.alone]
    pairs = ", ".join(f"{fields[name].alias or name} = {text}" for name, text in said.items())
    return f"{{ {pairs} }}" if pairs else "{}"


def quoted(key: str) -> str:
    """Write a key as TOML does."""
    return key if _BARE.fullmatch(key) else json.dumps(key, ensure_ascii=False)
