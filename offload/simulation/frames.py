"""Frames that need several networks: when which stage asks, and what becomes of the whole."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from offload.entities import Outcome, Request
from offload.scenario.demand import Part


class Crop(Struct):
    """What a stage is asked of a frame, once: all that chance has to say of it is fixed at birth."""

    id: int
    input_bytes: float
    fate: Sequence[float]


class Frame:
    """A request that needs several networks: a root, and a request for each crop of each stage.

    A stage begins when the results of all that it comes after have reached the device; one without
    crops ends as it begins. The root is answered when all stages are, and rightly if all of them are.
    It fails with the first of its requests that does, at that time and for that cause: no further stage
    begins, and what is under way is carried on. Its row is made when nothing of it is under way.

    The critical path is the chain of requests of which each was the last that a stage waited for. They
    follow each other without a gap, so that their legs sum to the root's time.
    """

    def __init__(
        self,
        root: Request,
        parts: Sequence[Part],
        crops: Sequence[Sequence[Crop]],
        ask: Callable[["Frame", Part, Crop], object],
    ) -> None:
        self.root = root
        self.parts = parts
        self.crops = crops
        self.ask = ask
        self.awaited = {part.facts.stage: len(each) for part, each in zip(parts, crops, strict=True)}
        self.begun: dict[str | None, Sequence[float]] = {}  # the legs of the path that led there
        self.under_way = 0
        self.cause = ""
        self.ended_s = root.born_s
        self.legs: Sequence[float] = [0.0] * 8  # of the critical path, and the time of loading weights
        self.sums = [0.0] * 5  # bytes up and down, joules of device, edge and cloud
        self.money = 0.0
        self.correct: bool | None = True

    def go_on(self) -> None:
        """Begin the stages whose turn it is; the legs so far are those of the path to them."""
        for part, crops in zip(self.parts, self.crops, strict=True):
            stage = part.facts.stage
            if stage not in self.begun and not any(other in self.awaited for other in part.after):
                self.begun[stage] = self.legs
                self.under_way += len(crops)
                for crop in crops:
                    self.ask(self, part, crop)
                if not crops:
                    del self.awaited[stage]
                    # A stage that waits for it stands further down, so this loop comes to it.

    def take(self, outcome: Outcome, spent_s: Sequence[float]) -> Outcome | None:
        """Note that a request has ended, after these legs; return the root's row when it is due."""
        self.under_way -= 1
        used = (outcome.up_bytes, outcome.down_bytes, outcome.energy_j, outcome.edge_j, outcome.cloud_j)
        self.sums = [total + each for total, each in zip(self.sums, used, strict=True)]
        self.money += outcome.money
        if not self.cause:
            stage = outcome.request.stage
            self.ended_s, self.cause = outcome.ended_s, outcome.cause
            self.awaited[stage] -= 1
            if outcome.cause or not self.awaited[stage]:
                spent = (*spent_s, outcome.load_s)
                self.legs = [a + b for a, b in zip(self.begun[stage], spent, strict=True)]
            if outcome.cause:
                self.correct = None
            else:
                self.correct = _both(self.correct, outcome.correct)
                if not self.awaited[stage]:
                    del self.awaited[stage]
                    self.go_on()
        return None if self.under_way or (self.awaited and not self.cause) else self._outcome()

    def _outcome(self) -> Outcome:
        return Outcome(
            self.root,
            None,
            None,
            1,
            self.ended_s,
            self.cause,
            self.correct,
            *self.legs[:7],  # type: ignore[arg-type]  # seven of them
            *self.sums,  # type: ignore[call-arg]  # five
            0,
            None,
            self.legs[7],
            self.money,
        )


def _both(one: bool | None, other: bool | None) -> bool | None:
    """Whether both are right; where one is wrong it does not matter that nobody knows of the other."""
    if one is False or other is False:
        return False
    return None if one is None or other is None else True
