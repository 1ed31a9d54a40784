"""What passes between a request's birth and the beginning of work on a device that was idle."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from offload.entities import Question
from offload.policies.fixed import Local
from offload.scenario.load import check
from offload.simulation.world import World
from offload.streams import Streams
from offload.testbed.costs.blocks import Blocks, Look
from offload.testbed.link import sleep_exactly, until

GAP_S = 0.05
BIRTHS = 10  # of a block

_SCENARIO: dict[str, Any] = {
    "format": 1,
    "name": "one-device",
    "duration": "1 s",
    "devices": {
        "device": {
            "hardware": "x86-core",
            "radio_power": "1 W",
            "tasks": {
                "objects": {
                    "models": ["mobilenetv2"],
                    "variants": ["fp32"],
                    "every": "50 ms",
                    "deadline": "130 ms",
                    "input": "60 kB",
                }
            },
        }
    },
    "nodes": {"edge": {"kind": "edge", "hardware": "x86-core"}},
    "links": {
        "cell": {"from": "*", "to": "edge", "up": "20 Mbit/s", "down": "20 Mbit/s", "delay": "5 ms"}
    },
}


class Deciding:
    """A device's thread that wakes up for births, decides, and hands work to another thread.

    The decision is that of the policy `local` about a question of a small world: which plan, once it has
    been found. What the observation is made of is not in it.
    """

    def __init__(self, looks: Sequence[Look]) -> None:
        self.blocks: Blocks[list[float]] = Blocks("decisions", looks)
        self.question = _question()
        self.policy = Local()
        self.policy.decide(self.question.request, self.question.seen)

    def go_once(self) -> None:
        """Measure a block of births."""
        self.blocks.measure(self._births)

    def _births(self) -> list[float]:
        queue: SimpleQueue[tuple[float, object] | None] = SimpleQueue()
        begun: list[float] = []

        def work() -> None:
            while (item := queue.get()) is not None:
                begun.append(time.monotonic() - item[0])

        def device() -> None:
            sleep_exactly()
            start_s = time.monotonic()
            for number in range(1, BIRTHS + 1):
                born_s = start_s + number * GAP_S
                until(born_s)
                plan = self.policy.decide(self.question.request, self.question.seen)
                queue.put((born_s, plan))
            queue.put(None)

        threads = [threading.Thread(target=each, daemon=True) for each in (work, device)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return begun


def _question() -> Question:
    """Return the first question of a world with one device."""
    scenario = check(Path("costs"), _SCENARIO, lambda _: "costs", Path())
    game = World(scenario.setting(0.0), Streams(1, 0), "reported").play()
    return next(game)[0]
