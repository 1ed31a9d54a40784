"""Mobility traces read from files, with errors that name the line."""

import csv
import gzip
import math
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader, TextIOWrapper
from itertools import islice
from pathlib import Path

import numpy as np

from offload.world import fcd
from offload.world.mobility import Track
from offload.world.recording import TOLERANCE_M, TOP_SPEED_MPS, Recording, TraceError

COLUMNS = fcd.COMPACT
MAX_BYTES = 200_000_000  # of a file of points, which are kept as they come; unpacked
MOST_BYTES = 8_000_000_000  # of a recording
LONGEST_LINE = 1_000_000


@dataclass(frozen=True, slots=True)
class Trace:
    """The tracks of a file by id, in the order in which ids first appear.

    In a recording of traffic vehicles enter and leave; it runs from `starts_s` to `ends_s` of the
    file's clock, its tracks begin at the time asked for.
    """

    tracks: dict[str, Track]
    recording: bool = False
    starts_s: float = 0.0
    ends_s: float = 0.0


def read_tracks(path: Path) -> dict[str, Track]:
    """Return one track for each id of a file, as `read_trace` does."""
    return read_trace(path).tracks


def read_trace(
    path: Path,
    from_s: float = 0.0,
    tolerance_m: float = TOLERANCE_M,
    top_speed_mps: float = TOP_SPEED_MPS,
) -> Trace:
    """Read points (CSV: time, id, x, y, in seconds and metres) or a recording of traffic.

    A recording is SUMO's floating-car data as XML, CSV or Parquet, or Parquet with the columns time,
    id, x, y. What a file is tells its content; text may be packed with gzip. Time `from_s` of a
    recording becomes 0; points that lie on a straight line to within `tolerance_m` at constant speed
    are left out; a vehicle faster than `top_speed_mps` is refused.

    Raises TraceError: of CSV points with all faults, at most twenty, else with the first.
    """
    try:
        with _open(path) as stream:
            head = stream.peek(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
            if head.startswith(b"PAR1"):
                place, rows = f"{path}: row ", fcd.parquet_rows(path)
            elif head.startswith(b"<"):
                place, rows = f"{path}:", fcd.xml_rows(path, stream, MOST_BYTES)
            elif b"timestep_time" in head.partition(b"\n")[0]:
                place, rows = f"{path}:", fcd.csv_rows(path, _lines(path, stream, MOST_BYTES))
            else:
                return Trace(_points(path, _lines(path, stream, MAX_BYTES)))
            recording = Recording(tolerance_m, top_speed_mps)
            fcd.record(place, rows, recording)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        msg = f"{path}: not a whole gzip file ({error})"
        raise TraceError(msg) from None
    except OSError as error:
        msg = f"{path}: {error.strerror}"
        raise TraceError(msg) from None
    except (ValueError, csv.Error) as error:  # not UTF-8, or a path that can be none
        msg = f"{path}: not a CSV file in UTF-8 ({error})"
        raise TraceError(msg) from None
    if not recording.codes:
        msg = f"{path}: holds no vehicles"
        raise TraceError(msg)
    return Trace(recording.tracks(from_s), True, recording.starts_s, recording.ends_s)


def write_trace(path: Path, trace: Trace, made: Mapping[str, str]) -> int:
    """Write a recording as Parquet with the columns time, id, x and y; return its number of points.

    Rows without an id tell when it starts and ends; positions are kept to seven digits. `made` says
    how it was made. The file is whole or absent.
    """
    import polars as pl

    lengths = [len(track.times_s) for track in trace.tracks.values()]
    columns = [
        np.concatenate([getattr(track, name) for track in trace.tracks.values()])
        for name in ("times_s", "x_m", "y_m")
    ]
    points = pl.DataFrame(
        {
            "time": columns[0],
            "id": pl.Series(list(trace.tracks), dtype=pl.String).gather(
                np.repeat(np.arange(len(lengths)), lengths)
            ),
            "x": pl.Series(columns[1], dtype=pl.Float32),
            "y": pl.Series(columns[2], dtype=pl.Float32),
        }
    )
    ends = pl.DataFrame({"time": [trace.starts_s, trace.ends_s]})
    whole = pl.concat([points, ends], how="diagonal").sort("time", maintain_order=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    whole.write_parquet(aside, compression="zstd", compression_level=19, metadata=dict(made))
    aside.replace(path)
    return len(columns[0])


@contextmanager
def _open(path: Path) -> Iterator[BufferedReader | gzip.GzipFile]:
    """Open a file, unpacking gzip."""
    with path.open("rb") as packed:
        if packed.peek(2)[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=packed) as unpacked:
                yield unpacked
        else:
            yield packed


def _lines(path: Path, stream: BufferedReader | gzip.GzipFile, most_bytes: int) -> Iterator[str]:
    """Yield lines of text, neither too long nor too many."""
    taken = 0
    with TextIOWrapper(stream, encoding="utf-8-sig", newline="") as lines:
        while line := lines.readline(LONGEST_LINE):
            taken += len(line)
            if taken > most_bytes:
                msg = f"{path}: larger than {most_bytes // 10**6} MB"
                raise TraceError(msg)
            yield line


def _points(path: Path, lines: Iterator[str]) -> dict[str, Track]:
    """Read a CSV file with the columns time, id, x, y; rows of one id rise in time."""
    points: dict[str, list[tuple[float, float, float]]] = {}
    faults = list(islice(_faults(path, csv.DictReader(lines), points), 20))
    if faults or not points:
        raise TraceError("\n".join(faults) or f"{path}: holds no rows")
    return {name: Track(*np.array(rows).T.copy()) for name, rows in points.items()}


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
