"""From what a scenario says of its tasks to what is asked when: births, sizes, crops, stages."""

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from offload.entities import Facts
from offload.scenario.faults import Fault, Key
from offload.scenario.schema import MOST_REQUESTS, ScenarioFile
from offload.scenario.tasks import Crops, SceneTable, Stage, Task
from offload.world.birth_traces import read_births as read_trace
from offload.world.births import Births
from offload.world.demand import Counts, Inputs, Sizes, View
from offload.world.mobility import Track
from offload.world.recording import TraceError

Times = Mapping[str, "array[float]"]  # of births, by device
BirthTraces = Mapping[tuple[str, str], Times]  # by group and task


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What a task asks of one network: for inputs of which sizes.

    Of a frame that needs several: `after` which others, and for how many crops.
    """

    facts: Facts
    inputs: Inputs
    after: tuple[str, ...]
    counts: Counts

    @property
    def views(self) -> tuple[View, ...]:
        """What must be looked at when it is asked for."""
        return tuple(view for view in (self.inputs.view, self.counts.view) if view is not None)


def part(facts: Facts, asked: Stage) -> Part:
    """Return what is asked for by a task, or by a stage of it."""
    return Part(facts, inputs(asked), tuple(asked.after), _counts(asked.count))


def inputs(asked: Stage) -> Inputs:
    """Return how large the inputs are."""
    table, objects = asked.input, asked.scene
    sizes = None
    if table.distribution != "constant":
        most = float("inf") if table.max is None else table.max
        sizes = Sizes(table.min or 0.0, most, table.mean_bytes, table.cv)
    if objects is None:
        return Inputs(table.mean_bytes, sizes)
    return Inputs(table.mean_bytes, sizes, _view(objects), objects.per_object)


def _counts(crops: Crops) -> Counts:
    if crops.mean is not None:
        return Counts.poisson(crops.mean, crops.at_most)
    every_time = Counts.exactly(crops.at_most)
    return every_time if crops.scene is None else Counts(every_time.cumulative, _view(crops.scene))


def _view(table: SceneTable) -> View:
    return View(tuple(dict.fromkeys(table.groups)), table.within)


def births(task: Task, trace: "array[float] | None") -> Births:
    """Return when the requests of a task are born."""
    return Births(
        task.arrivals,
        task.every or 0.0,
        task.jitter,
        task.on or 0.0,
        task.off or 0.0,
        tuple((state.every, state.stay) for state in task.states or ()),
        trace or array("d"),
        task.repeat or float("inf"),
    )


def read_births(
    file: ScenarioFile, base: Path, tracks: Mapping[str, Mapping[str, Track]], faults: list[Fault]
) -> BirthTraces:
    """Read the traces of births by group and task, adding to `faults` what is wrong with them."""
    found: dict[tuple[str, str], Times] = {}
    for group, table in file.devices.items():
        for name, task in table.tasks.items():
            if task.births is None:
                continue
            key: Key = ("devices", group, "tasks", name)
            try:
                traces = read_trace(base / task.births)
            except TraceError as error:
                faults += [((*key, "births"), fault) for fault in str(error).splitlines()]
                continue
            count = len(tracks[group]) if group in tracks else table.at_most
            devices = [f"{group}-{number}" for number in range(count)]
            if not devices:  # their own trace is at fault
                continue
            known = {device: traces[device] for device in devices if device in traces}
            if None in traces and len(devices) == 1:
                known = {devices[0]: traces[None]}
            wrong = list(_wrong_births(file, task, traces, devices))
            faults += [((*key, where), what) for where, what in wrong]
            if not wrong:
                found[group, name] = known
    return found


def _wrong_births(
    file: ScenarioFile, task: Task, traces: Mapping[str | None, "array[float]"], devices: list[str]
) -> Iterator[tuple[str, str]]:
    """Say what is wrong with traces of births for these devices: of which key, and what."""
    if None in traces and len(devices) > 1:
        what = f"no column device, but there are {len(devices)} devices; say whose each birth is"
        yield "births", what
    unknown = set(traces) - {None, *devices}
    if unknown:
        what = f'no device "{min(map(str, unknown)):.100}" here; there is {devices[0]} to {devices[-1]}'
        yield "births", what
    last_s = max(times[-1] for times in traces.values())
    if task.repeat is not None and last_s >= task.repeat:
        yield "repeat", f"the last birth is at {last_s:g} s; it must begin again later than that"
    laps = max(1.0, file.duration / task.repeat) if task.repeat is not None else 1.0
    births = sum(map(len, traces.values())) * laps * task.rows
    if births > MOST_REQUESTS:
        what = f"about {births:.3g} requests would be born; at most {MOST_REQUESTS:.0e} may be"
        yield ("births" if task.repeat is None else "repeat"), what
