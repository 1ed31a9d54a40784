"""SUMO's floating-car data (FCD), as XML, CSV or Parquet, read row by row into a recording."""

import csv
import math
from array import array
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Any, NoReturn
from xml.parsers import expat

from offload.world.recording import Recording, TraceError

CHUNK = 1 << 18  # bytes of XML, or rows of Parquet, taken in at a time
LONGEST = 1_000_000  # bytes of one tag
LONGEST_ID = 200
DEEPEST = 20  # tags within tags
MOST_NAMES = 1000  # of tags and attributes; the parser remembers each
COLUMNS = ("timestep_time", "vehicle_id", "vehicle_x", "vehicle_y")
COMPACT = ("time", "id", "x", "y")

# Where it stands in the file; time, id, x and y as the file has them. No id: nobody is there then.
Row = tuple[int, Any, str | None, Any, Any]


def record(place: str, rows: Iterator[Row], recording: Recording) -> None:
    """Take in rows sorted by time. Raises TraceError that names the place and the row."""
    line, now, now_s = 1, None, -math.inf
    codes, xs, ys = array("q"), array("d"), array("d")
    try:
        for here, time, name, x, y in rows:
            if time != now:
                if now is not None:
                    recording.step(now_s, codes, xs, ys)
                    codes, xs, ys = array("q"), array("d"), array("d")
                line, now = here, time
                now_s = float(time)
            line = here
            if name:
                if len(name) > LONGEST_ID:
                    msg = f"an id of {len(name)} characters; at most {LONGEST_ID} may be"
                    raise TraceError(msg)  # noqa: TRY301 - the place is added below
                xs.append(float(x))
                ys.append(float(y))
                codes.append(recording.code(name))
        if now is not None:
            recording.step(now_s, codes, xs, ys)
    except (BrokenFileError, UnicodeDecodeError):
        raise
    except TraceError as error:
        msg = f"{place}{line}: {error}"
        raise TraceError(msg) from None
    except (TypeError, ValueError, OverflowError):
        msg = f"{place}{line}: time, x and y must be numbers, in seconds and metres"
        raise TraceError(msg) from None


class BrokenFileError(TraceError):
    """A file that is not what it seems; the message names file and line."""


def xml_rows(path: Path, stream: BufferedIOBase, most_bytes: int) -> Iterator[Row]:
    """Read `<timestep time><vehicle id x y/></timestep>`; other elements are passed over.

    Raises BrokenFileError.
    """
    xml = _Xml(path)
    taken = 0
    try:
        while chunk := stream.read(CHUNK):
            xml.parser.Parse(chunk, False)
            yield from xml.found
            xml.found.clear()
            taken += len(chunk)
            if taken > most_bytes:
                xml.refuse(f"larger than {most_bytes // 10**6} MB")
            if taken - xml.parser.CurrentByteIndex > LONGEST:
                xml.refuse(f"a tag of more than {LONGEST} bytes")
            if len(xml.names) > MOST_NAMES:
                xml.refuse(f"more than {MOST_NAMES} names of tags and attributes")
        xml.parser.Parse(b"", True)
    except KeyError as error:
        xml.refuse(f"no attribute {error.args[0]}")
    except expat.ExpatError as error:
        cut = "; it was cut off" if not chunk else ""
        xml.refuse(f"not whole XML: {expat.errors.messages[error.code]}{cut}", error.lineno)


class _Xml:
    """What a parser of XML calls."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: list[Row] = []
        self.depth = 0
        self.time = ""
        self.names: dict[str, str] = {}
        self.parser = expat.ParserCreate(intern=self.names)
        self.parser.StartElementHandler = self.begin
        self.parser.EndElementHandler = self.end
        self.parser.StartDoctypeDeclHandler = self.document_type

    def begin(self, tag: str, given: dict[str, str]) -> None:
        self.depth += 1
        if tag == "vehicle" and self.depth == 3:
            row = (self.parser.CurrentLineNumber, self.time, given["id"], given["x"], given["y"])
            self.found.append(row)
        elif tag == "timestep" and self.depth == 2:
            self.time = given["time"]
            self.found.append((self.parser.CurrentLineNumber, self.time, None, None, None))
        elif self.depth > DEEPEST:
            self.refuse(f"more than {DEEPEST} tags within each other")
        elif self.depth == 1 and tag != "fcd-export":
            self.refuse(f"<{tag:.40}> is not SUMO's floating-car data, whose root is <fcd-export>")

    def end(self, _tag: str) -> None:
        self.depth -= 1

    def document_type(self, *_: object) -> None:
        self.refuse("remove the document type; entities are not read")

    def refuse(self, what: str, line: int | None = None) -> NoReturn:
        msg = f"{self.path}:{line or self.parser.CurrentLineNumber}: {what}"
        raise BrokenFileError(msg)


def csv_rows(path: Path, lines: Iterator[str]) -> Iterator[Row]:
    """Read `timestep_time;vehicle_id;vehicle_x;vehicle_y` in any order among other columns.

    Raises BrokenFileError.
    """
    reader = csv.reader(lines, delimiter=";")
    header = next(reader)
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        msg = f"{path}:1: no column {', '.join(missing)}; write SUMO's columns {', '.join(COLUMNS)}"
        raise BrokenFileError(msg)
    time, name, x, y = (header.index(column) for column in COLUMNS)
    for row in reader:
        if len(row) == len(header):
            yield reader.line_num, row[time], row[name], row[x], row[y]
        elif row:
            msg = f"{path}:{reader.line_num}: {len(row)} columns, the header has {len(header)}"
            raise BrokenFileError(msg)


def parquet_rows(path: Path) -> Iterator[Row]:
    """Read SUMO's columns, or time, id, x and y, a chunk at a time. Raises BrokenFileError."""
    import polars as pl

    try:
        file = pl.scan_parquet(path)
        names = file.collect_schema().names()
        columns = next((each for each in (COLUMNS, COMPACT) if set(each) <= set(names)), None)
        if columns is None:
            msg = f"{path}: no columns {', '.join(COMPACT)}, nor {', '.join(COLUMNS)}"
            raise BrokenFileError(msg)
        wanted = file.select(
            pl.col(column).cast(pl.String if place == 1 else pl.Float64)
            for place, column in enumerate(columns)
        )
        height = file.select(pl.len()).collect().item()
        for first in range(0, height, CHUNK):
            chunk = wanted.slice(first, CHUNK).collect()
            line = range(first + 1, first + 1 + chunk.height)
            yield from zip(line, *(chunk[column].to_list() for column in columns), strict=True)
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        msg = f"{path}: not a whole Parquet file ({str(error).partition(chr(10))[0]:.200})"
        raise BrokenFileError(msg) from None
