"""Networks of another structure: fewer channels, cheaper convolutions, exits, a bottleneck."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from offload.entities import OffloadError


class StructureError(OffloadError):
    """A network that cannot be rebuilt in the way asked for."""


@dataclass(frozen=True, slots=True)
class Place:
    """A module that everything passes: the channels it makes, and the share of the work done by then."""

    path: str
    channels: int
    done: float


def places(network: nn.Module, example: torch.Tensor) -> tuple[Place, ...]:
    """Return the stages of a network: the members of its longest chain of work, an `nn.Sequential`.

    Only those count that make feature maps (batch, channels, rows, columns).
    """
    found: dict[str, list[Place]] = {}
    counter = FlopCounterMode(display=False)
    chains = {
        f"{path}.{name}" if path else name: path
        for path, module in network.named_modules()
        if isinstance(module, nn.Sequential)
        for name, _ in module.named_children()
    }

    def watch(path: str) -> None:
        def seen(_module: nn.Module, _args: object, made: object) -> None:
            if isinstance(made, torch.Tensor) and made.dim() == 4 and made.shape[-1] > 1:
                place = Place(path, made.shape[1], counter.get_total_flops())
                found.setdefault(chains[path], []).append(place)

        hooks.append(network.get_submodule(path).register_forward_hook(seen))

    hooks: list[torch.utils.hooks.RemovableHandle] = []
    for path in chains:
        watch(path)
    network.eval()
    with torch.inference_mode(), counter:
        network(example)
    for hook in hooks:
        hook.remove()
    total = max(1, counter.get_total_flops())
    longest = max(found.values(), key=lambda chain: chain[-1].done - chain[0].done, default=[])
    return tuple(Place(place.path, place.channels, place.done / total) for place in longest)


def nearest(network: nn.Module, example: torch.Tensor, shares: Sequence[float]) -> list[Place]:
    """Return for each share of the work the stage after which about that much is done, all different.

    Raises StructureError where there are not so many stages.
    """
    left = list(places(network, example))
    found = []
    for share in shares:
        if not left:
            msg = f"{type(network).__name__}: no chain of {len(shares)} stages in it (an nn.Sequential)"
            raise StructureError(msg)
        found.append(min(left, key=lambda place: abs(place.done - share)))
        left.remove(found[-1])
    return sorted(found, key=lambda place: place.done)


def last_layer(network: nn.Module) -> str:
    """Return the path of the layer that makes the logits. Raises StructureError."""
    last = ""
    for path, layer in network.named_modules():
        last = path if isinstance(layer, nn.Linear | nn.Conv2d) else last
    if not last:
        msg = f"{type(network).__name__}: no linear layer or convolution in it"
        raise StructureError(msg)
    return last


def replace(network: nn.Module, path: str, new: nn.Module) -> None:
    """Put another module where one was."""
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, new)


def with_classes(network: nn.Module, classes: int) -> nn.Module:
    """Give the network a new, random last layer of so many classes."""
    path = last_layer(network)
    old = network.get_submodule(path)
    if isinstance(old, nn.Linear):
        replace(network, path, nn.Linear(old.in_features, classes, old.bias is not None))
    elif isinstance(old, nn.Conv2d):
        replace(network, path, nn.Conv2d(old.in_channels, classes, 1, bias=old.bias is not None))
    return network


def pruned(network: nn.Module, share: float, example: torch.Tensor) -> nn.Module:
    """Take this share of the channels out of every layer, the least in norm (structured pruning).

    Channels that are added to each other leave together (DepGraph, Fang et al. 2023, torch-pruning).
    """
    try:
        import torch_pruning
    except ImportError as error:
        msg = 'pruning needs torch-pruning: pip install "offload[zoo]"'
        raise StructureError(msg) from error

    network.eval().requires_grad_(
        requires_grad=True
    )  # it follows gradients to see what belongs together
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch_pruning.pruner.BasePruner(
            network,
            example,
            importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
            pruning_ratio=share,
            ignored_layers=[network.get_submodule(last_layer(network))],
        ).step()
    return network


def renewed(network: nn.Module) -> nn.Module:
    """Forget all weights: the same structure, to be trained from the start."""
    for module in network.modules():
        if callable(reset := getattr(module, "reset_parameters", None)):
            reset()
    return network


def fitted(network: nn.Module, shapes: Mapping[str, Sequence[int]]) -> nn.Module:
    """Give convolutions, norms and linear layers the widths of these weights' shapes."""
    for path, layer in network.named_modules():
        shape = tuple(shapes.get(f"{path}.weight", ()))
        weight = getattr(layer, "weight", None)
        if not isinstance(weight, torch.Tensor) or not shape or tuple(weight.shape) == shape:
            continue
        if isinstance(layer, nn.Conv2d) and len(shape) == 4:
            depthwise = layer.groups == layer.in_channels > 1
            layer.groups = shape[0] if depthwise else layer.groups
            layer.out_channels, layer.in_channels = shape[0], shape[1] * layer.groups
        elif isinstance(layer, nn.Linear) and len(shape) == 2:
            layer.out_features, layer.in_features = shape
        elif isinstance(layer, nn.BatchNorm2d) and len(shape) == 1:
            layer.num_features = shape[0]
            layer.running_mean, layer.running_var = torch.zeros(shape), torch.ones(shape)
        else:
            msg = f"{path}: a {type(layer).__name__} cannot take weights of shape {shape}"
            raise StructureError(msg)
        layer.weight = nn.Parameter(torch.empty(shape))
        if layer.bias is not None:
            layer.bias = nn.Parameter(torch.empty(shape[0]))
    return network


