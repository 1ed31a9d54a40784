"""A scenario file read and checked: all its faults at once, each with its line."""

import hashlib
import json
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from offload.dnn.profiles import ProfileError
from offload.entities import Facts
from offload.policies import table as policies
from offload.policies.table import Choice, folder_name
from offload.scenario import lines
from offload.scenario.catalogue import Catalogue, with_shipped
from offload.scenario.demand import BirthTraces, read_births
from offload.scenario.faults import Fault, Key, ScenarioError, Where, explain, tell
from offload.scenario.places import Traces, read_bandwidths
from offload.scenario.references import check_memory, check_names, check_plans
from offload.scenario.schema import ScenarioFile
from offload.scenario.setup import Setting, drawn, setup
from offload.scenario.ways import make_tracks, read_tracks
from offload.streams import Streams
from offload.world.mobility import Track

MAX_BYTES = 1_000_000


@dataclass(frozen=True, eq=False)
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
    bandwidths: Traces
    births: BirthTraces
    policy: Choice | None
    compared: tuple[Choice, ...]
    swept: tuple[Choice, ...]
    forwarders: Mapping[str, Choice]
    _settings: dict[float, Setting] = field(default_factory=dict, init=False, repr=False)

    def __reduce__(self) -> tuple[Callable[..., "Scenario"], tuple[Any, ...]]:
        """Be copied, and cross to another process, as what it was read from: to be checked again."""
        return _again, (self.path, self.raw, self.base)

    @cached_property
    def digest(self) -> str:
        """A hash of all that decides the rows but seed, replication and policy."""
        text = json.dumps(_deciding(self.raw), sort_keys=True, default=str)
        digest = hashlib.blake2b(digest_size=12)
        for group in sorted(self.tracks):
            for name, track in self.tracks[group].items():
                digest.update(f"{group}{name}{track.enters_s}{track.leaves_s}".encode())
                for column in (track.times_s, track.x_m, track.y_m):
                    digest.update(np.ascontiguousarray(column).data)
        for link, trace in sorted(self.bandwidths.items()):
            text += f"{link}{trace.edges_s}{trace.rates_bps}"
        for key in sorted(self.births):
            for name, times in self.births[key].items():
                digest.update(f"{key}{name}".encode() + times.tobytes())
        text += "".join(map(_told, self.setting(0.0).facts))
        text += "".join(f"{of}.{key}: {table!r}" for of, key, table in self.file.overheads)
        digest.update(text.encode())
        return digest.hexdigest()

    @cached_property
    def known(self) -> str:
        """One line on how latencies, accuracies and powers are known."""
        latencies: dict[str, set[str]] = {}
        others: dict[str, set[str]] = {"accuracy": set(), "power": set()}
        for facts in self.setting(0.0).facts:
            places = {"device": facts.hardware} | {n.name: n.hardware for n in facts.nodes.values()}
            others["power"] |= {each.busy_w.known for each in places.values()}
            others["accuracy"] |= {v.accuracy.known if v.accuracy else "unknown" for v in facts.variants}
            if facts.radio is not None:
                others.setdefault("radio", set()).add(facts.radio.known)
            for place, profiles in facts.profiles.items():
                for profile in profiles.values():
                    latencies.setdefault(profile.known, set()).add(places[place].name)
        told = [f"latency {known} for {', '.join(sorted(n))}" for known, n in sorted(latencies.items())]
        others["codecs"] = {
            coded.known
            for facts in self.setting(0.0).facts
            for variant in facts.variants
            for (codec, _), coded in variant.codecs.items()
            if codec in facts.codecs
        }
        if any(group.frequency < 1.0 for group in self.file.devices.values()):
            others["frequency"] = {"assumed"}
        for _, key, table in self.file.overheads:
            others.setdefault(key, set()).add(table.known)
        told += [f"{what} {', '.join(sorted(known))}" for what, known in others.items() if known]
        return "; ".join(told)

    @cached_property
    def rescaled(self) -> tuple[str, ...]:
        """For each hardware that was not measured: which networks are rescaled to it, and the error."""
        found: dict[tuple[str, str], dict[str, None]] = {}
        for facts in self.setting(0.0).facts:
            places = {"device": facts.hardware} | {n.name: n.hardware for n in facts.nodes.values()}
            for place, profiles in facts.profiles.items():
                for variant, profile in profiles.items():
                    if profile.known == "rescaled":
                        key = places[place].name, profile.error
                        found.setdefault(key, {})[variant.label] = None
        return tuple(f"{name}: {', '.join(of)}: {error}" for (name, error), of in sorted(found.items()))

    @cached_property
    def judged(self) -> bool:
        """Whether it is known of every variant how often it is right."""
        return all(v.accuracy is not None for facts in self.setting(0.0).facts for v in facts.variants)

    def setting(self, overhead_s: float, streams: Streams | None = None) -> Setting:
        """Return what a world is made of: one for all replications, but for the ways made from chance.

        Without streams these are the ones of replication 0.
        """
        if overhead_s not in self._settings:
            first = Streams(self.file.seed, 0)
            tracks = {**self.tracks, **make_tracks(self.file, first)}
            self._settings[overhead_s] = setup(
                self.file, self.catalogue, tracks, self.bandwidths, self.births, first, overhead_s
            )
        found = self._settings[overhead_s]
        if streams is None:
            return found
        tracks = {**self.tracks, **make_tracks(self.file, streams)}
        return drawn(found, self.file, tracks, self.bandwidths, streams)


