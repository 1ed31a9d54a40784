"""How far what was simulated is from what was measured, with intervals and the noise beside it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from offload.analysis.rows import LEGS
from offload.streams import Streams
from offload.testbed.validate.matrix import Cell
from offload.testbed.validate.predict import PLACES, Predicted, work
from offload.testbed.validate.protocol import Rules, Schedule, Session, accepted, calm

Floats = npt.NDArray[np.float64]

STATISTICS: dict[str, Callable[[Floats], float]] = {
    "mean": lambda values: float(values.mean()),
    "p50": lambda values: float(np.quantile(values, 0.50)),
    "p95": lambda values: float(np.quantile(values, 0.95)),
}
CLOSE = {"mean": 0.05, "p95": 0.10}  # what a cell must be within
DRAWS = 400  # of the bootstrap
SLOWEST = 0.1  # the share of requests that says what makes a p95
LEVEL = (0.025, 0.975)


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The test requests of a play: latencies measured, shape (n,), and simulated, (replications, n)."""

    number: int
    measured_s: Floats
    predicted_s: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A cell's figures as a row of the table, and its measured mean in each draw of the bootstrap."""

    cell: Cell
    row: dict[str, Any]
    means_s: Floats


def judge(
    cell: Cell,
    session: Session,
    plan: Schedule,
    predicted: Mapping[str, Predicted],
    usual: Mapping[str, float],
    rules: Rules,
) -> Judged:
    """Hold what was measured in a cell against its predictions.

    `predicted` has "calibrated", "offline" and "unexcluded": the last calibrated by all plays, and
    compared with all. `usual` is the session's median of each sentinel.
    """
    plays = accepted(session.plays, usual, rules)
    played = session.plays.filter(pl.col("block") > 0).height
    timings = session.timings.filter(pl.col("block") > 0)
    counted = timings.filter(pl.col("play").is_in(plays))
    tests = counted.filter("test")
    answered = tests.filter(pl.col("cause") == "")
    by_kind = {
        kind: _blocks(timings if kind == "unexcluded" else counted, plan, found)
        for kind, found in predicted.items()
    }
    blocks = by_kind["calibrated"]
    measured = np.concatenate([block.measured_s for block in blocks])
    chance = Streams(rules.seed, 0).generator("bootstrap", cell.name)
    drawn = chance.integers(len(blocks), size=(DRAWS, len(blocks)))
    row: dict[str, Any] = {
        "cell": cell.name, "setting": cell.setting, "network": cell.network, "form": cell.form,
        "plan": cell.plan, "mbps": cell.mbps, "load": cell.load, "requests": tests.height,
        "lost": tests.height - answered.height, "blocks": len(blocks),
        "missing": rules.blocks(cell) - len(blocks),
        "plays": played, "excluded": 1 - len(calm(session.plays, usual, rules)) / played,
    }  # fmt: skip
    found = _draws(blocks, drawn)
    for name, statistic in STATISTICS.items():
        row[f"measured_{name}_s"] = statistic(measured)
        row |= _bounds(f"measured_{name}", "_s", found[name][0])
    for kind, those in by_kind.items():
        row |= _errors(kind, those)
    for name in STATISTICS:
        row |= _bounds(f"calibrated_error_{name}", "", found[name][1] / found[name][0] - 1)
    row |= _floors(blocks, rules.blocks(cell) // 2)
    row |= _compute(answered, plan, predicted)
    row |= _legs(answered, plan, predicted["calibrated"])
    enough = answered.height == tests.height >= rules.least(cell)
    row |= {
        f"{kind}_close": _close(row, f"{kind}_error_") and (enough or kind == "unexcluded")
        for kind in predicted
    }
    row["noise_close"] = _close(row, "half_")
    row["why"] = why(row)
    return Judged(cell, row, found["mean"][0])


def _blocks(timings: pl.DataFrame, plan: Schedule, found: Predicted) -> list[Block]:
    """Return the answered test requests of each play, beside the same requests simulated."""
    kept = timings.filter(pl.col("test") & (pl.col("cause") == ""))
    blocks = []
    for (_, number), rows in kept.group_by(["play", "block"], maintain_order=True):
        places = rows["place"].to_numpy() + plan.positions(int(number)).start
        latency_s = (rows["ended_s"] - rows["born_s"]).to_numpy()
        blocks.append(Block(int(number), latency_s, found.latency_s[:, places]))
    return blocks


def _draws(blocks: Sequence[Block], drawn: npt.NDArray[np.int64]) -> dict[str, Floats]:
    """Return measured and predicted statistics of resampled blocks, shape (2, draws) each."""
    both = [[block.measured_s for block in blocks], [block.predicted_s.ravel() for block in blocks]]
    found = {name: np.empty((2, len(drawn))) for name in STATISTICS}
    for draw, chosen in enumerate(drawn):
        for side, values in enumerate(both):
            sample = np.concatenate([values[block] for block in chosen])
            middle, high = np.quantile(sample, (0.50, 0.95))
            for name, value in (("mean", sample.mean()), ("p50", middle), ("p95", high)):
                found[name][side, draw] = value
    return found


def _bounds(name: str, unit: str, values: Floats) -> dict[str, float]:
    low, high = np.quantile(values, LEVEL)
    return {f"{name}_low{unit}": float(low), f"{name}_high{unit}": float(high)}


def _errors(kind: str, blocks: Sequence[Block]) -> dict[str, float]:
    """Return what was predicted, and its signed error relative to what was measured."""
    measured = np.concatenate([block.measured_s for block in blocks])
    predicted = np.concatenate([block.predicted_s.ravel() for block in blocks])
    row = {}
    for name, statistic in STATISTICS.items():
        row[f"{kind}_{name}_s"] = statistic(predicted)
        row[f"{kind}_error_{name}"] = statistic(predicted) / statistic(measured) - 1
    return row


def _floors(blocks: Sequence[Block], half: int) -> dict[str, float]:
    """Return how far the first half of the blocks is from the second, and odd ones from even ones.

    Only blocks whose births were played in both halves: these are the same requests.
    """
    there = {block.number for block in blocks}
    paired = [
        block for block in blocks if {(block.number + half - 1) % (2 * half) + 1, block.number} <= there
    ]
    row = {}
    for name, first in (
        ("half", {number for number in there if number <= half}),
        ("odd", {number for number in there if number % 2}),
    ):
        one = [block.measured_s for block in paired if block.number in first]
        other = [block.measured_s for block in paired if block.number not in first]
        for statistic in CLOSE:
            of = STATISTICS[statistic]
            row[f"{name}_{statistic}"] = (
                of(np.concatenate(one)) / of(np.concatenate(other)) - 1
                if one and other
                else float("nan")
            )
    return row


def _compute(
    answered: pl.DataFrame, plan: Schedule, predicted: Mapping[str, Predicted]
) -> dict[str, float]:
    """Return the seconds of work in a request, by place and together: measured, predicted, the error."""
    measured_s = {place: float(np.mean(seconds)) for place, seconds in work(answered).items()}
    row = {f"measured_{place}_work_s": measured_s.get(place, 0.0) for place in PLACES}
    row["measured_work_s"] = total_s = sum(measured_s.values())
    for kind in ("calibrated", "offline"):  # all plays have other requests
        told_s = predicted[kind].work_s[:, _places(answered, plan)].mean(axis=(0, 1))
        row |= {f"{kind}_{place}_work_s": float(s) for place, s in zip(PLACES, told_s, strict=True)}
        row |= {f"{kind}_work_s": float(told_s.sum())}
        row |= {f"{kind}_error_work": float(told_s.sum()) / total_s - 1}
    return row


def _places(rows: pl.DataFrame, plan: Schedule) -> list[int]:
    """Return which of all births those are that rows tell of."""
    return [
        plan.positions(block).start + place for block, place in rows.select("block", "place").iter_rows()
    ]


def _legs(tests: pl.DataFrame, plan: Schedule, found: Predicted) -> dict[str, float]:
    """Return mean seconds of each leg, measured and predicted: of all tests, and of the slowest."""
    places = _places(tests, plan)
    sides = {
        "measured": ((tests["ended_s"] - tests["born_s"]).to_numpy(), tests.select(LEGS).to_numpy()),
        "calibrated": (
            found.latency_s[:, places].ravel(),
            found.legs_s[:, places].reshape(-1, len(LEGS)),
        ),
    }
    row = {}
    for side, (latency_s, legs_s) in sides.items():
        slow = latency_s >= np.quantile(latency_s, 1 - SLOWEST)
        for number, leg in enumerate(LEGS):
            row[f"{side}_{leg}"] = float(legs_s[:, number].mean())
            row[f"{side}_slowest_{leg}"] = float(legs_s[slow, number].mean())
    return row


def _close(row: Mapping[str, Any], prefix: str) -> bool:
    return all(abs(row[f"{prefix}{name}"]) <= bound for name, bound in CLOSE.items())


def why(row: Mapping[str, Any]) -> str:
    """Say which leg makes most of a cell's error: of the mean, or of the p95 if that is further off."""
    off = {name: abs(row[f"calibrated_error_{name}"]) / bound for name, bound in CLOSE.items()}
    tail = off["p95"] > off["mean"]
    which = "slowest_" if tail else ""
    gaps = {leg: row[f"calibrated_{which}{leg}"] - row[f"measured_{which}{leg}"] for leg in LEGS}
    worst = max(gaps, key=lambda leg: abs(gaps[leg]))
    whose = "of the slowest tenth" if tail else "in the mean"
    text = (
        f"{worst.removesuffix('_s')} {1e3 * row[f'calibrated_{which}{worst}']:.2f} ms predicted,"
        f" {1e3 * row[f'measured_{which}{worst}']:.2f} measured {whose}"
        f" ({1e3 * gaps[worst]:+.2f} of {1e3 * sum(gaps.values()):+.2f} ms)"
    )
    if worst in {f"{place}_s" for place in PLACES}:
        key = f"{worst.removesuffix('_s')}_work_s"
        text += f"; its work alone {1e3 * (row[f'calibrated_{key}'] - row[f'measured_{key}']):+.2f} ms"
    return text


def summary(found: Sequence[Judged]) -> dict[str, Any]:
    """Return what holds over the matrix: medians of absolute errors, the share of cells that are close.

    Of a kind "noise" the error is the difference between the halves of what was measured. "foretold" is
    "calibrated" without cells where nothing is sent and nobody waits: there only noise is left.
    """
    rows = [each.row for each in found]
    names = {
        kind: {name: f"{kind}_error_{name}" for name in ("mean", "p50", "p95")}
        for kind in ("calibrated", "offline", "unexcluded")
    } | {"noise": {name: f"half_{name}" for name in CLOSE}}
    told: dict[str, Any] = {kind: _over(rows, kind, of) for kind, of in names.items()}
    sent = [row for row in rows if (row["plan"], row["load"]) != ("local", "idle")]
    told["foretold"] = _over(sent, "calibrated", names["calibrated"])
    for kind in ("calibrated", "offline"):
        told[kind]["median_work"] = _median(row[f"{kind}_error_work"] for row in rows)
        told[kind]["ranking"] = ranking(found, kind)
    rank = told["calibrated"]["ranking"]
    told["aims"] = {
        "median |error| of mean <= 5 %": told["calibrated"]["median_mean"] <= CLOSE["mean"],
        "of p95 <= 10 %": told["calibrated"]["median_p95"] <= CLOSE["p95"],
        ">= 85 % of cells within both": told["calibrated"]["close"] >= 0.85,
        ">= 95 % of pairs ranked": rank["agree"] >= 0.95 * rank["differ"],
    }
    worst = max(
        rows, key=lambda row: max(abs(row[f"calibrated_error_{n}"]) / b for n, b in CLOSE.items())
    )
    return told | {
        "cells": len(rows),
        "requests": sum(row["requests"] for row in rows),
        "lost": sum(row["lost"] for row in rows),
        "missing": sum(row["missing"] for row in rows),
        "excluded": sum(row["excluded"] * row["plays"] for row in rows)
        / sum(row["plays"] for row in rows),
        "worst": {"cell": worst["cell"], "why": worst["why"]},
    }


def _over(rows: Sequence[Mapping[str, Any]], kind: str, names: Mapping[str, str]) -> dict[str, float]:
    """Return the medians of absolute errors over cells, and the share of those that are close."""
    told = {f"median_{name}": _median(row[key] for row in rows) for name, key in names.items()}
    return told | {"close": sum(row[f"{kind}_close"] for row in rows) / max(1, len(rows))}


def _median(errors: Iterable[float]) -> float:
    """Return the median of the absolute values of those that are defined; NaN if none is."""
    known = [abs(each) for each in errors if not np.isnan(each)]
    return float(np.median(known)) if known else float("nan")


def ranking(found: Sequence[Judged], kind: str) -> dict[str, Any]:
    """Compare plans of each setting by pairs: is the one that is quicker in the mean predicted to be?

    Pairs count whose measured means differ beyond noise: the 95 % interval of the difference, over
    resampled blocks of both, excludes zero. Returns `pairs`, `differ`, `agree` and those that do not.
    """
    pairs = [
        (one, other) for one, other in combinations(found, 2) if one.cell.setting == other.cell.setting
    ]
    differ = 0
    wrong = []
    for one, other in pairs:
        low, high = np.quantile(one.means_s - other.means_s, LEVEL)
        if low <= 0 <= high:
            continue
        differ += 1
        if (one.row[f"{kind}_mean_s"] < other.row[f"{kind}_mean_s"]) != (high < 0):
            wrong.append([one.cell.name, other.cell.name])
    return {"pairs": len(pairs), "differ": differ, "agree": differ - len(wrong), "wrong": wrong}