def separable(network: nn.Module) -> nn.Module:
    """Divide every full convolution in a 3x3 (or larger) one of single channels and a 1x1 one.

    Norm and activation between the two as in MobileNet (Howard et al. 2017). The first convolution, of
    few channels, stays.
    """
    for path, layer in list(network.named_modules()):
        if isinstance(layer, nn.Conv2d) and layer.groups == 1 and layer.in_channels > 3:
            if set(layer.kernel_size) == {1}:
                continue
            how: dict[str, Any] = {
                "kernel_size": layer.kernel_size, "stride": layer.stride, "padding": layer.padding,
                "dilation": layer.dilation, "groups": layer.in_channels, "bias": False,
            }  # fmt: skip
            own = nn.Conv2d(layer.in_channels, layer.in_channels, **how)
            point = nn.Conv2d(layer.in_channels, layer.out_channels, 1, bias=layer.bias is not None)
            norm = nn.BatchNorm2d(layer.in_channels)
            replace(network, path, nn.Sequential(own, norm, nn.ReLU(inplace=True), point))
    return network


def with_bottleneck(network: nn.Module, path: str, inside: int, channels: int) -> nn.Module:
    """Squeeze the `channels` feature maps that a stage makes through `inside` of them.

    What crosses a cut after the first of the two 1x1 convolutions and its norm is `inside` maps.
    """
    encoder = nn.Sequential(nn.Conv2d(channels, inside, 1, bias=False), nn.BatchNorm2d(inside))
    decoder = nn.Sequential(
        nn.Conv2d(inside, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)
    )
    replace(network, path, nn.Sequential(network.get_submodule(path), encoder, decoder))
    return network


class Answered(list[torch.Tensor]):
    """What the exits of a network have answered in this run.

    A type of its own, since torch.export puts a plain list back as it found it, in a copy.
    """


class Exit(nn.Module):
    """A stage of a network and the head that answers from what it makes."""

    def __init__(self, stage: nn.Module, head: nn.Module, answered: Answered) -> None:
        super().__init__()
        self.stage, self.head, self._answered = stage, head, answered

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the stage makes, for the rest of the network."""
        made = self.stage(x)
        self._answered.append(self.head(made))
        return made  # type: ignore[no-any-return]  # a module


class WithExits(nn.Module):
    """A network that answers on the way too (BranchyNet, Teerapittayanon et al. 2016).

    Returns a tuple of logits, one an exit in the order in which they are known, the last the end. All
    are computed; who leaves where is for the caller to decide.
    """

    answers_early = True  # what its profile tells of each output: when it is known

    def __init__(self, network: nn.Module, stages: Sequence[str], heads: Sequence[nn.Module]) -> None:
        super().__init__()
        self.network = network
        self._answered = Answered()
        for path, head in zip(stages, heads, strict=True):
            replace(network, path, Exit(network.get_submodule(path), head, self._answered))

    @property
    def heads(self) -> list[nn.Module]:
        """What answers early, in the order of the network's modules."""
        return [module.head for module in self.network.modules() if isinstance(module, Exit)]

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the logits of each exit; a head runs as soon as its stage has."""
        self._answered.clear()  # a run that failed may have left some
        end = self.network(x)
        answers = (*self._answered, end)
        self._answered.clear()
        return answers


def with_exits(network: nn.Module, classes: int, *stages: str | int) -> WithExits:
    """Add a head after each of some stages: path, channels that it makes, path, channels, ..."""
    return WithExits(
        network,
        [str(path) for path in stages[::2]],
        [_head(int(channels), classes) for channels in stages[1::2]],
    )


def _head(channels: int, classes: int) -> nn.Module:
    """A convolution, a mean over what it sees, and a linear layer: cheap beside the network."""
    inside = min(2 * channels, 64)
    return nn.Sequential(
        nn.Conv2d(channels, inside, 3, 2, 1, bias=False), nn.BatchNorm2d(inside), nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inside, classes),
    )  # fmt: skip
