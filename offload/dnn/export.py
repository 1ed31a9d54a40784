"""Writes a variant as a file for another runtime, and looks at what that makes of it."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

from offload.dnn import compress, programs, pt2, zoo
from offload.dnn.network import Network
from offload.dnn.onnx_model import ExportError, Inputs, Session, exported, quantised

FORMATS = ("onnx", "pt2")
MOST_BYTES = 2_000_000_000  # of one ONNX file: its format holds no more

Loaded = Callable[..., tuple[Tensor, ...]]


@dataclass(frozen=True, slots=True)
class Difference:
    """How far a file's answers lie from those of the eager network.

    `largest` is the largest difference of any number of an output, `reach` the largest number in the
    outputs; `same` of `inputs` have their largest number in the same place in every output.
    """

    largest: float
    reach: float
    same: int
    inputs: int


def export(
    path: Path,
    form: str,
    network: Network,
    variant: str,
    inputs: Sequence[Inputs],
    calibration: Sequence[Inputs] | None = None,
) -> Difference:
    """Write a variant as "onnx" or "pt2" for a batch of one, load that file, and compare its answers.

    The file appears under its name once its runtime has loaded and run it on each of `inputs`.
    `calibration` sets the ranges of int8, in the file and in the network that it is compared with unless
    that is ready-made. Raises ExportError, ProgramError and UnknownNetworkError.
    """
    if form not in FORMATS:
        msg = f"{form}: no such format; known are {', '.join(FORMATS)}"
        raise ExportError(msg)
    label, example = f"{network.name}:{variant}", network.example(1)
    plain = eager = zoo.variant(network, "fp32" if variant == "int8" else variant)
    if variant in network.forms:
        eager = zoo.variant(network, variant)
    elif variant == "int8":  # of the same weights, which may be random
        eager = compress.int8(copy.deepcopy(plain), example, calibration)
    aside = path.with_name(f".partial-{path.stem}.{form}")
    try:
        if form == "pt2":
            loaded = _pt2(aside, label, eager, inputs[0])
        else:
            model = exported(label, plain, example)
            if variant == "int8":
                model = quantised(label, model, calibration or (example,))
            loaded = _onnx(aside, label, model)
        found = difference(loaded, eager, inputs)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return found


def _pt2(path: Path, label: str, eager: nn.Module, example: Inputs) -> Loaded:
    if isinstance(eager, fx.GraphModule):
        msg = (
            f"{label}: torch.export takes no network that torch.ao.quantization converted (its"
            " weights are packed), so there is no pt2 of it; write --format onnx"
        )
        raise ExportError(msg)
    programs.save_part(path, eager, example)
    module = pt2.read(path).module
    return lambda *inputs: tuple(tree_leaves(module(*inputs)))


def _onnx(path: Path, label: str, model: bytes) -> Loaded:
    if len(model) > MOST_BYTES:
        msg = f"{label}: {len(model) / 1e9:.1f} GB; an ONNX file holds {MOST_BYTES / 1e9:g} GB at most"
        raise ExportError(msg)
    path.write_bytes(model)
    return Session(label, path)


def difference(loaded: Loaded, eager: nn.Module, inputs: Sequence[Inputs]) -> Difference:
    """Compare what two networks answer to the same inputs, one after the other."""
    largest = reach = 0.0
    same = 0
    with torch.inference_mode():
        for given in inputs:
            mine = [each.float() for each in tree_leaves(eager(*given)) if isinstance(each, Tensor)]
            theirs = [each.float() for each in loaded(*given)]
            if [each.shape for each in mine] != [each.shape for each in theirs]:
                msg = "the file answers with tensors of other shapes than the network"
                raise ExportError(msg)
            pairs = list(zip(mine, theirs, strict=True))
            largest = max(largest, *(float((a - b).abs().max()) for a, b in pairs))
            reach = max(reach, *(float(a.abs().max()) for a in mine))
            same += all(int(a.argmax()) == int(b.argmax()) for a, b in pairs)
    return Difference(largest, reach, same, len(inputs))
