"""Where requests come from: each source lets them be born, one after the other, and ask."""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from struct import Struct

import msgspec
import numpy as np

from offload.entities import Request
from offload.scenario.demand import Part
from offload.scenario.setup import Device
from offload.simulation.air import Hop
from offload.simulation.clock import Clock
from offload.simulation.frames import Crop, Frame
from offload.simulation.journey import Fail, Journey
from offload.simulation.meters import NO_POWER, Meter
from offload.simulation.queueing import Queueing
from offload.simulation.stations import InOrder
from offload.world.demand import Scene, View

AHEAD = 32  # births drawn at a time

# What a Fate holds: quantiles of the execution time on device, edge and cloud, of the wires' jitter
# there and back, and the number that decides whether the answer is correct: it chooses the test image
# where answers were measured.
DEVICE, EDGE, CLOUD, WIRE_OUT, WIRE_BACK, CORRECT = range(6)
FATE_NUMBERS = 6
FATE = Struct(f"{FATE_NUMBERS}d")


class Arrivals(msgspec.Struct):
    """One task of one device: draws the next birth, and asks about each request that is born.

    Compact, since there may be many thousands: the births and Fates that lie ready are plain numbers.
    `sizes` are the quantiles of inputs that are not all of one size, `scenes` hold whom a view may show,
    `hop` and `meter` are the device's, where it has one. Where a frame needs several networks, `chances`
    has a generator for each of the parts.
    """

    clock: Clock
    device: Device
    compute: InOrder | Queueing
    part: Part  # the first
    parts: Sequence[Part]
    ask: Callable[[Journey], None]
    under_way: dict[int, Journey]
    frames: dict[int, Frame]
    fail: Fail
    births: Iterator[float]
    chance: np.random.Generator
    sizes: Iterator[float] | None
    chances: Sequence[np.random.Generator]
    scenes: Mapping[View, Scene]
    last_s: float
    next_id: int
    id_step: int
    meter: Meter | None
    hop: Hop | None
    ahead: "array[float]" = msgspec.field(default_factory=lambda: array("d"))
    fates: Iterator[Sequence[float]] = msgspec.field(default_factory=lambda: iter(()))

    def expect(self) -> None:
        """Await the first birth, if it falls into the run."""
        first_s = self._draw_births()
        if first_s is not None:
            self.clock.at(first_s, self.frame_born if self.chances else self.born)

    def _draw_births(self) -> float | None:
        """Lay the next births ready and take the first; None if no more fall into the run."""
        self.ahead = array("d", islice(self.births, AHEAD))[::-1]
        while self.ahead and self.ahead[0] >= self.last_s:
            del self.ahead[0]
        return self.ahead.pop() if self.ahead else None

    def born(self, now: float) -> float | None:
        """Let a request be born: fix its Fate, look around and ask; tell when the next one is."""
        fate = next(self.fates, None)
        if fate is None:
            drawn = self.chance.random((AHEAD, FATE_NUMBERS))
            self.fates = FATE.iter_unpack(drawn[::-1].tobytes())
            fate = next(self.fates)
        number, device, part = self.next_id, self.device, self.part
        facts = part.facts
        input_bytes = facts.input_bytes
        if self.sizes is not None:
            input_bytes = part.inputs.at(next(self.sizes), self._in_view(part.inputs.view))
        request = Request(
            number, device.name, device.group, facts.task, now, facts.deadline_s, input_bytes,
            facts.priority,
        )  # fmt: skip
        journey = self.under_way[number] = Journey(
            self.clock, request, device, self.compute, facts, fate, self.fail, now,
            [0.0] * 7, [0.0] * 3, self.hop, self.meter,
        )  # fmt: skip
        self.next_id = number + self.id_step
        ask, meter = self.ask, self.meter
        if meter is not None and meter.off:
            self.fail(journey, NO_POWER, 0.0, 0.0)  # there is nobody to ask
        else:
            ask(journey)
        return self.ahead.pop() if self.ahead else self._draw_births()

    def frame_born(self, now: float) -> float | None:
        """Let a frame be born that needs several networks: fix what each of its requests will meet.

        They have their ids and their Fates now, whenever they will ask, and so under every policy.
        """
        device, facts = self.device, self.parts[0].facts
        number = self.next_id
        crops: list[list[Crop]] = []
        for part, chance in zip(self.parts, self.chances, strict=True):
            count = part.counts.at(chance.random(), self._in_view(part.counts.view))
            objects = self._in_view(part.inputs.view)
            crops.append([])
            for numbers in chance.random((count, FATE_NUMBERS + 1)):
                self.next_id += self.id_step
                input_bytes = part.inputs.at(float(numbers[-1]), objects)
                fate = array("d", numbers[:-1].tobytes())
                crops[-1].append(Crop(self.next_id, input_bytes, fate))
        self.next_id += self.id_step
        first = [each for part, each in zip(self.parts, crops, strict=True) if not part.after]
        total = sum(crop.input_bytes for each in first for crop in each)
        root = Request(
            number, device.name, device.group, facts.task, now, facts.deadline_s, total, facts.priority
        )
        frame = self.frames[number] = Frame(root, self.parts, crops, self._ask_about)
        frame.go_on()
        return self.ahead.pop() if self.ahead else self._draw_births()

    def _in_view(self, view: View | None) -> int:
        """How many other devices a view shows now."""
        if view is None:
            return 0
        now, device = self.clock.now, self.device
        near = self.scenes[view].count(now, device.place.track.position(now), view.within_m)
        return near - (device.group in view.groups)

    def _ask_about(self, frame: Frame, part: Part, crop: Crop) -> None:
        """Ask about a crop at this very moment, but behind those that do so already.

        So that what is decided of one is known to the device when it decides about the next.
        """
        self.clock.at(self.clock.now, partial(self._ask_now, frame, part, crop))

    def _ask_now(self, frame: Frame, part: Part, crop: Crop, now: float) -> None:
        root, stage = frame.root, part.facts.stage
        left_s = root.born_s + root.deadline_s - now
        request = Request(
            crop.id, root.device, root.group, root.task, now, left_s, crop.input_bytes, root.priority,
            root.id, stage,
        )  # fmt: skip
        journey = self.under_way[crop.id] = Journey(
            self.clock, request, self.device, self.compute, part.facts, crop.fate, self.fail, now,
            [0.0] * 7, [0.0] * 3, self.hop, self.meter, frame,
        )  # fmt: skip
        if self.meter is not None and self.meter.off:
            self.fail(journey, NO_POWER, 0.0, 0.0)  # there is nobody to ask
        else:
            self.ask(journey)
