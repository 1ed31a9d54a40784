"""Slices on tracks: who works and who waits where, in whole microseconds, so that none overlaps."""

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import NamedTuple

import polars as pl

from offload.scenario.setup import Setting

WORKS, WAITS = "work", "waiting"
OVERLAP = "overlap"  # a lane of work for which no server is left


class Track(NamedTuple):
    """A lane of a process: of which process, what it is for, and its number among these, from 0."""

    process: tuple[str, str]  # what kind, which one
    name: str
    number: int

    @property
    def title(self) -> str:
        """What a viewer shows: `server 1`, or `car-3`, and should it have more lanes, `car-3 (2)`."""
        if self.name in _NUMBERED:
            return f"{self.name} {self.number + 1}"
        return self.name + (f" ({self.number + 1})" if self.number else "")


_NUMBERED = ("server", OVERLAP, "waiting", "up", "down", "message")
_LANE = {"uplink": "up", "downlink": "down", "wan": "message", "edge": "server", "cloud": "server"}
_PROCESS = {"uplink": "cell", "downlink": "cell", "wan": "wires", "edge": "edge", "cloud": "cloud"}


class Slice(NamedTuple):
    """What a request did on a track, from when to when."""

    request: int
    leg: str
    kind: str  # WORKS or WAITS
    track: Track
    begin_us: int
    end_us: int


def slices(spans: pl.DataFrame, batches: pl.DataFrame, setting: Setting) -> Iterator[Slice]:
    """Turn spans (`analysis.spans`) into slices, in the order in which they begin.

    What is waited comes before what is worked. `batches` tells of each `request` in how large a `batch`
    it was: the members of a batch, which end together, share its server one behind the other, each for
    its part of the batch's seconds, and wait before and after. Slices of a track never overlap. Where
    wires have chance, when work was done is not known exactly: what would need more servers than there
    are has tracks of its own.
    """
    groups = {device.name: device.group for device in setting.devices}
    servers = {
        name: node.scale.max if node.scale else node.servers for name, node in setting.nodes.items()
    }
    lanes: dict[tuple[tuple[str, str], str], _Lanes] = {}
    for request, device, leg, place, kind, begin_us, end_us in _pieces(spans, batches).iter_rows():
        if leg in ("decide", "device"):
            process = ("devices", groups.get(device, device))
            waits = kind == WAITS or leg == "decide"
            name = f"{device} waiting" if waits else device
        else:
            process = (_PROCESS[leg], place)
            name = "waiting" if kind == WAITS else _LANE[leg]
        number = lanes.setdefault((process, name), _Lanes()).take(begin_us, end_us)
        if name == "server" and number >= (most := servers.get(place, number + 1)):
            name, number = OVERLAP, number - most
        yield Slice(request, leg, kind, Track(process, name, number), begin_us, end_us)


class _Lanes:
    """As many lanes as are needed; the first that is free is taken."""

    def __init__(self) -> None:
        self.busy: list[tuple[int, int]] = []  # until when, which
        self.free: list[int] = []

    def take(self, begin_us: int, end_us: int) -> int:
        """Take a lane; who comes next begins no earlier."""
        while self.busy and self.busy[0][0] <= begin_us:
            heappush(self.free, heappop(self.busy)[1])
        number = heappop(self.free) if self.free else len(self.busy)
        heappush(self.busy, (end_us, number))
        return number


def _pieces(spans: pl.DataFrame, batches: pl.DataFrame) -> pl.DataFrame:
    """Cut spans into what is waited and what is worked: request, device, leg, place, kind, from, until.

    Times are whole microseconds; what is shorter than that is left out.
    """
    spans = _in_turn(spans.join(batches, on="request", how="left", maintain_order="left"))
    spans = spans.with_columns(_us(at) for at in ("begin", "from", "until", "end"))
    spans = spans.with_columns(from_us=pl.max_horizontal("begin_us", "from_us"))
    spans = spans.with_columns(until_us=pl.max_horizontal("from_us", "until_us"))
    keys = ("request", "device", "leg", "place")
    cuts = (
        (WAITS, "begin_us", "from_us"),
        (WORKS, "from_us", "until_us"),
        (WAITS, "until_us", "end_us"),
    )
    parts = [
        spans.select(*keys, kind=pl.lit(kind), from_us=begin, until_us=end) for kind, begin, end in cuts
    ]
    found = pl.concat(parts).filter(pl.col("from_us") < pl.col("until_us"))
    return found.sort("from_us", "until_us", "request")


def _in_turn(spans: pl.DataFrame) -> pl.DataFrame:
    """Add from when until when each span was worked on: at its end, or in its turn in a batch."""
    alone = (pl.col("batch").fill_null(0) < 2) | ~pl.col("leg").is_in(["edge", "cloud"])
    ends = ["leg", "place", "batch", pl.col("end_s").round(9), pl.col("work_s").round(9)]
    turn = pl.int_range(pl.len()).over(ends)
    company = [*ends, turn // pl.col("batch").clip(1)]  # several batches may end together
    left = (pl.len() - 1 - pl.int_range(pl.len())).over(company)
    until_s = pl.col("end_s").first().over(company) - left * pl.col("work_s").first().over(company)
    from_s = pl.col("end_s").first().over(company) - (left + 1) * pl.col("work_s").first().over(company)
    return spans.with_columns(
        from_s=pl.when(alone).then(pl.col("end_s") - pl.col("work_s")).otherwise(from_s),
        until_s=pl.when(alone).then(pl.col("end_s")).otherwise(until_s),
    )


def _us(at: str) -> pl.Expr:
    return (pl.col(f"{at}_s") * 1e6).round().cast(pl.Int64).alias(f"{at}_us")
