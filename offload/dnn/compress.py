"""Smaller forms of a network."""

import warnings
from collections.abc import Iterable

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

    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        return prepare_fx(network, get_default_qconfig_mapping("x86"), example)


def convert(watched: fx.GraphModule) -> fx.GraphModule:
    """Turn a network whose observers have seen inputs into int8."""
    from torch.ao.quantization.quantize_fx import convert_fx

    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        converted = convert_fx(watched)
    for node in converted.graph.nodes:
        if node.op == "call_method" and node.target == "view":
            node.target = "reshape"  # int8 layers put the channels last, where not every view exists
    converted.recompile()
    return converted
