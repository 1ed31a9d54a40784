"""Every variant over several seeds: made, kept on disk, and measured on images it has never seen."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from offload.dnn import compress, stored, structure, training, variants
from offload.dnn.answers import Record
from offload.dnn.pictures import Pictures
from offload.dnn.variants import Bench, Made, Subject
from offload.networks import Answers

RECIPE = 1  # to be raised when a change makes networks that were kept stale
CONFIDENCES = (0.7, 0.9)  # thresholds that every network with exits is tried at, beside the chosen one


class Outcome(BaseModel):
    """How good answers are if images leave at the first exit that is this sure; None: at the end."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    confidence: float | None
    chosen: bool
    accuracy: float
    precision: float
    recall: float
    f1: float
    leaving: list[float]


class Trial(BaseModel):
    """One variant with one seed, as its file beside the network holds it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    variant: str
    seed: int
    settings: str
    task: str
    size_bytes: int
    parameters: int
    macs: int
    seconds: float
    exits: list[float]
    outcomes: list[Outcome]


def settings(subject: Subject) -> str:
    """Return a digest of what decides a trained network, but for its seed and its recipe's name."""
    weights = hashlib.blake2b(subject.weights.read_bytes()).hexdigest() if subject.weights else ""
    images = [
        part.digest for part in (subject.images.train, subject.images.validation, subject.images.test)
    ]
    told = [RECIPE, subject.name, subject.epochs, weights, subject.tune, *images]
    return hashlib.blake2b(json.dumps(told).encode(), digest_size=6).hexdigest()


def network_path(folder: Path, subject: Subject, variant: str, seed: int) -> Path:
    """Return where the network of a trial is kept."""
    return folder / f"seed-{seed}" / f"{subject.name}.{variant}.safetensors"


def run(
    subject: Subject,
    seeds: Sequence[int],
    names: Sequence[str],
    folder: Path,
    say: Callable[[Trial], None] = lambda _: None,
) -> list[Trial]:
    """Make and measure variants, seed by seed; what `folder` holds already is taken from there.

    Each finished one is kept at once. The fp32 network always comes first, since others start from it.
    One thread, so that sums are added in the same order on any number of cores.
    """
    mark = settings(subject)
    found = []
    with training.one_thread():
        for seed in seeds:
            bench = Bench(subject, seed)
            base = network_path(folder, subject, "fp32", seed)
            for variant in dict.fromkeys(("fp32", *names)):
                path = network_path(folder, subject, variant, seed)
                trial = _kept(path, mark) or _trial(bench, variant, path, mark)
                bench.base = partial(stored.read, base, subject.build, subject.input_shape)
                found.append(trial)
                say(trial)
    return found


def _kept(path: Path, mark: str) -> Trial | None:
    """Return a trial that was finished under these very settings."""
    try:
        trial = Trial.model_validate_json(path.with_suffix(".json").read_bytes())
    except (OSError, ValidationError):
        return None
    return trial if trial.settings == mark and path.is_file() else None


def _trial(bench: Bench, variant: str, path: Path, mark: str) -> Trial:
    begun = time.monotonic()
    subject = bench.subject
    made = bench.make(variant)
    told = {"model": subject.name, "variant": variant, "seed": str(bench.seed), "settings": mark}
    stored.write(path, made.kept, made.form, told)
    network = stored.read(path, subject.build, subject.input_shape)
    test = variants.tested_on(subject, variant)
    answered = training.answers(network, test)
    trial = Trial(
        variant=variant,
        seed=bench.seed,
        settings=mark,
        task=f"{len(test.classes)} classes",
        size_bytes=size(network, made),
        parameters=parameters(made),
        macs=macs(made.plain, subject.example),
        seconds=round(time.monotonic() - begun, 1),
        exits=[float(each) for each in answered.right.mean(1)],
        outcomes=list(_outcomes(answered, test, made.confidence)),
    )
    aside = path.with_suffix(".json.partial")
    aside.write_text(trial.model_dump_json(indent=1) + "\n")
    aside.replace(path.with_suffix(".json"))
    return trial


def _outcomes(answered: training.Answered, test: Pictures, chosen: float | None) -> Iterator[Outcome]:
    exits, images = answered.said.shape
    early = () if chosen is None else (chosen, *CONFIDENCES)
    for number, confidence in enumerate((None, *early)):
        leaving = answered.leaving(confidence)
        said = answered.said[leaving, np.arange(images)]
        found = training.scores(said, test.labels.numpy(), len(test.classes))
        yield Outcome(
            confidence=confidence,
            chosen=number == 1,
            accuracy=found.accuracy,
            precision=found.precision,
            recall=found.recall,
            f1=found.f1,
            leaving=[float((leaving == exit_).mean()) for exit_ in range(exits)],
        )


def size(network: nn.Module, made: Made) -> int:
    """Return the bytes of the numbers that have to be stored or sent, without names."""
    if made.form.numbers == "int8":
        return compress.int8_bytes(network)
    return stored.bytes_of(stored.packed(made.kept, made.form.numbers))


def parameters(made: Made) -> int:
    """Count weights; of a sparse network those that are not zero."""
    every = made.plain.parameters()
    if made.form.numbers == "sparse":
        return sum(int(each.count_nonzero()) for each in every)
    return sum(each.numel() for each in every)


def macs(network: nn.Module, example: torch.Tensor) -> int:
    """Count the multiply-accumulates of convolutions and linear layers for one input."""
    network.eval()
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(example)
    return int(counter.get_total_flops()) // 2


def times(
    networks: Mapping[str, nn.Module], example: torch.Tensor, runs: int = 200
) -> dict[str, tuple[float, ...]]:
    """Return for each network the mean CPU seconds until each exit at batch 1, one thread.

    The networks take turns, so that all meet the same machine. A quick look; `offload profile` measures
    in rounds.
    """
    totals: dict[str, np.ndarray] = {}
    stamps: list[int] = []
    hooks = [
        head.register_forward_hook(lambda *_: stamps.append(time.thread_time_ns()))
        for network in networks.values()
        if isinstance(network, structure.WithExits)
        for head in network.heads
    ]
    with training.one_thread(), torch.inference_mode():
        for run_ in range(-5, runs):
            for name, network in networks.items():
                stamps.clear()
                begun = time.thread_time_ns()
                network(example)
                stamps.append(time.thread_time_ns())
                if run_ >= 0:
                    totals[name] = totals.get(name, 0) + (np.array(stamps) - begun)
    for hook in hooks:
        hook.remove()
    return {name: tuple((total / runs * 1e-9).tolist()) for name, total in totals.items()}


def answers_to(images: Pictures, networks: Mapping[str, nn.Module]) -> list[Record]:
    """Return who answers these images right, for each variant, as a file of answers holds it."""
    found = []
    for variant, network in networks.items():
        answered = training.answers(network, images)
        right = tuple(each.astype(np.uint8).tobytes() for each in answered.right)
        sure = tuple(each.tobytes() for each in answered.confidence)
        found.append(Record(variant, None, 0, None, Answers(images.name, right, sure)))
    return found


def networks(
    subject: Subject, names: Sequence[str], folder: Path, seed: int = 0
) -> dict[str, nn.Module]:
    """Return the networks of one seed that were made for all of the classes, from their files."""
    return {
        name: stored.read(network_path(folder, subject, name, seed), subject.build, subject.input_shape)
        for name in names
        if not name.startswith("tuned-")
    }
