"""One policy in one replication of a scenario: simulated, or read where its rows lie already."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import polars as pl

from offload.analysis import rows
from offload.analysis.growing import Growing
from offload.analysis.measures import COLUMNS, Summary, Tally
from offload.analysis.result import simulate_in_chunks
from offload.entities import OffloadError
from offload.policies.table import Choice, folder_name
from offload.scenario.load import Scenario, check
from offload.simulation.run import Run

# Is told of work under way: whose policy's, how many seconds are to be simulated, how many are.
During = Callable[[str, float, float], None]


class ChangedError(OffloadError):
    """A replication whose files are not those that it was asked for with."""


@dataclass(frozen=True, slots=True)
class Replication:
    """A piece of work that any process can do: it holds the resolved scenario as text.

    `basis` hashes what decides the rows besides: the files that the scenario names, and a user's
    policy. Rows go to `out/<label>/<number>/requests.parquet`, nowhere if `out` is None.
    """

    path: str
    base: str
    resolved: str
    basis: str
    choice: Choice
    seed: int
    number: int
    out: Path | None

    @property
    def rows_path(self) -> Path | None:
        """Where its rows lie, once they are there."""
        return None if self.out is None else rows_path(self.out, self.choice.label, self.number)

    def identity(self) -> dict[str, str]:
        """Return what decides its rows. Raises ScenarioError, PolicyTableError."""
        scenario = _scenario(self.path, self.base, self.resolved)
        return rows.identity(scenario, self.choice, self.seed, self.number)

    def run(self, during: During | None = None) -> Summary:
        """Simulate, or read the rows if they are there, and measure them.

        `during` is told how far it is, a few times a second at most. Raises PolicyError, and
        ChangedError where this process has other files than who asked for it.
        """
        scenario = _scenario(self.path, self.base, self.resolved)
        if _basis(scenario, self.choice) != self.basis:
            msg = (
                f"policy {self.choice.label}, replication {self.number}: files of the scenario, or the"
                " policy's, are not what they were when this began, or not in the process that was to"
                " do it, which keeps what it has loaded; start this, and such workers, again"
            )
            raise ChangedError(msg)
        file = scenario.file
        kept, warm_up_s = self.rows_path, 0.0 if file.warm_up == "auto" else float(file.warm_up)
        tally = Tally(warm_up_s, file.duration, judged=scenario.judged)
        if kept is None:
            self._simulate(scenario, tally.add, during)
        elif not (rows.is_there(kept, self.identity()) and _tallied(kept, tally)):
            tally = Tally(warm_up_s, file.duration, judged=scenario.judged)
            self._write(scenario, kept, tally, during)
        return tally.summary()

    def _simulate(
        self, scenario: Scenario, add: Callable[[pl.DataFrame], None], during: During | None
    ) -> Run:
        tell = during and partial(during, self.choice.label, scenario.file.duration)
        return simulate_in_chunks(scenario, self.choice, self.seed, self.number, add, tell=tell)

    def _write(self, scenario: Scenario, path: Path, tally: Tally, during: During | None) -> None:
        """Simulate, and write the rows as they come; their file has its name last of all."""

        def add(frame: pl.DataFrame) -> None:
            tally.add(frame)
            file.add(frame)

        with Growing(path) as file:
            done = self._simulate(scenario, add, during)
            told = rows.metadata(done)
            # Its type cannot be told from devices without a battery.
            devices = pl.DataFrame(done.devices, schema_overrides={"battery_j": pl.Float64})
            rows.write(devices, path.with_name("devices.parquet"), told)
            file.finish(told)


def replications(
    scenario: Scenario, choice: Choice, seed: int, count: int, out: Path | None
) -> list[Replication]:
    """Return the first `count` replications of a policy."""
    resolved = json.dumps(scenario.raw, default=str)
    path, base, basis = str(scenario.path), str(scenario.base), _basis(scenario, choice)
    return [Replication(path, base, resolved, basis, choice, seed, n, out) for n in range(count)]


def rows_path(out: Path, label: str, number: int) -> Path:
    """Return where the rows of one replication lie."""
    return out / folder_name(label) / str(number) / "requests.parquet"


def _tallied(path: Path, tally: Tally) -> bool:
    """Add the rows of a file; tell whether they can be read."""
    try:
        for frame in rows.chunks(pl.scan_parquet(path), *COLUMNS):
            tally.add(frame)
    except pl.exceptions.PolarsError:  # what a failing disk left
        return False
    return True


def _basis(scenario: Scenario, choice: Choice) -> str:
    return f"{scenario.digest} {rows.policy_code(scenario, choice)}"


@lru_cache(maxsize=4)
def _scenario(path: str, base: str, resolved: str) -> Scenario:
    """Check the scenario once a process."""
    return check(Path(path), json.loads(resolved), lambda _: path, Path(base))
