"""When each request was where: its legs as intervals, each with what of it was work and not waiting."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from offload.analysis.explaining.legs import crossings, plan_of, sizes
from offload.entities import Facts
from offload.planning.legs import over
from offload.scenario.setup import Setting

# One row for each leg of each request that took any time, and for each of the ways that it took over
# wires. `place` is a device, a cell, a node, or the wires that the plan crosses; `work_s` is how much of
# it, at its end, was work: the rest was waiting.
SCHEMA = pl.Schema({
    "request": pl.Int64, "device": pl.String, "leg": pl.String, "place": pl.String,
    "begin_s": pl.Float64, "end_s": pl.Float64, "work_s": pl.Float64,
})  # fmt: skip

ELSEWHERE = "elsewhere"  # where an earlier plan went, of which the row does not tell
LEAST_S = 1e-12

# In the order in which requests go through them: the leg, its seconds, its place (columns of _told).
_STEPS = (
    ("decide", "decide_s", "device"), ("device", "device_s", "device"), ("uplink", "uplink_s", "uplink"),
    ("wan", "out_s", "wires"), ("edge", "edge_s", "edge"), ("wan", "on_s", "wires"),
    ("cloud", "cloud_s", "cloud"), ("wan", "back_s", "wires"), ("downlink", "downlink_s", "uplink"),
    ("device", "home_s", "device"),
)  # fmt: skip
_KIND = (
    "group", "task", "stage", "variant", "device_cut", "edge_cut", "edge", "cloud", "uplink", "codec",
    "exit",
)  # fmt: skip


def spans(rows: pl.DataFrame, setting: Setting) -> pl.DataFrame:
    """Return the legs of rows as intervals of one replication, columns SCHEMA, in the order of begin_s.

    The legs of a request follow each other without a gap from its birth to its end, and sum to those of
    its row. Three things rows do not tell, and are inferred:

    - what of `wan_s` was the way there and what the way back: in proportion to what they take alone, so
      exactly where wires have neither a queue nor chance; what only a handover made necessary, or a node
      that refused, counts as behind the edge;
    - what was work: at nodes the joules of the row over the node's watts above idling (loading weights
      is waiting; a node without such watts works all the time), on a device, which serves one by one,
      what its queue leaves; on links and while deciding, all;
    - what was tried again: each leg is all that it took in any attempt, at the places of the last. Who
      came home without an answer computes there last.

    A frame of several networks is told of by its stages.
    """
    told = _told(rows.filter(~pl.col("request").is_in(rows["parent"].drop_nulls().implode())), setting)
    marginal_w = {name: node.hardware.marginal_w for name, node in setting.nodes.items()}
    parts: list[pl.DataFrame] = []
    on_devices: list[pl.DataFrame] = []
    begin_s = pl.col("born_s")
    for leg, seconds, place in _STEPS:
        took_s = work_s = pl.col(seconds)
        if leg in ("edge", "cloud"):
            watts = pl.col(leg).replace_strict(marginal_w, default=None, return_dtype=pl.Float64)
            work_s = pl.when(watts > 0.0).then((pl.col(f"{leg}_j") / watts).clip(0.0, took_s))
            work_s = work_s.otherwise(took_s)
        found = told.filter(took_s > LEAST_S).select(
            "request", "device", leg=pl.lit(leg), place=pl.col(place).fill_null(ELSEWHERE),
            begin_s=begin_s, end_s=begin_s + took_s, work_s=work_s,
        )  # fmt: skip
        (on_devices if leg == "device" else parts).append(found)
        begin_s = begin_s + took_s
    parts.append(_queued(pl.concat(on_devices)))
    return pl.concat(parts).select(SCHEMA.names()).cast(SCHEMA).sort("begin_s", "end_s", "request")


def _queued(legs: pl.DataFrame) -> pl.DataFrame:
    """Tell what of legs at devices was work: each computes one request after the other, as they come."""
    before = pl.col("end_s").cum_max().shift(1).over("device")
    waits_until = pl.max_horizontal("begin_s", before.fill_null(float("-inf")))
    return legs.sort("begin_s", "request").with_columns(
        work_s=(pl.col("end_s") - waits_until).clip(lower_bound=0.0)
    )


def _told(rows: pl.DataFrame, setting: Setting) -> pl.DataFrame:
    """Add to rows what they tell between the lines: which wires, when they crossed them, where else."""
    rows = rows.join(
        _wires(rows, setting), on=_KIND, how="left", nulls_equal=True, maintain_order="left"
    )
    failed = pl.col("cause") != ""
    home = pl.all_horizontal(pl.col("uplink", "edge", "cloud").is_null()) & (pl.col("uplink_s") > 0.0)
    # Who failed has not gone further than its legs tell; it may have failed as it came to the cloud.
    came = (pl.col("edge_j") > 0.0) & (pl.col("wan_s") >= pl.col("out") + pl.col("on") - LEAST_S)
    before_cloud = failed & pl.col("edge").is_not_null() & (pl.col("cloud_s") <= LEAST_S) & ~came
    rows = rows.with_columns(
        on=pl.when(before_cloud).then(0.0).otherwise("on"),
        back=pl.when(failed & (pl.col("downlink_s") <= LEAST_S)).then(0.0).otherwise("back"),
        first_edge=_first(rows, setting, "edge"),
        first_cloud=_first(rows, setting, "cloud"),
    )
    whole = pl.col("out") + pl.col("on") + pl.col("back")
    shared = [
        pl.when(whole > 0.0).then(pl.col("wan_s") * pl.col(way) / whole).otherwise(0.0).alias(f"{way}_s")
        for way in ("out", "on")
    ]
    return rows.with_columns(shared).with_columns(
        back_s=(pl.col("wan_s") - pl.col("out_s") - pl.col("on_s")).clip(lower_bound=0.0),
        home_s=pl.when(home).then("device_s").otherwise(0.0),
        device_s=pl.when(home).then(0.0).otherwise("device_s"),
        edge=pl.coalesce("edge", "first_edge"),
        cloud=pl.coalesce("cloud", "first_cloud"),
    )


def _wires(rows: pl.DataFrame, setting: Setting) -> pl.DataFrame:
    """Tell of each kind of plan which wires it crosses, and for how long alone: out, on, and back."""
    facts = {(each.group, each.task, each.stage): each for each in setting.facts}
    kinds = rows.filter(pl.col("wan_s") > LEAST_S).select(_KIND).unique(maintain_order=True)
    ways = [
        _alone_s(kind, facts[kind["group"], kind["task"], kind["stage"]])
        for kind in kinds.iter_rows(named=True)
    ]
    schema = {"wires": pl.String, "out": pl.Float64, "on": pl.Float64, "back": pl.Float64}
    return kinds.hstack(pl.DataFrame(ways, schema, orient="row"))


def _alone_s(kind: Mapping[str, Any], facts: Facts) -> tuple[str | float | None, ...]:
    """Return the names of wires, and the seconds of the three ways over them."""
    plan = plan_of(kind, facts)
    if plan is None or plan.uplinks is None:
        return (None,) * 4
    site = facts.cells[plan.uplinks[0]].node
    took = {"out": 0.0, "on": 0.0, "back": 0.0}
    names: list[str] = []
    legs = [*["out"] * (plan.edge is not None), *["on"] * (plan.cloud is not None), "back"]
    crossed = crossings(plan, site, sizes(facts, plan, facts.input_bytes))
    for leg, (here, there, size_bytes, _) in zip(legs, crossed, strict=True):
        took[leg] = float(over(facts, here, there, np.zeros(1), np.array([size_bytes]))[0])
        names += facts.routes[here, there]
    return ", ".join(dict.fromkeys(names)) or None, *took.values()


def _first(rows: pl.DataFrame, setting: Setting, kind: str) -> pl.Series:
    """Name the node of a kind in the first plan of each row, as `rows.plan_label` writes it."""
    names = [name for name, node in setting.nodes.items() if node.kind == kind]
    names.sort(key=len, reverse=True)  # a name may end as another one does
    plans = rows["first_plan"].unique().drop_nulls().to_list()
    found = {plan: next((name for name in names if f" {name}[" in plan), None) for plan in plans}
    return rows["first_plan"].replace_strict(found, default=None, return_dtype=pl.String)
