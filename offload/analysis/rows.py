"""One row for every born request: in memory, and in a Parquet file that can repeat itself."""

import hashlib
import inspect
import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from msgspec.structs import astuple

from offload.entities import Facts, Outcome, Plan, Request
from offload.planning.money import has_prices
from offload.planning.shares import share_gap_s
from offload.policies.table import Choice
from offload.policies.table import load as load_policy
from offload.scenario.load import Scenario
from offload.simulation.run import Run

FORMAT = 1

LEGS = ("decide_s", "device_s", "uplink_s", "edge_s", "wan_s", "cloud_s", "downlink_s")

# The columns of the rows, in order. `latency_s` and `correct` are null for what did not finish, and
# `correct` where nobody can say; plans are written out once, the last one column by column too. `exit`
# is the one that was taken, null where the network has but one; `share_gap_s` is null but where a
# network is divided on hardware on whose layers two opinions differ. `load_s` is the share of `edge_s`
# and `cloud_s` that was spent waiting for weights to be loaded; `money` is null where nothing has a
# price. A frame that needs several networks is a row without a plan, and `parent` of those of its
# stages; its gap is the largest of theirs.
SCHEMA = pl.Schema({
    "request": pl.Int64, "parent": pl.Int64, "device": pl.String, "group": pl.String,
    "task": pl.String, "stage": pl.String, "input_bytes": pl.Float64,
    "born_s": pl.Float64, "deadline_s": pl.Float64, "ended_s": pl.Float64,
    "latency_s": pl.Float64, "on_time": pl.Boolean, "correct": pl.Boolean, "cause": pl.String,
    "attempts": pl.Int32, "first_plan": pl.String, "plan": pl.String, "variant": pl.String,
    "device_cut": pl.Int32, "edge_cut": pl.Int32, "edge": pl.String, "cloud": pl.String,
    "uplink": pl.String, "codec": pl.String, "confidence": pl.Float64, "exit": pl.Int32,
    "split": pl.Boolean, "share_gap_s": pl.Float64, "batch": pl.Int32,
    **dict.fromkeys(LEGS, pl.Float64),
    "up_bytes": pl.Float64, "down_bytes": pl.Float64,
    "energy_j": pl.Float64, "edge_j": pl.Float64, "cloud_j": pl.Float64, "load_s": pl.Float64,
    "money": pl.Float64,
})  # fmt: skip


# Columns of numbers that are never null, and those that a plan decides.
NUMBERS = (
    "request", "input_bytes", "born_s", "deadline_s", "ended_s", "attempts", "batch", *LEGS,
    "up_bytes", "down_bytes", "energy_j", "edge_j", "cloud_j", "load_s", "money",
)  # fmt: skip
_PLAN = (
    "plan", "variant", "device_cut", "edge_cut", "edge", "cloud", "uplink", "codec", "confidence",
    "split",
)  # fmt: skip

Columns = dict[str, tuple[Any, ...]]


def plan_label(plan: Plan) -> str:
    """Write a plan for people: what runs, then where, with the layers that run there at most.

    `mobilenetv2:int8 device[0:24] cabinet[24:104]`, or with a confidence and a codec
    `net:exits@0.9 device[0:12] uint8 cabinet[12:30]`
    """
    variant, end = plan.variant, plan.end
    sure = "" if plan.confidence is None else f"@{plan.confidence:g}"
    stops = [variant.cuts[min(cut, end)].after for cut in (0, plan.device_cut, plan.edge_cut, end)]
    parts = [
        f"{place}[{begin}:{stop}]" if stop > begin else ""
        for place, begin, stop in zip(("device", plan.edge, plan.cloud), stops, stops[1:], strict=False)
    ]
    parts.insert(1, plan.codec or "")
    return " ".join([variant.label + sure, *filter(None, parts)])


