"""A result repeated from its own rows file."""

import json
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import polars as pl

from offload.analysis import rows
from offload.analysis.growing import Growing
from offload.analysis.result import simulate_in_chunks
from offload.policies import table
from offload.policies.table import Choice
from offload.scenario.faults import ScenarioError
from offload.scenario.load import Scenario, check
from offload.simulation.flow import Tell
from offload.simulation.run import Watch


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a file of rows says of how it was made."""

    file: Path
    scenario: Scenario
    choice: Choice
    seed: int
    replication: int

    @property
    def frame(self) -> pl.DataFrame:
        """The rows, all at once."""
        return pl.read_parquet(self.file)

    def repeat(
        self, again: Path | None = None, watch: Watch | None = None, tell: Tell | None = None
    ) -> tuple[int, bool]:
        """Simulate again; return how many rows there are now, and whether they are the same.

        They are written to the file `again`, with what it says of itself; `watch` may look on, and
        `tell` is told the time in the world, a few times a second at most.
        """
        old, count, same = pl.scan_parquet(self.file), 0, True

        def add(frame: pl.DataFrame) -> None:
            nonlocal count, same
            same = same and old.slice(count, frame.height).pipe(_read, self.file).equals(frame)
            count += frame.height
            if file is not None:
                file.add(frame)

        with Growing(again) if again is not None else nullcontext() as file:
            done = simulate_in_chunks(
                self.scenario, self.choice, self.seed, self.replication, add, watch, tell
            )
            same = same and old.select(pl.len()).collect().item() == count
            if file is not None:
                file.finish(rows.metadata(done))
        return count, same


def _read(lazy: pl.LazyFrame, file: Path) -> pl.DataFrame:
    try:
        return lazy.collect()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ScenarioError([f"{file}: its rows cannot be read: {error}"]) from error


def read(file: Path) -> Recipe:
    """Read a file of rows.

    Files that its scenario names (traces, profiles) are looked for where they were, and must have the
    same content. Raises ScenarioError.
    """
    try:
        told = pl.read_parquet_metadata(file)
        pl.scan_parquet(file).collect_schema()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ScenarioError([f"{file}: no file of rows: {error}"]) from error
    missing = [key for key in ("resolved", "scenario_file", "policy_table", "seed") if key not in told]
    if missing:
        raise ScenarioError(
            [f"{file}: its metadata lacks {', '.join(missing)}; it was not written here"]
        )
    if "testbed" in told:
        raise ScenarioError([f"{file}: was measured on a testbed, which does not repeat itself"])
    path = Path(told["scenario_file"])
    try:
        scenario = _scenario(path, told["resolved"])
    except ScenarioError as error:
        hint = f"{file} was made from {path}; call this in the folder from which that path leads to it"
        raise ScenarioError([*error.faults, hint]) from error
    if scenario.digest != told["digest"]:
        raise ScenarioError([f"{file}: traces, profiles or hardware that it used have changed since"])
    choice = table.choose(json.loads(told["policy_table"]))
    return Recipe(file, scenario, choice, int(told["seed"]), int(told["replication"]))


@lru_cache(maxsize=4)
def _scenario(path: Path, resolved: str) -> Scenario:
    """Check a scenario once for all its files of rows."""
    return check(path, json.loads(resolved), lambda _: str(path), path.parent)
