"""The parts of networks that a process runs, ready to run: captured, cut, warmed up."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

from offload.dnn.capturing import captured
from offload.dnn.codec import Codec, decode, named
from offload.dnn.graph import Graph, part
from offload.dnn.pictures import NORMAL
from offload.dnn.pixels import Pixels
from offload.entities import OffloadError

WARM_UP = 5
RAW = named("raw")
JPEG = 90  # the quality in which a camera gives its frames
SLACK_BYTES = 4096


class PartError(OffloadError):
    """Tensors that a part of a network cannot take, or a part that is not there."""


@dataclass(frozen=True, slots=True)
class Key:
    """A part: of which network, from which cut to which."""

    variant: str
    first: int
    last: int


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A part for a number of inputs at once, and an example of what it takes for one."""

    module: fx.GraphModule
    example: tuple[Tensor, ...]

    @property
    def takes(self) -> list[tuple[object, ...]]:
        """What it takes for one input, each by shape and type."""
        return [_kind(each) for each in self.example]


class Parts:
    """Parts of networks, made when they are first asked for and kept.

    `build` makes a network by its label, in the same state in every process, and `example` its inputs
    for a batch.
    """

    def __init__(
        self, build: Callable[[str], nn.Module], example: Callable[[str, int], tuple[Tensor, ...]]
    ) -> None:
        self.build, self.example = build, example
        self.networks: dict[str, nn.Module] = {}
        self.graphs: dict[tuple[str, int], Graph] = {}
        self.parts: dict[tuple[Key, int], _Part] = {}

    def prepare(self, keys: Iterable[Key], batches: Sequence[int] = (1,)) -> None:
        """Make parts, and run each until it has its memory and its caches."""
        for key in keys:
            for batch in batches:
                example = self._part(key, batch).example
                for _ in range(WARM_UP):
                    self.run(key, [example] * batch)

    def cuts(self, variant: str) -> int:
        """Return how many cuts a network has."""
        return len(self._graph(variant, 1).cuts)

    def run(self, key: Key, inputs: Sequence[tuple[Tensor, ...]]) -> list[tuple[Tensor, ...]]:
        """Run a part on several inputs at once; return what crosses its last cut for each."""
        found = self._part(key, len(inputs))
        with torch.inference_mode():
            if len(inputs) == 1:
                return [_leaves(found.module(*inputs[0]))]
            made = _leaves(found.module(*(torch.cat(each) for each in zip(*inputs, strict=True))))
            return list(zip(*(_apart(each, len(inputs)) for each in made), strict=True))

    def decode(self, key: Key, body: memoryview) -> tuple[Tensor, ...]:
        """Return the tensors of a message, if they are such as this part takes.

        Raises PartError and CodecError, before it makes room for more than those are.
        """
        found = self._part(key, 1)
        limit = sum(each.numel() * each.element_size() for each in found.example)
        given = decode(body, limit + SLACK_BYTES)
        kinds = [_kind(each) for each in given]
        if kinds != found.takes:
            msg = f"{key.variant} at cut {key.first} takes other tensors than {kinds!s:.200}"
            raise PartError(msg)
        return given

    def _graph(self, variant: str, batch: int) -> Graph:
        if (variant, batch) not in self.graphs:
            if variant not in self.networks:
                self.networks[variant] = self.build(variant)
            network = self.networks[variant]
            self.graphs[variant, batch] = captured(variant, network, self.example(variant, batch))
        return self.graphs[variant, batch]

    def _part(self, key: Key, batch: int) -> _Part:
        if (key, batch) not in self.parts:
            graph = self._graph(key.variant, batch)
            if not 0 <= key.first < key.last < len(graph.cuts):
                msg = f"{key.variant} has no part from cut {key.first} to cut {key.last}"
                raise PartError(msg)
            with torch.inference_mode():
                example = self.example(key.variant, 1)
                if key.first:
                    before = part(self._graph(key.variant, 1), 0, key.first)
                    example = _leaves(before(*example))
            self.parts[key, batch] = _Part(part(graph, key.first, key.last), example)
        return self.parts[key, batch]


def camera(shape: Sequence[int]) -> Codec | None:
    """Return how a camera hands over a frame of that shape, without a batch; None if it is no image."""
    pixels = pixels_of(shape)
    return None if pixels is None else named(f"jpeg-{JPEG}", pixels)


def pixels_of(shape: Sequence[int]) -> Pixels | None:
    """Return how an input of that shape is made of pixels; None if it is no image."""
    return Pixels(*NORMAL[shape[0]]) if len(shape) == 3 and shape[0] in NORMAL else None


def _kind(tensor: Tensor) -> tuple[object, ...]:
    """Tell shape and type; with scale and zero point, which a batch takes from the first of it."""
    steps = (tensor.q_scale(), tensor.q_zero_point()) if tensor.is_quantized else ()
    return (tuple(tensor.shape), tensor.dtype, *steps)


def _leaves(made: object) -> tuple[Tensor, ...]:
    return tuple(each for each in tree_leaves(made) if isinstance(each, Tensor))


def _apart(made: Tensor, batch: int) -> tuple[Tensor, ...]:
    if made.dim() == 0 or made.shape[0] % batch:
        msg = f"an output of shape {tuple(made.shape)} cannot be divided among {batch}"
        raise PartError(msg)
    return torch.split(made, made.shape[0] // batch)
