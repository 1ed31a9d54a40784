"""When requests are born: at regular times, at random, in bursts, or as a trace has it."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import log1p
from typing import Literal

import numpy as np

from offload.streams import uniforms

Arrivals = Literal["periodic", "poisson", "on-off", "mmpp", "trace"]


@dataclass(frozen=True, slots=True)
class Births:
    """How a task's requests arrive.

    periodic: every `every_s` from a random phase, each late by up to `jitter_s`, uniformly.
    poisson: exponential gaps of mean `every_s`.
    on-off: periodic during exponential times of mean `on_s`, silent for exponential times of mean
    `off_s`, starting on with probability on / (on + off).
    mmpp: Markov-modulated Poisson. In each of the `states` (mean gap, or None for silence; mean stay)
    gaps are exponential; it stays for exponential times, and any of the other states, equally likely,
    comes next. So it is in a state for a share of the time that is proportional to its stay, and starts
    by these shares (Fischer and Meier-Hellstern 1993).
    trace: at `trace_s`, which do not fall; again and again every `repeat_s`, if finite.
    """

    arrivals: Arrivals
    every_s: float = 0.0
    jitter_s: float = 0.0
    on_s: float = 0.0
    off_s: float = 0.0
    states: tuple[tuple[float | None, float], ...] = ()
    trace_s: "array[float]" = field(default_factory=lambda: array("d"))
    repeat_s: float = float("inf")


def times(
    births: Births, generator: np.random.Generator, block: int = 32, from_s: float = 0.0
) -> Iterator[float]:
    """Yield birth times in seconds after `from_s`, rising, without end.

    Those of a trace count from 0 and may be equal, and end; what was before `from_s` is left out.
    """
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
    elif births.arrivals == "on-off":
        yield from _on_off(births, generator, from_s)
    elif births.arrivals == "mmpp":
        yield from _mmpp(births, uniforms(generator, block), from_s)
    else:
        yield from (at for at in _trace(births) if at >= from_s)


def _trace(births: Births) -> Iterator[float]:
    yield from births.trace_s
    lap = 1
    while births.trace_s and births.repeat_s < float("inf"):
        yield from (lap * births.repeat_s + each for each in births.trace_s)
        lap += 1


def _on_off(births: Births, generator: np.random.Generator, from_s: float) -> Iterator[float]:
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


def _mmpp(births: Births, chance: Iterator[float], from_s: float) -> Iterator[float]:
    states = births.states
    stays_s = [stay_s for _, stay_s in states]
    state = int(np.searchsorted(np.cumsum(stays_s)[:-1], next(chance) * sum(stays_s), side="right"))
    now = from_s
    while True:
        every_s, stay_s = states[state]
        ends_s = now - log1p(-next(chance)) * stay_s
        while every_s is not None:
            now -= log1p(-next(chance)) * every_s
            if now >= ends_s:  # exponential gaps have no memory: the next state draws its own
                break
            yield now
        now = ends_s
        state = (state + 1 + int(next(chance) * (len(states) - 1))) % len(states)
