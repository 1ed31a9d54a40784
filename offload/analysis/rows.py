"""One row for every born request: in memory, and in a Parquet file that can repeat itself."""

import hashlib
import inspect
import json
import os
import platform
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from offload.entities import Facts, Outcome, Plan
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


def to_frame(outcomes: Sequence[Outcome], facts: Sequence[Facts]) -> pl.DataFrame:
    """Turn outcomes into rows, in the order of their requests' births."""
    outcomes = sorted(outcomes, key=lambda o: (o.request.born_s, o.request.id))
    requests = [o.request for o in outcomes]
    told: dict[int, dict[str, Any]] = {id(None): dict.fromkeys(_PLAN)}
    told |= {id(p): _plan_columns(p) for o in outcomes for p in (o.plan, o.first_plan) if p is not None}
    plans = [told[id(o.plan)] for o in outcomes]
    latency = [None if o.cause else o.ended_s - o.request.born_s for o in outcomes]
    columns: dict[str, Any] = {
        "request": [r.id for r in requests],
        "parent": [r.parent for r in requests],
        "stage": [r.stage for r in requests],
        "input_bytes": [r.input_bytes for r in requests],
        "device": [r.device for r in requests],
        "group": [r.group for r in requests],
        "task": [r.task for r in requests],
        "born_s": [r.born_s for r in requests],
        "deadline_s": [r.deadline_s for r in requests],
        "ended_s": [o.ended_s for o in outcomes],
        "latency_s": latency,
        "on_time": [
            late is not None and late <= r.deadline_s for late, r in zip(latency, requests, strict=True)
        ],
        "correct": [o.correct for o in outcomes],
        "cause": [o.cause for o in outcomes],
        "attempts": [o.attempts for o in outcomes],
        "share_gap_s": _share_gaps(outcomes, facts),
        "first_plan": [told[id(o.first_plan)]["plan"] for o in outcomes],
        **{key: [plan[key] for plan in plans] for key in _PLAN},
    }
    if not any(map(has_prices, facts)):
        columns["money"] = [None] * len(outcomes)
    for key in SCHEMA:
        if key not in columns:
            columns[key] = [getattr(o, key) for o in outcomes]
    return pl.DataFrame(columns, schema_overrides=SCHEMA).select(SCHEMA.names())


def _share_gaps(outcomes: Sequence[Outcome], facts: Sequence[Facts]) -> list[float | None]:
    """Return for each request how much its last plan rests on shares of layers, found once a plan."""
    by_task = {(each.group, each.task, each.stage): each for each in facts}
    keys = [(o.request.group, o.request.task, o.request.stage, id(o.plan)) for o in outcomes]
    plans = dict(zip(keys, (o.plan for o in outcomes), strict=True))
    gaps = {
        key: None if plan is None else share_gap_s(by_task[key[:3]], plan) for key, plan in plans.items()
    }
    found = [gaps[key] for key in keys]
    largest: dict[int, float] = {}
    for o, gap in zip(outcomes, found, strict=True):
        if gap is not None and o.request.parent is not None:
            largest[o.request.parent] = max(gap, largest.get(o.request.parent, 0.0))
    return [largest.get(o.request.id, gap) for o, gap in zip(outcomes, found, strict=True)]


_PLAN = (
    "plan", "variant", "device_cut", "edge_cut", "edge", "cloud", "uplink", "codec", "confidence",
    "split",
)  # fmt: skip


def _plan_columns(plan: Plan) -> dict[str, Any]:
    uplink = plan.uplinks[0] if plan.uplinks else None
    return dict(zip(_PLAN, (
        plan_label(plan), plan.variant.label, plan.device_cut, plan.edge_cut, plan.edge, plan.cloud,
        uplink, plan.codec, plan.confidence, plan.split,
    ), strict=True))  # fmt: skip


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
