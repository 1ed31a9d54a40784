"""Saves a part of a network, and what crosses a cut, so that another process computes the very same.

A part in floating point is a program of torch.export. An int8 network cannot be exported: it is stored
whole (`stored`), and the other process reads and divides it anew. Nothing is pickled. Both need the same
torch, number of threads and kind of processor.
"""

import contextlib
import io
import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map

from offload.dnn import pt2
from offload.dnn.network import brief
from offload.dnn.pt2 import ProgramError

MAX_BYTES = 4_000_000_000

Part = Callable[..., tuple[torch.Tensor, ...]]


def save_part(path: Path, part: nn.Module, inputs: Sequence[Any]) -> None:
    """Save a part of a network as a program, `NAME.pt2`; `inputs` are values that it takes.

    Raises ProgramError for one that torch.export refuses, as int8 parts are.
    """
    with torch.inference_mode(mode=False), torch.no_grad(), contextlib.redirect_stdout(io.StringIO()):
        try:
            copies = tree_map(lambda value: value.detach().clone(), tuple(inputs))
            program = torch.export.export(part, copies)
        except Exception as error:
            msg = f"{path}: this part is no program to torch.export: {brief(error)}"
            raise ProgramError(msg) from error
    aside = path.with_name(f".partial-{path.stem}.pt2")
    try:
        torch.export.save(program, aside)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def load_part(path: Path) -> Part:
    """Load a part that takes what crossed the cut before it and returns what crosses the one after.

    Raises ProgramError.
    """
    module = pt2.read(path).module

    def run(*values: Any) -> tuple[torch.Tensor, ...]:  # noqa: ANN401 - tensors, or lists of them
        return tuple(tree_leaves(module(*tree_leaves(values))))

    return run


def save_tensors(path: Path, values: Sequence[Any]) -> None:
    """Save what crosses a cut: tensors or lists of them, quantised ones too, each laid out as it is.

    The layout matters: a kernel may round otherwise where the channels come last.
    """
    leaves: list[torch.Tensor] = []
    told: list[dict[str, Any]] = []

    def number(value: Any) -> Any:  # noqa: ANN401 - a tensor or a list
        if not isinstance(value, torch.Tensor):
            return [number(each) for each in value]
        # Where the numbers do not fill their memory, a copy does, in the same order of dimensions.
        value = value.detach()
        value = value if torch.ops.aten.is_non_overlapping_and_dense(value) else value.clone()
        told.append({"size": value.shape, "stride": value.stride()})
        value = value.as_strided((value.numel(),), (1,))
        if value.is_quantized:
            told[-1] |= {"scale": value.q_scale(), "zero_point": value.q_zero_point()}
            value = value.int_repr()
        leaves.append(value.clone())
        return len(leaves) - 1

    tree = number(list(values))
    flat = {str(index): leaf for index, leaf in enumerate(leaves)}
    write_tensors(path, flat, {"tree": json.dumps(tree), "layout": json.dumps(told)})


def load_tensors(path: Path) -> tuple[Any, ...]:
    """Load what `save_tensors` saved, with the same layout in memory. Raises ProgramError."""
    flat, metadata = read_tensors(path)
    try:
        told = json.loads(metadata["layout"])

        def value(index: Any) -> Any:  # noqa: ANN401 - a tensor or a list
            if isinstance(index, list):
                return [value(each) for each in index]
            return _laid_out(flat[str(index)], told[index])

        return tuple(value(json.loads(metadata["tree"])))
    except Exception as error:  # whatever a file that was tampered with leads to
        msg = f"{path}: holds no tensors that crossed a cut ({brief(error)})"
        raise ProgramError(msg) from error


def _laid_out(flat: torch.Tensor, told: dict[str, Any]) -> torch.Tensor:
    if "scale" in told:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # quantised tensors will go one day
            flat = torch._make_per_tensor_quantized_tensor(flat, told["scale"], told["zero_point"])  # noqa: SLF001 - there is no other
    return flat.as_strided(told["size"], told["stride"])


def write_tensors(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file whole or not at all."""
    aside = path.with_name(f".partial-{path.name}")
    try:
        safetensors.torch.save_file(tensors, aside, metadata)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Read a safetensors file: its tensors by name, and its metadata. Raises ProgramError."""
    try:
        if path.stat().st_size > MAX_BYTES:
            msg = f"{path}: larger than {MAX_BYTES / 1e9:g} GB, the most that is read"
            raise ProgramError(msg)
        with safetensors.safe_open(path, framework="pt") as file:
            # Copies, since kernels may round otherwise where memory is not aligned as torch aligns it.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - no mapping
            return tensors, file.metadata() or {}
    except OSError as error:
        msg = f"{path}: {error.strerror or error}"
        raise ProgramError(msg) from error
    except safetensors.SafetensorError as error:
        msg = f"{path}: no whole safetensors file ({brief(error)}); make it again"
        raise ProgramError(msg) from error
