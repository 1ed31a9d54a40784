"""The networks and the hardware that are known: shipped, the user's own, or a scenario's."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from pydantic import ValidationError

from offload.dnn import hardware as rescaling
from offload.dnn import profiles
from offload.entities import Anchor, Hardware
from offload.networks import Cut, Figure, Layer, Profile, Variant
from offload.scenario.schema import CostTable, HardwareTable, InlineModel, Value
from offload.shipped import DATA


class Catalogue:
    """Finds profiles and hardware by name. Files are read when first needed."""

    def __init__(
        self,
        folder: Path | None = None,
        models: Mapping[str, InlineModel] | None = None,
        hardware: Mapping[str, HardwareTable] | None = None,
    ) -> None:
        """Look in the shipped data, in the user's `folder` of profiles, and in a scenario's tables.

        A user's own profile replaces a shipped one of the same name.
        """
        self._files: dict[str, dict[str, Path]] = {}
        for each in (DATA / "profiles", *((folder,) if folder else ())):
            for path in sorted(each.glob("*.json")):
                model = path.name.split(".")[0]
                self._files.setdefault(model, {})[path.name] = path
        self._inline = {name: _inline(name, model) for name, model in (models or {}).items()}
        self._hardware = {path.stem: path for path in sorted((DATA / "hardware").glob("*.toml"))}
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

    def variants(self, model: str) -> list[Variant]:
        """Return the known forms of a network; none if it is unknown. Raises ProfileError."""
        if model in self._inline:
            return [found[0].variant for found in self._inline[model].values()]
        return list({p.variant.name: p.variant for p in self.measured(model)}.values())

    def measured(self, model: str) -> list[Profile]:
        """Return the measured profiles of a network, one Variant for each form. Raises ProfileError."""
        if model not in self._measured:
            forms: dict[str, Variant] = {}
            found = []
            for path in self._files.get(model, {}).values():
                profile = _read_profile(path)
                form = forms.setdefault(profile.variant.name, profile.variant)
                if (form.layers, form.cuts) != (profile.variant.layers, profile.variant.cuts):
                    msg = f"{path}: its layers are not those of the other profiles of {form.label}"
                    raise profiles.ProfileError(msg)
                found.append(replace(profile, variant=form))
            self._measured[model] = found
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
            self._rescaled[variant, hardware] = self._rescale(here[0], self.hardware(hardware))
        return self._rescaled[variant, hardware]

    def _rescale(self, measured: Profile, target: Hardware) -> Profile | None:
        anchors = target.anchors
        graphs = {
            (a.model, a.pixels): variant for a in anchors for variant in self._at_size(a.model, a.pixels)
        }
        references = [profile for a in anchors for profile in self.measured(a.model)]
        return rescaling.rescale(measured, target, graphs, references)

    def _at_size(self, model: str, pixels: int) -> Iterable[Variant]:
        """Any form of a network at this size."""
        return [v for v in self.variants(model) if v.input_shape[-1] == pixels][:1]


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
    try:
        return as_hardware(path.stem, HardwareTable.model_validate(tomllib.loads(path.read_text())))
    except (ValidationError, tomllib.TOMLDecodeError) as error:
        msg = f"{path}: {error}"
        raise profiles.ProfileError(msg) from error


@cache
def _read_profile(path: Path) -> Profile:
    return profiles.read(path)


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
