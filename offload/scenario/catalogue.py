"""The networks and the hardware that are known: shipped, the user's own, or a scenario's."""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from offload.dnn import hardware as rescaling
from offload.dnn import profiles
from offload.dnn.methods import Judgement, Network, judge
from offload.entities import Anchor, Hardware
from offload.networks import Cut, Figure, Layer, Profile, Variant
from offload.scenario.costs import PriceTable
from offload.scenario.inline import CostTable, HardwareTable, InlineModel, Value
from offload.shipped import DATA

if TYPE_CHECKING:
    from offload.dnn.answers import Record


class Catalogue:
    """Finds profiles and hardware by name. Files are read when first needed."""

    def __init__(
        self,
        folder: Path | None = None,
        models: Mapping[str, InlineModel] | None = None,
        hardware: Mapping[str, HardwareTable] | None = None,
        shares: Literal["measured", "second-opinion"] = "measured",
    ) -> None:
        """Look in the shipped data, in the user's `folder` of profiles, and in a scenario's tables.

        A user's own profile replaces a shipped one of the same name, and so do a user's own answers.
        `shares` says which opinion on the layers' shares rescaled profiles follow.
        """
        self._shares = shares
        self._files: dict[str, dict[str, Path]] = {}
        self._answers: dict[str, Path] = {}
        for each in (DATA / "profiles", *((folder,) if folder else ())):
            for path in sorted(each.glob("*.json")):
                model = path.name.split(".")[0]
                self._files.setdefault(model, {})[path.name] = path
            for path in sorted(each.glob("*.answers.parquet")):
                self._answers[path.name.removesuffix(".answers.parquet")] = path
        self._inline = {name: _inline(name, model) for name, model in (models or {}).items()}
        self._hardware = {path.stem: path for path in sorted((DATA / "hardware").glob("*.toml"))}
        self._tables = dict(hardware or {})
        self._own_hardware = {name: as_hardware(name, table) for name, table in (hardware or {}).items()}
        self._measured: dict[str, list[Profile]] = {}
        self._rescaled: dict[tuple[Variant, str], Profile | None] = {}

    @property
    def models(self) -> list[str]:
        """The names of all networks."""
        return sorted({*self._files, *self._inline})

    @property
    def hardware_names(self) -> list[str]:
        """The names of all hardware."""
        return sorted({*self._hardware, *self._own_hardware})

    def hardware(self, name: str) -> Hardware:
        """Return the hardware of a name. Raises KeyError."""
        if name in self._own_hardware:
            return self._own_hardware[name]
        return _read_hardware(self._hardware[name])

    def price(self, hardware: str) -> PriceTable | None:
        """Return what one such machine costs to buy, None if nobody says. Raises KeyError."""
        own = self._tables.get(hardware)
        return (own or _read_table(self._hardware[hardware])).price

    def variants(self, model: str) -> list[Variant]:
        """Return the known forms of a network; none if it is unknown. Raises ProfileError."""
        if model in self._inline:
            return [found[0].variant for found in self._inline[model].values()]
        return list({p.variant.name: p.variant for p in self.measured(model)}.values())

    def measured(self, model: str) -> list[Profile]:
        """Return the measured profiles of a network, one Variant for each form. Raises ProfileError."""
        if model not in self._measured:
            read = [(path, _read_profile(path)) for path in self._files.get(model, {}).values()]
            forms: dict[str, Variant] = {}
            for path, profile in read:
                form = forms.setdefault(profile.variant.name, profile.variant)
                if _graph(form) != _graph(profile.variant) or _edges_differ(form, profile.variant):
                    msg = f"{path}: its layers are not those of the other profiles of {form.label}"
                    raise profiles.ProfileError(msg)
                if not form.takes:  # a file from before they were written down
                    forms[form.name] = profile.variant
            if model in self._answers:
                forms = _answered(self._answers[model], tuple(forms.values()))
            self._measured[model] = [replace(p, variant=forms[p.variant.name]) for _, p in read]
        return self._measured[model]

    def profile(self, variant: Variant, hardware: str) -> Profile | None:
        """Return what a variant costs on a hardware, measured or rescaled; None if nobody knows."""
        if variant.model in self._inline:
            found = self._inline[variant.model][variant.name]
            return next((p for p in found if p.hardware == hardware), None)
        here = [p for p in self.measured(variant.model) if p.variant.name == variant.name]
        for profile in here:
            if profile.hardware == hardware:
                return profile
        if (variant, hardware) not in self._rescaled:
            told = self._rescale(here[0], self.hardware(hardware))
            if told is not None and self._shares == "second-opinion":
                told = rescaling.by_second_opinion(told)
            self._rescaled[variant, hardware] = told
        return self._rescaled[variant, hardware]

    def judgements(self, hardware: str) -> dict[str, Judgement]:
        """Return by precision how networks on a hardware are told from those that are published."""
        target = self.hardware(hardware)
        found = {}
        for precision in dict.fromkeys(anchor.precision for anchor in target.anchors):
            first = next(a for a in target.anchors if a.precision == precision)
            here = next((p.hardware for p in self.measured(first.model)), "")
            networks, _ = self._published(target, precision, here)
            if judged := judge(target.kind, networks):
                found[precision] = judged
        return found

    def _rescale(self, measured: Profile, target: Hardware) -> Profile | None:
        precision, here = measured.variant.precision, measured.hardware
        networks, measured_s = self._published(target, precision, here, measured)
        return rescaling.rescale(measured, target, networks, measured_s)

    def _published(
        self, target: Hardware, precision: str, here: str, measured: Profile | None = None
    ) -> tuple[tuple[Network, ...], float]:
        """Return the captured networks that are published in a precision, and one's own seconds.

        Their seconds are those measured `here` in that precision, or else in fp32, or else 0: in
        whichever form all of them and the one to be rescaled have been measured.
        """
        anchors = [
            (anchor, graph)
            for anchor in target.anchors
            if anchor.precision == precision
            for graph in self._plain(anchor.model, anchor.pixels)[:1]
        ]
        for form in (precision, "fp32"):
            timed = [self._timed(graph, form, here) for _, graph in anchors]
            own = measured and self._own(measured, form)
            if all(timed) and (measured is None or own):
                networks = [
                    Network(p.variant, float(rescaling.carried(p).sum()), anchor.latency_s)
                    for p, (anchor, _) in zip(timed, anchors, strict=True)
                    if p is not None
                ]
                return tuple(networks), float(rescaling.carried(own).sum()) if own else 0.0
        return tuple(Network(graph, 0.0, anchor.latency_s) for anchor, graph in anchors), 0.0

    def _own(self, measured: Profile, form: str) -> Profile | None:
        """The profile itself, or that of its network in another form, unless it was changed since."""
        variant = measured.variant
        if variant.precision == form:
            return measured
        if not rescaling.is_plain(variant):
            return None
        return self._timed(variant, form, measured.hardware)

    def _plain(self, model: str, pixels: int) -> list[Variant]:
        """The forms of a network at this size that differ in precision only."""
        found = self.variants(model)
        return [v for v in found if v.input_shape[-1] == pixels and rescaling.is_plain(v)]

    def _timed(self, variant: Variant, form: str, here: str) -> Profile | None:
        """What a plain network's form took here, if it was measured."""
        wanted = [v for v in self._plain(variant.model, variant.input_shape[-1]) if v.precision == form]
        found = self.measured(variant.model)
        return next((p for p in found if p.variant in wanted and p.hardware == here), None)


