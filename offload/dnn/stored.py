"""Trained networks in files: safetensors, and the steps from their architecture to their structure."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import nn

from offload.dnn import compress, structure
from offload.entities import OffloadError

MAX_BYTES = 2_000_000_000
MAX_STEPS, MAX_WIDTH = 8, 10_000
ENTRY = "offload"  # of the file's metadata: a JSON object
Numbers = Literal["fp32", "bf16", "int8", "int4", "sparse"]
Step = tuple[str | int, ...]

# What a file may ask to be done to its architecture before its weights go in; arguments are the paths of
# modules and numbers of channels or classes.
STEPS: dict[str, Callable[..., nn.Module]] = {
    "classes": structure.with_classes,
    "separable": structure.separable,
    "bottleneck": structure.with_bottleneck,
    "exits": structure.with_exits,
}


class StoredError(OffloadError):
    """A file of weights that cannot be used; the message names it and what is wrong."""


@dataclass(frozen=True, slots=True)
class Form:
    """How a network differs from its architecture: steps in order, then how its numbers are kept."""

    steps: tuple[Step, ...] = ()
    numbers: Numbers = "fp32"


def write(path: Path, network: nn.Module, form: Form, about: Mapping[str, str]) -> None:
    """Write a network's weights, whole or not at all.

    An int8 network is given as `compress.watch` returned it: what is kept are its weights and ranges,
    from which `compress.convert` makes the same network anywhere. Rounding to 4 bits happens here.
    """
    from safetensors.torch import save_file

    told = {**about, "format": 1, "steps": form.steps, "numbers": form.numbers}
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".partial")
    # One entry: the library puts several in any order, and the same network should be the same bytes.
    save_file(packed(network, form.numbers), aside, {ENTRY: json.dumps(told)})
    aside.replace(path)


def packed(network: nn.Module, numbers: Numbers) -> dict[str, torch.Tensor]:
    """Return the tensors that a file holds; counters of training steps are left out."""
    found: dict[str, torch.Tensor] = {}
    rounded = {f"{path}.weight" for path, _ in compress.but_first(network)}
    weights = {f"{path}.weight" for path, _ in compress.heavy(network)}
    for name, tensor in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        if numbers == "int4" and name in rounded:
            found[f"{name}:int4"], found[f"{name}:scale"] = compress.nibbles(tensor)
        elif numbers == "sparse" and name in weights:
            found[f"{name}:index"], found[f"{name}:value"] = compress.nonzeros(tensor)
        else:
            found[name] = tensor.contiguous().clone()
    return found


def bytes_of(tensors: Mapping[str, torch.Tensor]) -> int:
    """Return the bytes of the numbers themselves."""
    return sum(each.numel() * each.element_size() for each in tensors.values())


def about(path: Path) -> dict[str, Any]:
    """Return what a file says of itself; nothing if others wrote it. Raises StoredError."""
    return _open(path, tensors=False)[0]


def read(
    path: Path,
    build: Callable[[], nn.Module],
    input_shape: Sequence[int],
    example: tuple[torch.Tensor, ...] = (),
) -> nn.Module:
    """Return the network of a file in eval mode; `build` makes its architecture. Raises StoredError.

    One that takes other than an input of that shape is tried on an `example`.
    """
    told, tensors = _open(path)
    form = _form(path, told)
    example = example or (torch.zeros(1, *input_shape),)
    try:
        network = build()
        for name, *arguments in form.steps:
            network = STEPS[str(name)](network, *arguments)  # a KeyError is refused like any other
        plain = _unpacked(tensors, structure.fitted(network, _shapes(tensors)), form.numbers)
        network.eval().requires_grad_(requires_grad=False)
        if form.numbers == "int8":
            network = compress.watch(network, example)
        own = network.state_dict()
        steps = {name: own[name] for name in own if name.endswith("num_batches_tracked")}
        network.load_state_dict(steps | plain)
        if isinstance(network, torch.fx.GraphModule):
            network = compress.convert(network)
        if form.numbers == "bf16":
            network = compress.bf16(network)
        with torch.inference_mode():
            network(*example)
    except Exception as error:  # weights that fit nowhere can raise anything
        why = (str(error).splitlines() or [type(error).__name__])[-1].strip()
        msg = f"{path}: does not fit its architecture: {why}"
        raise StoredError(msg) from error
    return network.eval()


def start(path: Path, network: nn.Module) -> nn.Module:
    """Load weights into a network whose last layer may have other classes. Raises StoredError."""
    _, tensors = _open(path)
    last = structure.last_layer(network)
    own = network.state_dict()
    fits = {n: t for n, t in tensors.items() if n in own and own[n].shape == t.shape}
    odd = [
        n for n in own
        if n not in fits and not n.startswith(f"{last}.") and not n.endswith("num_batches_tracked")
    ]  # fmt: skip
    if odd:
        msg = f"{path}: {len(odd)} of the network's {len(own)} tensors are not in it, {odd[0]} for one"
        raise StoredError(msg)
    network.load_state_dict(fits, strict=False)
    return network


def _open(path: Path, *, tensors: bool = True) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        if path.stat().st_size > MAX_BYTES:
            msg = f"{path}: larger than {MAX_BYTES // 10**6} MB"
            raise StoredError(msg)
        with safe_open(path, "pt") as file:
            names = file.keys() if tensors else ()
            told = json.loads((file.metadata() or {}).get(ENTRY, "{}"))
            return dict(told), {name: file.get_tensor(name) for name in names}
    except (ValueError, TypeError, RecursionError) as error:
        msg = f"{path}: what it says of itself is no JSON object: {str(error).splitlines()[0]}"
        raise StoredError(msg) from error
    except (OSError, SafetensorError) as error:
        msg = f"{path}: no safetensors file: {error}"
        raise StoredError(msg) from error


def _form(path: Path, told: Mapping[str, Any]) -> Form:
    steps, numbers = told.get("steps", []), told.get("numbers", "fp32")
    if numbers not in get_args(Numbers) or not isinstance(steps, list) or len(steps) > MAX_STEPS:
        msg = f"{path}: says of itself what no file of `offload compress` does; make it again"
        raise StoredError(msg)
    if not all(isinstance(step, list) and step and all(map(_harmless, step)) for step in steps):
        msg = f"{path}: asks for steps that no file of `offload compress` asks for; make it again"
        raise StoredError(msg)
    return Form(tuple(tuple(step) for step in steps), numbers)


def _harmless(part: object) -> bool:
    return isinstance(part, str) or (type(part) is int and 0 < part <= MAX_WIDTH)


def _shapes(tensors: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _unpacked(
    tensors: Mapping[str, torch.Tensor], network: nn.Module, numbers: Numbers
) -> dict[str, torch.Tensor]:
    """Undo `packed`; the shapes of packed weights are those of the network."""
    own = network.state_dict()
    plain = {}
    for name, tensor in tensors.items():
        weight, _, part = name.partition(":")
        if numbers == "int4" and part == "int4":
            plain[weight] = compress.from_nibbles(tensor, tensors[f"{weight}:scale"], own[weight].shape)
        elif numbers == "sparse" and part == "index":
            plain[weight] = compress.from_nonzeros(tensor, tensors[f"{weight}:value"], own[weight].shape)
        elif not part:
            plain[name] = tensor
    return plain
