"""Frames as a device needs them: as a network's inputs, and as the file that a camera hands over."""

import threading

from torch import Tensor

from offload.dnn import zoo
from offload.dnn.network import Network
from offload.networks import Variant
from offload.testbed.frames import Frames, frames, to_input
from offload.testbed.parts import RAW, camera

KEPT = 64  # frames that lie ready for a network

Shot = tuple[tuple[Tensor, ...], bytes]


class Shots:
    """Takes the frames of one source, and keeps the last for whoever asks again, in any thread.

    Raises PictureError where the source has none.
    """

    def __init__(self, where: str, seed: int) -> None:
        self.where, self.seed = where, seed
        self.networks: dict[str, Network] = {}
        self.sources: dict[tuple[int, ...], Frames] = {}
        self.ready: dict[str, dict[int, Shot]] = {}  # by network
        self.lock = threading.Lock()

    def prepare(self, variant: Variant) -> int:
        """Have all frames ready, where they repeat; return the bytes of the largest as a file."""
        count = min(KEPT, self._source(variant).period or 1)
        return max(len(self.take(variant, number)[1]) for number in range(count))

    def take(self, variant: Variant, number: int) -> Shot:
        """Return a frame as a network's inputs and as a file."""
        with self.lock:
            source = self._source(variant)
            ready = self.ready.setdefault(variant.model, {})
            key = number % source.period if source.period else number
            found = ready.get(key)
            if found is None:
                inputs = to_input(source.frame(number), self._network(variant.model))
                found = inputs, (camera(variant.input_shape) or RAW).encode(inputs)
                while len(ready) >= KEPT:
                    del ready[next(iter(ready))]
                ready[key] = found
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
