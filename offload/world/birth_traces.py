"""Times of births read from files, with errors that name the line."""

import csv
import math
from array import array
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from offload.world.recording import TraceError

MAX_BYTES = 200_000_000
MOST_BIRTHS = 10_000_000


def read_births(path: Path) -> dict[str | None, "array[float]"]:
    """Read a CSV file with the columns time (seconds from the start) and, perhaps, device (its name).

    Returns the times of each device, which do not fall; of a file without the column, under None.
    Raises TraceError with all faults, at most twenty.
    """
    found: dict[str | None, array[float]] = {}
    try:
        if path.stat().st_size > MAX_BYTES:
            faults = [f"{path}: larger than {MAX_BYTES // 10**6} MB"]
        else:
            with path.open(encoding="utf-8-sig", newline="") as lines:
                faults = list(islice(_faults(path, csv.DictReader(lines), found), 20))
    except OSError as error:
        faults = [f"{path}: {error.strerror}"]
    except (ValueError, csv.Error) as error:  # not UTF-8, or a path that can be none
        faults = [f"{path}: not a CSV file in UTF-8 ({error})"]
    if faults or not found:
        raise TraceError("\n".join(faults) or f"{path}: holds no rows")
    return found


def _faults(
    path: Path, reader: "csv.DictReader[str]", found: dict[str | None, "array[float]"]
) -> Iterator[str]:
    """Read all rows into `found`, telling what is wrong with them."""
    columns = reader.fieldnames or ()
    if "time" not in columns or not {"time", "device"}.issuperset(columns):
        yield f"{path}:1: the header must be time, or time,device"
        return
    for number, row in enumerate(reader):
        place = f"{path}:{reader.line_num}"
        if number == MOST_BIRTHS:
            yield f"{place}: more than {MOST_BIRTHS:,} births"
            return
        fault = _take(row, found)
        if fault:
            yield f"{place}: {fault}"


def _take(row: dict[str, str], found: dict[str | None, "array[float]"]) -> str | None:
    """Add a birth, or say what is wrong with it."""
    if None in row or None in row.values():
        return "has another number of columns than the header"
    try:
        time_s = float(row["time"])
    except ValueError:
        time_s = math.nan
    if not (0 <= time_s < math.inf):
        return f"time must be a number of seconds, not negative; it is {row['time'][:40]!r}"
    times = found.setdefault(row.get("device"), array("d"))
    if times and time_s < times[-1]:
        return f"time {time_s:g} does not follow {times[-1]:g}; sort by time"
    times.append(time_s)
    return None
