"""One replication as a Chrome trace, to be looked at with Perfetto: who was where and when.

Open https://ui.perfetto.dev and choose "Open trace file": the page reads the file in the browser, and
sends it nowhere. The format is Google's "Trace Event Format"
(docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU).
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from offload.analysis.files import to_json, writing
from offload.analysis.spans import spans
from offload.analysis.story import Story
from offload.scenario.setup import Setting
from offload.views.lanes import OVERLAP, Slice, Track, slices

MOST_REQUESTS = 30_000
MOST_BYTES = 60_000_000
BINS = 500  # of counters
# What rows do not tell, in words for who looks at the file.
INFERRED = (
    "Work at nodes is what their joules say, and ends with the leg; on devices what the queue leaves."
    " The way over wires is divided into there and back by what these take alone, so that where wires"
    " have a queue or chance, work may be drawn a little early or late: what would need more servers"
    " than there are is drawn on lanes named overlap."
)

Event = dict[str, Any]
Process = tuple[str, str]  # what kind, which one
Microseconds = npt.NDArray[np.int64]

_ORDER = ("devices", "cell", "edge", "wires", "cloud")  # of processes: from the device on
_DIVIDED = ("device", "edge", "cloud")  # legs of which waiting is told from work
# What is counted of a process, by the name of its lanes.
_SERVERS = {"server": "at work", OVERLAP: "at work", "waiting": "waiting"}
_COUNTED = {"edge": _SERVERS, "cloud": _SERVERS, "cell": {"up": "up", "down": "down"}}
_TOLD = (
    "device", "task", "stage", "parent", "plan", "born_s", "deadline_s", "latency_s", "on_time", "cause",
    "attempts",
)  # fmt: skip


def write(
    story: Story, path: Path, policy: str | None = None, replication: int = 0,
    most_requests: int = MOST_REQUESTS, most_bytes: int = MOST_BYTES,
) -> int:  # fmt: skip
    """Write the trace of one replication of one policy, by default of the best; return how many events.

    What would make the file too large is cut off at the end: `otherData` says what it holds. It is
    written aside and renamed. Raises FolderError, OSError.
    """
    label = story.best if policy is None else policy
    rows, setting, found = story.rows(label, replication), story.setting(replication), story.found
    said = {
        "scenario": found.scenario, "policy": label, "seed": found.seed, "replication": replication,
        "known": found.known, "inferred": INFERRED,
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path) as aside:
        while True:
            told, events = trace(rows, setting, found.warm_up_s, most_requests)
            count = _write(aside, said | told, events)
            size = aside.stat().st_size
            if size <= most_bytes or told["requests"] <= 1:
                break
            most_requests = max(1, int(0.95 * told["requests"] * most_bytes / size))
        aside.replace(path)
    return count


def _write(path: Path, told: Mapping[str, Any], events: Iterator[Event]) -> int:
    """Write a trace, an event a line; return how many."""
    encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
    count = 0
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.write(f'{{"displayTimeUnit":"ms","otherData":{encode(told)},"traceEvents":[')
        for event in events:
            file.write(",\n" if count else "\n")
            file.write(encode(event))
            count += 1
        file.write("\n]}\n")
    return count


def trace(
    rows: pl.DataFrame, setting: Setting, from_s: float = 0.0, most_requests: int = MOST_REQUESTS
) -> tuple[dict[str, Any], Iterator[Event]]:
    """Return what the trace of one replication's rows holds, and its events.

    A process is a kind of device, a cell, a node or a way over wires; its threads are lanes: a server, a
    device, messages, or those who wait. Slices of a thread never overlap. An arrow leads from each slice
    of a request to its next. Counters are means of as many stretches as there are BINS.

    Of more than `most_requests` those are held that were under way at `from_s` or born later, until
    there are as many. Requests are those that have legs of their own: of a frame its stages.
    """
    held, told = _window(rows, from_s, most_requests)
    found = list(slices(spans(held, setting), held.select("request", "batch"), setting))
    requests = {row["request"]: _args(row) for row in held.iter_rows(named=True)}
    return told, _events(found, requests)


def _window(rows: pl.DataFrame, from_s: float, most: int) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Choose the requests that are held, and say which these are."""
    every = rows.lazy().filter(~pl.col("request").is_in(rows["parent"].drop_nulls().implode()))
    count = every.select(pl.len()).collect().item()
    if count > most:
        first = every.filter(pl.col("ended_s") > from_s).sort("born_s", "request").head(most)
        held = first.collect(engine="streaming")  # of many rows nothing is copied but these
        holds = f"the first {held.height} by birth of the requests that ended after {from_s:g} s"
    else:
        held, holds = every.collect(), "every request; of a frame of several networks, its stages"
    return held, {
        "holds": holds, "requests": held.height, "left_out": count - held.height,
        "from_s": held["born_s"].min(), "until_s": held["ended_s"].max(),
    }  # fmt: skip


