"""Scenarios to start from: short files that ship, written out with what each key means.

In such a file `#? key = value` is a key that may be given too; without a value it is shown with its
default, or with an example if it has none.
"""

import json
import re
from collections.abc import Iterator
from textwrap import wrap

from offload.scenario.forms import quoted
from offload.scenario.keys import NEEDED, Key, at
from offload.shipped import DATA

WIDTH = 100
HEAD = """\
# Lines that begin with "# " explain. Those that begin with "#" and a key are keys that may be given too:
# they show what holds without them, or an example. Quantities need their units; `offload check` says
# what is wrong, and where.
"""

_TABLE = re.compile(r"\[([\w.-]+)\]")
_PAIR = re.compile(r"(#\? )?(\w+)(?: = (.*))?")


def starter(kind: str, name: str, schema: str = "") -> str:
    """Return the text of a scenario of this kind and name, for editors with the file of its `schema`."""
    text = (DATA / "starters" / f"{kind}.toml").read_text(encoding="utf-8")
    first = f"#:schema {schema}\n" if schema else ""
    return first + HEAD + "\n" + "\n".join(_written_out(text, name)) + "\n"


def _written_out(text: str, name: str) -> Iterator[str]:
    table: tuple[str, ...] = ()
    told: set[Key] = set()  # a key is explained where it stands first
    for line in text.splitlines():
        header, pair = _TABLE.fullmatch(line), _PAIR.fullmatch(line)
        if header is not None:
            table = tuple(header[1].split("."))
        if header is None and pair is None:
            yield line
            continue
        key = at((*table, pair[2]) if pair else table)
        yield from _comment(key) if key not in told else ()
        told.add(key)
        if pair is None:
            yield line
        elif pair[1]:
            yield f"#{quoted(pair[2])} = {pair[3] or _usual(key)}"
        elif key.path == ("name",):
            yield f"name = {json.dumps(name, ensure_ascii=False)}"
        else:
            yield line


def _usual(key: Key) -> str:
    return key.example if key.default in ("", NEEDED) else key.default


def _comment(key: Key) -> Iterator[str]:
    """Yield the meaning of a key, and what may be chosen."""
    choices = [
        str(form) for form in key.forms if form.kind in ("choice", "switch") and len(form.words) != 1
    ]
    text = f"{key.meaning} ({' | '.join(choices)})" if choices else key.meaning
    yield from (f"# {line}" for line in wrap(text, WIDTH, break_long_words=False))
