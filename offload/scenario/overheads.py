"""What a scenario says that messages and work cost beyond rates, delays and profiles."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from offload.networks import Known
from offload.overheads import AfterIdle
from offload.scenario.fields import LongTime, Table, Time, Written
from offload.scenario.measured_costs import MeasuredCosts, MeasuredCostsError, measured_costs
from offload.units import show_seconds

SAID = "the scenario"
TIMES = ("message", "per_MB", "handshake", "within")

Slower = Annotated[float, Field(ge=0, le=100, strict=False, allow_inf_nan=False)]
Count = Annotated[float, Field(ge=0, le=1e6, strict=False, allow_inf_nan=False)]
Figures = Mapping[str, Mapping[str, float]]  # by the names that stand for them, by fields of a table


class Overhead(Table):
    """A figure that a scenario gives, and how that is known: assumed, unless it says otherwise."""

    known: Known = "assumed"
    """How the figures are known."""
    source: str = SAID
    """Where they come from, for whoever reads the results."""

    @property
    def figures(self) -> dict[str, float]:
        """What it says, in SI units, by its keys."""
        given = self.model_dump(by_alias=True, exclude={"known", "source"})
        return {key: float(value) for key, value in given.items()}

    def __str__(self) -> str:
        """Say it for a person."""
        said = [
            f"{key} {show_seconds(value) if key in TIMES else f'{value:g}'}"
            for key, value in self.figures.items()
        ]
        return f"{', '.join(said)}; {self.known}: {self.source}"


class HopTable(Overhead):
    """What a message takes on a link, and each MB of it: sockets, wake-ups, copies."""

    message: Annotated[Time, Field(examples=["80 us"])] = 0.0
    """What each message takes, whatever its size."""
    per_mb: Annotated[Time, Field(alias="per_MB", examples=["0.4 ms"])] = 0.0
    """What each 1e6 bytes of a message take on top."""

    @property
    def s_per_byte(self) -> float:
        """Seconds for each byte of a message."""
        return self.per_mb / 1e6


class SecurityTable(HopTable):
    """The same for securing it, once a handshake, and by how many bytes messages get larger.

    A handshake takes as long as is said here, with its round trips over the link.
    """

    handshake: Annotated[Time, Field(examples=["3 ms"])] = 0.0
    """What is paid once by each device and cell (once by each wire), and again after a failure; its
    round trips over the link are part of it."""
    message_bytes: Annotated[Count, Field(alias="bytes", examples=[22.0])] = 0.0
    """By how many bytes each message gets larger."""
    bytes_per_mb: Annotated[Count, Field(alias="bytes_per_MB", examples=[1340.0])] = 0.0
    """By how many bytes each 1e6 bytes of a message get larger."""

    @property
    def bytes_per_byte(self) -> float:
        """Bytes more for each byte of a message."""
        return self.bytes_per_mb / 1e6


class AfterIdleTable(Overhead):
    """How much slower work is after a long idle gap, and within what time it gets there."""

    slower: Annotated[Slower, Field(examples=[0.08])]
    """By which share work takes longer after an endless gap: 0.08 for 8 %."""
    within: Annotated[LongTime, Field(examples=["10 ms"])]
    """How soon that is reached: work begun after a gap g takes 1 + slower (1 - exp(-g / within)) times
    as long."""

    @property
    def figure(self) -> AfterIdle:
        """What the world needs of it."""
        return AfterIdle(self.slower, self.within)


class CoLocationTable(Overhead):
    """How much slower work is that begins while another process of the machine computes."""

    slower: Annotated[Slower, Field(examples=[0.07])]
    """By which share work takes longer that begins while another process of the machine computes."""


def _or_measured(
    table: type[Overhead], measured: Callable[[MeasuredCosts], Figures], example: str
) -> BeforeValidator:
    """Let a name stand for what was measured; `example` is a table."""

    def look_up(given: Any) -> Any:  # noqa: ANN401 - any TOML value
        if not isinstance(given, str):
            return given
        try:
            costs = measured_costs()
        except MeasuredCostsError as error:
            msg = f"{error}; write what it is, like {example}"
            raise ValueError(msg) from error
        known = measured(costs)
        if given not in known:
            instead = ", or ".join([*(f'"{name}"' for name in known), f"what it is, like {example}"])
            msg = f"not a name of what was measured; write {instead}"
            raise ValueError(msg)
        figures: Mapping[str, Any] = known[given]
        return table.model_construct(known=costs.known, source=costs.source, **figures)

    return BeforeValidator(look_up)


def _hop(costs: MeasuredCosts) -> Figures:
    return {"measured": {"message": costs.hop.message_s, "per_mb": 1e6 * costs.hop.per_byte_s}}


def _security(costs: MeasuredCosts) -> Figures:
    return {
        name: {
            "message": secured.message_s,
            "per_mb": 1e6 * secured.per_byte_s,
            "handshake": secured.handshake_s,
            "message_bytes": secured.message_bytes,
            "bytes_per_mb": 1e6 * secured.bytes_per_byte,
        }
        for name, secured in sorted(costs.security.items())
    }


def _after_idle(costs: MeasuredCosts) -> Figures:
    return {"measured": {"slower": costs.after_idle.slower, "within": costs.after_idle.within_s}}


def _co_location(costs: MeasuredCosts) -> Figures:
    return {"measured": {"slower": costs.co_location.slower}}


HopCost = Annotated[
    HopTable,
    _or_measured(HopTable, _hop, '{ message = "80 us", per_MB = "0.4 ms" }'),
    Written(HopTable, ("measured",)),
]
Security = Annotated[
    SecurityTable,
    _or_measured(
        SecurityTable,
        _security,
        '{ handshake = "3 ms", message = "20 us", per_MB = "1 ms", bytes = 22 }',
    ),
    Written(SecurityTable, ("mutual-tls",)),
]
AfterIdling = Annotated[
    AfterIdleTable,
    _or_measured(AfterIdleTable, _after_idle, '{ slower = 0.08, within = "10 ms" }'),
    Written(AfterIdleTable, ("measured",)),
]
CoLocation = Annotated[
    CoLocationTable,
    _or_measured(CoLocationTable, _co_location, "{ slower = 0.07 }"),
    Written(CoLocationTable, ("measured",)),
]


class MachineTable(Table):
    """Groups of devices and nodes that share one machine, and how much they slow each other down."""

    of: Annotated[list[str], Field(min_length=1, max_length=1000, examples=[["car", "cabinet"]])]
    """The groups of devices and the nodes that run on it; each is on one machine at most."""
    co_location: CoLocation
    """How much they slow each other down: a table, or "measured"."""