def to_frame(
    outcomes: Sequence[Outcome], facts: Sequence[Facts], later: Sequence[Outcome] = ()
) -> pl.DataFrame:
    """Turn outcomes into rows, in the order of their requests' births.

    Of a frame's stages, some may be among the outcomes that become rows `later`.
    """
    if not outcomes:
        return SCHEMA.to_frame()
    outcomes = sorted(outcomes, key=lambda o: (o.request.born_s, o.request.id))
    told = _columns(Outcome, outcomes)
    told |= _columns(Request, told["request"])
    told["request"] = told["id"]
    columns = [_numbers(key, told[key]) for key in NUMBERS]
    columns += [pl.Series(key, told[key], SCHEMA[key]) for key in ("parent", "correct", "exit")]
    columns += [
        _looked_up(key, told[key], {each: each for each in told[key]}) for key in ("device", "cause")
    ]
    latency_s = pl.when(pl.col("cause") == "").then(pl.col("ended_s") - pl.col("born_s"))
    frame = pl.DataFrame([*columns, *_plans(told, facts)]).with_columns(
        latency_s=latency_s, on_time=(latency_s <= pl.col("deadline_s")).fill_null(value=False)
    )
    if not any(map(has_prices, facts)):
        frame = frame.with_columns(money=pl.lit(None, pl.Float64))
    frame = frame.select(SCHEMA.names())
    born = set(told["id"])
    stages = to_frame([o for o in later if o.request.parent in born], facts)
    return _with_gaps_of_frames(frame, pl.concat([frame, stages]))


def _columns(noun: type[Outcome | Request], nouns: Iterable[Outcome | Request]) -> Columns:
    """Return the fields of many nouns, each as a column."""
    return dict(zip(noun.__struct_fields__, zip(*map(astuple, nouns), strict=True), strict=True))


def _numbers(key: str, values: Sequence[float]) -> pl.Series:
    array = np.fromiter(values, np.float64 if SCHEMA[key] == pl.Float64 else np.int64, len(values))
    return pl.Series(key, array).cast(SCHEMA[key])


def _looked_up(key: str, values: Sequence[Any], table: Mapping[Any, str | None]) -> pl.Series:
    """Return what a small table says of each value."""
    return pl.Series(key, list(table.values()), pl.String)[_places(values, table)]


def _places(values: Sequence[Any], table: Mapping[Any, Any]) -> pl.Series:
    """Return where each value stands among the keys of a table."""
    places = {value: place for place, value in enumerate(table)}
    return pl.Series(np.fromiter(map(places.__getitem__, values), np.uint32, len(values)))


def _plans(told: Columns, facts: Sequence[Facts]) -> list[pl.Series]:
    """Return what rows of one task under one plan have in common: it is found once for each such kind."""
    by_task = {(each.group, each.task, each.stage): each for each in facts}
    plans: dict[int, Plan | None] = {
        id(each): each for key in ("plan", "first_plan") for each in told[key]
    }
    labels = {key: None if plan is None else plan_label(plan) for key, plan in plans.items()}
    kinds = list(zip(told["group"], told["task"], told["stage"], map(id, told["plan"]), strict=True))
    table = {}
    for kind in dict.fromkeys(kinds):
        plan = plans[kind[3]]
        gap_s = None if plan is None else share_gap_s(by_task[kind[:3]], plan)
        table[kind] = (*kind[:3], gap_s, *_plan_columns(plan))
    keys = ("group", "task", "stage", "share_gap_s", *_PLAN)
    frame = pl.DataFrame(list(table.values()), {key: SCHEMA[key] for key in keys}, orient="row")
    first = _looked_up("first_plan", list(map(id, told["first_plan"])), labels)
    return [first, *frame[_places(kinds, table)]]


def _plan_columns(plan: Plan | None) -> tuple[Any, ...]:
    if plan is None:
        return (None,) * len(_PLAN)
    return (
        plan_label(plan), plan.variant.label, plan.device_cut, plan.edge_cut, plan.edge, plan.cloud,
        plan.uplinks[0] if plan.uplinks else None, plan.codec, plan.confidence, plan.split,
    )  # fmt: skip


