"""What a network to be captured is: how it is built, what it takes, and its forms."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from offload.entities import OffloadError
from offload.networks import Figure

MOST_NUMBERS = 100_000_000  # in one input of one example


class UnknownNetworkError(OffloadError):
    """A name, `module:factory` path or file that leads to no network, or one that cannot be used."""


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a network: its shape without the batch dimension, and its numbers.

    An example draws fractions from a normal distribution and whole numbers from 0 to `below` - 1.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32
    below: int = 2

    def draw(self, batch: int, generator: torch.Generator) -> torch.Tensor:
        """Return a batch of noise."""
        size = (batch, *self.shape)
        if self.dtype.is_floating_point:
            return torch.randn(size, generator=generator).to(self.dtype)
        return torch.randint(self.below, size, generator=generator).to(self.dtype)


@dataclass(frozen=True, slots=True)
class Network:
    """A network to capture and time: how to build it, what it takes, its ready-made forms.

    `build` is None where only the ready-made `forms` exist, `batch` a number where no other batch will
    do, and `draw`, given a batch, makes the example where noise will not do.
    """

    name: str
    build: Callable[[], nn.Module] | None
    inputs: tuple[Input, ...]
    task: str
    weights: str
    accuracies: Mapping[str, Figure] = field(default_factory=dict)
    forms: Mapping[str, Callable[[], nn.Module]] = field(default_factory=dict)
    batch: int | None = None
    draw: Callable[[int], tuple[torch.Tensor, ...]] | None = None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of the first input, without the batch dimension."""
        return self.inputs[0].shape

    def example(self, batch: int) -> tuple[torch.Tensor, ...]:
        """Return inputs for a batch. Raises UnknownNetworkError where it does not take such a one."""
        if self.batch not in (None, batch):
            msg = f"{self.name}: it was saved for a batch of {self.batch} and takes no batch of {batch}"
            raise UnknownNetworkError(msg)
        if self.draw is not None:
            return drawn(self.name, self.draw, batch)
        generator = torch.Generator().manual_seed(0)
        return tuple(each.draw(batch, generator) for each in self.inputs)


def parse_input(text: str) -> Input:
    """Read an input: "3,224,224", or "128:int64" for whole numbers. Raises UnknownNetworkError."""
    match = re.fullmatch(r"\s*([0-9]{1,8}(?:\s*,\s*[0-9]{1,8})*)\s*(?::\s*(\w+)\s*)?", text)
    shape = tuple(int(size) for size in match[1].split(",")) if match else ()
    dtype = _DTYPES.get(match[2] or "float32") if match else None
    if dtype is None or not 0 < math.prod(shape) <= MOST_NUMBERS:
        msg = (
            f"--input {text}: write the sizes without the batch, with commas, and a type if it is not"
            f' float32, like "3,224,224" or "128:int64"; types are {", ".join(_DTYPES)},'
            f" and there may be {MOST_NUMBERS:,} numbers"
        )
        raise UnknownNetworkError(msg)
    return Input(shape, dtype)


_DTYPES = {
    str(each).removeprefix("torch."): each
    for each in (torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.int32,
                 torch.uint8, torch.int8, torch.bool)
}  # fmt: skip


def drawn(
    name: str, draw: Callable[[int], tuple[torch.Tensor, ...]], batch: int
) -> tuple[torch.Tensor, ...]:
    """Let a user's function make an example, and see that it is one."""
    try:
        made = draw(batch)
    except (Exception, SystemExit) as error:
        msg = f"{name}: its example function raised {type(error).__name__}: {error}"
        raise UnknownNetworkError(msg) from error
    tensors = made if isinstance(made, tuple) else ()
    if not tensors or not all(
        isinstance(each, torch.Tensor) and each.dim() and each.shape[0] == batch for each in tensors
    ):
        msg = (
            f"{name}: its example function must return a tuple of tensors that begin with the batch,"
            f" here {batch}"
        )
        raise UnknownNetworkError(msg)
    return tensors
