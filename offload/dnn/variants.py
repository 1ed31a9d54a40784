"""How each smaller form of a classifier is made."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from offload.dnn import compress, stored, structure, training
from offload.dnn.pictures import Pictures, Split
from offload.dnn.stored import Form, Numbers, Step
from offload.entities import OffloadError

Tune = Literal["whole", "last"]


@dataclass(frozen=True)
class Subject:
    """A classifier to be made smaller: its architecture, what it takes, and how it is trained.

    With `weights` training starts from that file, and `tune` says which layers learn.
    """

    name: str
    build: Callable[[], nn.Module]
    input_shape: tuple[int, ...]
    images: Split
    epochs: int
    weights: Path | None = None
    tune: Tune = "whole"

    @property
    def example(self) -> torch.Tensor:
        """An input of zeros."""
        return torch.zeros(1, *self.input_shape)

    @property
    def classes(self) -> int:
        """How many classes the images have."""
        return len(self.images.train.classes)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The steps from the architecture to a network of as many classes. Raises StructureError."""
        with torch.inference_mode():
            made = self.build().eval()(self.example)
        if not isinstance(made, torch.Tensor) or made.dim() != 2:
            msg = f"{self.name}: no classifier; one returns a tensor of logits (batch, classes)"
            raise structure.StructureError(msg)
        return () if made.shape[1] == self.classes else (("classes", self.classes),)

    def fresh(self, *, untrained: bool = False) -> nn.Module:
        """Return the network before its training here, with as many classes as the images have."""
        network = self.build()
        if self.weights and not untrained:
            stored.start(self.weights, network)
        return structure.with_classes(network, self.classes) if self.steps else network


@dataclass(frozen=True, slots=True)
class Made:
    """A variant: the network whose weights are kept, its form, and the same with plain fp32 numbers.

    Work and parameters are counted on `plain`. `confidence` is when to leave early, chosen on the
    validation images.
    """

    kept: nn.Module
    form: Form
    plain: nn.Module
    confidence: float | None = None


