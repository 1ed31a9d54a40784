"""A reality check's folder: what was measured stays there, cell by cell, and can be judged again."""

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib import metadata as installed
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from offload.analysis.files import write_json, writing
from offload.entities import OffloadError
from offload.scenario.load import Scenario, load
from offload.scenario.measured_costs import MeasuredCosts
from offload.streams import Streams
from offload.testbed import births
from offload.testbed.validate import predict
from offload.testbed.validate.charges import keys
from offload.testbed.validate.judge import Judged, judge, summary
from offload.testbed.validate.matrix import MATRIX, SHORT, Cell, shipped
from offload.testbed.validate.protocol import (
    START_S,
    USUAL,
    Rules,
    Schedule,
    Session,
    Start,
    Told,
    accepted,
    measure,
    medians,
    rejected,
    schedule,
)

SAME_S = 1e-6  # between the births of two equal schedules
SANE = 10.0  # a machine that others use may well be some times slower; a wrong unit is further off


class ResultsError(OffloadError):
    """A folder in which there is nothing to judge."""


def plan_of(cell: Cell, rules: Rules) -> Schedule:
    """Return the births of a cell."""
    return schedule(cell, shipped(cell), rules)


def minutes(cells: Iterable[Cell], rules: Rules) -> float:
    """Return about how long cells take, without blocks that are played again."""
    return sum(plan_of(cell, rules).seconds + START_S for cell in cells) / 60


def missing(cells: Sequence[Cell], out: Path, rules: Rules) -> list[Cell]:
    """Return the cells that were not measured yet, or by other versions. Raises ScenarioError."""
    left = []
    for cell in cells:
        file = predict.write_measured(cell, plan_of(cell, rules), rules, out / cell.name)
        if _read_identity(out / cell.name) != identity(load(file), rules):
            left.append(cell)
    return left


def identity(scenario: Scenario, rules: Rules) -> dict[str, Any]:
    """Return what must be equal for what was measured to stand for what would be."""
    return {
        "digest": scenario.digest,
        "rules": asdict(rules),
        "offload": installed.version("offload"),
        "torch": installed.version("torch"),
        "python": platform.python_version(),
        "machine": platform.processor() or platform.machine(),
    }


def rules_in(out: Path) -> tuple[list[Cell], Rules]:
    """Return which cells were measured in a folder, by which rules. Raises ResultsError."""
    there = {cell: found for cell in (*MATRIX, *SHORT) if (found := _read_identity(out / cell.name))}
    rules = {json.dumps(found.get("rules"), sort_keys=True) for found in there.values()}
    if len(rules) != 1:
        what = "cells of several protocols" if rules else "no cell has been measured there"
        msg = f"{out}: {what}; measure into a folder of their own: offload testbed validate --out DIR"
        raise ResultsError(msg)
    try:
        return list(there), Rules(**json.loads(rules.pop()))
    except TypeError as error:
        msg = f"{out}: measured by a protocol that is not this one ({error}); measure again"
        raise ResultsError(msg) from error


def measure_cell(cell: Cell, out: Path, rules: Rules, start: Start, tell: Told) -> None:
    """Measure a cell, and write it whole or not at all. Raises TestbedError."""
    folder, plan = out / cell.name, plan_of(cell, rules)
    scenario = load(predict.write_measured(cell, plan, rules, folder))
    requests = births.requests(scenario.setting(0.0), Streams(rules.seed, 0))
    if scenario.policy is None or len(requests) != len(plan.births_s):  # it is one of ours
        raise AssertionError(cell.name)
    known = _plays(out, but=cell.name)

    def again(plays: pl.DataFrame) -> list[int]:
        return rejected(plays, medians([*known, plays]), rules)

    places = cell.parts(shipped(cell))

    def works(process: str) -> bool:
        return process.partition("-")[0] in places

    tell("starting its processes")
    with start(scenario, scenario.policy) as bed:
        found = measure(bed, requests, plan, works, again, tell)
    (folder / "cell.json").unlink(missing_ok=True)
    for name, frame in (("timings", found.timings), ("plays", found.plays)):
        with writing(folder / f"{name}.parquet") as aside:
            frame.write_parquet(aside)
            aside.replace(folder / f"{name}.parquet")
    write_json(folder / "cell.json", identity(scenario, rules))  # last: now it is there


def judge_all(
    cells: Sequence[Cell], out: Path, rules: Rules, costs: MeasuredCosts | None, tell: Told
) -> tuple[list[Judged], dict[str, Any]]:
    """Judge what was measured in a folder; see `keep`.

    Of cells that cannot be judged the summary says why not. Raises ResultsError where there are no
    others.
    """
    there = [cell for cell in cells if _read_identity(out / cell.name) is not None]
    if not there:
        msg = f"{out}: no cell of these has been measured there; measure first, without --report"
        raise ResultsError(msg)
    usual = medians(_plays(out))
    judged, unfit = [], []
    for cell in there:
        tell(cell.name)
        session = _read(out / cell.name)
        if fault := _unfit(session, plan_of(cell, rules), usual, rules):
            unfit.append(f"{cell.name}: {fault}; remove {out / cell.name} and measure it again")
        else:
            judged.append(_judge(cell, session, out / cell.name, usual, rules, costs))
    if not judged:
        raise ResultsError("\n".join(unfit))
    told = summary(judged)
    if rules != USUAL or not {*MATRIX} <= {each.cell for each in judged}:
        told["aims"] = {}  # those of the whole matrix: a quick look, or a part, claims nothing
    told |= {
        "unfit": unfit,
        "few": few(judged, rules),
        "costs": costs.model_dump(exclude={"details"}) if costs else None,
        "sentinel_s": usual,
        "rules": asdict(rules),
    }
    return judged, told


