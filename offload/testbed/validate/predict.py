"""What the simulator says of a cell: by what was calibrated in it, or by the shipped profiles alone."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from offload.analysis.rows import LEGS
from offload.dnn import profiles
from offload.scenario.load import Scenario, load
from offload.shipped import DATA
from offload.simulation.run import run
from offload.testbed.validate.charges import Keys
from offload.testbed.validate.matrix import HARDWARE, Cell, scenario
from offload.testbed.validate.protocol import Rules, Schedule

Floats = npt.NDArray[np.float64]


PLACES = ("device", "edge", "cloud")


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """Simulated latencies, legs and seconds of work of all requests of a cell.

    Shapes (replications, requests), then by leg and by place, in the order of births.
    """

    latency_s: Floats
    legs_s: Floats
    work_s: Floats


def write_measured(cell: Cell, plan: Schedule, rules: Rules, folder: Path) -> Path:
    """Write the scenario that is measured, and its births; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "births.csv").open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(["time"])
        writer.writerows([repr(at_s)] for at_s in plan.births_s)
    return _write(folder / "scenario.toml", scenario(cell, plan.ends_s, rules.seed))


def write_offline(cell: Cell, plan: Schedule, rules: Rules, charges: Keys, folder: Path) -> Path:
    """Write the scenario of the offline prediction; return its path."""
    return _write(folder / "offline.toml", scenario(cell, plan.ends_s, rules.seed, None, charges))


def write_calibrated(
    cell: Cell, plan: Schedule, rules: Rules, charges: Keys, work: Mapping[str, Sequence[float]],
    folder: Path, name: str = "calibrated",
) -> Path:  # fmt: skip
    """Write the scenario of a calibrated prediction, and the profiles that it names; return its path.

    `work` has by place the seconds of work of each calibration request.
    """
    inside = folder / f"{name}-profiles"
    hardware = {place: f"testbed-{place}" for place in work}
    for place, seconds in work.items():
        made = calibrated_profile(cell, place, hardware[place], seconds)
        profiles.write(inside / f"{cell.network}.{cell.form}.{hardware[place]}.json", made)
    machine = (DATA / "hardware" / f"{HARDWARE}.toml").read_text(encoding="utf-8")
    tables = "\n".join(f"[hardware.{each}]\n{machine}" for each in hardware.values())
    more = {**charges, "scenario": {"profiles": inside.name}}
    return _write(
        folder / f"{name}.toml", scenario(cell, plan.ends_s, rules.seed, hardware, more, tables)
    )


def calibrated_profile(
    cell: Cell, place: str, hardware: str, work_s: Sequence[float]
) -> profiles.ProfileFile:
    """Return the shipped profile with the layers that run at a place scaled to the work measured there.

    Their shares are the shipped ones. The spread is that of the work itself.
    """
    path = DATA / "profiles" / f"{cell.network}.{cell.form}.{HARDWARE}.json"
    told = json.loads(path.read_bytes())
    shipped = profiles.read(path)
    first, last = cell.parts(shipped)[place]
    layers = np.array(shipped.layers_s[1])
    mean_s, part_s = float(np.mean(work_s)), float(layers[first:last].sum())
    if part_s > 0.0:
        layers[first:last] *= mean_s / part_s
    else:  # nothing but views: what it takes is coding
        layers[first:last] = mean_s / (last - first)
    whole_s = float(layers.sum())
    measured = profiles.Round(
        at=datetime.now(UTC).isoformat(timespec="seconds"), batch=1, runs=len(work_s),
        layers_s=layers.tolist(), end_to_end_s=whole_s, residual=0.0, busy_share=0.0, spin=1.0,
        ratios=[seconds / mean_s for seconds in work_s],
    )  # fmt: skip
    told |= {"hardware": hardware, "rounds": [measured.model_dump()]}
    return profiles.ProfileFile.model_validate(told)


def predict(file: Path, rules: Rules) -> Predicted:
    """Simulate a cell's scenario. Raises ScenarioError, PolicyError."""
    known = load(file)
    if known.policy is None:  # it is one of ours
        raise AssertionError(file)
    latencies, legs, works = [], [], []
    for replication in range(rules.replications):
        done = run(known, known.policy, known.file.seed, replication)
        outcomes = sorted(done.outcomes, key=lambda each: each.request.id)
        latencies.append([each.ended_s - each.request.born_s for each in outcomes])
        legs.append([[getattr(each, leg) for leg in LEGS] for each in outcomes])
        works.append([(each.energy_j, each.edge_j, each.cloud_j) for each in outcomes])
    return Predicted(np.array(latencies), np.array(legs), np.array(works) / _marginal_w(known))


def _marginal_w(known: Scenario) -> Floats:
    """Return what a second of work takes at every place, in joules: sending takes none here."""
    (facts,) = known.setting(0.0).facts
    nodes = (facts.nodes[name].hardware for name in PLACES[1:])
    return np.array([each.marginal_w for each in (facts.hardware, *nodes)])


def work(timings: pl.DataFrame) -> dict[str, list[float]]:
    """Return the seconds of work in each request, by every place that works."""
    found = {
        place: timings.get_column(f"{place}_done_s") - timings.get_column(f"{place}_begun_s")
        for place in PLACES
    }
    return {place: seconds.drop_nulls().to_list() for place, seconds in found.items() if seconds.count()}


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
