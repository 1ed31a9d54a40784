"""Bandwidth traces read from files of five formats, which are told apart by what they hold."""

import math
import re
import stat
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Literal, NoReturn, TextIO

import numpy as np

from offload.world.rate import Floats, Rate
from offload.world.recording import TraceError

Direction = Literal["up", "down"]
Format = Literal["mahimahi", "pensieve", "oboe", "uccmisl", "plain"]

HEADER = "seconds,bits/s"
MAX_BYTES = 100_000_000
MAX_LINES = 10_000_000
MAX_PIECES = 1_000_000
MAX_WIDTH = 4_000  # characters of a line; a row of uccmisl has some 300
MAX_BPS = 1e13
OPPORTUNITY_BITS = 12_000  # what one line of Mahimahi lets pass: 1500 bytes
_KNOWN = (
    "known are Mahimahi (a whole number of milliseconds a line), Pensieve (seconds, blank, Mbit/s), "
    f"Oboe (milliseconds, blank, kbit/s), CSV with a column DL_bitrate, and CSV with the header {HEADER}"
)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)  # float() takes "1_0" and "nan"


@dataclass(frozen=True, slots=True, eq=False)
class BandwidthTrace:
    """What a link could carry over time: `rates_bps[i]` from `edges_s[i]` to `edges_s[i + 1]`.

    Edges rise strictly from 0. `loops` tells whether the format means it to be repeated. `provenance`
    says in a sentence what was read and what was assumed.
    """

    path: Path
    format: Format
    edges_s: tuple[float, ...]
    rates_bps: tuple[float, ...]
    loops: bool
    provenance: str

    @property
    def length_s(self) -> float:
        """How long it lasts before it ends, or begins again."""
        return self.edges_s[-1]

    def rate(self, until_s: float, *, loop: bool | None = None) -> Rate:
        """Return the rate in bits a second; `loop` overrules what the format means.

        Raises TraceError if it is not to be repeated and ends before `until_s`.
        """
        if self.loops if loop is None else loop:
            return Rate(self.edges_s[:-1], self.rates_bps, self.length_s)
        if self.length_s < until_s:
            msg = (
                f"{self.path}: ends at {self.length_s:g} s, before the run does at {until_s:g} s; "
                "repeat it with loop = true, or give a longer one"
            )
            raise TraceError(msg)
        return Rate(self.edges_s[:-1], self.rates_bps)


def read_bandwidth(
    path: Path, direction: Direction = "down", form: Format | None = None
) -> BandwidthTrace:
    """Read a trace of any of the formats, told apart by their first lines unless `form` names one.

    - mahimahi: a line is a moment, in milliseconds, at which 1500 bytes may pass; here they pass evenly
      during the millisecond that ends then. It is repeated from its last line on.
    - pensieve: `seconds Mbit/s`, the rate since the line before, as in Pensieve's own simulator, which
      never uses the rate of the first line, and repeats the trace. Two columns with blanks between are
      these if their lines are typically less than 20 apart, else Oboe's.
    - oboe: `milliseconds kbit/s`, the rate from then on; the last line ends it. (Between two chunks,
      where its authors would interpolate, the last rate is held.)
    - uccmisl: a row a second with DL_bitrate in kbit/s; where that is `-`, the last rate is held.
    - plain: CSV with the header `seconds,bits/s`, the rate from then on; the last line ends it.

    Raises TraceError, naming file and line, at the first fault; for a trace that is zero throughout; and
    for the uplink of uccmisl, which was no capacity.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_BYTES:
            msg = f"{path}: not a file of at most {MAX_BYTES // 10**6} MB"
            raise TraceError(msg)
        with path.open(encoding="utf-8-sig") as file:
            return _read(_Lines(path, file), direction, form)
    except OSError as error:
        msg = f"{path}: {error.strerror}"
        raise TraceError(msg) from error
    except ValueError as error:  # not UTF-8, or a path that can be none
        msg = f"{path}: not a text file in UTF-8 ({error})"
        raise TraceError(msg) from error


class _Lines:
    """The lines of a file that are not empty, and the number of the one read last."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self.path = path
        self.file = file
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        while line := self.file.readline(MAX_WIDTH + 1):
            self.number += 1
            if len(line) > MAX_WIDTH:
                self.refuse(f"longer than {MAX_WIDTH:,} characters")
            if self.number > MAX_LINES:
                self.refuse(f"more than {MAX_LINES:,} lines")
            if text := line.strip():
                yield text

    def refuse(self, message: str) -> NoReturn:
        """Raise TraceError for the line read last."""
        msg = f"{self.path}:{self.number}: {message}"
        raise TraceError(msg)

    def value(self, text: str, what: str) -> float:
        """Read a number that is neither negative nor beyond all sense."""
        value = float(text) if _NUMBER.fullmatch(text.strip()) else math.nan
        if not 0.0 <= value <= 1e15:
            self.refuse(f"{what} must be a number from 0 to 1e15; it is {text.strip()[:40]!r}")
        return value


