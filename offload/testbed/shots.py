"""Frames as a device needs them: as a network's inputs, and as the file that a camera hands over."""

from torch import Tensor

from offload.dnn import zoo
from offload.dnn.network import Network
from offload.networks import Variant
from offload.testbed.frames import Frames, frames, to_input
from offload.testbed.parts import RAW, camera

KEPT = 64  # frames that lie ready

Shot = tuple[tuple[Tensor, ...], bytes]


class Shots:
    """Takes the frames of one source, and keeps the last for whoever asks again.

    Raises PictureError where the source has none.
    """

    def __init__(self, where: str, seed: int) -> None:
        self.where, self.seed = where, seed
        self.networks: dict[str, Network] = {}
        self.sources: dict[tuple[int, ...], Frames] = {}
        self.ready: dict[tuple[str, int], Shot] = {}

    def prepare(self, variant: Variant) -> None:
        """Have all frames ready, where they repeat."""
        for number in range(min(KEPT, self._source(variant).period or 1)):
            self.take(variant, number)

    def take(self, variant: Variant, number: int) -> Shot:
        """Return a frame as a network's inputs and as a file."""
        source = self._source(variant)
        key = variant.model, number % source.period if source.period else number
        found = self.ready.get(key)
        if found is None:
            inputs = to_input(source.frame(number), self._network(variant.model))
            found = inputs, (camera(variant.input_shape) or RAW).encode(inputs)
            while len(self.ready) >= KEPT:
                self.ready.pop(next(iter(self.ready)), None)
            self.ready[key] = found
        return found

    def name(self, variant: Variant, number: int) -> str:
        """Return what a frame is called."""
        return self._source(variant).name(number)

    def _source(self, variant: Variant) -> Frames:
        shape = variant.input_shape
        if shape not in self.sources:
            self.sources[shape] = frames(self.where, shape, self.seed)
        return self.sources[shape]

    def _network(self, model: str) -> Network:
        if model not in self.networks:
            self.networks[model] = zoo.network(model)
        return self.networks[model]
