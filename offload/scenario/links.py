"""How a scenario describes its links: cells, by their rates or by their radio, and wires."""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from offload.overheads import Toll
from offload.scenario.costs import RentTable
from offload.scenario.fields import Confidence, Frequency, LongTime, Price, Range, Rate, Table, Time
from offload.scenario.overheads import HopCost, Security
from offload.world.wires import round_trip_s

RadioName = Literal[
    "nr-umi-3.5ghz", "nr-uma-3.5ghz", "nr-mmwave-28ghz", "lte-1.8ghz", "wifi-5ghz", "dsrc-5.9ghz"
]


class Traced(Table):
    """A rate recorded in a file; its format says whether it is repeated, unless `loop` does."""

    trace: str
    loop: bool | None = None


class Switching(Table):
    """A Markov-modulated rate: it stays in each state for an exponential time of this mean."""

    states: Annotated[list[Rate], Field(min_length=2, max_length=100)]
    stay: Annotated[list[LongTime], Field(min_length=2, max_length=100)]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if len(self.states) != len(self.stay):
            msg = f"stay: has {len(self.stay)} entries for {len(self.states)} states; give one for each"
            raise ValueError(msg)
        return self


class Drifting(Table):
    """A rate that is normal about its mean and forgets with the time constant `memory`."""

    mean: Rate
    sd: Rate
    memory: LongTime
    floor: Rate = 1e3


def _kind(given: Any) -> str:  # noqa: ANN401 - any TOML value
    """Tell which of these it is, by the key that only this one has."""
    if not isinstance(given, dict):
        return "[Rate]"
    return "[Traced]" if "trace" in given else "[Switching]" if "states" in given else "[Drifting]"


Capacity = Annotated[
    Annotated[Rate, Tag("[Rate]")]
    | Annotated[Traced, Tag("[Traced]")]
    | Annotated[Switching, Tag("[Switching]")]
    | Annotated[Drifting, Tag("[Drifting]")],
    Discriminator(_kind),
]


class FadingTable(Table):
    """Block fading: a new Rayleigh gain (Rician with `rician_k`) every coherence time."""

    coherence: LongTime
    rician_k: Annotated[float, Field(ge=0, le=1e4, strict=False, allow_inf_nan=False)] = 0.0


CELL = ("up", "down", "range", "give_up", "shared", "handover", "radio", "bandwidth", "load", "fading")
WIRE = ("rate", "jitter", "distance", "loss", "timeout")
# What a radio decides by itself, and what belongs to one.
DECIDED, RADIO = ("up", "down", "range", "shared", "handover"), ("bandwidth", "load", "fading")


class Link(Table):
    """A cell (`up` and `down`, or `radio`) from devices to a node, or a wire (`rate`) between nodes.

    Bytes that cross it cost `price_per_GB`, and to have it costs `rent`, in one currency for all of a
    scenario. What its messages take beyond rate and delay is their `hop_cost`, and that of `security`.
    """

    from_: Annotated[str | list[str], Field(alias="from")]
    to: str
    up: Capacity | None = None
    down: Capacity | None = None
    range: Range | None = None
    give_up: LongTime | None = None
    shared: bool | None = None
    handover: Time | None = None
    radio: RadioName | None = None
    bandwidth: Frequency | None = None
    load: Confidence | None = None
    fading: FadingTable | None = None
    rate: Rate | None = None
    jitter: Time | None = None
    distance: Range | None = None
    loss: Annotated[float, Field(ge=0, le=0.9, strict=False, allow_inf_nan=False)] | None = None
    timeout: Time | None = None
    delay: Time = 0.0
    price_per_gb: Annotated[Price, Field(alias="price_per_GB")] = 0.0
    rent: RentTable | None = None
    hop_cost: HopCost | None = None
    security: Security | None = None

    @property
    def toll(self) -> Toll:
        """What messages cost to cross it."""
        given, sealed = [each for each in (self.hop_cost, self.security) if each], self.security
        return Toll(
            s_per_byte=sum(each.s_per_byte for each in given),
            message_bytes=sealed.message_bytes if sealed else 0.0,
            bytes_per_byte=sealed.bytes_per_byte if sealed else 0.0,
            handshake_s=sealed.handshake if sealed else 0.0,
            message_s=sum(each.message for each in given),
        )

    @property
    def price_per_byte(self) -> float:
        """What a byte costs that crosses it."""
        return self.price_per_gb / 1e9

    @property
    def carried_bps(self) -> float | None:
        """What rent counts: up and down together, or a wire's rate; None where that is no number."""
        if self.rate is not None:
            return self.rate
        steady = isinstance(self.up, float) and isinstance(self.down, float)
        return self.up + self.down if steady else None  # type: ignore[operator]  # both are floats then

    @property
    def is_cell(self) -> bool:
        """Whether devices use it."""
        return self.rate is None

    @property
    def wire_delay_s(self) -> float:
        """The delay of a wire one way: what is given, and that of its distance."""
        return self.delay + round_trip_s(self.distance or 0.0) / 2

    @property
    def roams(self) -> bool:
        """Whether it hands devices over to others."""
        return self.handover is not None or self.radio is not None

    @property
    def drawn(self) -> bool:
        """Whether chance decides what it gives to devices."""
        return (
            self.radio is not None
            or isinstance(self.up, Switching | Drifting)
            or isinstance(self.down, Switching | Drifting)
        )

    def _given(self, keys: tuple[str, ...]) -> list[str]:
        return [key for key in keys if getattr(self, key) is not None]

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        cell, wire = self._given(CELL), self._given(WIRE)
        if cell and wire:
            msg = f"a cell has {', '.join(cell)} and a wire {', '.join(wire)}; a link is one of them"
            raise ValueError(msg)
        if self.radio is not None and (decided := self._given(DECIDED)):
            msg = f"{decided[0]}: the radio decides; leave out {', '.join(decided)}, or radio"
            raise ValueError(msg)
        if self.radio is None and (of_radio := self._given(RADIO)):
            msg = f"{of_radio[0]}: belongs to a cell with a radio"
            raise ValueError(msg)
        if self.is_cell and self.radio is None and (self.up is None or self.down is None):
            msg = "a cell needs up and down or a radio, a wire needs rate"
            raise ValueError(msg)
        if self.handover is not None and self.shared is False:
            msg = "handover: belongs to shared cells; leave out shared = false"
            raise ValueError(msg)
        if not self.is_cell and not isinstance(self.from_, str):
            msg = "a wire leads from one node to one node"
            raise ValueError(msg)
        return self
