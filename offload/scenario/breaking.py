"""What breaks in a scenario, and when: nodes and links, alone or together, as windows or by chance."""

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from offload.scenario.fields import LongTime, Table, Time
from offload.streams import Streams
from offload.world.faults import Window, breakdowns, during
from offload.world.rate import Rate, product


class FaultTable(Table):
    """Nodes and links that fail together: in `windows`, or at random by `mtbf` and `mttr`.

    What fails does nothing; if it gets `slower`, all takes that many times longer there.
    """

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["windows"]}, {"required": ["mtbf", "mttr"]}]}
    )

    of: Annotated[list[str], Field(min_length=1, max_length=1000, examples=[["cabinet"]])]
    """The nodes and links that fail together, by name."""
    windows: (
        Annotated[
            list[Annotated[tuple[Time, Time], Field(strict=False)]],
            Field(min_length=1, max_length=10_000, examples=[[["10 s", "20 s"]]]),
        ]
        | None
    ) = None
    """When they fail: pairs of a beginning and an end, in time from the start of the run."""
    mtbf: Annotated[LongTime, Field(examples=["60 s"])] | None = None
    """Instead of windows: the mean time they work (exponential), drawn anew in each replication."""
    mttr: Annotated[LongTime, Field(examples=["5 s"])] | None = None
    """The mean time until they are repaired (exponential); belongs to `mtbf`."""
    slower: (
        Annotated[float, Field(gt=1, le=1e6, strict=False, allow_inf_nan=False, examples=[4.0])] | None
    ) = None
    """How many times longer everything takes there meanwhile. Not given: nothing works."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        by_chance = [key for key in ("mtbf", "mttr") if getattr(self, key) is not None]
        if (self.windows is None) != (len(by_chance) == 2) or (self.windows and by_chance):
            msg = "give either windows, or mtbf and mttr"
            raise ValueError(msg)
        for begin_s, end_s in self.windows or ():
            if not begin_s < end_s:
                msg = "windows: a window ends after it begins"
                raise ValueError(msg)
        return self

    def times(self, name: str, until_s: float, streams: Streams) -> tuple[Window, ...]:
        """Return when it is (seconds), in one replication."""
        if self.mtbf is not None and self.mttr is not None:
            chance = streams.generator("fault", name)
            return breakdowns(self.mtbf, self.mttr, until_s, chance)
        return tuple(self.windows or ())

    @property
    def speed(self) -> float:
        """How fast things are meanwhile: 0 for not at all."""
        return 1.0 / self.slower if self.slower else 0.0


def speeds(faults: dict[str, FaultTable], until_s: float, streams: Streams) -> dict[str, Rate]:
    """Return how fast each thing is that some fault is of, as a share of its usual speed, over time."""
    found: dict[str, list[Rate]] = {}
    for name, fault in faults.items():
        rate = during(fault.times(name, until_s, streams), fault.speed)
        for thing in fault.of:
            found.setdefault(thing, []).append(rate)
    return {thing: product(rates) for thing, rates in found.items()}


def stops(speed: Rate) -> Iterator[tuple[float, float]]:
    """Yield when a thing is out of order: from, until (seconds; infinite if for good)."""
    for index, value in enumerate(speed.values):
        if value == 0.0:
            yield speed.times_s[index], speed.edges_s[index + 1]
