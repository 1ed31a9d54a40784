"""What a scenario's tables say of each other and of files: do the names stand for something?"""

from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path

from offload.networks import Variant
from offload.planning.columns import columns
from offload.scenario.catalogue import Catalogue
from offload.scenario.faults import Fault, Key, near
from offload.scenario.schema import MOST_REQUESTS, ScenarioFile
from offload.scenario.setup import Setting, candidates
from offload.scenario.tasks import SceneTable, Stage, Task
from offload.world.birth_traces import read_births
from offload.world.mobility import Track
from offload.world.traces import TraceError, read_tracks

MOST_POINTS = 20_000_000


def check_names(file: ScenarioFile, catalogue: Catalogue) -> list[Fault]:
    """Check that every name that a table mentions stands for something."""
    return [
        *_wrong_hardware(file, catalogue),
        *_wrong_models(file, catalogue),
        *_wrong_scenes(file),
        *_wrong_links(file),
    ]


def _wrong_hardware(file: ScenarioFile, catalogue: Catalogue) -> Iterator[Fault]:
    named: list[tuple[Key, str]] = [
        *((("devices", name, "hardware"), table.hardware) for name, table in file.devices.items()),
        *((("nodes", name, "hardware"), table.hardware) for name, table in file.nodes.items()),
    ]
    for model, inline in file.models.items():
        for variant, given in inline.variants.items():
            named += [
                (("models", model, "variants", variant, "costs", hardware), hardware)
                for hardware in given.costs
            ]
    for key, name in named:
        if name not in catalogue.hardware_names:
            yield key, near(name, catalogue.hardware_names, "hardware")
    for name, table in file.hardware.items():
        for number, latency in enumerate(table.latencies):
            if latency.model not in catalogue.models:
                place: Key = ("hardware", name, "latencies", number, "model")
                yield place, near(latency.model, catalogue.models, "model")


def _networks(file: ScenarioFile) -> Iterator[tuple[Key, Stage]]:
    """Yield what is asked of each network, and where that stands."""
    for group, devices in file.devices.items():
        for name, task in devices.tasks.items():
            for stage, asked in task.networks:
                yield ("devices", group, "tasks", name, *(("stages", stage) if stage else ())), asked


def _wrong_models(file: ScenarioFile, catalogue: Catalogue) -> Iterator[Fault]:
    for key, task in _networks(file):
        unknown = [
            ((*key, "models", number), near(model, catalogue.models, "model"))
            for number, model in enumerate(task.models)
            if model not in catalogue.models
        ]
        yield from unknown
        if not unknown:
            known = sorted({v.name for model in task.models for v in catalogue.variants(model)})
            for number, variant in enumerate(task.variants or ()):
                if variant not in known:
                    yield (*key, "variants", number), near(variant, known, "variant")
            yield from _wrong_offers(key, task, candidates(task, catalogue))


def _wrong_scenes(file: ScenarioFile) -> Iterator[Fault]:
    for key, task in _networks(file):
        scenes: list[tuple[Key, SceneTable | None]] = [
            ((*key, "scene"), task.scene), ((*key, "count", "scene"), task.count.scene)
        ]  # fmt: skip
        for where, scene in scenes:
            for number, group in enumerate(scene.groups if scene else ()):
                if group not in file.devices:
                    yield (*where, "groups", number), near(group, file.devices, "device group")


def _wrong_offers(key: Key, task: Stage, variants: list[Variant]) -> Iterator[Fault]:
    """Check that codecs and exits were measured, and answers on the same images."""
    known = sorted({codec for variant in variants for codec, _ in variant.codecs})
    for number, codec in enumerate(task.codecs):
        if codec not in known:
            yield (*key, "codecs", number), near(codec, known, "codec")
    if task.confidences and not any(variant.leaves_early for variant in variants):
        what = "none of its networks has exits; leave it out, or choose variants that may leave early"
        yield (*key, "confidences"), what
    data: dict[tuple[str, int], str] = {}
    for variant in variants:
        for answers in variant.answers.values():
            data.setdefault((answers.data, answers.images), variant.label)
    if len(data) > 1:
        told = ", ".join(f'{label}: {n} of "{name}"' for (name, n), label in data.items())
        what = (
            f"answers were measured on different images ({told}), but one image stands for a request"
            " under every variant; choose variants with answers to the same ones"
        )
        yield (*key, "models"), what


