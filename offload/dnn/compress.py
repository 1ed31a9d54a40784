"""Smaller numbers for a network's weights and values: int8, bf16, int4, and weights that are zero."""

import copy
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import fx, nn


def int8(
    network: nn.Module,
    example: tuple[torch.Tensor, ...],
    calibration: Iterable[tuple[torch.Tensor, ...]] | None = None,
) -> fx.GraphModule:
    """Return the network with 8-bit weights and activations for x86 (post-training, static).

    Ranges come from the `calibration` inputs. From the example alone they decide nothing about speed,
    but accuracy must then come from elsewhere. `torch.ao.quantization` is deprecated, but its successor
    needs a compiler at run time.
    """
    watched = watch(network, example)
    with torch.inference_mode():
        for inputs in calibration or (example,):
            watched(*inputs)
    return convert(watched)


def watch(network: nn.Module, example: tuple[torch.Tensor, ...]) -> fx.GraphModule:
    """Return the network with observers that note the range of every value; none has seen any yet.

    The ranges are buffers of its state: plain tensors, from which the same int8 network can be made
    elsewhere.
    """
    from torch.ao.quantization import get_default_qconfig_mapping
    from torch.ao.quantization.quantize_fx import prepare_fx

    with warnings.catch_warnings(), torch.no_grad():  # inference tensors could not be loaded into
        warnings.simplefilter("ignore")
        return prepare_fx(network, get_default_qconfig_mapping("x86"), example)


def convert(watched: fx.GraphModule) -> fx.GraphModule:
    """Turn a network whose observers have seen inputs into int8."""
    from torch.ao.quantization.quantize_fx import convert_fx

    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        return convert_fx(watched)


def int8_bytes(converted: nn.Module) -> int:
    """Return what an int8 network's numbers take: a byte a weight, four a bias and a channel's scale."""
    found = 0
    module: Any  # a quantised layer's weight is a method
    for module in converted.modules():
        if callable(getattr(module, "weight", None)):
            weight, bias = module.weight(), module.bias()
            found += weight.numel() + 4 * len(weight) + (0 if bias is None else 4 * bias.numel())
    return found


class BrainFloat(nn.Module):
    """A network in bfloat16 that takes and gives float32."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.to(torch.bfloat16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        return self.network(x.bfloat16()).float()  # type: ignore[no-any-return]  # a module


def bf16(network: nn.Module) -> nn.Module:
    """Return a copy of the network that computes in bfloat16."""
    return BrainFloat(copy.deepcopy(network))


def heavy(network: nn.Module) -> Iterator[tuple[str, nn.Conv2d | nn.Linear]]:
    """Yield the layers that hold nearly all weights, with their paths."""
    for path, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            yield path, layer


def but_first(network: nn.Module) -> Iterator[tuple[str, nn.Conv2d | nn.Linear]]:
    """Yield those layers but the first, whose few weights lose most when they are rounded."""
    yield from list(heavy(network))[1:]


def int4(network: nn.Module) -> nn.Module:
    """Return a copy with weights of 4 bits in every layer but the first (post-training).

    It computes in fp32, since torch has no 4-bit convolution on CPUs: smaller to store and to send, no
    faster.
    """
    network = copy.deepcopy(network)
    for _, layer in but_first(network):
        weight = layer.weight.detach()
        layer.weight = nn.Parameter(from_nibbles(*nibbles(weight), weight.shape), requires_grad=False)
    return network


def nibbles(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Round weights to -7..7 times a scale for each output channel; two to a byte, and the scales.

    A scale is the one of least squared error among 60, from 0.4 to 1 of what fits the largest weight.
    """
    rows = weight.flatten(1)
    largest = rows.abs().amax(1, keepdim=True).clamp_min(1e-12) / 7
    best, error = largest, torch.full_like(largest, torch.inf)
    for share in torch.linspace(0.4, 1.0, 60):
        scale = largest * share
        rounded = (rows / scale).round().clamp(-7, 7) * scale
        off = (rounded - rows).square().sum(1, keepdim=True)
        best, error = torch.where(off < error, scale, best), torch.minimum(off, error)
    whole = ((rows / best).round().clamp(-7, 7) + 8).to(torch.uint8).flatten()
    whole = nn.functional.pad(whole, (0, whole.numel() % 2))
    return whole[::2] * 16 + whole[1::2], best.flatten()


def from_nibbles(pairs: torch.Tensor, scale: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Undo `nibbles`, but for the rounding."""
    size = torch.Size(shape).numel()
    whole = torch.stack([pairs // 16, pairs % 16], 1).flatten()[:size].float() - 8
    return (whole.view(len(scale), -1) * scale[:, None]).view(*shape)


def smallest_masked(network: nn.Module, share: float) -> dict[str, torch.Tensor]:
    """Return masks (0 or 1) that leave out this share of all weights, the least in magnitude."""
    weights = {path: layer.weight.detach().abs() for path, layer in heavy(network)}
    every = torch.cat([each.flatten() for each in weights.values()])
    least = every.kthvalue(max(1, round(share * every.numel()))).values
    return {path: (each > least).float() for path, each in weights.items()}


def apply_masks(network: nn.Module, masks: dict[str, torch.Tensor]) -> None:
    """Set masked weights to zero, in place."""
    with torch.no_grad():
        for path, mask in masks.items():
            network.get_parameter(f"{path}.weight").mul_(mask)


def nonzeros(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return where weights are not zero (16 bits each where those are enough), and the weights there."""
    flat = weight.contiguous().flatten()
    index = flat.nonzero().flatten()
    return index.to(torch.uint16 if flat.numel() <= 1 << 16 else torch.int32), flat[index].clone()


def from_nonzeros(index: torch.Tensor, value: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Undo `nonzeros`."""
    flat = torch.zeros(torch.Size(shape).numel())
    flat[index.long()] = value
    return flat.view(*shape)