class Bench:
    """Where the variants of one seed are made, from one trained fp32 network or from the start."""

    def __init__(self, subject: Subject, seed: int) -> None:
        self.subject, self.seed = subject, seed
        # Makes a new copy each time; of the trained network as soon as there is one.
        self.base: Callable[[], nn.Module] = subject.fresh

    @cached_property
    def teacher(self) -> torch.Tensor:
        """What the fp32 network says to the training images."""
        return training.logits(self.base(), self.subject.images.train)

    @cached_property
    def elsewhere(self) -> dict[str, torch.Tensor]:
        """The weights of a network that was trained on the first half of the classes alone."""
        network = structure.with_classes(self.subject.build(), self.subject.classes // 2)
        training.train(
            network, first_half(self.subject.images), max(1, self.subject.epochs // 2), self.seed
        )
        return network.state_dict()

    def train(
        self, network: nn.Module, share: float = 1.0, rate: float = 4e-3, **how: object
    ) -> nn.Module:
        """Train for a share of the epochs."""
        epochs = max(1, round(share * self.subject.epochs))
        return training.train(network, self.subject.images, epochs, self.seed, rate=rate, **how)  # type: ignore[arg-type]

    def made(self, network: nn.Module, *steps: Step, numbers: Numbers = "fp32") -> Made:
        """Return what was made of the architecture by more steps."""
        return Made(network, Form((*self.subject.steps, *steps), numbers), network)

    def make(self, variant: str) -> Made:
        """Make a variant of RECIPES; the same seed makes the same on the same machine.

        Raises StructureError where a network does not lend itself to it.
        """
        torch.manual_seed(self.seed)
        try:
            return RECIPES[variant](self)
        except OffloadError:
            raise
        except Exception as error:  # libraries that rebuild networks refuse some in many ways
            why = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
            msg = f"{self.subject.name}: no {variant} of it can be made ({why}); name others"
            raise structure.StructureError(msg) from error


def _fp32(bench: Bench) -> Made:
    network = bench.subject.fresh()
    parts = None
    if bench.subject.tune == "last":
        parts = [network.get_submodule(structure.last_layer(network))]
    rate = 1e-3 if bench.subject.weights and parts is None else 4e-3
    return bench.made(bench.train(network, rate=rate, parts=parts))


def _bf16(bench: Bench) -> Made:
    base = bench.base()
    form = bench.made(base, numbers="bf16").form
    return Made(bench.base().to(torch.bfloat16), form, base)


def _int8(bench: Bench) -> Made:
    watched = compress.watch(bench.base(), (bench.subject.example,))
    with torch.inference_mode():
        for inputs in training.batches(bench.subject.images.train, 16):
            watched(*inputs)
    return Made(watched, bench.made(watched, numbers="int8").form, bench.base())


def _int4(bench: Bench) -> Made:
    return bench.made(bench.base(), numbers="int4")  # rounded when it is written


def _pruned(share: float) -> Callable[[Bench], Made]:
    def make(bench: Bench) -> Made:
        network = structure.pruned(bench.base(), share, bench.subject.example)
        return bench.made(bench.train(network, 0.5, 2e-3))

    return make


def _sparse(bench: Bench) -> Made:
    network = bench.base()
    masks = compress.smallest_masked(network, 0.8)
    compress.apply_masks(network, masks)
    bench.train(network, 0.25, 1e-3, after_step=lambda: compress.apply_masks(network, masks))
    return bench.made(network, numbers="sparse")


def _narrow(share: float, *, distilled: bool = False) -> Callable[[Bench], Made]:
    """Train from the start what pruning by this share leaves of the structure."""

    def make(bench: Bench) -> Made:
        network = structure.pruned(bench.subject.fresh(untrained=True), share, bench.subject.example)
        loss = training.distilling(bench.teacher) if distilled else training.cross_entropy
        torch.manual_seed(bench.seed)
        return bench.made(bench.train(structure.renewed(network), loss=loss))

    return make


def _separable(bench: Bench) -> Made:
    network = structure.separable(bench.subject.fresh(untrained=True))
    return bench.made(bench.train(network), ("separable",))


def _exits(bench: Bench) -> Made:
    """Train heads on the finished network, then all together; keep what validation likes better."""
    subject = bench.subject
    places = structure.nearest(bench.base(), subject.example, (1 / 3, 2 / 3))
    stages = [part for place in places for part in (place.path, place.channels)]
    network = structure.with_exits(bench.base(), subject.classes, *stages)
    bench.train(network, 0.25, parts=[*network.heads])
    together = bench.train(copy.deepcopy(network), 0.5, 2e-3)
    tried = [(training.answers(each, subject.images.validation), each) for each in (network, together)]
    found, best = max(tried, key=lambda pair: float(pair[0].right.mean()))
    made = bench.made(best, ("exits", subject.classes, *stages))
    return Made(made.kept, made.form, made.plain, training.least_confidence(found))


def _bottleneck(inside: int) -> Callable[[Bench], Made]:
    def make(bench: Bench) -> Made:
        (place,) = structure.nearest(bench.base(), bench.subject.example, (0.5,))
        network = structure.with_bottleneck(bench.base(), place.path, inside, place.channels)
        step = ("bottleneck", place.path, inside, place.channels)
        return bench.made(bench.train(network, 0.5, 2e-3), step)

    return make


FEW = 10  # images of a new class to train on, and as many to choose by


def first_half(images: Split) -> Split:
    """Return the images of the first half of the classes."""
    half = tuple(range(len(images.train.classes) // 2))
    return Split(images.train.only(half), images.validation.only(half), images.test.only(half))


def few_others(images: Split) -> Split:
    """Return a few images of each class of the other half, and all of its test images."""
    classes = len(images.train.classes)
    half = tuple(range(classes // 2, classes))
    return Split(
        images.train.only(half).first(FEW),
        images.validation.only(half).first(FEW),
        images.test.only(half),
    )


def _tuned(start: Literal["last", "whole", "scratch"]) -> Callable[[Bench], Made]:
    """Learn half of the classes from a few images each, after the other half or from nothing."""

    def make(bench: Bench) -> Made:
        subject = bench.subject
        if subject.classes < 4:
            msg = (
                f"{subject.name}: to learn half of {subject.classes} classes later is no trial; four are"
            )
            raise structure.StructureError(msg)
        images = few_others(subject.images)
        classes = len(images.train.classes)
        network = structure.with_classes(subject.build(), subject.classes // 2)
        if start != "scratch":
            network.load_state_dict(bench.elsewhere)
        torch.manual_seed(bench.seed)
        structure.with_classes(network, classes)
        parts = [network.get_submodule(structure.last_layer(network))] if start == "last" else None
        rate = 1e-3 if start == "whole" else 4e-3
        training.train(network, images, 10 * subject.epochs, bench.seed, rate=rate, parts=parts)
        return Made(network, Form((("classes", classes),)), network)

    return make


def possible(subject: Subject) -> list[str]:
    """Return the variants that images of so many classes allow."""
    return [name for name in RECIPES if subject.classes >= 4 or not name.startswith("tuned-")]


def tested_on(subject: Subject, variant: str) -> Pictures:
    """Return the test images that a variant is for."""
    return few_others(subject.images).test if variant.startswith("tuned-") else subject.images.test


RECIPES: dict[str, Callable[[Bench], Made]] = {
    "fp32": _fp32,
    "bf16": _bf16,
    "int8": _int8,
    "int4": _int4,
    "pruned-50": _pruned(0.5),
    "narrow-50": _narrow(0.5),
    "pruned-75": _pruned(0.75),
    "student": _narrow(0.75),
    "student-distilled": _narrow(0.75, distilled=True),
    "sparse-80": _sparse,
    "separable": _separable,
    "exits": _exits,
    "bottleneck-4": _bottleneck(4),
    "bottleneck-1": _bottleneck(1),
    "tuned-last": _tuned("last"),
    "tuned-whole": _tuned("whole"),
    "tuned-scratch": _tuned("scratch"),
}

WHAT = {
    "fp32": "trained",
    "bf16": "computed in bfloat16",
    "int8": "weights and values of 8 bits, ranges from 1 024 training images",
    "int4": "weights of 4 bits but in the first layer, no training after; computed in fp32",
    "pruned-50": "half of the channels pruned, then trained on",
    "narrow-50": "the structure of pruned-50 trained from the start",
    "pruned-75": "three quarters of the channels pruned, then trained on",
    "student": "the structure of pruned-75 trained from the start",
    "student-distilled": "the same, taught by fp32 too",
    "sparse-80": "80 % of the weights zero, then trained on; computed densely",
    "separable": "3x3 convolutions as single-channel ones and 1x1, trained from the start",
    "exits": "answers on the way too",
    "bottleneck-4": "4 feature maps cross in the middle",
    "bottleneck-1": "1 feature map crosses in the middle",
    "tuned-last": "trained on half of the classes; the last layer learns the others from 10 images each",
    "tuned-whole": "the same, and all layers learn",
    "tuned-scratch": "no training before those images",
}
