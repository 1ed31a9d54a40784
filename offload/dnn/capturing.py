"""Says why torch could not capture a network: at which operator, and in which line of whose code."""

import contextlib
import io
import linecache
import logging
import re
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map

from offload.dnn.graph import Graph, capture, split
from offload.dnn.network import UnknownNetworkError, brief

_OURS = (str(Path(torch.__file__).parent), str(Path(__file__).parents[1]))
_STANDARD, _INSTALLED = sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")
_MEMORY = re.compile(r"tried to allocate (\d+) bytes")


def captured(name: str, network: nn.Module, example: tuple[torch.Tensor, ...]) -> Graph:
    """Capture a network. Raises UnknownNetworkError that says why torch refused it."""
    try:
        with quiet():
            return capture(network, example)
    except Exception as error:
        msg = f"{name}: torch cannot capture it: {why(error)}"
        raise UnknownNetworkError(msg) from error


def check_exact(name: str, network: nn.Module, graph: Graph, example: tuple[torch.Tensor, ...]) -> None:
    """Make sure that the captured network, whole and cut in its middle, answers as the network does.

    One does not that draws random numbers or remembers what it was asked before. Raises
    UnknownNetworkError.
    """
    with torch.inference_mode():
        answer = network(*_copied(example))
        if not same(graph.module(*_copied(example)), answer):
            msg = f"{name}: captured, it answers otherwise than before; does it draw random numbers?"
            raise UnknownNetworkError(msg)
        cut = len(graph.cuts) // 2
        before, after = split(graph, cut)
        if not same(after(*before(*_copied(example))), answer):
            msg = f"{name}: cut after layer {graph.cuts[cut].after}, it answers otherwise than whole"
            raise UnknownNetworkError(msg)


def same(one: object, other: object) -> bool:
    """Tell whether two nests of tensors hold the same numbers to the bit, in the same order."""
    mine, theirs = (
        [leaf for leaf in tree_leaves(each) if isinstance(leaf, torch.Tensor)] for each in (one, other)
    )
    return len(mine) == len(theirs) and all(map(_equal, mine, theirs))


def _equal(a: torch.Tensor, b: torch.Tensor) -> bool:
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    return torch.equal(a, b) or (
        a.is_floating_point() and torch.allclose(a, b, rtol=0, atol=0, equal_nan=True)
    )


def why(error: BaseException) -> str:
    """Return one line on why torch.export refused a network: operator, file and line, and its reason."""
    operator = place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        code, file = frame.f_code, frame.f_code.co_filename
        for name in ("self", "func"):
            called = frame.f_locals.get(name)
            if isinstance(called, torch._ops.OpOverload):  # noqa: SLF001 - torch exports no name for it
                operator = str(called)
            elif name == "func" and code.co_name == "__torch_function__":
                operator = getattr(called, "__qualname__", operator).replace("TensorBase", "Tensor")
        if _is_theirs(file):
            place = f"{file}:{line}: `{linecache.getline(file, line).strip()}`: "
    if memory := _MEMORY.search(str(error)):
        reason = f"it needs {int(memory[1]) / 1e9:.1f} GB at once, more than there is"
    elif type(error).__name__ == "GuardOnDataDependentSymNode":
        reason = "a branch or a size depends on computed values"
    else:
        reason = brief(error)
    return f"{place}{reason}" + (f" (at {operator})" if operator else "")


def _is_theirs(file: str) -> bool:
    """Tell whether a file is a user's, or of a library of networks: not torch's, ours or Python's."""
    if file.startswith(("<", *_OURS)):
        return False
    return file.startswith(_INSTALLED) or not file.startswith(_STANDARD)


def _copied(example: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return tree_map(torch.clone, example)  # type: ignore[no-any-return]  # of the same structure


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep torch.export from printing pages about a failure."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(level)
