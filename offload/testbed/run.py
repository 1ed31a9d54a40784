"""One run of a scenario on a testbed: its births from the simulator's streams, its rows in a file."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import polars as pl
from msgspec.structs import astuple

from offload.analysis import measures, rows
from offload.analysis.files import writing
from offload.entities import Outcome
from offload.policies.table import Choice
from offload.scenario.load import Scenario
from offload.simulation.run import Run
from offload.simulation.run import run as simulate
from offload.streams import Streams
from offload.testbed.bed import Take, Testbed
from offload.testbed.births import requests
from offload.testbed.frames import frames as frames_of
from offload.testbed.legs import Seen
from offload.testbed.timing import Timing

_NOWHERE = (None, None, None, None)
# Given how many requests there will be, returns what is told of each as it ends.
Showing = Callable[[int], AbstractContextManager[Callable[[str], object]]]
SCHEMA = pl.Schema({
    "request": pl.Int64, "born_s": pl.Float64, "decided_s": pl.Float64,
    **{
        f"{place}_{what}": pl.Int32 if what == "batch" else pl.Float64
        for place in ("device", "edge", "cloud")
        for what in ("received_s", "begun_s", "done_s", "batch")
    },
    "ended_s": pl.Float64,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured, and what the simulator foresaw for the same births: rows and measures."""

    frame: pl.DataFrame
    foreseen: pl.DataFrame
    values: Mapping[str, float]
    foreseen_values: Mapping[str, float]


def run(
    scenario: Scenario, choice: Choice, seed: int, out: Path | None, folder: Path | None = None, *,
    frames: str = "", take: Take | None = None, cores: Mapping[str, int] | None = None,
    weights: Mapping[str, Path] | None = None, kernel: bool = False,
    say: Callable[[str], None] = lambda _: None,
    showing: Showing = lambda _: nullcontext(lambda _: None),
) -> Measured:  # fmt: skip
    """Run a scenario for real and simulate it, with the same births.

    Rows go to `out/requests.parquet`, when each was worked on where to `out/timings.parquet`, what was
    refused to `out/log.txt`; those that are there are kept if the run is interrupted. Raises
    TestbedError, NamespacesError where the `kernel` cannot shape links, and PolicyError.
    """
    setting = scenario.setting(choice.overhead_s)
    bed = Testbed(
        scenario, choice, folder, seed=seed, frames=frames, shows=take is not None, cores=cores,
        log=None if out is None else out / "log.txt", weights=weights, kernel=kernel,
    )  # fmt: skip
    for facts in setting.facts:
        for variant in facts.variants:
            frames_of(frames, variant.input_shape, seed)  # to tell at once if there are none
    born = requests(setting, Streams(seed, 0))
    done: list[tuple[Outcome, Timing]] = []
    kinds = {each.hardware.name for each in setting.facts}
    kinds |= {each.hardware.name for each in setting.nodes.values()}
    if len(kinds) > 1:
        say(f"all of it runs on this machine; {', '.join(sorted(kinds))} are simulated")
    say(f"starting {len(setting.devices) + len(setting.nodes)} processes")
    try:
        with bed:
            say(f"{len(born)} requests in {setting.duration_s:g} s")
            with showing(len(born)) as advance:

                def keep(outcome: Outcome, timing: Timing, seen: Seen) -> None:
                    done.append((outcome, timing))
                    advance(outcome.request.device)
                    if take is not None:
                        take(outcome, timing, seen)

                bed.play(born, keep)
    finally:
        done.sort(key=lambda each: (each[0].request.born_s, each[0].request.id))
        frame = rows.to_frame([outcome for outcome, _ in done], setting.facts)
        if out is not None and done:
            told = rows.metadata(Run(scenario, choice, seed, 0, [], [])) | {"testbed": "measured"}
            rows.write(frame, out / "requests.parquet", told)
            write_timings([timing for _, timing in done], out / "timings.parquet")
    foreseen = rows.to_frame(simulate(scenario, choice, seed, 0).outcomes, setting.facts)
    return Measured(frame, foreseen, _values(scenario, frame), _values(scenario, foreseen))


def to_frame(timings: list[Timing]) -> pl.DataFrame:
    """Return when requests were worked on where: a row each, seconds after the beginning."""
    table = []
    for each in timings:
        spans = [
            _NOWHERE if span is None else astuple(span) for span in (each.device, each.edge, each.cloud)
        ]
        table.append((each.id, each.born_s, each.decided_s, *chain.from_iterable(spans), each.ended_s))
    return pl.DataFrame(table, SCHEMA, orient="row")


def write_timings(timings: list[Timing], path: Path) -> None:
    """Write when requests were worked on where."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path) as aside:
        to_frame(timings).write_parquet(aside)
        aside.replace(path)


def _values(scenario: Scenario, frame: pl.DataFrame) -> Mapping[str, float]:
    warm_up_s = 0.0 if scenario.file.warm_up == "auto" else float(scenario.file.warm_up)
    return measures.summarise(frame, warm_up_s, scenario.file.duration, judged=scenario.judged).values
