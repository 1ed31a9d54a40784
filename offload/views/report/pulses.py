"""Each request of the replay as a pulse: when it is born, its legs, and where they lead."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from offload.analysis import spans
from offload.analysis.rows import LEGS
from offload.analysis.story import Story
from offload.scenario.setup import Setting
from offload.views.report import scene
from offload.views.report.packed import Whole, pack, signed, steps

STEP_S = 2e-5  # times are told in steps of this length
NAMES = [leg.removesuffix("_s") for leg in LEGS]

# Of what there are few combinations, each is told once: what was asked for, and how it ended.
_KIND = ("task", "stage", "plan", "where")
_END = ("cause", "on_time")
_WHERE = (
    pl.when(pl.col("split")).then(pl.lit("split"))
    .when(pl.col("cloud").is_not_null()).then(pl.lit("cloud"))
    .when(pl.col("edge").is_not_null()).then(pl.lit("edge"))
    .when(pl.col("plan").is_not_null()).then(pl.lit("device"))
    .otherwise(pl.lit("none"))
)  # fmt: skip

Way = tuple[int, list[int]]


def data(story: Story, label: str, setting: Setting, begin_s: float, end_s: float) -> dict[str, Any]:
    """Return the requests of a policy that are born in a window, as the script reads them.

    `columns` are, packed: for each request its number and birth (differences), device, kind, end, trip,
    and deadline (0 for none); then for each leg of each trip how long it takes, and how much of that is
    waiting. Times are in steps of STEP_S, births from the begin of the window.
    """
    rows = story.rows(label)
    rows = rows.filter(
        ~pl.col("request").is_in(rows["parent"].drop_nulls().implode()), pl.col("born_s") < end_s
    )
    legs = spans.spans(rows, setting)
    rows = (
        rows.filter(pl.col("born_s") >= begin_s)
        .sort("born_s", "request")
        .with_columns(where=_WHERE)
        .with_row_index("number")
    )
    legs = legs.join(rows.select("request", "number"), on="request").sort("number", "begin_s", "end_s")
    kinds, kind = _told_once(rows, _KIND)
    ends, end = _told_once(rows, _END)
    trips, trip = _trips(rows, legs, setting)
    born = steps(rows["born_s"].to_numpy() - begin_s, STEP_S)
    took, waits = _lasting(legs, born, begin_s)
    device = rows["device"].replace_strict(
        {each.name: number for number, each in enumerate(setting.devices)}, return_dtype=pl.Int64
    )
    deadline = rows["deadline_s"].clip(lower_bound=0.0).to_numpy()  # a later stage may have no time left
    has_one = np.isfinite(deadline)
    return {
        "label": label,
        "requests": rows.height,
        "legs": legs.height,
        "kinds": [list(each) for each in kinds.iter_rows()],
        "ends": [list(each) for each in ends.iter_rows()],
        "trips": trips,
        "columns": pack([
            signed(np.diff(rows["request"].to_numpy(), prepend=0)), np.diff(born, prepend=0),
            device.to_numpy(), kind, end, trip,
            np.where(has_one, steps(np.where(has_one, deadline, 0.0), STEP_S) + 1, 0), took, waits,
        ]),
    }  # fmt: skip


def _told_once(rows: pl.DataFrame, keys: Sequence[str]) -> tuple[pl.DataFrame, Whole]:
    """Return which combinations of columns there are, and which of them each row has."""
    known = rows.select(keys).unique(maintain_order=True)
    joined = rows.join(
        known.with_row_index("which"), on=list(keys), how="left", nulls_equal=True, maintain_order="left"
    )
    return known, joined["which"].to_numpy().astype(np.int64)


def _lasting(legs: pl.DataFrame, born: Whole, begin_s: float) -> tuple[Whole, Whole]:
    """Return how long legs take (a request's sum to its latency), and how long one waits in them."""
    request = legs["number"].to_numpy().astype(np.int64)
    until = steps(legs["end_s"].to_numpy() - begin_s, STEP_S)
    first = np.diff(request, prepend=-1) > 0  # it begins at the birth, others where the last one ended
    took = np.maximum(until - np.where(first, born[request], np.roll(until, 1)), 0)
    wait_s = legs.select(pl.col("end_s") - pl.col("begin_s") - pl.col("work_s")).to_series()
    return took, np.clip(steps(wait_s.to_numpy(), STEP_S), 0, took)


def _trips(rows: pl.DataFrame, legs: pl.DataFrame, setting: Setting) -> tuple[list[list[Way]], Whole]:
    """Return which trips there are, and which of them each row makes: a list of legs with their ways."""
    at_home = pl.col("leg").is_in(["decide", "device"])
    legs = legs.with_columns(place=pl.when(at_home).then(pl.lit("")).otherwise(pl.col("place")))
    stops, stop = _told_once(legs, ("leg", "place"))
    taken = (
        legs.select("number", trip=pl.Series(stop).cast(pl.String))
        .group_by("number", maintain_order=True)
        .agg(pl.col("trip").str.join(" "))
    )
    trips, trip = _told_once(
        rows.select("number").join(taken, on="number", how="left", maintain_order="left"), ["trip"]
    )
    named = list(stops.iter_rows())
    found = [[named[int(each)] for each in (told or "").split()] for (told,) in trips.iter_rows()]
    return [ways(setting, each) for each in found], trip


def ways(setting: Setting, trip: Sequence[tuple[str, str]]) -> list[Way]:
    """Return the legs of a trip, given with their places: a cell, a node, or wires.

    Each is an index of NAMES with its way: the nodes that it passes, -1 being the device; where one
    stays it is a single one.
    """
    number = {name: index for index, name in enumerate(setting.nodes)}
    site = {name: cell.node for name, cell in setting.cells.items()}
    stops = [site.get(place) if leg in ("uplink", "downlink") else place or None for leg, place in trip]
    here: str | None = None
    found: list[Way] = []
    for index, (leg, _) in enumerate(trip):
        there = stops[index]
        if leg == "wan":  # to where it goes on; who is lost on the way is not seen to leave
            there = next((each for each in stops[index + 1 :] if each in number), here)
        nodes = [number[each] for each in scene.way(setting, here, there)]
        if leg == "uplink":
            nodes = [-1, *nodes[-1:]]
        elif leg == "downlink":
            nodes = [*nodes, -1]
        elif leg in ("edge", "cloud"):
            nodes = nodes[-1:]
        elif leg != "wan":
            nodes = []
        found.append((NAMES.index(leg), nodes or [-1]))
        here = there if there in number else None
    return found