def _read(lines: _Lines, direction: Direction, form: Format | None) -> BandwidthTrace:
    """Tell the format by the first line, and read the rest."""
    source = iter(lines)
    first = next(source, "")
    header = [field.strip() for field in first.split(",")]
    if "DL_bitrate" in header and form in {None, "uccmisl"}:
        return _uccmisl(lines, source, header, direction)
    if ",".join(header).lower() == HEADER and form in {None, "plain"}:
        times, rates = _points(lines, source, ",")
        return _trace(lines, "plain", times, rates[:-1], "CSV")
    if _is_whole(first) and form in {None, "mahimahi"}:
        return _mahimahi(lines, chain([first], source))
    if not first:
        msg = f"{lines.path}: holds no lines"
        raise TraceError(msg)
    fields = first.split()
    if (
        len(fields) != 2
        or not all(map(_NUMBER.fullmatch, fields))
        or form not in {None, "pensieve", "oboe"}
    ):
        of = f"of {form}" if form else "of a known format"
        lines.refuse(f"not a bandwidth trace {of}; {_KNOWN}")
    return _two_columns(lines, chain([first], source), form)


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16


def _mahimahi(lines: _Lines, source: Iterator[str]) -> BandwidthTrace:
    """Count the opportunities of every millisecond."""
    moments = array("q")  # 8 bytes a number, whatever the file holds
    last = 0
    for line in source:
        if not _is_whole(line):
            lines.refuse(f"must be a whole number of milliseconds; it is {line[:40]!r}")
        if int(line) < last:
            lines.refuse(f"{line} ms does not follow {last} ms; sort the lines")
        last = int(line)
        moments.append(last)
    if last == 0:
        lines.refuse("ends at 0 ms; the last line of a Mahimahi trace says how long it is")
    ends, counts = np.unique(np.array(moments), return_counts=True)
    if ends[0] == 0:  # the start of a lap is the end of the one before
        ends, counts = ends[1:], np.append(counts[1:-1], counts[-1] + counts[0])
    edges = np.unique(np.concatenate([[0], ends - 1, ends]))
    rates = np.zeros(len(edges) - 1)
    rates[np.searchsorted(edges, ends - 1)] = counts * (OPPORTUNITY_BITS * 1e3)
    told = f"Mahimahi, {len(moments):,} opportunities of 1500 bytes"
    return _trace(lines, "mahimahi", edges / 1e3, rates, told, loops=True)


def _two_columns(lines: _Lines, source: Iterator[str], form: Format | None) -> BandwidthTrace:
    """Read two numbers a line: seconds and Mbit/s, or milliseconds and kbit/s."""
    times, rates = _points(lines, source, None)
    # Pensieve's lines are seconds apart, Oboe's tens of milliseconds to seconds.
    if form == "oboe" or (form is None and np.median(np.diff(times)) >= 20):
        return _trace(lines, "oboe", times / 1e3, rates[:-1] * 1e3, "Oboe, read as ms and kbit/s")
    told = "Pensieve, read as s and Mbit/s"
    return _trace(lines, "pensieve", times, rates[1:] * 1e6, told, loops=True)


