"""The networks that have a name here, where each comes from, and how accurate it is said to be."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from offload.dnn import compress
from offload.entities import OffloadError
from offload.networks import Figure


class UnknownNetworkError(OffloadError):
    """A network's name or `module:factory` path leads to no network."""


@dataclass(frozen=True, slots=True)
class Network:
    """A network to capture and time: how to build it and what it takes."""

    name: str
    build: Callable[[], nn.Module]
    input_shape: tuple[int, ...]
    task: str
    weights: str
    accuracies: dict[str, Figure]

    def example(self, batch: int) -> tuple[torch.Tensor, ...]:
        """Return a batch of noise of the right shape."""
        generator = torch.Generator().manual_seed(0)
        return (torch.randn(batch, *self.input_shape, generator=generator),)


_TORCHVISION = "torchvision 0.28 model weights {}, top-1 on ImageNet-1k (single crop, 224 px)"


def _top1(percent: float, weights: str) -> Figure:
    return Figure(percent / 100, "published", _TORCHVISION.format(weights))


# Name: (module of pytorchcv.models, factory, pixels, top-1 by variant). The accuracies are those of
# trained torchvision networks of the same architecture; what is timed carries random weights.
NAMED: dict[str, tuple[str, str, int, dict[str, Figure]]] = {
    "alexnet": ("alexnet", "alexnetb", 224, {
        "fp32": _top1(56.522, "AlexNet IMAGENET1K_V1")}),
    "vgg16": ("vgg", "vgg16", 224, {
        "fp32": _top1(71.592, "VGG16 IMAGENET1K_V1")}),
    "vgg19": ("vgg", "vgg19", 224, {
        "fp32": _top1(72.376, "VGG19 IMAGENET1K_V1")}),
    "resnet18": ("resnet", "resnet18", 224, {
        "fp32": _top1(69.758, "ResNet18 IMAGENET1K_V1"),
        "int8": _top1(69.494, "quantization.ResNet18 IMAGENET1K_FBGEMM_V1")}),
    "resnet50": ("resnet", "resnet50b", 224, {
        "fp32": _top1(76.130, "ResNet50 IMAGENET1K_V1"),
        "int8": _top1(75.920, "quantization.ResNet50 IMAGENET1K_FBGEMM_V1")}),
    "mobilenetv2": ("mobilenetv2", "mobilenetv2_w1", 224, {
        "fp32": _top1(71.878, "MobileNet_V2 IMAGENET1K_V1"),
        "int8": _top1(71.658, "quantization.MobileNet_V2 IMAGENET1K_QNNPACK_V1")}),
    "squeezenet": ("squeezenet", "squeezenet_v1_0", 224, {
        "fp32": _top1(58.092, "SqueezeNet1_0 IMAGENET1K_V1")}),
    "densenet121": ("densenet", "densenet121", 224, {
        "fp32": _top1(74.434, "DenseNet121 IMAGENET1K_V1")}),
    "mobilenetv1": ("mobilenet", "mobilenet_w1", 224, {}),
    "inceptionv4": ("inceptionv4", "inceptionv4", 299, {}),
    # Version 1 proper (stride in the first 1x1 convolution) at 299 pixels, as Coral timed it.
    "resnet50v1-299": ("resnet", "resnet50", 299, {}),
    "resnet50v2-299": ("preresnet", "preresnet50", 299, {}),
    "resnet152-299": ("resnet", "resnet152", 299, {}),
}  # fmt: skip


def network(name: str, input_shape: tuple[int, ...] | None = None) -> Network:
    """Return a named network, or the user's own from `module:factory`.

    `input_shape` is the shape of one input without its batch dimension; a user's network takes
    (3, 224, 224) unless told. Raises UnknownNetworkError.
    """
    if name in NAMED:
        module, factory, pixels, accuracies = NAMED[name]
        try:
            build = getattr(importlib.import_module(f"pytorchcv.models.{module}"), factory)
        except ImportError as error:
            msg = f'{name} needs pytorchcv: pip install "offload[zoo]" ({error})'
            raise UnknownNetworkError(msg) from error
        shape = input_shape or (3, pixels, pixels)
        if name.endswith("-299"):
            build = _pooled_whole(build)
        return Network(name, build, shape, "classification", "random", accuracies)
    if ":" not in name:
        msg = f"{name}: no network of that name; known are {', '.join(NAMED)}, or module:factory"
        raise UnknownNetworkError(msg)
    path, _, factory = name.partition(":")
    try:
        build = getattr(importlib.import_module(path), factory)
    except Exception as error:  # a user's module may raise anything when imported
        msg = f"{name}: {type(error).__name__}: {error}"
        raise UnknownNetworkError(msg) from error
    return Network(factory, build, input_shape or (3, 224, 224), "", "as built", {})


def _pooled_whole(build: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """Average over whatever is left of the image, where pytorchcv expects 7x7 of it."""

    def built() -> nn.Module:
        module = build()
        module.features.final_pool = nn.AdaptiveAvgPool2d(1)  # type: ignore[union-attr]  # theirs have
        return module

    return built


def variant(network: Network, name: str) -> nn.Module:
    """Build a network in the form that `name` says: "fp32" or "int8"."""
    try:
        built = network.build()
    except Exception as error:
        msg = f"{network.name}: building it raised {type(error).__name__}: {error}"
        raise UnknownNetworkError(msg) from error
    if not isinstance(built, nn.Module):
        msg = f"{network.name}: the factory returned {type(built).__name__}, no torch.nn.Module"
        raise UnknownNetworkError(msg)
    built.eval()
    if name == "fp32":
        return built
    if name == "int8":
        return compress.int8(built, network.example(1))
    msg = f"{name}: no such variant; known are fp32 and int8"
    raise UnknownNetworkError(msg)


def precision(variant: str) -> str:
    """Return the number format that a variant computes in: what a published figure must share."""
    kind = variant.split("-", maxsplit=1)[0]
    return kind if kind in ("int8", "bf16") else "fp32"
