"""Profile files: what was measured, on what, and how; checked when read."""

import json
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from offload.entities import OffloadError
from offload.networks import Cut, Figure, Known, Layer, Profile, Variant

MAX_BYTES = 8_000_000
QUANTILES = 100  # steps between the evenly spaced quantiles of the spread

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, lt=1e6)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False, lt=1e6)]
Count = Annotated[int, Field(ge=0, lt=10**15)]


class ProfileError(OffloadError):
    """A profile file that cannot be used; the message names the file and what is wrong."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class LayerRecord(_Record):
    """A layer as a file holds it; see `networks.Layer`."""

    name: str
    op: str
    kind: str
    flops: Count
    parameters: Count
    input_elements: Count
    output_elements: Count
    output_bytes: Count
    takes: Annotated[tuple[Count, ...], Field(max_length=1000)] | None = None


class CutRecord(_Record):
    """A cut as a file holds it; see `networks.Cut`."""

    after: Count
    payload_bytes: Count
    tensors: Count
    before_bytes: Count = 0
    after_bytes: Count = 0


class AccuracyRecord(_Record):
    """An accuracy, how it is known and where it stands."""

    value: Annotated[float, Field(ge=0, le=1)]
    known: Known
    source: str


class Part(_Record):
    """The two parts of a network at a cut, each timed by itself: means in seconds, batch 1."""

    after: Count
    before_s: NotNegative
    after_s: NotNegative


class Round(_Record):
    """One round of measurements at one batch size: means over `runs` runs.

    Of thread CPU time with one thread, of wall time with more. `parts` are the network divided at
    some cuts, to compare with sums of layers. `busy_share` is the share of wall time in which the thread
    did not run, `spin` the time of a fixed loop over the fastest of the session; a round is rejected on
    these two alone.
    """

    at: str
    batch: Annotated[int, Field(ge=1, le=4096)]
    runs: Count
    layers_s: list[NotNegative]
    end_to_end_s: Positive
    residual: float
    busy_share: float
    spin: float
    rejected: str = ""
    ratios: list[Positive] = []
    parts: list[Part] = []


class Machine(_Record):
    """Where and with what a profile was measured."""

    processor: str
    threads: int
    python: str
    torch: str
    system: str
    allocator: str


class ProfileFile(_Record):
    """A measured profile as it lies in a file."""

    format: Literal[1]
    model: str
    variant: str
    precision: str
    task: str
    input_shape: Annotated[list[Count], Field(min_length=1, max_length=8)]
    weights: str
    accuracy: AccuracyRecord | None
    hardware: str
    known: Literal["measured"]
    runtime: str = "eager"
    machine: Machine
    layers: Annotated[list[LayerRecord], Field(min_length=1, max_length=20_000)]
    cuts: Annotated[list[CutRecord], Field(min_length=2, max_length=20_001)]
    exits: list[Count] = []
    rounds: Annotated[list[Round], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for index, round_ in enumerate(self.rounds):
            if len(round_.layers_s) != len(self.layers):
                msg = (
                    f"rounds[{index}].layers_s has {len(round_.layers_s)} entries for"
                    f" {len(self.layers)} layers; measure again"
                )
                raise ValueError(msg)
            if sum(round_.layers_s) <= 0:
                msg = f"rounds[{index}].layers_s: the layers take no time at all"
                raise ValueError(msg)
        after = [cut.after for cut in self.cuts]
        if after[0] != 0 or after[-1] != len(self.layers) or sorted(set(after)) != after:
            msg = "cuts must rise from 0 (the input) to the number of layers (the result)"
            raise ValueError(msg)
        if not set(self.exits) <= set(after) or sorted(set(self.exits)) != self.exits:
            msg = "exits must rise and name cuts (the layers that have run when an answer is known)"
            raise ValueError(msg)
        if self.exits and self.exits[-1] != after[-1]:
            msg = f"exits must end with the last answer, known when all {after[-1]} layers have run"
            raise ValueError(msg)
        if not any(round_.batch == 1 and not round_.rejected for round_ in self.rounds):
            msg = "no accepted round at batch 1"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _edges(self) -> Self:
        for index, layer in enumerate(self.layers):
            if (layer.takes is None) != (self.layers[0].takes is None):
                msg = f"layers[{index}].takes: give it for all layers or for none"
                raise ValueError(msg)
            takes = layer.takes or ()
            if sorted(set(takes)) != list(takes) or max(takes, default=0) > index:
                msg = (
                    f"layers[{index}].takes must rise, and name layers before it by their numbers from"
                    " 1, or the input as 0"
                )
                raise ValueError(msg)
        return self


def read(path: Path) -> Profile:
    """Read a profile file. Raises ProfileError with every fault in it."""
    try:
        if path.stat().st_size > MAX_BYTES:
            msg = f"{path}: larger than {MAX_BYTES // 10**6} MB, which no profile is"
            raise ProfileError(msg)
        found = ProfileFile.model_validate_json(path.read_bytes())
    except OSError as error:
        msg = f"{path}: {error.strerror}"
        raise ProfileError(msg) from error
    except ValidationError as error:
        raise ProfileError("\n".join(_explain(path, error))) from error
    name = f"{found.model}.{found.variant}.{found.hardware}"
    if path.stem != name:
        msg = f'{path}: holds "{name}"; name the file after that'
        raise ProfileError(msg)
    return _profile(found)


def _explain(path: Path, error: ValidationError) -> list[str]:
    """Say what is wrong with a file, in our words."""
    told = []
    for fault in error.errors()[:20]:
        what = {
            "missing": "missing; measure again",
            "finite_number": "must be a finite number",
            "too_short": "give at least one",
        }.get(fault["type"], fault["msg"].removeprefix("Value error, "))
        what = what.replace("Invalid JSON: ", "not JSON: ")
        told.append(": ".join([str(path), *filter(None, [".".join(map(str, fault["loc"]))]), what]))
    return told


def write(path: Path, found: ProfileFile) -> None:
    """Write a profile file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".partial")
    text = json.dumps(found.model_dump(), separators=(",", ":"), allow_nan=False)
    # One line a layer, cut or round keeps differences between two measurements readable.
    aside.write_text(text.replace("},{", "},\n{").replace(":[{", ":[\n{") + "\n")
    aside.replace(path)