def _args(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what each slice of a request tells of it; nothing of what it has not."""
    told = {"request": row["request"], **{key: row[key] for key in _TOLD}}
    short = {key: round(each, 9) if isinstance(each, float) else each for key, each in told.items()}
    return {key: each for key, each in to_json(short).items() if each not in (None, "")}


def _events(found: Sequence[Slice], requests: Mapping[int, dict[str, Any]]) -> Iterator[Event]:
    """Yield the names of processes and threads, slices with the arrows between them, and counters."""
    of_request, of_process = defaultdict[int, list[Slice]](list), defaultdict[Process, list[Slice]](list)
    for each in found:
        of_request[each.request].append(each)
        of_process[each.track.process].append(each)
    tracks = sorted({each.track for each in found}, key=_order)
    pids = {process: n for n, process in enumerate(dict.fromkeys(t.process for t in tracks), 1)}
    tids = {track: n for n, track in enumerate(tracks, len(pids) + 1)}
    for (kind, name), pid in pids.items():
        yield from _named("process", f"{kind}: {name}", pid, {"pid": pid})
    for track, tid in tids.items():
        yield from _named("thread", track.title, tid, {"pid": pids[track.process], "tid": tid})
    for request, its in of_request.items():
        for each, arrow in zip(its, _arrows(len(its)), strict=True):
            where = {"pid": pids[each.track.process], "tid": tids[each.track]}
            yield _slice(each, requests[request]) | where
            if arrow:
                yield _arrow(each, arrow) | where
    ends_us = max((each.end_us for each in found), default=0)
    for process, pid in pids.items():
        for event in _counters(of_process[process], process[0], ends_us):
            yield event | {"pid": pid}


def _order(track: Track) -> tuple[Any, ...]:
    """Sort processes from the device on, and names as people count."""
    kind, name = track.process
    return _ORDER.index(kind), _natural(name), _natural(track.name), track.number


def _natural(name: str) -> list[Any]:
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def _named(what: str, name: str, place: int, where: Mapping[str, int]) -> Iterator[Event]:
    yield {"ph": "M", "name": f"{what}_name", "args": {"name": name}, **where}
    yield {"ph": "M", "name": f"{what}_sort_index", "args": {"sort_index": place}, **where}


def _slice(each: Slice, told: dict[str, Any]) -> Event:
    kind = each.kind if each.leg in _DIVIDED else "link"
    name = f"{each.leg} {each.kind}" if each.leg in _DIVIDED else each.leg
    ends = {"ts": each.begin_us, "dur": each.end_us - each.begin_us}
    return {"ph": "X", "name": name, "cat": f"{each.leg},{kind}", **ends, "args": told}


def _arrows(count: int) -> list[str]:
    """Return the phase of each slice's arrow: start, step, finish; a slice alone has none."""
    return ["s", *["t"] * (count - 2), "f"] if count > 1 else [""]


def _arrow(each: Slice, phase: str) -> Event:
    """Bind an arrow to a slice that encloses it: it begins as that ends."""
    at_us = each.end_us - 1 if phase == "s" else each.begin_us
    event = {"ph": phase, "name": "request", "cat": "request", "id": each.request, "ts": at_us}
    return event if phase == "s" else event | {"bp": "e"}


def _counters(found: Sequence[Slice], kind: str, ends_us: int) -> Iterator[Event]:
    """Yield how many are on the lanes of a process: means of stretches, where they change."""
    if (lanes := _COUNTED.get(kind)) is None:
        return
    width_us = max(1, -(-ends_us // BINS))
    edges_us = np.arange(BINS + 1, dtype=np.int64) * width_us
    means = {
        name: _spent_us([s for s in found if lanes.get(s.track.name) == name], edges_us) / width_us
        for name in dict.fromkeys(lanes.values())
    }
    last: dict[str, float] = {}
    for number, at_us in enumerate(edges_us.tolist()):
        now = {
            name: round(float(each[number]), 6) if number < BINS else 0.0 for name, each in means.items()
        }
        if now != last:
            yield {"ph": "C", "name": "requests", "ts": at_us, "args": now}
            last = now


def _spent_us(found: Sequence[Slice], edges_us: Microseconds) -> Microseconds:
    """Return the microseconds that slices have in each stretch between edges, summed."""
    until: Microseconds = np.zeros(len(edges_us), np.int64)
    for sign, times in ((1, [each.begin_us for each in found]), (-1, [each.end_us for each in found])):
        at_us = np.sort(np.array(times, np.int64))
        before = np.searchsorted(at_us, edges_us)
        until += sign * (before * edges_us - np.concatenate([[0], np.cumsum(at_us)])[before])
    return np.diff(until)
