"""Named random generators: one stream a purpose and entity, whatever else is simulated."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Streams:
    """The source of all chance in one replication.

    A stream depends on the seed, the replication and its own name only, never on the order in which
    streams are asked for. So a device meets the same births and the same luck under every policy:
    common random numbers.

    >>> a = Streams(seed=7, replication=0)
    >>> b = Streams(seed=7, replication=0)
    >>> _ = b.generator("births", "car-1").random()
    >>> a.generator("fate", "car-0").random() == b.generator("fate", "car-0").random()
    True
    """

    seed: int
    replication: int

    def generator(self, *name: str) -> np.random.Generator:
        """Return a fresh generator for this name, at its beginning."""
        digest = hashlib.blake2b("\0".join(name).encode(), digest_size=16).digest()
        key = (self.replication, *np.frombuffer(digest, dtype=np.uint32).tolist())
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(self.seed, spawn_key=key)))


def uniforms(generator: np.random.Generator, block: int = 32) -> Iterator[float]:
    """Yield numbers from [0, 1) without end; how many are drawn at a time decides nothing."""
    while True:
        yield from generator.random(block).tolist()
