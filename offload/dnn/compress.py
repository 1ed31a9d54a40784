"""Smaller forms of a network."""

import warnings

import torch
from torch import fx, nn


def int8(network: nn.Module, example: tuple[torch.Tensor, ...]) -> fx.GraphModule:
    """Return the network with 8-bit weights and activations for x86 (post-training, static).

    Calibrated on the example alone, which fixes the ranges that decide nothing about speed;
    accuracy must come from elsewhere. `torch.ao.quantization` is deprecated, but its successor
    needs a compiler at run time.
    """
    from torch.ao.quantization import get_default_qconfig_mapping
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        prepared = prepare_fx(network, get_default_qconfig_mapping("x86"), example)
        prepared(*example)
        return convert_fx(prepared)
