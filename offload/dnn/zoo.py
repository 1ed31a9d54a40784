"""Finds networks: those with a name, the user's own, saved programs; and builds them in their forms."""

import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_map

from offload.dnn import compress, pt2
from offload.dnn.named import NAMED, hide_broken_torchvision
from offload.dnn.network import Input, Network, UnknownNetworkError, drawn
from offload.entities import NAME_RULE, OffloadError, is_name

__all__ = ["NAMED", "Input", "Network", "UnknownNetworkError", "network", "precision", "variant"]

DERIVED = ("fp32", "bf16", "int8")


def network(name: str, inputs: tuple[Input, ...] = (), example: str = "") -> Network:
    """Return a named network, the user's own from `module:factory`, or a program saved as `FILE.pt2`.

    `inputs` say what it takes, or `example`, the `module:function` that makes a tuple of tensors for a
    batch; without either a user's network takes images of (3, 224, 224). Raises UnknownNetworkError and
    ProgramError.
    """
    if inputs and example:
        msg = f"{name}: give the shapes of its inputs or a function that makes them, not both"
        raise UnknownNetworkError(msg)
    if name.endswith(".pt2"):
        if inputs or example:
            msg = f"{name}: a saved program says itself what it takes; leave out --input and --example"
            raise UnknownNetworkError(msg)
        return _saved(Path(name))
    if name in NAMED:
        found = NAMED[name]
    elif ":" in name:
        found = Network(name.rpartition(":")[2], _found(name), (Input((3, 224, 224)),), "", "as built")
    else:
        known = ", ".join(NAMED)
        msg = f"{name}: no network of that name; known are {known}, or module:factory, or FILE.pt2"
        raise UnknownNetworkError(msg)
    if example:
        draw = _found(example)
        shown = tuple(Input(tuple(each.shape[1:]), each.dtype) for each in drawn(name, draw, 1))
        return replace(found, inputs=shown, draw=draw, accuracies={})
    if inputs and inputs != found.inputs:  # a published accuracy is that of one image size
        return replace(found, inputs=inputs, accuracies={})
    return found


def variant(network: Network, name: str) -> nn.Module:
    """Build a network in one of its forms, or in "fp32", "bf16" or "int8". Raises UnknownNetworkError.

    In bf16 it takes the same inputs and computes in bfloat16; int8 is `compress.int8`.
    """
    make = network.forms.get(name) or network.build
    if make is None or (name not in network.forms and name not in DERIVED):
        known = dict.fromkeys([*network.forms, *(DERIVED if network.build else ())])
        msg = f"{network.name}:{name}: no such variant; known are {', '.join(known)}"
        raise UnknownNetworkError(msg)
    built = _built(network.name, make)
    if name in network.forms or name == "fp32":
        return built
    if name == "bf16":
        built.to(torch.bfloat16).register_forward_pre_hook(lambda _, given: tree_map(_bf16, given))
        return built
    try:
        return compress.int8(built, network.example(1))
    except Exception as error:
        reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]:.200}"
        msg = f"{network.name}:int8: torch.ao.quantization cannot trace it ({reason})"
        raise UnknownNetworkError(msg) from error


def precision(variant: str) -> str:
    """Return the number format that a variant computes in: what a published figure must share."""
    kind = variant.split("-", maxsplit=1)[0]
    return kind if kind in ("int8", "bf16") else "fp32"


def _built(name: str, make: Callable[[], nn.Module]) -> nn.Module:
    try:
        built = make()
    except OffloadError:
        raise
    except (Exception, SystemExit) as error:
        msg = f"{name}: building it raised {type(error).__name__}: {error}"
        raise UnknownNetworkError(msg) from error
    if not isinstance(built, nn.Module):
        msg = f"{name}: the factory returned {type(built).__name__}, no torch.nn.Module"
        raise UnknownNetworkError(msg)
    return built.eval()


def _bf16(value: Any) -> Any:  # noqa: ANN401 - any argument
    is_fraction = isinstance(value, torch.Tensor) and value.is_floating_point()
    return value.bfloat16() if is_fraction else value


def _found(path: str) -> Callable[..., Any]:
    """Import what `module:name` names."""
    module, _, name = path.rpartition(":")
    hide_broken_torchvision()
    try:
        found = getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:  # a user's module may raise anything when imported
        msg = f"{path}: {type(error).__name__}: {error}"
        if isinstance(error, ImportError) and error.name == "torchvision":
            msg += "; the torchvision that is installed does not fit this torch"
        raise UnknownNetworkError(msg) from error
    if not callable(found):
        msg = f"{path}: {type(found).__name__}, which cannot be called; name a function or a class"
        raise UnknownNetworkError(msg)
    return found  # type: ignore[no-any-return]  # callable, as was just seen


def _saved(path: Path) -> Network:
    """A program that was saved by torch.export, in the form in which it was saved."""
    if not is_name(path.stem):
        msg = f"{path}: a network is named after its file, and {NAME_RULE}"
        raise UnknownNetworkError(msg)
    program = pt2.read(path)
    batches = {each.shape[0] for each in program.inputs}
    if len(batches) != 1:
        msg = (
            f"{path}: its inputs begin with {sorted(batches)}, so none of these sizes is that of a batch"
        )
        raise UnknownNetworkError(msg)
    any_batch = all(each.any_batch for each in program.inputs)
    kinds = {leaf.dtype for leaf in program.module.parameters() if leaf.is_floating_point()}
    form = "bf16" if kinds == {torch.bfloat16} else "fp32"
    module = _Resized(program.module) if any_batch else program.module
    return Network(
        path.stem,
        None,
        tuple(Input(each.shape[1:], each.dtype) for each in program.inputs),
        "",
        "as saved",
        forms={form: lambda: module},
        batch=None if any_batch else batches.pop(),
    )


class _Resized(nn.Module):
    """A program for any batch, to be captured anew for the one at hand."""

    def __init__(self, program: nn.Module) -> None:
        super().__init__()
        self.program = program

    def forward(self, *inputs: torch.Tensor) -> Any:  # noqa: ANN401 - as the program answers
        return self.program(*inputs)