def _wrong_links(file: ScenarioFile) -> Iterator[Fault]:
    for name, link in file.links.items():
        if link.to not in file.nodes:
            yield ("links", name, "to"), near(link.to, file.nodes, "node")
        if link.is_cell:
            for user in [link.from_] if isinstance(link.from_, str) else link.from_:
                if user != "*" and user not in file.devices:
                    yield ("links", name, "from"), near(user, file.devices, "device group")
        elif link.from_ not in file.nodes:
            yield ("links", name, "from"), near(str(link.from_), file.nodes, "node")
        elif link.from_ == link.to:
            yield ("links", name, "to"), "a wire must lead to another node"


def find_tracks(file: ScenarioFile, base: Path, faults: list[Fault]) -> dict[str, dict[str, Track]]:
    """Read the traces of moving devices, adding to `faults` what is wrong with them."""
    found: dict[str, dict[str, Track]] = {}
    for group, table in file.devices.items():
        if table.mobility is None:
            continue
        key = ("devices", group, "mobility", "trace")
        try:
            tracks = read_tracks(base / table.mobility.trace)
        except TraceError as error:
            faults += [(key, fault) for fault in str(error).splitlines()]
            continue
        if len(tracks) < table.count:
            what = f"{len(tracks)} ids in the trace for {table.count} devices"
            faults.append((("devices", group, "count"), what))
        if table.mobility.loop:
            end_s = file.duration + file.drain
            if any(len(track.times_s) < 2 for track in tracks.values()):
                faults.append((key, "an id with a single point cannot be looped"))
                continue
            open_ways = [name for name, track in tracks.items() if not track.closed]
            if open_ways:
                what = f"id {open_ways[0]} does not end where it began, so it cannot be looped"
                faults.append((key, what))
                continue
            points = sum(track.points_looped(end_s) for track in tracks.values())
            if points > MOST_POINTS:
                faults.append((key, f"looping it would take {points:.3g} points; loop a longer trace"))
                continue
            tracks = {name: track.looped(end_s) for name, track in tracks.items()}
        found[group] = tracks
    return found


Births = Mapping[str, "array[float]"]  # times by device


def find_births(file: ScenarioFile, base: Path, faults: list[Fault]) -> dict[tuple[str, str], Births]:
    """Read the traces of births by group and task, adding to `faults` what is wrong with them."""
    found: dict[tuple[str, str], Births] = {}
    for group, table in file.devices.items():
        for name, task in table.tasks.items():
            if task.births is None:
                continue
            key: Key = ("devices", group, "tasks", name)
            try:
                traces = read_births(base / task.births)
            except TraceError as error:
                faults += [((*key, "births"), fault) for fault in str(error).splitlines()]
                continue
            devices = [f"{group}-{number}" for number in range(table.count)]
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


def check_plans(setting: Setting) -> list[Fault]:
    """Refuse a device that has no plan at all for one of its tasks."""
    faults: list[Fault] = []
    for facts in setting.facts:
        if not any(columns(facts, cell).plans for cell in (None, *facts.cells)):
            key: Key = ("devices", facts.group, "tasks", facts.task)
            key += ("stages", facts.stage) if facts.stage else ()
            places = {"device": facts.hardware.name} | {
                n.name: n.hardware.name for n in facts.nodes.values()
            }
            what = (
                f"no plan: none of its networks has a profile where it could run"
                f" ({', '.join(f'{place}: {name}' for place, name in places.items())})"
            )
            faults.append((key, what))
    return faults
