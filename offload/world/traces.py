"""Mobility traces read from files, with errors that name the line."""

import csv
import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from offload.entities import OffloadError
from offload.world.mobility import Track

COLUMNS = ("time", "id", "x", "y")
MAX_BYTES = 200_000_000


class TraceError(OffloadError):
    """A trace that cannot be used; the message names the file, the line and what to write instead."""


def read_tracks(path: Path) -> dict[str, Track]:
    """Read a CSV file with the columns time, id, x, y (seconds, metres); rows of one id rise in time.

    Returns one track for each id, in the order in which ids first appear. Raises TraceError with all
    faults, at most twenty.
    """
    points: dict[str, list[tuple[float, float, float]]] = {}
    try:
        if path.stat().st_size > MAX_BYTES:
            faults = [f"{path}: larger than {MAX_BYTES // 10**6} MB"]
        else:
            with path.open(encoding="utf-8-sig", newline="") as lines:
                faults = list(islice(_faults(path, csv.DictReader(lines), points), 20))
    except OSError as error:
        faults = [f"{path}: {error.strerror}"]
    except (ValueError, csv.Error) as error:  # not UTF-8, or a path that can be none
        faults = [f"{path}: not a CSV file in UTF-8 ({error})"]
    if faults or not points:
        raise TraceError("\n".join(faults) or f"{path}: holds no rows")
    return {
        name: Track(*(np.array(column) for column in zip(*rows, strict=True)))
        for name, rows in points.items()
    }


def _faults(
    path: Path, reader: "csv.DictReader[str]", points: dict[str, list[tuple[float, float, float]]]
) -> Iterator[str]:
    """Read all rows into `points`, telling what is wrong with them."""
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        yield f"{path}:1: no column {', '.join(missing)}; the header must be time,id,x,y"
        return
    for row in reader:
        fault = _take(row, points)
        if fault:
            yield f"{path}:{reader.line_num}: {fault}"


def _take(row: dict[str, str], points: dict[str, list[tuple[float, float, float]]]) -> str | None:
    """Add a row to its track, or say what is wrong with it."""
    try:
        time_s, x, y = float(row["time"]), float(row["x"]), float(row["y"])
    except (TypeError, ValueError):
        return "time, x and y must be numbers"
    if not all(map(math.isfinite, (time_s, x, y))):
        return "time, x and y must be finite"
    track = points.setdefault(row["id"], [])
    if track and time_s <= track[-1][0]:
        return f"time {time_s:g} of id {row['id']} does not follow {track[-1][0]:g}; sort by time"
    track.append((time_s, x, y))
    return None
