"""A result repeated from its own rows file."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import polars as pl

from offload.analysis.result import Result, simulate
from offload.policies import table
from offload.policies.table import Choice
from offload.scenario.faults import ScenarioError
from offload.scenario.load import Scenario, check
from offload.simulation.run import Watch


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a file of rows says of how it was made, and the rows themselves."""

    scenario: Scenario
    choice: Choice
    seed: int
    replication: int
    frame: pl.DataFrame

    def repeat(self, watch: Watch | None = None) -> tuple[Result, bool]:
        """Simulate again, and tell whether the rows are the same; `watch` may look on."""
        result = simulate(self.scenario, self.choice, self.seed, self.replication, watch)
        return result, result.rows().equals(self.frame)


def read(file: Path) -> Recipe:
    """Read a file of rows.

    Files that its scenario names (traces, profiles) are looked for where they were, and must have the
    same content. Raises ScenarioError.
    """
    try:
        told = pl.read_parquet_metadata(file)
        frame = pl.read_parquet(file)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ScenarioError([f"{file}: no file of rows: {error}"]) from error
    missing = [key for key in ("resolved", "scenario_file", "policy_table", "seed") if key not in told]
    if missing:
        raise ScenarioError(
            [f"{file}: its metadata lacks {', '.join(missing)}; it was not written here"]
        )
    path = Path(told["scenario_file"])
    try:
        scenario = _scenario(path, told["resolved"])
    except ScenarioError as error:
        hint = f"{file} was made from {path}; call this in the folder from which that path leads to it"
        raise ScenarioError([*error.faults, hint]) from error
    if scenario.digest != told["digest"]:
        raise ScenarioError([f"{file}: traces, profiles or hardware that it used have changed since"])
    choice = table.choose(json.loads(told["policy_table"]))
    return Recipe(scenario, choice, int(told["seed"]), int(told["replication"]), frame)


@lru_cache(maxsize=4)
def _scenario(path: Path, resolved: str) -> Scenario:
    """Check a scenario once for all its files of rows."""
    return check(path, json.loads(resolved), lambda _: str(path), path.parent)
