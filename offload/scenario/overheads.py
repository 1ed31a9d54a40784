"""What a scenario says that messages and work cost beyond rates, delays and profiles."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from offload.networks import Known
from offload.overheads import AfterIdle
from offload.scenario.fields import LongTime, Table, Time
from offload.scenario.measured_costs import MeasuredCosts, MeasuredCostsError, measured_costs
from offload.units import show_seconds

SAID = "the scenario"
TIMES = ("message", "per_MB", "handshake", "within")

Slower = Annotated[float, Field(ge=0, le=100, strict=False, allow_inf_nan=False)]
Count = Annotated[float, Field(ge=0, le=1e6, strict=False, allow_inf_nan=False)]


class Overhead(Table):
    """A figure that a scenario gives, and how that is known: assumed, unless it says otherwise."""

    known: Known = "assumed"
    source: str = SAID

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

    message: Time = 0.0
    per_mb: Annotated[Time, Field(alias="per_MB")] = 0.0

    @property
    def s_per_byte(self) -> float:
        """Seconds for each byte of a message."""
        return self.per_mb / 1e6


class SecurityTable(HopTable):
    """The same for securing it, once a handshake, and by how many bytes messages get larger."""

    handshake: Time = 0.0
    message_bytes: Annotated[Count, Field(alias="bytes")] = 0.0
    bytes_per_mb: Annotated[Count, Field(alias="bytes_per_MB")] = 0.0

    @property
    def bytes_per_byte(self) -> float:
        """Bytes more for each byte of a message."""
        return self.bytes_per_mb / 1e6


class AfterIdleTable(Overhead):
    """How much slower work is after a long idle gap, and within what time it gets there."""

    slower: Slower
    within: LongTime

    @property
    def figure(self) -> AfterIdle:
        """What the world needs of it."""
        return AfterIdle(self.slower, self.within)


class CoLocationTable(Overhead):
    """How much slower work is that begins while another process of the machine computes."""

    slower: Slower


def _or_measured(
    found: Callable[[MeasuredCosts, str], Overhead | None],
    names: Callable[[MeasuredCosts], list[str]],
    example: str,
) -> BeforeValidator:
    """Let a name stand for what was measured; `names` are those that do, and `example` is a table."""

    def look_up(given: Any) -> Any:  # noqa: ANN401 - any TOML value
        if not isinstance(given, str):
            return given
        try:
            costs = measured_costs()
        except MeasuredCostsError as error:
            msg = f"{error}; write what it is, like {example}"
            raise ValueError(msg) from error
        if given not in names(costs):
            named = " or ".join(f'"{name}"' for name in names(costs))
            msg = f"not what was measured; write {named}, or what it is, like {example}"
            raise ValueError(msg)
        return found(costs, given)

    return BeforeValidator(look_up)


def _measured(_: MeasuredCosts) -> list[str]:
    return ["measured"]


def _hop(costs: MeasuredCosts, _: str) -> HopTable:
    hop = costs.hop
    return HopTable.model_construct(
        known=costs.known, source=costs.source, message=hop.message_s, per_mb=1e6 * hop.per_byte_s
    )


def _security(costs: MeasuredCosts, name: str) -> SecurityTable:
    secured = costs.security[name]
    return SecurityTable.model_construct(
        known=costs.known,
        source=costs.source,
        message=secured.message_s,
        per_mb=1e6 * secured.per_byte_s,
        handshake=secured.handshake_s,
        message_bytes=secured.message_bytes,
        bytes_per_mb=1e6 * secured.bytes_per_byte,
    )


def _after_idle(costs: MeasuredCosts, _: str) -> AfterIdleTable:
    idle = costs.after_idle
    return AfterIdleTable.model_construct(
        known=costs.known, source=costs.source, slower=idle.slower, within=idle.within_s
    )


def _co_location(costs: MeasuredCosts, _: str) -> CoLocationTable:
    slower = costs.co_location.slower
    return CoLocationTable.model_construct(known=costs.known, source=costs.source, slower=slower)


HopCost = Annotated[HopTable, _or_measured(_hop, _measured, '{ message = "80 us", per_MB = "0.4 ms" }')]
Security = Annotated[
    SecurityTable,
    _or_measured(
        _security,
        lambda costs: sorted(costs.security),
        '{ handshake = "3 ms", message = "20 us", per_MB = "1 ms", bytes = 22 }',
    ),
]
AfterIdling = Annotated[
    AfterIdleTable, _or_measured(_after_idle, _measured, '{ slower = 0.08, within = "10 ms" }')
]
CoLocation = Annotated[CoLocationTable, _or_measured(_co_location, _measured, "{ slower = 0.07 }")]


class MachineTable(Table):
    """Groups of devices and nodes that share one machine, and how much they slow each other down."""

    of: Annotated[list[str], Field(min_length=1, max_length=1000)]
    co_location: CoLocation
