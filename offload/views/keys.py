"""What there is to say of a scenario's keys: on a terminal, and as the page of all of them."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from offload.scenario.forms import EXAMPLES, write
from offload.scenario.keys import NAME, NEEDED, Key, keys
from offload.units import UNITS

Found = tuple[str, str, Any]  # where a file has a key (file:line), the key, and its value
LONGEST = 200  # characters of a value

PAGE_HEAD = """\
# Keys of a scenario file

Every key, what it takes, its default and what it means. NAME is a name that you choose (of a device
group, a node, a link), N a place in a list, counted from 0. Quantities are written with a unit, like
`"20 ms"`.

In a terminal `offload check --explain KEY` tells the same of one key, and with a file what stands there.
This page is made from the schema that checks scenario files:

```sh
offload schema --format markdown --out notebooks/guide/scenario-keys.md
```

| quantity | units | like |
|---|---|---|
"""


def show(told: Sequence[tuple[Key, list[Found]]]) -> None:
    """Print keys, each with where a file has it."""
    console = Console()
    for key, found in told:
        heading = Text(key.dotted, style="bold")
        heading.append(f"  (with {key.beside})" if key.beside else "", style="not bold")
        console.print(heading, soft_wrap=True)
        console.print(Padding(Text(key.meaning), (0, 0, 0, 2), expand=False))
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for label, text in _facts(key):
            table.add_row(f"  {label}", Text(text))
        console.print(table)
        for where, name, value in found:
            line = _printable(f"  {where}: {name} = {_short(value)}")
            console.print(Text(line), soft_wrap=True)


def _facts(key: Key) -> Iterable[tuple[str, str]]:
    """Yield what there is to say of a key besides its meaning, with labels."""
    yield "takes", key.takes
    units = [", ".join(form.units) for form in key.forms if form.kind == "quantity"]
    if units:
        yield "units", units[0]
    if key.ranges:
        yield "range", key.ranges
    if key.default:
        yield "default", "none; it is needed" if key.default == NEEDED else key.default
    if key.forms[0].kind == "names" and key.path[-1] == NAME:
        yield "begins", f"[{key.dotted}]"
    elif key.example != key.default:
        yield "example", f"{key.spoken[-1]} = {key.example}"
    if key.inside:
        yield "keys", ", ".join(key.inside)


def _short(value: object) -> str:
    text = f"{{ {', '.join(value)} }}" if isinstance(value, dict) else write(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."


def as_json(told: Sequence[tuple[Key, list[Found]]]) -> list[dict[str, Any]]:
    """Return the same for programs."""
    return [
        {
            "key": key.dotted,
            "beside": key.beside,
            "meaning": key.meaning,
            "takes": key.takes,
            "range": key.ranges,
            "default": None if key.default in ("", NEEDED) else key.default,
            "needed": key.default == NEEDED,
            "example": key.example,
            "keys": list(key.inside),
            "found": [{"where": where, "key": name, "value": value} for where, name, value in found],
        }
        for key, found in told
    ]


def page() -> str:
    """Return the page of all keys, as Markdown: a table for each table of a file."""
    groups: dict[tuple[tuple[str, ...], str], list[Key]] = {}
    for key in keys():
        groups.setdefault((key.path[: len(key.spoken) - 1], key.beside), []).append(key)
    units = "".join(
        f'| {name} | {", ".join(UNITS[name])} | `"{example}"` |\n' for name, example in EXAMPLES.items()
    )
    parts, first = [PAGE_HEAD + units], dict[tuple[tuple[str, ...], ...], str]()
    for (path, beside), inside in groups.items():
        title = _title(path, beside)
        parts.append(f"## {title}\n")
        content = tuple((key.spoken[-1], key.takes, key.meaning) for key in inside)
        if content in first:
            parts.append(f"The same keys as [{first[content]}](#{anchor(first[content])}).\n")
            continue
        first[content] = title
        parts.append(_table(inside))
    return "\n".join(parts)


def _title(path: tuple[str, ...], beside: str) -> str:
    name = ".".join(path) or "The file"
    return f"{name}, with {beside}" if beside else name


def anchor(title: str) -> str:
    """Return what a heading is linked by, as GitHub makes it.

    >>> anchor('links.NAME.up, with trace')
    'linksnameup-with-trace'
    """
    kept = (letter for letter in title.lower() if letter.isalnum() or letter in " -_")
    return "".join(kept).replace(" ", "-")


def _table(inside: Iterable[Key]) -> str:
    lines = ["| key | takes | default | meaning |", "|---|---|---|---|"]
    for key in inside:
        takes = f"{key.takes}; {key.ranges}" if key.ranges else key.takes
        default = f"`{key.default}`" if key.default not in ("", NEEDED) else key.default
        name = ".".join(key.path[len(key.spoken) - 1 :])
        cells = (f"`{name}`", takes, default, key.meaning)
        lines.append(f"| {' | '.join(map(_escaped, cells))} |")
    return "\n".join(lines) + "\n"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("<", "&lt;")


def _printable(text: str) -> str:
    """Leave out what could steer a terminal: nobody has checked the file."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def to_json(told: object) -> str:
    """Write a JSON Schema, or what else is for programs and readers alike."""
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"
