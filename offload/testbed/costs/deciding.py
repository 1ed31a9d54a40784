"""What passes between a request's birth and the beginning of work on a device that was idle."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from offload.entities import Observation, Plan, Question, Uplink
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

    It makes an observation, as the device of a testbed does, and the policy `local` decides, which has
    found its plan before.
    """

    def __init__(self, looks: Sequence[Look]) -> None:
        self.blocks: Blocks[list[float]] = Blocks("decisions", looks)
        self.question = _question()
        self.policy = Local()
        self.policy.decide(self.question.request, self.question.seen)

    def go_once(self) -> None:
        """Measure a block of births."""
        self.blocks.measure(self._births)

    def _look(self, now_s: float) -> Observation:
        seen = self.question.seen
        uplinks = {
            name: Uplink(name, up.reachable, up.rate_bps, up.down_bps, 0.0)
            for name, up in seen.uplinks.items()
        }
        return Observation(now_s, 0.0, seen.serving, uplinks, dict.fromkeys(seen.reports), seen.facts)

    def _births(self) -> list[float]:
        queue: SimpleQueue[tuple[float, Plan] | None] = SimpleQueue()
        begun_s: list[float] = []

        def work() -> None:
            while (item := queue.get()) is not None:
                begun_s.append(time.monotonic() - item[0])

        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        sleep_exactly()
        start_s = time.monotonic()
        for number in range(1, BIRTHS + 1):
            born_s = start_s + number * GAP_S
            until(born_s)
            queue.put((born_s, self.policy.decide(self.question.request, self._look(born_s))))
        queue.put(None)
        worker.join()
        return begun_s


def _question() -> Question:
    """Return the first question of a world with one device."""
    scenario = check(Path("costs"), _SCENARIO, lambda _: "costs", Path())
    game = World(scenario.setting(0.0), Streams(1, 0), "reported").play()
    return next(game)[0]
