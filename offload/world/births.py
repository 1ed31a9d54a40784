"""When requests are born: at regular times, at random, or in bursts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

Arrivals = Literal["periodic", "poisson", "on-off"]


@dataclass(frozen=True, slots=True)
class Births:
    """How a task's requests arrive.

    periodic: every `every_s` from a random phase, each late by up to `jitter_s`, uniformly.
    poisson: exponential gaps of mean `every_s`.
    on-off: periodic during exponential times of mean `on_s`, silent for exponential times of mean
    `off_s`, starting on with probability on / (on + off).
    """

    arrivals: Arrivals
    every_s: float
    jitter_s: float = 0.0
    on_s: float = 0.0
    off_s: float = 0.0


def times(
    births: Births, generator: np.random.Generator, block: int = 32, from_s: float = 0.0
) -> Iterator[float]:
    """Yield birth times in seconds after `from_s`, rising, without end."""
    if births.arrivals == "poisson":
        now = from_s
        while True:
            for gap in generator.exponential(births.every_s, block).tolist():
                now += gap
                yield now
    elif births.arrivals == "periodic":
        tick = from_s + generator.random() * births.every_s
        number = 0
        while True:
            for late in generator.random(block).tolist():
                yield tick + number * births.every_s + late * births.jitter_s
                number += 1
    else:
        now = from_s
        on = generator.random() < births.on_s / (births.on_s + births.off_s)
        while True:
            mean = births.on_s if on else births.off_s
            ends = now + generator.exponential(mean)
            if on:
                tick = now + generator.random() * births.every_s
                while tick < ends:
                    yield tick
                    tick += births.every_s
            now, on = ends, not on
