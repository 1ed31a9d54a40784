"""The same comparison at several values of one key of a scenario."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from offload.analysis.compare import Comparison, Progress, compare
from offload.analysis.survival import headline
from offload.analysis.vary import Vary, VaryError, folder, named
from offload.policies.table import Choice
from offload.scenario.faults import ScenarioError
from offload.scenario.load import Scenario, load


@dataclass(frozen=True, slots=True)
class Sweep:
    """A comparison for each value, of the same policies on the same seeds."""

    vary: Vary
    points: tuple[Comparison, ...]

    @property
    def measure(self) -> str:
        """The measure to show unless another is asked for."""
        return headline([pair for point in self.points for pair in point.pairs])

    def as_json(self) -> dict[str, Any]:
        """Return what `sweep --json` prints."""
        values = zip(self.vary.values, self.points, strict=True)
        points = [{"value": value, **found.as_json()} for value, found in values]
        return {"scenario": self.points[0].scenario, "key": self.vary.key, "points": points}


def scenarios(path: Path, vary: Vary, settings: Sequence[str]) -> list[Scenario]:
    """Read the scenario at each value. Raises ScenarioError or VaryError with every fault."""
    keys = named(load(path, settings).raw, vary)
    found, faults = [], dict[str, None]()
    for value in vary.values:
        try:
            found.append(load(path, [*settings, *(f"{key}={value}" for key in keys)]))
        except ScenarioError as error:
            faults |= dict.fromkeys(error.faults)
    if faults:
        raise ScenarioError([fault.replace("--set", "--vary", 1) for fault in faults])
    return found


def sweep(
    vary: Vary,
    cases: Sequence[tuple[Scenario, Sequence[Choice]]],
    replications: int,
    seed: int | None,
    jobs: int,
    out: Path,
    progress: Progress,
) -> Sweep:
    """Compare policies at each value; a case is a scenario and its policies.

    These may have other options at each value, but not other labels. Rows go to a folder for each value
    in `out`; what lies there already is not simulated again. Raises VaryError, PolicyError.
    """
    labels = [[choice.label for choice in choices] for _, choices in cases]
    if other := next((each for each in labels if each != labels[0]), None):
        msg = (
            f"--vary {vary.key}: compares {', '.join(labels[0])} and {', '.join(other)}; keep the labels"
        )
        raise VaryError(msg)
    points = [
        compare(
            scenario, choices, replications, seed, jobs, out / folder(value),
            partial(_at, progress, value), second_opinion=False,
        )
        for value, (scenario, choices) in zip(vary.values, cases, strict=True)
    ]  # fmt: skip
    return Sweep(vary, tuple(points))


def _at(progress: Progress, value: str, what: str, total: int) -> Any:  # noqa: ANN401 - what progress returns
    return progress(f"{what} at {value}", total)
