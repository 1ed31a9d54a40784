"""Networks to be timed: each whole, and what is left of it after half of its layers."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from offload.dnn import graph, zoo


def parts(name: str) -> dict[str, Callable[[], object]]:
    """Return calls that run a network in fp32 and its second half, by name.

    Raises UnknownNetworkError.
    """
    network = zoo.network(name)
    example = network.example(1)
    captured = graph.capture(zoo.variant(network, "fp32"), example)
    half = len(captured.layers) / 2
    cut = min(range(len(captured.cuts)), key=lambda index: abs(captured.cuts[index].after - half))
    before, after = graph.split(captured, cut)
    with torch.inference_mode():
        crossing = tuple(before(*example))
    return {
        network.name: partial(_run, captured.module, example),
        f"{network.name} after layer {captured.cuts[cut].after}": partial(_run, after, crossing),
    }


def _run(module: Callable[..., Any], values: tuple[Any, ...]) -> None:
    with torch.inference_mode():
        module(*values)
