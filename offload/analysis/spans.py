"""When each request was where: its legs as intervals, each with what of it was work and not waiting."""

from collections.abc import Mapping

import polars as pl

from offload.scenario.setup import Setting

# One row for each leg of each request that took any time. `place` is a device, a cell, a node, or the
# wires that the plan crosses; `work_s` is how much of it, at its end, was work: the rest was waiting.
SCHEMA = pl.Schema({
    "request": pl.Int64, "device": pl.String, "leg": pl.String, "place": pl.String,
    "begin_s": pl.Float64, "end_s": pl.Float64, "work_s": pl.Float64,
})  # fmt: skip

ORDER = ("decide", "device", "uplink", "edge", "wan", "cloud", "downlink")
LEAST_S = 1e-12


def spans(rows: pl.DataFrame, setting: Setting) -> pl.DataFrame:
    """Return the legs of rows as intervals of one replication, columns SCHEMA, in the order of begin_s.

    Legs follow each other in the order in which plans go through them, so that those of a request sum to
    its latency: the wires come behind the edge node's work, or before it where that node is another
    site's. Of what was tried again each leg is all that it took in any attempt. At nodes `work_s` is
    what the joules in the row say, on a device what its queue in order leaves; what a node whose watts
    are not known does counts as work. A frame of several networks is told of by its stages.
    """
    rows = rows.filter(~pl.col("request").is_in(rows["parent"].drop_nulls().implode()))
    site = {name: cell.node for name, cell in setting.cells.items()}
    marginal_w = {name: node.hardware.marginal_w for name, node in setting.nodes.items()}
    rows = rows.with_columns(
        site=pl.col("uplink").replace_strict(site, default=None, return_dtype=pl.String),
        wires=_wires(rows, setting, site),
    )
    other = (pl.col("edge") != pl.col("site")).fill_null(value=False)
    decided = pl.col("born_s") + pl.col("decide_s")
    at_device = decided + pl.col("device_s")
    at_site = at_device + pl.col("uplink_s")
    in_cloud = at_site + pl.col("edge_s") + pl.col("wan_s")
    began = {
        "decide": pl.col("born_s"),
        "device": decided,
        "uplink": at_device,
        "edge": at_site + pl.when(other).then("wan_s").otherwise(0.0),
        "wan": at_site + pl.when(other).then(0.0).otherwise("edge_s"),
        "cloud": in_cloud,
        "downlink": in_cloud + pl.col("cloud_s"),
    }
    where = {
        "decide": "device", "device": "device", "uplink": "uplink", "edge": "edge", "wan": "wires",
        "cloud": "cloud", "downlink": "uplink",
    }  # fmt: skip
    parts = []
    for leg in ORDER:
        took = pl.col(f"{leg}_s")
        work = took
        if leg in ("edge", "cloud"):
            watts = pl.col(leg).replace_strict(marginal_w, default=None, return_dtype=pl.Float64)
            known = pl.min_horizontal(pl.col(f"{leg}_j") / watts, took)
            work = pl.when(watts > 0.0).then(known).otherwise(took)
        parts.append(
            rows.filter(took > LEAST_S).select(
                "request", "device",
                leg=pl.lit(leg), place=pl.col(where[leg]).fill_null("elsewhere"),
                begin_s=began[leg], end_s=began[leg] + took, work_s=work,
            )
        )  # fmt: skip
    parts[1] = _queued(parts[1])
    return pl.concat(parts).select(SCHEMA.names()).cast(dict(SCHEMA)).sort("begin_s", "request")


def _queued(legs: pl.DataFrame) -> pl.DataFrame:
    """Tell what of legs at devices was work: each computes one request after the other, as they come."""
    before = pl.col("end_s").cum_max().shift(1).over("device")
    waits_until = pl.max_horizontal("begin_s", before.fill_null(float("-inf")))
    return legs.sort("begin_s", "request").with_columns(
        work_s=(pl.col("end_s") - waits_until).clip(lower_bound=0.0)
    )


def _wires(rows: pl.DataFrame, setting: Setting, site: Mapping[str, str]) -> pl.Series:
    """Name the wires that the plan of each row crosses, out or back; null where it crosses none."""
    routes = setting.facts[0].routes
    kinds = rows.select("uplink", "edge", "cloud").unique()
    named = []
    for uplink, edge, cloud in kinds.iter_rows():
        here = home = site.get(uplink or "")
        names: list[str] = []
        for there in (edge, cloud, home):
            if here is not None and there is not None:
                names += routes.get((here, there), ())
                here = there
        named.append(", ".join(dict.fromkeys(names)) or None)
    told = kinds.with_columns(pl.Series("wires", named, pl.String))
    keys = ["uplink", "edge", "cloud"]
    return rows.join(told, on=keys, how="left", nulls_equal=True, maintain_order="left")["wires"]
