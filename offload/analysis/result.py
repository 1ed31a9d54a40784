"""One policy's result on a scenario: its rows and its measures."""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from offload.analysis import measures, rows
from offload.entities import Outcome
from offload.policies import table
from offload.policies.table import Choice
from offload.scenario.load import Scenario
from offload.simulation.flow import Tell
from offload.simulation.run import DeviceAccount, Run, Watch, run


@dataclass(frozen=True, slots=True)
class Result:
    """The rows of one run, and each device's energy."""

    scenario: Scenario
    choice: Choice
    seed: int
    replication: int
    frame: pl.DataFrame
    devices: tuple[DeviceAccount, ...]
    metadata: dict[str, str]

    def rows(self) -> pl.DataFrame:
        """Return one row for every born request, and for each stage of those that need several networks.

        The columns are `analysis.rows.SCHEMA`.
        """
        return self.frame

    def measures(self) -> dict[str, float]:
        """Return useful, on_time, latencies (s), energy_j and accuracy; NaN where not defined."""
        file = self.scenario.file
        warm_up_s = 0.0 if file.warm_up == "auto" else float(file.warm_up)
        judged = self.scenario.judged
        return measures.summarise(self.frame, warm_up_s, file.duration, judged=judged).values


def simulate_in_chunks(
    scenario: Scenario, choice: Choice, seed: int, replication: int, add: Callable[[pl.DataFrame], None],
    watch: Watch | None = None, tell: Tell | None = None,
) -> Run:  # fmt: skip
    """Simulate a scenario once; its rows are handed on by chunks, in the order of births.

    So there may be more of them than memory holds. `watch` may look on at each decision; `tell` is
    told the time in the world, a few times a second at most. Raises PolicyError.
    """
    facts = scenario.setting(0.0).facts

    def take(due: list[Outcome], later: list[Outcome]) -> None:
        add(rows.to_frame(due, facts, later))

    return run(scenario, choice, seed, replication, take, watch, tell)


def simulate(
    scenario: Scenario,
    policy: str | Choice | None = None,
    seed: int | None = None,
    replication: int = 0,
) -> Result:
    """Simulate a scenario once.

    `policy` is a name, or "module:Class"; by default the one that the scenario names. Raises
    PolicyError where the policy fails, PolicyTableError where there is none.
    """
    if isinstance(policy, str):
        policy = table.choose({"name": policy})
    choice = policy or scenario.policy
    if choice is None:
        choice = table.choose(scenario.file.policy)
    done = run(scenario, choice, scenario.file.seed if seed is None else seed, replication)
    frame = rows.to_frame(done.outcomes, scenario.setting(0.0).facts)
    return Result(
        scenario, choice, done.seed, replication, frame, tuple(done.devices), rows.metadata(done)
    )