def keep(judged: Iterable[Judged], told: Mapping[str, Any], out: Path) -> None:
    """Write cells.csv and summary.json."""
    with writing(out / "cells.csv") as aside:
        pl.DataFrame([each.row for each in judged]).write_csv(aside)
        aside.replace(out / "cells.csv")
    write_json(out / "summary.json", told)


def few(judged: Iterable[Judged], rules: Rules) -> list[str]:
    """Say of which cells too few requests were left by the sentinel."""
    return [
        f"{each.cell.name}: {each.row['requests']} requests for the test, where {least} are needed; the"
        f" sentinel was slow in all plays of {each.row['missing']} blocks"
        for each in judged
        if each.row["requests"] < (least := rules.least(each.cell))
    ]


def insane(judged: Iterable[Judged], rules: Rules) -> list[str]:
    """Say of which cells something was lost, or is not even predicted within a factor of SANE.

    A quick look, which excludes nothing, may be one at a machine that is busy with other things: by how
    much it is slower than its profiles says nothing.
    """
    kinds = ("calibrated",) if rules.slow is None else ("calibrated", "offline")
    faults = []
    for each in judged:
        row, name = each.row, each.cell.name
        if row["lost"]:
            faults.append(f"{name}: {row['lost']} of {row['requests']} were not answered")
        for kind in kinds:
            ratio = row[f"{kind}_mean_s"] / row["measured_mean_s"]
            if not 1 / SANE < ratio < SANE:
                faults.append(f"{name}: {kind} prediction is {ratio:.2f} times what was measured")
    return faults


def _unfit(session: Session, plan: Schedule, usual: Mapping[str, float], rules: Rules) -> str:
    """Say why a cell cannot be judged; empty if it can."""
    timings, plays = session.timings, accepted(session.plays, usual, rules)
    born = timings.select("block", "place", "born_s").iter_rows()
    try:
        gaps_s = [abs(plan.blocks[block][place] - at_s) for block, place, at_s in born]
    except IndexError:
        gaps_s = [float("inf")]
    if max(gaps_s, default=0.0) > SAME_S:
        return "its requests were born when the shipped profiles of another time said"
    answered = timings.filter(pl.col("play").is_in(plays) & (pl.col("cause") == ""))
    if not plays:
        return "no block counts, the sentinel was slow in all plays"
    if answered["test"].n_unique() < 2:
        return "no request was answered, of those for calibration or of those for the test"
    return ""


def _judge(
    cell: Cell, session: Session, folder: Path, usual: Mapping[str, float], rules: Rules,
    costs: MeasuredCosts | None,
) -> Judged:  # fmt: skip
    plan = plan_of(cell, rules)
    predict.write_measured(cell, plan, rules, folder)  # whoever was interrupted may have left others
    calibration = session.timings.filter(
        ~pl.col("test") & (pl.col("block") > 0) & (pl.col("cause") == "")
    )
    counted = calibration.filter(pl.col("play").is_in(accepted(session.plays, usual, rules)))
    charged = keys(costs, calibrated=True)
    files = {
        "calibrated": predict.write_calibrated(
            cell, plan, rules, charged, predict.work(counted), folder
        ),
        "offline": predict.write_offline(cell, plan, rules, keys(costs, calibrated=False), folder),
    }
    if counted.height < calibration.height:
        files["unexcluded"] = predict.write_calibrated(
            cell, plan, rules, charged, predict.work(calibration), folder, "unexcluded"
        )
    found = {kind: predict.predict(file, rules) for kind, file in files.items()}
    return judge(cell, session, plan, {"unexcluded": found["calibrated"]} | found, usual, rules)


def _read_identity(folder: Path) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode((folder / "cell.json").read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError):  # of which one about another type is one
        return None


def _plays(out: Path, but: str = "") -> list[pl.DataFrame]:
    """Return the plays of all cells that were measured into a folder: they are one session."""
    folders = sorted(path.parent for path in out.glob("*/cell.json"))
    return [_read(folder).plays for folder in folders if folder.name != but]


def _read(folder: Path) -> Session:
    try:
        timings, plays = (pl.read_parquet(folder / f"{name}.parquet") for name in ("timings", "plays"))
    except (OSError, pl.exceptions.PolarsError) as error:
        msg = f"{folder}: what was measured cannot be read ({error}); measure it again"
        raise ResultsError(msg) from error
    return Session(timings, plays)
