"""Where questions come from: a device looks around and asks, at once or with the others of a slot."""

from collections.abc import Callable, Mapping
from math import ceil

from msgspec.structs import replace

from offload.entities import Question
from offload.simulation.clock import Clock
from offload.simulation.journey import Journey
from offload.simulation.observing import Observer


class Desk:
    """Gathers the questions that are open now in `asked`; `ask(journey)` adds one.

    With a slot, devices ask together at its multiples; what is born or comes back meanwhile waits.
    """

    def __init__(
        self,
        clock: Clock,
        observer: Observer,
        under_way: Mapping[int, Journey],
        slot_s: float,
    ) -> None:
        self.clock = clock
        self.observer = observer
        self.under_way = under_way
        self.slot_s = slot_s
        self.ask: Callable[[Journey], None] = self._wait if slot_s else self._ask_now
        self.asked: list[Question] = []
        self.waiting: list[Journey] = []

    def _ask_now(self, journey: Journey) -> None:
        now, request = self.clock.now, journey.request
        if now != request.born_s:
            request = replace(request, deadline_s=request.born_s + request.deadline_s - now)
        self.asked.append(Question(request.device, request, self.observer.observe(journey, now)))

    def _wait(self, journey: Journey) -> None:
        if not self.waiting:
            now = self.clock.now
            slots = ceil(now / self.slot_s - 1e-9)  # who is born at its end need not wait
            self.clock.at(max(now, slots * self.slot_s), self._end_slot)
        self.waiting.append(journey)

    def _end_slot(self, _now: float) -> None:
        """Ask about all that have waited and still live."""
        waiting, self.waiting = self.waiting, []
        for journey in waiting:
            if self.under_way.get(journey.request.id) is journey:
                self._ask_now(journey)
