"""A scenario file read and checked: all its faults at once, each with its line."""

import difflib
import hashlib
import json
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from offload.dnn.profiles import ProfileError
from offload.policies import table as policies
from offload.policies.table import Choice
from offload.scenario import lines
from offload.scenario.catalogue import Catalogue
from offload.scenario.schema import ScenarioFile
from offload.scenario.setup import Setting, candidates, setup
from offload.planning.columns import columns
from offload.world.mobility import Track
from offload.world.traces import TraceError, read_tracks

MAX_BYTES = 1_000_000
Key = tuple[str | int, ...]


class ScenarioError(ValueError):
    """A scenario that cannot be used; `faults` are lines of `file:line: key: what to write`."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A checked scenario: the file's tables, the catalogue it draws on, and its policies.

    `raw` is what the file says after `--set`, from which the scenario can be read again.
    """

    path: Path
    base: Path
    file: ScenarioFile
    raw: Mapping[str, Any]
    catalogue: Catalogue
    tracks: Mapping[str, Mapping[str, Track]]
    policy: Choice | None
    compared: tuple[Choice, ...]

    @property
    def digest(self) -> str:
        """A hash of all that decides the rows but seed, replication and policy."""
        decides = {k: v for k, v in self.raw.items() if k not in ("policy", "compare", "seed")}
        text = json.dumps(decides, sort_keys=True, default=str)
        for group in sorted(self.tracks):
            for name, track in self.tracks[group].items():
                text += f"{group}{name}{track.times_s.tobytes()!r}{track.x_m.tobytes()!r}"
                text += f"{track.y_m.tobytes()!r}"
        for facts in self.setting(0.0).facts:
            for place, known in facts.profiles.items():
                for variant, profile in known.items():
                    text += f"{place}{variant.label}{profile.layers_s}{profile.spread}{variant.accuracy}"
        return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()

    @property
    def known(self) -> str:
        """One line on how the latencies are known."""
        found: dict[str, set[str]] = {}
        for facts in self.setting(0.0).facts:
            places = {"device": facts.hardware} | {n.name: n.hardware for n in facts.nodes.values()}
            for place, profiles in facts.profiles.items():
                for profile in profiles.values():
                    found.setdefault(profile.known, set()).add(places[place].name)
        return "latencies: " + "; ".join(
            f"{known} for {', '.join(sorted(names))}" for known, names in sorted(found.items())
        )

    def setting(self, overhead_s: float) -> Setting:
        """Return what a world is made of."""
        return setup(self.file, self.catalogue, self.tracks, overhead_s)


def load(
    path: str | Path, settings: Iterable[str] = (), base: Path | None = None
) -> Scenario:
    """Read and check a scenario file. Raises ScenarioError with every fault.

    `settings` are "key=value" texts that replace keys of the file; they are checked like the file.
    Files that it names are looked for beside it, or in `base`.
    """
    path = Path(path)
    text = _read(path)
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError([f"{path}: not TOML: {error}"]) from error
    except RecursionError as error:
        raise ScenarioError([f"{path}: nested too deeply to be a scenario"]) from error
    where = _Where(path, lines.find_lines(text))
    for setting in settings:
        _set(raw, setting, where)
    return check(path, raw, where.locate, base or path.parent)


def check(
    path: Path, raw: Mapping[str, Any], locate: Callable[[Key], str], base: Path
) -> Scenario:
    """Check what a scenario says. `locate` tells where a key stands. Raises ScenarioError."""
    try:
        file = ScenarioFile.model_validate(raw)
    except ValidationError as error:
        raise ScenarioError(_explain(error, raw, locate)) from error
    faults: list[tuple[Key, str]] = []
    folder = base / file.profiles if file.profiles else None
    if folder is not None and not folder.is_dir():
        faults.append((("profiles",), f"no folder {folder}"))
        folder = None
    catalogue = Catalogue(folder, file.models, file.hardware)
    faults += _check_names(file, catalogue)
    tracks = _read_tracks(file, base, faults)
    policy = _choose(file.policy, ("policy",), faults) if file.policy else None
    compared: list[Choice] = []
    for number, table in enumerate(file.compare.policies if file.compare else ()):
        choice = _choose(table, ("compare", "policies", number), faults)
        if choice is None:
            continue
        if choice.label in [other.label for other in compared]:
            key = ("compare", "policies", number)
            faults.append((key, f'label "{choice.label}" is taken; add another label'))
        compared.append(choice)
    if not faults:
        scenario = Scenario(path, base, file, raw, catalogue, tracks, policy, tuple(compared))
        try:
            faults += _check_plans(scenario)
        except ProfileError as error:
            raise ScenarioError(str(error).splitlines()) from error
    if faults:
        told = sorted({(locate(key), _dotted(key), what) for key, what in faults}, key=_in_order)
        raise ScenarioError([f"{place}: {key}: {what}" for place, key, what in told])
    return scenario


