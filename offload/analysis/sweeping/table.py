"""What to sweep: from the [sweep] table of a scenario file, or from options."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from offload.analysis.measures import MEASURES
from offload.analysis.sweeping import vary
from offload.analysis.sweeping.design import Method
from offload.analysis.sweeping.vary import Vary, VaryError
from offload.scenario.comparing import Sweep
from offload.scenario.load import Draft

_NOTHING = "nothing to vary; give --vary KEY=VALUE, VALUE, ... or the file a [sweep] table"


def varied(draft: Draft, table: Sweep | None, options: Sequence[str]) -> tuple[Vary, ...]:
    """Return what is varied: what options say, or else the table. Raises VaryError with every fault."""
    found, faults = [], []
    readers: list[tuple[Any, tuple[Any, ...]]] = [(vary.read, (text,)) for text in options]
    readers = readers or list(_of_table(draft, table))
    for read, said in readers:
        try:
            found.append(read(*said))
        except VaryError as error:
            faults.append(str(error))
    if table and (wrong := [each for each in table.measures if each not in MEASURES]):
        where = place(draft, ("sweep", "measures"))
        faults.append(f'{where}: no measure "{wrong[0]}"; there is {", ".join(MEASURES)}')
    if not readers:
        faults.append(f"{draft.path}: {_NOTHING}")
    if faults:
        raise VaryError("\n".join(faults))
    return tuple(found)


def method(table: Sweep | None, options: Sequence[str], asked: Method | None) -> Method:
    """Return how to make points of values: as asked, or as the table says of its own values."""
    if asked is not None:
        return asked
    return "grid" if options or table is None else table.method


def _of_table(draft: Draft, table: Sweep | None) -> Iterator[tuple[Any, tuple[object, ...]]]:
    """Yield what reads each key of the table, and what it says."""
    if table is None:
        return
    if isinstance(table.vary, list):
        keys = list(dict.fromkeys(key for each in table.vary for key in each))
        for key in keys:
            yield _rows, (draft, key, table.vary)
        return
    for path, said in _flat(table.vary):
        where = f"{place(draft, ('sweep', 'vary', *path))}: sweep.vary"
        yield vary.of, (".".join(path), said, where)


def _rows(draft: Draft, key: str, rows: Sequence[Mapping[str, Any]]) -> Vary:
    """Return the value that each table of a list gives a key."""
    where = f"{place(draft, ('sweep', 'vary'))}: sweep.vary"
    if missing := [number for number, each in enumerate(rows, 1) if key not in each]:
        msg = f"{where}: table {missing[0]} does not say {key}; each has to say all that vary"
        raise VaryError(msg)
    return Vary(key, tuple(vary.toml(each[key]) for each in rows), where=where)


def _flat(
    table: Mapping[str, Any], before: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Take `nodes.a.servers = ...` without quotes, which TOML reads as tables in tables, for a key."""
    for key, said in table.items():
        if isinstance(said, dict) and said:
            yield from _flat(said, (*before, key))
        else:
            yield (*before, key), said


def place(draft: Draft, key: tuple[str, ...]) -> str:
    """Return `file:line` of a key."""
    lines = (draft.lines.get(key[:end]) for end in range(len(key), 0, -1))
    return f"{draft.path}:{next((line for line in lines if line), 1)}"
