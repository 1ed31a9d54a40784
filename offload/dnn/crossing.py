"""What codecs make of what crosses each cut of a classifier: bytes, seconds, answers, on real images."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from statistics import mean

import torch
from torch import Tensor, nn

from offload.dnn import machine
from offload.dnn.capturing import captured
from offload.dnn.codec import Codec, decode
from offload.dnn.graph import split
from offload.dnn.pictures import Pictures
from offload.entities import OffloadError

NAMES = (
    "raw", "raw+zstd", "raw+lz4", "fp16", "fp16+zstd", "fp16+lz4", "uint8", "uint8+zstd", "uint8+lz4",
    "uint8-channel", "uint8-channel+zstd", "uint8-channel+lz4", "png", "jpeg-75", "jpeg-90", "webp-80",
)  # fmt: skip
_WARM_UP = 5
_MOST_AT_ONCE = 100
_NUMBERS = 6_000_000  # in the inputs of one batch, at most


class CrossingError(OffloadError):
    """A network of which no one can say whether its answers survive a codec."""


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """The classes that a network said and how sure it was of them, each of shape (exits, images).

    `confidence` is the largest class probability in 255ths, rounded down.
    """

    classes: Tensor
    confidence: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Crossing:
    """What one codec makes of what crosses one cut.

    `payload_bytes` are those of a message and `encode_s`, `decode_s` its seconds of CPU, means over
    images one at a time; `whole_s` is the mean of the whole network, run in turns with them. `said` is
    what it says to all images then.
    """

    codec: str
    cut: int
    payload_bytes: float
    encode_s: float
    decode_s: float
    whole_s: float
    said: Said


class Course:
    """A classifier and images, ready to be measured at any of its cuts.

    Times are CPU times of one thread, over the first `timed` images. Raises UnknownNetworkError for what
    cannot be captured and CrossingError for what is no classifier.
    """

    def __init__(self, name: str, network: nn.Module, images: Pictures, timed: int = 100) -> None:
        self.name, self.network, self.images = name, network.eval(), images
        self.timed = min(timed, len(images))
        self.graph = captured(name, network, (images.inputs(slice(0, 1)),))
        self.batch = _batch(images)
        self.wide = captured(name, network, (images.inputs(slice(0, self.batch)),))
        (self.said,) = self._say(lambda inputs: [self.network(inputs)])
        self.now = machine.clock(threads=1)
        self.stamp_s = machine.stamp_cost_s(self.now)

    @property
    def cuts(self) -> range:
        """The cuts at which something else crosses than the result."""
        return range(len(self.graph.cuts) - 1)

    @property
    def digest(self) -> str:
        """What tells this network, with its weights, from others: a digest of all that it says."""
        told = self.said.classes.numpy().tobytes() + self.said.confidence.numpy().tobytes()
        return blake2b(told, digest_size=6).hexdigest()

    def suited(self, cut: int, codecs: Sequence[Codec]) -> list[Codec]:
        """Return those codecs that do anything to what crosses one cut. Raises CodecError."""
        with torch.inference_mode():
            before, _ = split(self.graph, cut)
            crossing = before(self.images.inputs(slice(0, 1)))
            return [each for each in codecs if each.suits(crossing) and not (each.for_images and cut)]

    def at(self, cut: int, codecs: Sequence[Codec]) -> list[Crossing]:
        """Measure at one cut those codecs that do anything to what crosses. Raises CodecError."""
        suited = self.suited(cut, codecs)
        with torch.inference_mode():
            before, _ = split(self.graph, cut)
            means, whole_s = self._times(before, suited)
            said = self._coded(cut, suited)
        return [
            Crossing(codec.name, cut, *each, whole_s, said[_form(codec)])
            for codec, each in zip(suited, means, strict=True)
        ]

    def _times(
        self, before: nn.Module, codecs: Sequence[Codec]
    ) -> tuple[list[tuple[float, float, float]], float]:
        """Return mean bytes and seconds to encode and decode, and the mean of the whole network.

        Before each codec the network runs up to the cut again, and their order changes from image to
        image: a codec that follows another like it finds its code and the tensors in the caches, and
        takes less than half of what it takes in service.
        """
        shuffled = random.Random(0)  # noqa: S311 - an order, no secret
        found: list[list[tuple[float, float, float]]] = [[] for _ in codecs]
        whole: list[float] = []
        for number in range(-_WARM_UP, self.timed):
            image = number % self.timed
            inputs = self.images.inputs(slice(image, image + 1))
            begun = self.now()
            self.network(inputs)
            whole.append(self._since(begun))
            for codec, times in shuffled.sample(list(zip(codecs, found, strict=True)), len(codecs)):
                crossing = before(inputs)
                begun = self.now()
                message = codec.encode(crossing)
                encode_s = self._since(begun)
                begun = self.now()
                decode(message)
                times.append((len(message), encode_s, self._since(begun)))
        means = [tuple(map(mean, zip(*times[_WARM_UP:], strict=True))) for times in found]
        return means, mean(whole[_WARM_UP:])

    def _since(self, begun: int) -> float:
        return max(0.0, (self.now() - begun) * 1e-9 - self.stamp_s)

    def _coded(self, cut: int, codecs: Sequence[Codec]) -> dict[Codec, Said]:
        """Return what the network says where a codec's values cross, by the codec without its packing.

        Each image has its own scales. Exits before the cut have answered from values that never crossed.
        """
        before, after = split(self.wide, cut)
        lossy = list(dict.fromkeys(_form(codec) for codec in codecs if not codec.exact))

        def coded(inputs: Tensor) -> list[object]:
            crossing = before(inputs)
            return [after(*decode(form.encode(crossing))) for form in lossy]

        found = dict.fromkeys((_form(codec) for codec in codecs), self.said)
        found |= zip(lossy, self._say(coded), strict=True)
        for form in lossy:
            for exit_, known_after in enumerate(self.wide.outputs):
                if known_after <= self.wide.cuts[cut].after:
                    found[form].classes[exit_] = self.said.classes[exit_]
                    found[form].confidence[exit_] = self.said.confidence[exit_]
        return found

    def _say(self, networks: Callable[[Tensor], Sequence[object]]) -> list[Said]:
        """Return what some networks, that are run together, say to all images."""
        said: list[list[tuple[Tensor, Tensor]]] = []
        with torch.inference_mode():
            for start in range(0, len(self.images), self.batch):
                made = networks(self.images.inputs(slice(start, start + self.batch)))
                said.append([self._told(each) for each in made])
        return [
            Said(*(torch.cat(parts, 1) for parts in zip(*batches, strict=True)))
            for batches in zip(*said, strict=True)
        ]

    def _told(self, made: object) -> tuple[Tensor, Tensor]:
        """Return the classes of a network's logits and how sure it is of them, (exits, images)."""
        top = torch.stack([each.float().softmax(1) for each in self._logits(made)]).max(2)
        return top.indices, (top.values * 255).floor().to(torch.uint8)

    def _logits(self, made: object) -> Sequence[Tensor]:
        found = (made,) if isinstance(made, Tensor) else made
        if not isinstance(found, tuple) or not all(
            isinstance(each, Tensor) and each.dim() == 2 for each in found
        ):
            msg = f"{self.name}: no classifier: its outputs are no logits (batch, classes)"
            raise CrossingError(msg)
        return found


def _form(codec: Codec) -> Codec:
    """The codec without its packing, which changes no answer."""
    return replace(codec, packing="")


def _batch(images: Pictures) -> int:
    """The most images at once into which they divide evenly: a captured network takes no other."""
    most = max(1, min(_MOST_AT_ONCE, _NUMBERS // images.raw[0].numel()))
    return next(size for size in range(most, 0, -1) if len(images) % size == 0)