def _points(lines: _Lines, source: Iterator[str], comma: str | None) -> tuple[Floats, Floats]:
    """Read times, which do not fall, and rates; two lines at least."""
    times, rates = array("d"), array("d")
    for line in source:
        fields = line.split(comma)
        if len(fields) != 2:
            lines.refuse(f"must be two numbers, a time and a rate; it is {line[:40]!r}")
        time, rate = lines.value(fields[0], "the time"), lines.value(fields[1], "the rate")
        if times and time < times[-1]:
            lines.refuse(f"time {time:g} does not follow {times[-1]:g}; sort by time")
        times.append(time)
        rates.append(rate)
    if len(times) < 2:
        lines.refuse("a trace has two lines at least, one that begins it and one that ends it")
    return np.array(times), np.array(rates)


def _uccmisl(
    lines: _Lines, source: Iterator[str], header: list[str], direction: Direction
) -> BandwidthTrace:
    """Read what a phone downloaded in each second; the last rate stands for those that are missing."""
    if direction == "up":
        lines.refuse(
            "UL_bitrate is no uplink capacity: the phone only downloaded, so what it sent were "
            "acknowledgements; take the uplink from another trace"
        )
    column = header.index("DL_bitrate")
    clock = header.index("Timestamp") if "Timestamp" in header else column
    rates, held, missing = array("d"), -1.0, 0
    first = last = ""
    for line in source:
        row = line.split(",")
        if len(row) != len(header):
            lines.refuse(f"has {len(row)} columns, and the header has {len(header)}")
        if row[column].strip() != "-":
            held = lines.value(row[column], "DL_bitrate") * 1e3
        elif rates:
            missing += 1
        if held >= 0.0:  # the trace begins with the first rate there is
            rates.append(held)
            first, last = first or row[clock], row[clock]
    if not rates:
        lines.refuse("DL_bitrate is missing in every row")
    told = (
        f"CSV of uccmisl's form, DL_bitrate (what one phone got, at most the capacity), {missing:,} of "
        f"{len(rates):,} rows missing and held{_by_clock(first, last, len(rates))}"
    )
    return _trace(lines, "uccmisl", np.arange(len(rates) + 1.0), np.array(rates), told)


def _by_clock(first: str, last: str, rows: int) -> str:
    """Say if the times that rows carry disagree with one row a second."""
    try:
        begin, end = (datetime.strptime(text.strip(), "%Y.%m.%d_%H.%M.%S") for text in (first, last))  # noqa: DTZ007 - only their difference counts
    except ValueError:
        return ""
    span = (end - begin).total_seconds() + 1
    return "" if span == rows else f", a row taken for a second (by their clock they span {span:g} s)"


def _trace(
    lines: _Lines, form: Format, edges: Floats, rates: Floats, told: str, *, loops: bool = False
) -> BandwidthTrace:
    """Begin at 0, leave out pieces of no length or change, and refuse what can carry nothing."""
    begins, length_s = edges[:-1] - edges[0], float(edges[-1] - edges[0])
    lasting = np.diff(edges) > 0
    begins, rates = begins[lasting], rates[lasting]
    if not len(rates):
        lines.refuse("all lines have the same time")
    if rates.max() > MAX_BPS:
        lines.refuse(f"holds {rates.max():g} bit/s; no link is so fast (read as {told})")
    if not rates.any():
        msg = f"{lines.path}: is zero throughout, so nothing would ever arrive"
        raise TraceError(msg)
    new = np.append(True, rates[1:] != rates[:-1])
    begins, rates = begins[new], rates[new]
    if len(rates) > MAX_PIECES:
        lines.refuse(f"its rate changes more than {MAX_PIECES:,} times; give a shorter or coarser one")
    edges_s = (*begins.tolist(), length_s)
    mean_mbps = float(rates @ np.diff(edges_s)) / length_s / 1e6
    told = f"{lines.path.name}: {told}; {length_s:g} s, mean {mean_mbps:.3g} Mbit/s"
    return BandwidthTrace(lines.path, form, edges_s, tuple(rates.tolist()), loops, told)
