"""A run over time: how busy each place was, how many waited there, and where requests were computed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Where a request may be computed: by the kinds of places that its last plan names, or by no plan.
WHERE = (
    "device", "device + edge", "device + cloud", "device + edge + cloud", "edge", "edge + cloud",
    "cloud", "no plan",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Load:
    """What one place had to do, by bins of time: seconds of work, and of waiting, over all requests.

    Over the length of a bin, work is how many servers were at work on average, waiting how many stood
    there unserved.
    """

    work_s: Floats
    waiting_s: Floats


def loads(spans: pl.DataFrame, batches: pl.DataFrame, edges_s: Floats) -> Mapping[str, Load]:
    """Return the load of each place that spans name, in bins between rising edges.

    `spans` are as of `analysis.spans`: of each, the end is work and what comes before is waiting.
    `batches` tells of each `request` in how large a `batch` it was at nodes: its members are served
    together, each at its share of the server, for as long as the work of all of them takes. What lies
    beyond the first and the last edge is left out.
    """
    found: dict[str, Load] = {}
    spans = spans.join(
        batches.select("request", "batch"), on="request", how="left", maintain_order="left"
    )
    members = pl.when(pl.col("leg").is_in(["edge", "cloud"])).then(pl.col("batch").clip(1))
    spans = spans.with_columns(members=members.fill_null(1))
    for (place, members), frame in spans.group_by("place", "members", maintain_order=True):
        begin_s, end_s = frame["begin_s"].to_numpy(), frame["end_s"].to_numpy()
        served_s = members * frame["work_s"].to_numpy()
        begins_s = np.clip(end_s - served_s, begin_s, end_s)  # to be served
        before = found.get(str(place))
        work_s = seconds_in(begins_s, end_s, edges_s) / members
        waiting_s = seconds_in(begin_s, begins_s, edges_s)
        found[str(place)] = (
            Load(work_s, waiting_s)
            if before is None
            else Load(before.work_s + work_s, before.waiting_s + waiting_s)
        )
    return found


def covered(spans: pl.DataFrame, edges_s: Floats) -> Mapping[str, Floats]:
    """Return for how many seconds of each bin there was anybody at each place that spans name."""
    found = {}
    for (place,), frame in spans.sort("begin_s").group_by("place", maintain_order=True):
        begin_s = frame["begin_s"].to_numpy()
        until_s = np.maximum.accumulate(frame["end_s"].to_numpy())
        first = np.append(True, begin_s[1:] > until_s[:-1])  # of those that follow without a gap
        last = np.append(first[1:], True)
        found[str(place)] = seconds_in(begin_s[first], until_s[last], edges_s)
    return found


def seconds_in(begin_s: Floats, end_s: Floats, edges_s: Floats) -> Floats:
    """Return how many seconds of all intervals fall into each bin; shape (edges - 1,).

    Of an interval from a to b, min(t, b) - min(t, a) lies before t.
    """
    passed = _sum_up_to(end_s, edges_s) - _sum_up_to(begin_s, edges_s)
    return np.maximum(np.diff(passed), 0.0)


def _sum_up_to(times_s: Floats, at_s: Floats) -> Floats:
    """Return the sum of min(t, x) over all times x, for each t."""
    ordered = np.sort(times_s)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    before = np.searchsorted(ordered, at_s)
    return np.asarray(sums[before] + at_s * (len(ordered) - before), dtype=np.float64)


def where(rows: pl.DataFrame, edges_s: Floats) -> dict[str, Ints]:
    """Count requests by where they were computed and when they were born: WHERE, those that occur.

    By the last plan; who never had one, as no cell was in reach, say, counts as such. A frame of several
    networks is told of by its stages.
    """
    rows = rows.filter(~pl.col("request").is_in(rows["parent"].drop_nulls().implode()))
    at_device = (pl.col("device_cut") > 0) | pl.col("edge").is_null() & pl.col("cloud").is_null()
    parts = [
        pl.when(at_device | pl.col("codec").is_not_null()).then(pl.lit("device")),
        pl.when(pl.col("edge").is_not_null()).then(pl.lit("edge")),
        pl.when(pl.col("cloud").is_not_null()).then(pl.lit("cloud")),
    ]
    named = pl.concat_str(parts, separator=" + ", ignore_nulls=True)
    told = rows.select(
        "born_s", where=pl.when(pl.col("plan").is_null()).then(pl.lit("no plan")).otherwise(named)
    )
    by_name = {name: frame["born_s"].to_numpy() for (name,), frame in told.group_by("where")}
    return {
        name: np.histogram(by_name[name], edges_s)[0].astype(np.int64)
        for name in WHERE
        if name in by_name
    }