def with_shipped(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a scenario whose tables of shipped hardware without a `kind` have all that they leave out.

    So a scenario gives a shipped machine another price, say, in a line.
    """
    tables = raw.get("hardware")
    if not isinstance(tables, Mapping):
        return raw
    shipped = {path.stem: path for path in (DATA / "hardware").glob("*.toml")}
    filled = {
        name: {**tomllib.loads(shipped[name].read_text()), **table}
        if name in shipped and isinstance(table, Mapping) and "kind" not in table
        else table
        for name, table in tables.items()
    }
    return {**raw, "hardware": filled}


def as_hardware(name: str, table: HardwareTable) -> Hardware:
    """Turn a checked table into the noun."""

    def figure(value: Value) -> Figure:
        return Figure(value.value, value.known, value.source)

    anchors = tuple(
        Anchor(a.model, a.pixels, a.precision, a.latency, a.source, a.offline, a.precision_known)
        for a in table.latencies
    )
    powers = figure(table.idle_power), figure(table.busy_power)
    return Hardware(name, table.kind, *powers, table.memory, anchors)


@cache
def _read_hardware(path: Path) -> Hardware:
    return as_hardware(path.stem, _read_table(path))


@cache
def _read_table(path: Path) -> HardwareTable:
    try:
        return HardwareTable.model_validate(tomllib.loads(path.read_text()))
    except (ValidationError, tomllib.TOMLDecodeError) as error:
        msg = f"{path}: {error}"
        raise profiles.ProfileError(msg) from error


@cache
def _read_profile(path: Path) -> Profile:
    return profiles.read(path)


def _graph(variant: Variant) -> tuple[object, ...]:
    layers = tuple(replace(layer, takes=None) for layer in variant.layers)
    return layers, variant.cuts, variant.exits


def _edges_differ(one: Variant, other: Variant) -> bool:
    return bool(one.takes and other.takes) and one.takes != other.takes


@cache
def _answered(path: Path, forms: tuple[Variant, ...]) -> dict[str, Variant]:
    """The forms of a network with what was measured of their answers. Raises ProfileError."""
    from offload.dnn import answers

    found = {form.name: form for form in forms}
    for name, records in answers.read(path).items():
        if name not in found:
            msg = f"{path}: answers of {name}, of which there is no profile; there is {', '.join(found)}"
            raise profiles.ProfileError(msg)
        for record in records:
            why = _misfit(found[name], record)
            if why is not None:
                msg = f"{path}: {name}: {why}; measure again"
                raise profiles.ProfileError(msg)
        known = {(record.codec, record.cut): record.answers for record in records}
        raw = known.get((None, 0))
        if raw is None or len({(each.data, each.images) for each in known.values()}) > 1:
            msg = f"{path}: {name}: lacks answers to the same images with raw values; measure again"
            raise profiles.ProfileError(msg)
        found[name] = replace(
            found[name],
            accuracy=Figure(sum(raw.right[-1]) / raw.images, "measured", raw.data),
            codecs={(r.codec, r.cut): r.coded for r in records if r.codec and r.coded},
            answers=known,
        )
    return found


def _misfit(form: Variant, record: "Record") -> str | None:
    """Say what of a form's graph a record of answers contradicts."""
    exits = max(1, len(form.exits))
    if len(record.answers.right) != exits:
        return f"answers at {len(record.answers.right)} exits, where its profile has {exits}"
    if not 0 <= record.cut < form.last:
        return f"a codec at cut {record.cut}, where its profile has cuts before {form.last}"
    return None


def _inline(model: str, table: InlineModel) -> dict[str, list[Profile]]:
    """The profiles of a network that a scenario defines, by variant."""
    found: dict[str, list[Profile]] = {}
    for name, given in table.variants.items():
        layers = tuple(
            Layer(layer.name, "inline", "other", 0, 0, 0, 0, round(layer.output))
            for layer in given.layers
        )
        sizes = (0, *(layer.output_bytes for layer in layers))
        accuracy = Figure(**given.accuracy.model_dump()) if given.accuracy else None
        variant = Variant(
            model, name, given.precision, table.task, (), layers,
            tuple(Cut(after, size, 1) for after, size in enumerate(sizes)), accuracy,
            stated_bytes=given.weights,
        )  # fmt: skip
        found[name] = [_inline_profile(variant, *cost) for cost in given.costs.items()]
    return found


def _inline_profile(variant: Variant, hardware: str, cost: CostTable) -> Profile:
    alone = tuple(cost.seconds)
    layers_s = {1: alone}
    if cost.offline is not None:
        share = min(1.0, 1 / cost.offline / sum(alone))
        layers_s[64] = tuple(seconds * (1 + share * 63) for seconds in alone)
    return Profile(
        variant=variant,
        hardware=hardware,
        known=cost.known,
        source=cost.source,
        layers_s=layers_s,
        service="quantiles" if cost.service == "constant" else cost.service,
        cv=cost.cv or 0.0,
    )