def _with_gaps_of_frames(frame: pl.DataFrame, parts: pl.DataFrame) -> pl.DataFrame:
    """Give each frame of several networks the largest gap of its parts."""
    gaps = parts.select(request="parent", largest="share_gap_s").drop_nulls()
    if gaps.is_empty():
        return frame
    largest = gaps.group_by("request").max()
    gap_s = pl.coalesce("largest", "share_gap_s").alias("share_gap_s")
    return (
        frame.join(largest, on="request", how="left", maintain_order="left")
        .with_columns(gap_s)
        .drop("largest")
    )


def identity(scenario: Scenario, choice: Choice, seed: int, replication: int) -> dict[str, str]:
    """Return what decides the rows; two results with the same identity are the same."""
    return {
        "format": str(FORMAT),
        "offload": version("offload"),
        "code": code_digest(),
        "scenario": scenario.file.name,
        "digest": scenario.digest,
        "seed": str(seed),
        "replication": str(replication),
        "policy": choice.name,
        "policy_code": " ".join(map(_policy_digest, (choice, *scenario.forwarders.values()))).strip(),
        "label": choice.label,
        "knowledge": choice.knowledge,
        "estimate": choice.estimate or "",
        "overhead_s": repr(choice.overhead_s),
        "options": json.dumps(dict(choice.options), sort_keys=True),
    }


@cache
def code_digest() -> str:
    """Return a hash of this package's source: rows made by other code are other rows."""
    digest = hashlib.blake2b(digest_size=12)
    package = Path(__file__).parents[1]
    for path in sorted(package.rglob("*.py")):
        digest.update(str(path.relative_to(package)).encode() + path.read_bytes())
    return digest.hexdigest()


def _policy_digest(choice: Choice) -> str:
    """Return a hash of the file that a user's policy stands in (not of what that imports)."""
    if ":" not in choice.name:
        return ""
    file = inspect.getsourcefile(load_policy(choice.name))
    return hashlib.blake2b(Path(file).read_bytes(), digest_size=12).hexdigest() if file else ""


def metadata(run: Run) -> dict[str, str]:
    """Return what a file of rows says of itself: identity, scenario, provenance, versions."""
    scenario, choice = run.scenario, run.choice
    table = {"name": choice.name, "label": choice.label, **dict(choice.said)}
    known = {
        f"{place}/{variant.label}": f"{p.known}: {p.source}" + (f" ({p.error})" if p.error else "")
        for facts in scenario.setting(0.0).facts
        for place, profiles in facts.profiles.items()
        for variant, p in profiles.items()
    }
    known |= {
        f"{facts.group}/radio": f"{facts.radio.known}: {facts.radio.source}"
        for facts in scenario.setting(0.0).facts
        if facts.radio is not None
    }
    answers = {
        variant.label: variant.answers[None, 0].data
        for facts in scenario.setting(0.0).facts
        for variant in facts.variants
        if variant.answers
    }
    return identity(scenario, choice, run.seed, run.replication) | {
        "scenario_file": str(scenario.path),
        "resolved": json.dumps(scenario.raw, default=str),
        "policy_table": json.dumps(table, sort_keys=True),
        "profiles": json.dumps(known, sort_keys=True),
        "answers": json.dumps(answers, sort_keys=True),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "simpy": version("simpy"),
    }


def write(frame: pl.DataFrame, path: Path, told: Mapping[str, str]) -> None:
    """Write rows aside and rename, so that the file is whole or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    frame.write_parquet(aside, metadata=dict(told))
    aside.replace(path)


def is_there(path: Path, wanted: Mapping[str, str]) -> bool:
    """Tell whether a file holds the rows of this identity already."""
    if not path.is_file():
        return False
    try:
        found = pl.read_parquet_metadata(path)
    except pl.exceptions.ComputeError:
        return False
    return all(found.get(key) == value for key, value in wanted.items())