def _again(path: Path, raw: Mapping[str, Any], base: Path) -> Scenario:
    return check(path, raw, lambda _: str(path), base)


_UNDECIDED = ("policy", "compare", "sweep", "seed", "costs")


def _deciding(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what decides no row: seed and policy stand beside them, other prices come afterwards."""
    kept = {k: v for k, v in raw.items() if k not in _UNDECIDED}
    for tables, price in (("links", "rent"), ("hardware", "price")):
        if tables in kept:
            kept[tables] = {
                name: {k: v for k, v in table.items() if k != price}
                for name, table in kept[tables].items()
            }
    return kept


def _told(facts: Facts) -> str:
    """All that decides rows and stands in files of the package or of users: costs, answers, powers."""
    # Put together once: measured answers are megabytes.
    told = [f"{facts.hardware}{[node.hardware for node in facts.nodes.values()]}"]
    for place, known in facts.profiles.items():
        for variant, profile in known.items():
            told += [
                f"{place}{variant.label}{variant.cuts}{profile.layers_s}{profile.spread}",
                f"{profile.service}{profile.cv}{variant.accuracy}{profile.second_s}",
                f"{variant.weight_bytes}",
            ]
    for variant in facts.variants:
        if variant.answers:  # measured
            told.append(f"{variant.exits}{variant.codecs}")
            told += [f"{coded}{a.data}{a.right}{a.confidence}" for coded, a in variant.answers.items()]
    return "".join(told)


def load(path: str | Path, settings: Iterable[str] = (), base: Path | None = None) -> Scenario:
    """Read and check a scenario file. Raises ScenarioError with every fault.

    `settings` are "key=value" texts that replace keys of the file, or "key=" that leave them out; what
    comes of it is checked like the file.
    Files that it names are looked for beside it, or in `base`.
    """
    return read(path, base).check(settings)


@dataclass(frozen=True, slots=True)
class Draft:
    """A scenario file that was read but not checked."""

    path: Path
    base: Path
    text: str
    lines: Mapping[Key, int]

    @property
    def raw(self) -> dict[str, Any]:
        """What the file says, anew for everyone who asks."""
        return tomllib.loads(self.text)

    def check(self, settings: Iterable[str] = (), leave_out: Iterable[str] = ()) -> Scenario:
        """Leave out tables, replace keys, and check. Raises ScenarioError with every fault."""
        raw, where = self.raw, Where(self.path, dict(self.lines))
        for table in leave_out:
            raw.pop(table, None)
        wrong = [fault for setting in settings if (fault := _set(raw, setting, where))]
        try:
            scenario = check(self.path, raw, where.locate, self.base)
        except ScenarioError as error:
            raise ScenarioError([*wrong, *error.faults]) from error
        if wrong:
            raise ScenarioError(wrong)
        return scenario


def read(path: str | Path, base: Path | None = None) -> Draft:
    """Read a scenario file, without a check. Raises ScenarioError where it is no TOML."""
    path = Path(path)
    text = _read(path)
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError([f"{path}: not TOML: {error}"]) from error
    except ValueError as error:  # Python's own limit on the digits of a whole number
        raise ScenarioError([f"{path}: a number has too many digits"]) from error
    except RecursionError as error:
        raise ScenarioError([f"{path}: nested too deeply to be a scenario"]) from error
    return Draft(path, base or path.parent, text, lines.find_lines(text))


def check(path: Path, raw: Mapping[str, Any], locate: Callable[[Key], str], base: Path) -> Scenario:
    """Check what a scenario says. `locate` tells where a key stands. Raises ScenarioError."""
    try:
        file = ScenarioFile.model_validate(with_shipped(raw))
    except ValidationError as error:
        raise tell(explain(error, raw), locate) from error
    faults: list[Fault] = []
    folder = base / file.profiles if file.profiles else None
    if folder is not None and not folder.is_dir():
        faults.append((("profiles",), f"no folder {folder}"))
        folder = None
    catalogue = Catalogue(folder, file.models, file.hardware, file.shares)
    try:
        faults += check_names(file, catalogue)
    except ProfileError as error:
        raise ScenarioError(str(error).splitlines()) from error
    tracks = read_tracks(file, base, faults)
    bandwidths = read_bandwidths(file, base, faults)
    births = read_births(file, base, tracks, faults)
    policy = _choose(file.policy, ("policy",), faults) if file.policy else None
    compared = _choices(file.compare.policies if file.compare else (), "compare", faults)
    swept = _choices(file.sweep.policies if file.sweep else (), "sweep", faults)
    forwarders = _forwarders(file, faults)
    if not faults:
        scenario = Scenario(
            path,
            base,
            file,
            raw,
            catalogue,
            tracks,
            bandwidths,
            births,
            policy,
            compared,
            swept,
            forwarders,
        )
        try:
            faults += [*check_plans(scenario.setting(0.0)), *check_memory(scenario.setting(0.0))]
        except ProfileError as error:
            raise ScenarioError(str(error).splitlines()) from error
    if faults:
        raise tell(faults, locate)
    return scenario


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            size = path.stat().st_size / 1e6
            raise ScenarioError(
                [f"{path}: {size:.0f} MB; a scenario has at most {MAX_BYTES / 1e6:.0f} MB"]
            )
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ScenarioError([f"{path}: {error.strerror}; give a scenario file (TOML)"]) from error
    except UnicodeDecodeError as error:
        raise ScenarioError([f"{path}: not UTF-8 (byte {error.start})"]) from error


def _set(raw: dict[str, Any], setting: str, where: Where) -> str | None:
    """Replace one key, like `nodes.cabinet.servers=4`, or leave it out, like `nodes.cabinet.batch=`.

    Return what is wrong, if anything is.
    """
    name, equals, value = setting.partition("=")
    try:
        parts = _path(name)
    except (ValueError, RecursionError):  # ValueError: TOML's, or Python's limit on digits
        parts = []
    if not equals or not parts:
        star = "; a * is for --vary" * ("*" in name)
        return f"--set {setting:.80}: write KEY=VALUE, like nodes.cabinet.servers=4{star}"
    here: Any = raw
    key: Key = ()
    for part in parts[:-1]:
        if isinstance(here, list) and part.isdigit() and int(part) < len(here):
            key = (*key, int(part))
            here = here[int(part)]
        elif isinstance(here, dict):
            key = (*key, part)
            where.found.setdefault(key, 0)  # what is missing in a new table is the setting's fault
            here = here.setdefault(part, {})
        else:
            return f"--set {name}: {part} is not a table of the file"
    if not isinstance(here, dict):
        return f"--set {name}: {parts[-1]} does not lie in a table"
    if value.strip():
        here[parts[-1]] = _value(value)
    elif here.pop(parts[-1], None) is None:
        return f"--set {name}: there is no such key to leave out"
    whole = (*key, parts[-1])
    for known in [known for known in where.found if known[: len(whole)] == whole]:
        del where.found[known]  # what stood in the file does no more
    where.found[whole] = 0
    return None


def _value(text: str) -> Any:  # noqa: ANN401 - any TOML value
    """Read a value as TOML, or take it for text: `up=50 Mbit/s` needs no quotes."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text.strip()
    return parsed["value"] if set(parsed) == {"value"} else text.strip()


def _path(name: str) -> list[str]:
    """Read a dotted key by TOML's own rules."""
    here, parts = tomllib.loads(f"{name}=0"), []
    while isinstance(here, dict):
        (part,) = here
        parts.append(part)
        here = here[part]
    return parts


def _choose(table: Mapping[str, Any], key: Key, faults: list[Fault]) -> Choice | None:
    try:
        return policies.choose(table)
    except policies.PolicyTableError as error:
        faults += [((*key, name) if name else key, what) for name, what in error.faults]
        return None


def _choices(tables: Iterable[Mapping[str, Any]], of: str, faults: list[Fault]) -> tuple[Choice, ...]:
    """The policies of [compare] or [sweep], whose rows must go to different folders."""
    found: list[Choice] = []
    for number, table in enumerate(tables):
        key: Key = (of, "policies", number)
        choice = _choose(table, key, faults)
        if choice is None:
            continue
        if folder_name(choice.label) in [folder_name(other.label) for other in found]:
            faults.append((key, f'label "{choice.label}" is taken; add another label'))
        found.append(choice)
    return tuple(found)


def _forwarders(file: ScenarioFile, faults: list[Fault]) -> dict[str, Choice]:
    """The policies of edge nodes that have their own."""
    found = {}
    for name, node in file.nodes.items():
        key: Key = ("nodes", name, "policy")
        choice = _choose(node.policy, key, faults) if node.policy else None
        if choice is not None and choice.knowledge != "reported":
            faults.append((key, f"no node is {choice.knowledge}; choose a policy that knows reports"))
        elif choice is not None:
            found[name] = choice
    return found
