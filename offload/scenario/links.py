"""How a scenario describes its links: cells, by their rates or by their radio, and wires."""

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

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

    trace: Annotated[str, Field(examples=["cell.csv"])]
    """A file of rates beside the scenario: Mahimahi, Pensieve, Oboe, uccmisl's 5G CSV, or CSV with the
    header seconds,bits/s; told apart by what they hold."""
    loop: bool | None = None
    """Whether the recording begins again at its end. Not given: Mahimahi's and Pensieve's do."""


class Switching(Table):
    """A Markov-modulated rate: it stays in each state for an exponential time of this mean."""

    states: Annotated[
        list[Rate], Field(min_length=2, max_length=100, examples=[["50 Mbit/s", "5 Mbit/s"]])
    ]
    """The rates that it switches between; after one comes any of the others, equally likely."""
    stay: Annotated[list[LongTime], Field(min_length=2, max_length=100, examples=[["20 s", "5 s"]])]
    """The mean time in each of the states, in their order."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if len(self.states) != len(self.stay):
            msg = f"stay: has {len(self.stay)} entries for {len(self.states)} states; give one for each"
            raise ValueError(msg)
        return self


class Drifting(Table):
    """A rate that is normal about its mean and forgets with the time constant `memory`."""

    mean: Annotated[Rate, Field(examples=["50 Mbit/s"])]
    """The mean rate, before `floor` bounds it."""
    sd: Annotated[Rate, Field(examples=["10 Mbit/s"])]
    """The standard deviation of the rate."""
    memory: Annotated[LongTime, Field(examples=["10 s"])]
    """How long the rate takes to forget: its correlation falls as exp(-t / memory)."""
    floor: Rate = 1e3
    """The least rate; what would fall below is raised to it."""


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
    """For how long the gain stays as it is."""
    rician_k: Annotated[float, Field(ge=0, le=1e4, strict=False, allow_inf_nan=False)] = 0.0
    """The power of the line of sight over that of all other paths; 0 is Rayleigh fading."""


CELL = ("up", "down", "range", "give_up", "shared", "handover", "radio", "bandwidth", "load", "fading")
WIRE = ("rate", "jitter", "distance", "loss", "timeout")
# What a radio decides by itself, and what belongs to one.
DECIDED, RADIO = ("up", "down", "range", "shared", "handover"), ("bandwidth", "load", "fading")
_NEEDED: dict[str, Any] = {
    "anyOf": [{"required": ["rate"]}, {"required": ["radio"]}, {"required": ["up", "down"]}],
    "not": {"anyOf": [{"required": [key, "rate"]} for key in CELL]},
}


class Link(Table):
    """A cell (`up` and `down`, or `radio`) from devices to a node, or a wire (`rate`) between nodes.

    Bytes that cross it cost `price_per_GB`, and to have it costs `rent`, in one currency for all of a
    scenario. What its messages take beyond rate and delay is their `hop_cost`, and that of `security`.
    """

    model_config = ConfigDict(json_schema_extra=_NEEDED)

    from_: Annotated[str | list[str], Field(alias="from", examples=["*"])]
    """Of a cell: the device groups that may use it, one name or a list, or "*" for all. Of a wire: the
    node at one of its ends."""
    to: Annotated[str, Field(examples=["cabinet"])]
    """The node at its other end; of a cell, the node on whose site it stands."""
    up: Capacity | None = None
    """What a cell carries from devices, to be shared by those that send: a rate, one read from a file,
    one that switches between states, or one that drifts about a mean."""
    down: Capacity | None = None
    """What a cell carries to devices, said in the same ways as `up`."""
    range: Range | None = None
    """How far from its node a cell reaches. Not given: everywhere."""
    give_up: Annotated[LongTime, Field(examples=["2 s"])] | None = None
    """How long a transfer waits for a cell out of reach until it fails. Not given: 1 s."""
    shared: bool | None = None
    """Whether devices share a cell's air time; if false each has all of it to itself. Not given: they
    do."""
    handover: Annotated[Time, Field(examples=["50 ms"])] | None = None
    """Lets a cell with `up` and `down` hand devices over to others that do too: the interruption that
    takes (the longest, where cells differ). Not given: a transfer stays with its cell. A radio has its
    own."""
    radio: RadioName | None = None
    """A kind of cell after 3GPP by its name, instead of `up` and `down`: path loss, shadows, rates and
    handover follow from where devices are."""
    bandwidth: Frequency | None = None
    """The width of a radio's channel. Not given: the preset's own."""
    load: Annotated[Confidence, Field(examples=[0.3])] | None = None
    """For which share of the time a radio's cell interferes with its neighbours (0 to 1): stated, not
    live, so that the world is the same under every policy. Not given: 0."""
    fading: FadingTable | None = None
    """Adds block fading to a radio, drawn anew in each replication."""
    rate: Rate | None = None
    """What a wire carries each way; a link with a rate is a wire."""
    jitter: Annotated[Time, Field(examples=["1 ms"])] | None = None
    """The mean of a wire's extra delay, exponential. Not given: none."""
    distance: Annotated[Range, Field(examples=["100 km"])] | None = None
    """How long a wire is: 0.025 ms of round trip for each kilometre, added to `delay`."""
    loss: (
        Annotated[float, Field(ge=0, le=0.9, strict=False, allow_inf_nan=False, examples=[0.01])] | None
    ) = None
    """The share of a wire's packets (1500 bytes) that are lost and sent again. Not given: none."""
    timeout: Time | None = None
    """How long after a wire's packet is lost it is sent again. Not given: twice the delay."""
    delay: Annotated[Time, Field(examples=["5 ms"])] = 0.0
    """How long a message takes one way, besides its time on the air or the wire."""
    price_per_gb: Annotated[Price, Field(alias="price_per_GB")] = 0.0
    """What 1e9 bytes cost that cross it, in the scenario's currency; part of `money`."""
    rent: RentTable | None = None
    """What having the link costs a month; `offload size` adds it up."""
    hop_cost: HopCost | None = None
    """What a message takes on this link beyond rate and delay: a table, or "measured" for what
    `offload testbed costs` found. Not given: nothing."""
    security: Security | None = None
    """What securing messages adds, a table or "mutual-tls" as measured. Not given: nothing."""

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