def _in_order(told: tuple[str, str, str]) -> tuple[str, int, str]:
    place, _, line = told[0].rpartition(":")
    return (place, int(line), told[1]) if line.isdigit() else (told[0], 0, told[1])


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            size = path.stat().st_size / 1e6
            raise ScenarioError([f"{path}: {size:.0f} MB; a scenario has at most {MAX_BYTES / 1e6:.0f} MB"])
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ScenarioError([f"{path}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ScenarioError([f"{path}: not UTF-8 (byte {error.start})"]) from error


@dataclass(slots=True)
class _Where:
    """Tells where a key stands: its line, or the setting that gave it."""

    path: Path
    found: dict[Key, int]

    def locate(self, key: Key) -> str:
        for end in range(len(key), 0, -1):
            line = self.found.get(key[:end])
            if line is not None:
                return f"{self.path}:{line}" if line > 0 else f"--set {_dotted(key[:end])}"
        return f"{self.path}:1"


def _set(raw: dict[str, Any], setting: str, where: _Where) -> None:
    """Replace one key, like `nodes.cabinet.servers=4` or `links.cell.up="50 Mbit/s"`."""
    name, equals, value = setting.partition("=")
    try:
        key: Key = tuple(tomllib.loads(f"{name}=0")) if "." not in name else tuple(_path(name))
    except tomllib.TOMLDecodeError:
        key = ()
    if not equals or not key:
        raise ScenarioError([f"--set {setting}: write KEY=VALUE, like nodes.cabinet.servers=4"])
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        parsed = value.strip()
    here: Any = raw
    for part in key[:-1]:
        if isinstance(here, list) and str(part).isdigit() and int(part) < len(here):
            here = here[int(part)]
        elif isinstance(here, dict):
            here = here.setdefault(part, {})
        else:
            raise ScenarioError([f"--set {name}: {part} is not a table of the file"])
    if not isinstance(here, dict):
        raise ScenarioError([f"--set {name}: {key[-1]} does not lie in a table"])
    here[key[-1]] = parsed
    where.found[key] = 0


def _path(name: str) -> list[str]:
    """Read a dotted key by TOML's own rules."""
    here, parts = tomllib.loads(f"{name}=0"), []
    while isinstance(here, dict):
        (part,) = here
        parts.append(part)
        here = here[part]
    return parts


def _explain(error: ValidationError, raw: Mapping[str, Any], locate: Callable[[Key], str]) -> list[str]:
    """Turn pydantic's faults into ours: place, key, what to write instead."""
    told: dict[tuple[str, str], str] = {}
    for fault in error.errors():
        key: Key = tuple(part for part in fault["loc"] if part != "[key]")
        key = tuple("from" if part == "from_" else part for part in key)
        while key and not _exists(raw, key) and _exists(raw, key[:-2]) and fault["type"] != "missing":
            key = key[:-1]  # a branch of a union, no key
        what = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(key[-1]), _fields(key[:-1]), 1)
            what = "no such key" + (f'; did you mean "{near[0]}"?' if near else "")
            if not near and _fields(key[:-1]):
                what += f"; known here: {', '.join(_fields(key[:-1]))}"
        elif fault["type"] == "missing":
            what = "missing; it must be given"
        elif not isinstance(fault.get("input"), dict | list) and fault["type"] != "value_error":
            what = f"{what[:1].lower()}{what[1:]}, not {fault.get('input')!r:.60}"
        elif fault["type"] == "value_error" and isinstance(fault.get("input"), str | int | float):
            what = f"{fault['input']!r:.60} is {what}" if what.startswith(("not", "a bare")) else what
        place = locate(key)
        told.setdefault((place, _dotted(key)), what)
    order = sorted(told.items(), key=lambda item: _in_order((*item[0], "")))
    return [f"{place}: {key or 'file'}: {what}" for (place, key), what in order]


def _exists(raw: object, key: Key) -> bool:
    for part in key:
        if isinstance(raw, dict) and part in raw:
            raw = raw[part]
        elif isinstance(raw, list) and isinstance(part, int) and part < len(raw):
            raw = raw[part]
        else:
            return False
    return True


def _fields(key: Key) -> list[str]:
    """The keys that the schema knows in the table at a path."""
    here: Any = ScenarioFile
    for part in key:
        if not (isinstance(here, type) and issubclass(here, BaseModel)):
            return []
        names = {field.alias or name: field for name, field in here.model_fields.items()}
        if part in names:
            here = _table_type(names[part].annotation)
        elif here is None:
            return []
    if isinstance(here, type) and issubclass(here, BaseModel):
        return [field.alias or name for name, field in here.model_fields.items()]
    return []


def _table_type(annotation: Any) -> Any:  # noqa: ANN401 - any annotation
    """Find the table inside dict[Name, Table], list[Table], Table | None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := _table_type(each))), None)


def _dotted(key: Key) -> str:
    return ".".join(str(part) for part in key)


def _near(name: str, known: Iterable[str], noun: str) -> str:
    known = list(known)
    near = difflib.get_close_matches(name, known, 1)
    if near:
        return f'no {noun} "{name}"; did you mean "{near[0]}"?'
    return f'no {noun} "{name}"; there is {", ".join(known) or "none"}'


def _check_names(file: ScenarioFile, catalogue: Catalogue) -> list[tuple[Key, str]]:
    """Check that every name that a table mentions stands for something."""
    faults: list[tuple[Key, str]] = []
    for kind, tables in (("devices", file.devices), ("nodes", file.nodes)):
        for name, table in tables.items():
            if table.hardware not in catalogue.hardware_names:
                key = (kind, name, "hardware")
                faults.append((key, _near(table.hardware, catalogue.hardware_names, "hardware")))
    for group, devices in file.devices.items():
        for name, task in devices.tasks.items():
            for number, model in enumerate(task.models):
                if model not in catalogue.models:
                    key = ("devices", group, "tasks", name, "models", number)
                    faults.append((key, _near(model, catalogue.models, "model")))
            if not faults and not candidates(task, catalogue):
                known = {v.name for model in task.models for v in catalogue.variants(model)}
                key = ("devices", group, "tasks", name, "variants")
                faults.append((key, f"these models come as {', '.join(sorted(known))}"))
    for model, inline in file.models.items():
        for variant, given in inline.variants.items():
            for hardware in given.costs:
                if hardware not in catalogue.hardware_names:
                    key = ("models", model, "variants", variant, "costs", hardware)
                    faults.append((key, _near(hardware, catalogue.hardware_names, "hardware")))
    for name, link in file.links.items():
        if link.to not in file.nodes:
            faults.append((("links", name, "to"), _near(link.to, file.nodes, "node")))
        if link.is_cell:
            users = [link.from_] if isinstance(link.from_, str) else link.from_
            faults += [
                (("links", name, "from"), _near(user, file.devices, "device group"))
                for user in users
                if user != "*" and user not in file.devices
            ]
        elif link.from_ not in file.nodes:
            faults.append((("links", name, "from"), _near(str(link.from_), file.nodes, "node")))
        elif link.from_ == link.to:
            faults.append((("links", name, "to"), "a wire must lead to another node"))
    return faults


def _read_tracks(
    file: ScenarioFile, base: Path, faults: list[tuple[Key, str]]
) -> dict[str, dict[str, Track]]:
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
            tracks = {name: track.looped(end_s) for name, track in tracks.items()}
        found[group] = tracks
    return found


def _choose(
    table: Mapping[str, Any], key: Key, faults: list[tuple[Key, str]]
) -> Choice | None:
    try:
        return policies.choose(table)
    except policies.PolicyTableError as error:
        faults += [((*key, name) if name else key, what) for name, what in error.faults]
        return None


def _check_plans(scenario: Scenario) -> list[tuple[Key, str]]:
    """Refuse a device that has no plan at all for one of its tasks."""
    faults = []
    for source in scenario.setting(0.0).sources:
        facts = source.facts
        if not any(columns(facts, cell).plans for cell in (None, *facts.cells)):
            key = ("devices", facts.group, "tasks", facts.task)
            places = {"device": facts.hardware.name} | {n.name: n.hardware.name for n in facts.nodes.values()}
            what = (
                f"no plan: none of its networks has a profile where it could run"
                f" ({', '.join(f'{place}: {name}' for place, name in places.items())})"
            )
            faults.append((key, what))
    return faults
