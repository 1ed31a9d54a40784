"""A result repeated from its own rows file."""

import json
from pathlib import Path

import polars as pl

from offload.analysis.result import Result, simulate
from offload.policies import table
from offload.scenario.faults import ScenarioError
from offload.scenario.load import check


def repeat(file: Path) -> tuple[Result, bool]:
    """Simulate again what a file of rows holds, and tell whether the rows are the same.

    Files that the scenario names (traces, profiles) are looked for where they were, and must have the
    same content. Raises ScenarioError.
    """
    try:
        told = pl.read_parquet_metadata(file)
        before = pl.read_parquet(file)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ScenarioError([f"{file}: no file of rows: {error}"]) from error
    missing = [key for key in ("resolved", "scenario_file", "policy_table", "seed") if key not in told]
    if missing:
        raise ScenarioError(
            [f"{file}: its metadata lacks {', '.join(missing)}; it was not written here"]
        )
    path = Path(told["scenario_file"])
    scenario = check(path, json.loads(told["resolved"]), lambda _: str(file), path.parent)
    if scenario.digest != told["digest"]:
        raise ScenarioError([f"{file}: the traces or profiles that it used have changed since"])
    choice = table.choose(json.loads(told["policy_table"]))
    result = simulate(scenario, choice, int(told["seed"]), int(told["replication"]))
    return result, result.rows().equals(before)
