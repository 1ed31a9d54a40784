"""Where requests come from: each source lets them be born, one after the other, and ask."""

from array import array
from collections.abc import Iterator
from itertools import islice

import numpy as np
from msgspec import Struct, field

from offload.entities import Facts, Question, Request
from offload.scenario.setup import Device
from offload.simulation.clock import Clock
from offload.simulation.journey import Fail, Journey
from offload.simulation.observing import Observer
from offload.simulation.stations import InOrder

AHEAD = 32  # births drawn at a time

# What a Fate holds: quantiles of the execution time on device, edge and cloud, of the wires' jitter
# there and back, and the number that decides whether the answer is correct: it chooses the test image
# where answers were measured.
DEVICE, EDGE, CLOUD, WIRE_OUT, WIRE_BACK, CORRECT = range(6)
FATE_NUMBERS = 6


class Arrivals(Struct):
    """One task of one device: draws the next birth, and asks about each request that is born.

    Compact, since there may be many thousands: the births and Fates that lie ready are arrays.
    """

    clock: Clock
    device: Device
    facts: Facts
    compute: InOrder
    observer: Observer
    asked: list[Question]
    under_way: dict[int, Journey]
    fail: Fail
    births: Iterator[float]
    chance: np.random.Generator
    last_s: float
    next_id: int
    id_step: int
    ahead: "array[float]" = field(default_factory=lambda: array("d"))
    fates: "array[float]" = field(default_factory=lambda: array("d"))

    def expect(self) -> None:
        """Await the next birth, if it falls into the run."""
        if not self.ahead:
            self.ahead = array("d", islice(self.births, AHEAD))[::-1]
        next_s = self.ahead.pop()
        if next_s < self.last_s:
            self.clock.at(next_s, self.born)

    def born(self, _event: object) -> None:
        """Let a request be born: fix its Fate, look around and ask."""
        if not self.fates:
            self.fates = array("d", self.chance.random(AHEAD * FATE_NUMBERS).tobytes())
        fate = self.fates[-FATE_NUMBERS:]
        del self.fates[-FATE_NUMBERS:]
        now, device, facts = self.clock.now, self.device, self.facts
        request = Request(
            self.next_id, device.name, device.group, facts.task, now, facts.deadline_s,
            facts.input_bytes, facts.priority,
        )  # fmt: skip
        self.under_way[self.next_id] = Journey(
            self.clock, request, device, facts, fate, self.fail, now, [0.0] * 7, [0.0] * 3
        )
        self.next_id += self.id_step
        seen = self.observer.observe(now, device, self.compute, facts, fate)
        self.asked.append(Question(device.name, request, seen))
        self.expect()