def residual(rounds: list[Round], batch: int = 1) -> float:
    """Return the median over accepted rounds of (sum of layers / end to end) - 1."""
    return float(np.median([r.residual for r in rounds if r.batch == batch and not r.rejected]))


def _profile(found: ProfileFile) -> Profile:
    accuracy = Figure(**found.accuracy.model_dump()) if found.accuracy else None
    variant = Variant(
        model=found.model,
        name=found.variant,
        precision=found.precision,
        task=found.task,
        input_shape=tuple(found.input_shape),
        layers=tuple(Layer(**layer.model_dump()) for layer in found.layers),
        cuts=tuple(Cut(**cut.model_dump()) for cut in found.cuts),
        accuracy=accuracy,
        runtime=found.runtime,
        exits=tuple([cut.after for cut in found.cuts].index(each) for each in found.exits),
    )
    layers_s: dict[int, tuple[float, ...]] = {}
    raw_sum_s: dict[int, float] = {}
    ratios: list[float] = []
    for batch in sorted({round_.batch for round_ in found.rounds}):
        rounds = [r for r in found.rounds if r.batch == batch and not r.rejected]
        if not rounds:
            continue
        layers = np.mean([r.layers_s for r in rounds], axis=0)
        end_to_end = float(np.mean([r.end_to_end_s for r in rounds]))
        raw_sum_s[batch] = float(layers.sum())
        layers_s[batch] = tuple((layers * (end_to_end / layers.sum())).tolist())
        if batch == 1:
            ratios = [
                ratio * round_.end_to_end_s / end_to_end for round_ in rounds for ratio in round_.ratios
            ]
    machine = found.machine
    first, last = found.rounds[0].at[:10], found.rounds[-1].at[:10]
    return Profile(
        variant=variant,
        hardware=found.hardware,
        known="measured",
        source=(
            f"{machine.processor}, {machine.threads} thread{'s' * (machine.threads > 1)},"
            f" {found.runtime}, torch {machine.torch},"
            f" {first}{'' if first == last else ' to ' + last}, {found.weights} weights"
        ),
        layers_s=layers_s,
        spread=spread(ratios),
        residual=residual(found.rounds),
        raw_sum_s=raw_sum_s,
    )


def spread(ratios: list[float]) -> tuple[float, ...]:
    """Return evenly spaced quantiles of run time over its mean, scaled to a mean of exactly one.

    The mean is that of the piecewise linear quantile function, from which runs are drawn.
    """
    if len(ratios) < 2:
        return (1.0,)
    quantiles = np.quantile(ratios, np.linspace(0, 1, QUANTILES + 1))
    return tuple((quantiles / np.trapezoid(quantiles, dx=1 / QUANTILES)).tolist())
