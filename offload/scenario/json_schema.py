"""A JSON Schema of scenario files, for editors: what they offer, explain and underline while one types.

It knows shapes: keys, types, units, choices, bounds of plain numbers, what must be given. It cannot know
how much a quantity is ("0 s" looks like "1 s"), whether the keys of a table go together, what names and
files stand for, or what a policy's options are; `offload check` does.
"""

import re
import tomllib
from collections.abc import Mapping
from typing import Any

from pydantic.fields import FieldInfo

from offload.scenario.fields import Table
from offload.scenario.forms import Form, Forms, field_example, forms, told
from offload.scenario.keys import default_of, meanings
from offload.scenario.schema import ScenarioFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"
# As `offload.entities.is_name` has it.
NAME: dict[str, Any] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 100,
    "pattern": r"^[^./\\][^/\\]*$",
}
_NUMBER = r"[0-9]+(_[0-9]+)*(\.[0-9]+)?([eE][+-]?[0-9]+)?"


def json_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12)."""
    tables: dict[str, dict[str, Any]] = {}
    _refer(ScenarioFile, tables)
    whole = tables.pop(ScenarioFile.__name__)
    return {"$schema": DIALECT, "title": "A scenario of offload", **whole, "$defs": tables}


def _refer(table: type[Table], tables: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return a reference to a table, and see that it is described."""
    name = table.__name__
    if name not in tables:
        tables[name] = {}
        tables[name] |= _table(table, tables)
    return {"$ref": f"#/$defs/{name}"}


def _table(table: type[Table], tables: dict[str, dict[str, Any]]) -> dict[str, Any]:
    fields = {field.alias or name: (name, field) for name, field in table.model_fields.items()}
    extra = table.model_config.get("json_schema_extra")
    told_of = meanings(table)
    return {
        "type": "object",
        "description": " ".join((table.__doc__ or "").split()),
        "properties": {
            key: _property(field, told_of.get(name, ""), tables) for key, (name, field) in fields.items()
        },
        "required": [key for key, (_, field) in fields.items() if _is_needed(field)],
        "additionalProperties": table.model_config.get("extra") == "allow",
        **(extra if isinstance(extra, Mapping) else {}),
    }


def _is_needed(field: FieldInfo) -> bool:
    """Tell whether a key must be there; one that may be None only must in some tables."""
    return field.is_required() and type(None) not in getattr(field.annotation, "__args__", ())


def _property(field: FieldInfo, meaning: str, tables: dict[str, dict[str, Any]]) -> dict[str, Any]:
    found = forms(field.annotation, [field])
    default = default_of(field, found)
    return {
        "description": f"{meaning} ({told(found)})",
        **_alternatives(found, tables),
        **({"default": tomllib.loads(f"value = {default}")["value"]} if default else {}),
        "examples": [field_example(field)],
    }


def _alternatives(found: Forms, tables: dict[str, dict[str, Any]]) -> dict[str, Any]:
    each = [_value(form, tables) for form in found]
    return each[0] if len(each) == 1 else {"anyOf": each}


def _value(form: Form, tables: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the schema of one form."""
    if form.kind == "quantity":
        sign = "[+-]?" if form.low is None or form.low < 0 else "[+]?"
        units = "|".join(map(re.escape, form.units))
        return {"type": "string", "pattern": rf"^\s*{sign}{_NUMBER}\s*({units})\s*$"}
    if form.kind == "choice":
        return {"enum": list(form.words)}
    if form.kind == "list":
        items = {"type": "array", "items": _alternatives(form.of, tables), "minItems": form.least}
        return items | ({} if form.most is None else {"maxItems": form.most})
    if form.kind == "names":
        values = {"type": "object", "additionalProperties": _alternatives(form.of, tables)}
        named = {"propertyNames": NAME} if form.of[0].kind == "table" else {}
        most = {} if form.most is None else {"maxProperties": form.most}
        return values | named | most | ({"minProperties": form.least} if form.least else {})
    if form.kind == "table" and form.table is not None:
        return _refer(form.table, tables)
    plain = {
        "number": {"type": "number"}, "whole number": {"type": "integer"},
        "text": {"type": "string"}, "name": NAME, "switch": {"type": "boolean"},
    }  # fmt: skip
    return plain.get(form.kind, {}) | _bounds(form)


def _bounds(form: Form) -> dict[str, float]:
    low = {"exclusiveMinimum" if form.open_low else "minimum": form.low}
    high = {"exclusiveMaximum" if form.open_high else "maximum": form.high}
    return {key: value for key, value in (low | high).items() if value is not None}
