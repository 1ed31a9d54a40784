"""One row for every born request: in memory, and in a Parquet file that can repeat itself."""

import hashlib
import inspect
import json
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib import metadata as installed
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from offload.analysis.files import writing
from offload.entities import Facts, Outcome, Plan, Request
from offload.planning.money import has_prices
from offload.planning.shares import share_gap_s
from offload.policies.named import NAMED
from offload.policies.protocol import Policy
from offload.policies.table import Choice
from offload.policies.table import load as load_policy
from offload.scenario.load import Scenario
from offload.simulation.flow import CHUNK
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


# What a row's kind decides: its task, its plans and how it ended. There are few kinds.
_BY_KIND = (
    "group", "task", "stage", "cause", "correct", "exit", "first_plan", "share_gap_s", "plan", "variant",
    "device_cut", "edge_cut", "edge", "cloud", "uplink", "codec", "confidence", "split",
)  # fmt: skip
# The numbers that each row has of its own, of its request and its outcome.
_OF_REQUEST = ("born_s", "deadline_s", "input_bytes")
_OF_OUTCOME = (
    "attempts", "ended_s", *LEGS, "up_bytes", "down_bytes", "energy_j", "edge_j", "cloud_j", "batch",
    "load_s", "money",
)  # fmt: skip


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
    outcomes = sorted(outcomes, key=lambda o: (o.request.born_s, o.request.id))
    requests = [o.request for o in outcomes]
    ids = [r.id for r in requests]
    frame = pl.DataFrame(
        [
            pl.Series("request", ids, pl.Int64),
            pl.Series("parent", [r.parent for r in requests], pl.Int64),
            pl.Series("device", [r.device for r in requests], pl.String),
            *_numbers(requests, _OF_REQUEST),
            *_numbers(outcomes, _OF_OUTCOME),
            *_by_kind(outcomes, facts),
        ]
    )
    latency_s = pl.when(pl.col("cause") == "").then(pl.col("ended_s") - pl.col("born_s"))
    on_time = (latency_s <= pl.col("deadline_s")).fill_null(value=False)
    frame = frame.with_columns(latency_s=latency_s, on_time=on_time)
    if not any(map(has_prices, facts)):
        frame = frame.with_columns(money=pl.lit(None, pl.Float64))
    frame = frame.select(SCHEMA.names())
    born = set(ids)
    if stages := [o for o in later if o.request.parent in born]:
        return _with_gaps_of_frames(frame, pl.concat([frame, to_frame(stages, facts)]))
    return _with_gaps_of_frames(frame, frame)


def _numbers(nouns: Sequence[Outcome | Request], keys: Sequence[str]) -> Iterator[pl.Series]:
    """Return numbers as columns; each noun is looked at once, which is twice as quick as key by key."""
    numbers = chain.from_iterable(map(attrgetter(*keys), nouns))
    table = np.fromiter(numbers, np.float64, len(nouns) * len(keys)).reshape(-1, len(keys))
    for key, column in zip(keys, table.T, strict=True):
        yield pl.Series(key, column).cast(SCHEMA[key])


def _by_kind(outcomes: Sequence[Outcome], facts: Sequence[Facts]) -> pl.DataFrame:
    """Return the columns that a row's kind decides: they are made once for each kind."""
    by_task = {(each.group, each.task, each.stage): each for each in facts}
    kinds: dict[tuple[Any, ...], int] = {}
    places, table = [], []
    for o in outcomes:
        r = o.request
        kind = (r.group, r.task, r.stage, o.cause, o.correct, o.exit, id(o.first_plan), id(o.plan))
        place = kinds.get(kind)
        if place is None:
            place = kinds[kind] = len(kinds)
            table.append(kind[:6] + _plan_columns(o, by_task))
        places.append(place)
    frame = pl.DataFrame(table, {key: SCHEMA[key] for key in _BY_KIND}, orient="row")
    return frame[pl.Series(places, dtype=pl.UInt32)]


def _plan_columns(outcome: Outcome, by_task: Mapping[tuple[Any, ...], Facts]) -> tuple[Any, ...]:
    request, plan, first = outcome.request, outcome.plan, outcome.first_plan
    label = None if first is None else plan_label(first)
    if plan is None:
        return (label, *[None] * 11)
    gap_s = share_gap_s(by_task[request.group, request.task, request.stage], plan)
    return (
        label, gap_s, plan_label(plan), plan.variant.label, plan.device_cut,
        plan.edge_cut, plan.edge, plan.cloud, plan.uplinks[0] if plan.uplinks else None, plan.codec,
        plan.confidence, plan.split,
    )  # fmt: skip


def _with_gaps_of_frames(frame: pl.DataFrame, parts: pl.DataFrame) -> pl.DataFrame:
    """Give each frame of several networks the largest gap of its parts."""
    gaps = parts.select(request="parent", largest="share_gap_s").drop_nulls()
    if gaps.is_empty():
        return frame
    largest = gaps.group_by("request").max()
    joined = frame.join(largest, on="request", how="left", maintain_order="left")
    return joined.with_columns(share_gap_s=pl.coalesce("largest", "share_gap_s")).drop("largest")


def chunks(rows: pl.DataFrame | pl.LazyFrame, *columns: str) -> Iterator[pl.DataFrame]:
    """Read some columns of rows, CHUNK rows at a time: a row group of a file."""
    lazy = rows.lazy()
    count = lazy.select(pl.len()).collect().item()
    for first in range(0, count, CHUNK):
        yield lazy.slice(first, CHUNK).select(columns or pl.all()).collect()


def identity(scenario: Scenario, choice: Choice, seed: int, replication: int) -> dict[str, str]:
    """Return what decides the rows; two results with the same identity are the same."""
    return {
        "format": str(FORMAT),
        "offload": _version("offload"),
        "code": code_digest(),
        "scenario": scenario.file.name,
        "digest": scenario.digest,
        "seed": str(seed),
        "replication": str(replication),
        "policy": choice.name,
        "policy_code": policy_code(scenario, choice),
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


def policy_code(scenario: Scenario, choice: Choice) -> str:
    """Return hashes of the files that users' policies stand in (not of what these import)."""
    names = [each.name for each in (choice, *scenario.forwarders.values())]
    return " ".join("" if name in NAMED else _file_digest(load_policy(name)) for name in names).strip()


@cache
def _file_digest(policy: Callable[..., Policy]) -> str:
    """Return a hash of the file of a class, once: a process keeps what it loaded, not what is there."""
    file = inspect.getsourcefile(policy)
    return hashlib.blake2b(Path(file).read_bytes(), digest_size=12).hexdigest() if file else ""


@cache
def _version(package: str) -> str:
    """Return what is installed, looked up once: pip takes it away for a moment while it installs."""
    return installed.version(package)


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
    known |= {
        f"{of}/{key}": f"{table.known}: {table.source}" for of, key, table in scenario.file.overheads
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
        "numpy": _version("numpy"),
        "simpy": _version("simpy"),
    }


def write(frame: pl.DataFrame, path: Path, told: Mapping[str, str]) -> None:
    """Write rows aside and rename, so that the file is whole or absent. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path) as aside:
        frame.write_parquet(aside, metadata=dict(told), row_group_size=CHUNK)
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
