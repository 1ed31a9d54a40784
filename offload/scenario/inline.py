"""What a scenario file may say of hardware and networks of its own, with figures and their sources."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from offload.networks import Known
from offload.scenario.costs import PriceTable
from offload.scenario.fields import Frequency, LongTime, Name, Power, Size, SomeSize, Table, Variation


class Value(Table):
    """A power, how it is known, and its source."""

    value: Power
    """The power in watts, written with its unit."""
    known: Known
    """How it is known."""
    source: str
    """Where it comes from."""


class AnchorTable(Table):
    """A published latency of a whole network on this hardware."""

    model: Annotated[str, Field(examples=["resnet50"])]
    """The network whose latency was published, by its name here."""
    pixels: Annotated[int, Field(ge=1, le=100_000, examples=[224])]
    """The height and width of its input."""
    precision: Annotated[str, Field(examples=["int8"])]
    """The precision in which it ran, like "int8"; it anchors only forms of that precision."""
    latency: LongTime
    """The published latency of the whole network, one input at a time."""
    source: str
    """Where it was published."""
    offline: Annotated[Frequency, Field(examples=["5000 1/s"])] | None = None
    """The published throughput in large batches, from which batch latencies follow."""
    precision_known: Known = "published"
    """How the precision is known."""


class HardwareTable(Table):
    """A kind of machine: what it draws and costs, and how fast networks are known to run on it."""

    # With a `kind` all must be said; else it is shipped hardware, of which some is replaced.
    model_config = ConfigDict(
        json_schema_extra={
            "required": [],
            "dependentRequired": {"kind": ["memory", "idle_power", "busy_power"]},
        }
    )

    kind: Literal["cpu", "gpu", "accelerator"]
    """What it is, which decides how networks are rescaled to it. Shipped hardware may leave it out, and
    with it all that stays as shipped."""
    memory: Annotated[Size, Field(examples=["4 GB"])]
    """What there is for the weights of networks."""
    idle_power: Value
    """What it draws when it does nothing."""
    busy_power: Value
    """What it draws at work; the difference to idle is what work costs."""
    price: PriceTable | None = None
    """What one costs to buy, for `offload size`."""
    note: str = ""
    """A remark for readers."""
    latencies: list[AnchorTable] = []
    """Published latencies of whole networks, from which profiles are rescaled."""


class AccuracyTable(Table):
    """The share of correct answers, how it is known, and its source."""

    value: Annotated[float, Field(ge=0, le=1, strict=False, examples=[0.72])]
    """The share of right answers (0 to 1)."""
    known: Known
    """How it is known."""
    source: str
    """Where it comes from, and on which data."""


class LayerTable(Table):
    """A layer of a network that a scenario defines: what leaves it."""

    name: Annotated[str, Field(examples=["conv1"])]
    """What the layer is called."""
    output: Size
    """The bytes of what leaves it: what crosses where the network is cut behind it."""


class CostTable(Table):
    """What an inline variant costs on one hardware: seconds for each layer, one by one.

    `offline` is a throughput in large batches, which gives batch latencies l(b) = alpha b + beta with
    alpha = 1 / offline and alpha + beta the time of one.
    """

    known: Known
    """How the seconds are known."""
    source: str
    """Where they come from."""
    seconds: Annotated[list[LongTime], Field(min_length=1, max_length=10_000, examples=[["5 ms"]])]
    """The time of each layer, in their order."""
    service: Literal["constant", "exponential", "log-normal"] = "constant"
    """How the time of a run varies about its mean."""
    cv: Variation | None = None
    """Of log-normal times: their standard deviation over their mean."""
    offline: Annotated[Frequency, Field(examples=["5000 1/s"])] | None = None
    """The throughput in large batches; a batch of b then takes alpha b + beta, with alpha = 1 /
    offline."""


class InlineVariant(Table):
    """A form of a network that a scenario defines; `weights` is what a node must load to run it."""

    precision: Annotated[str, Field(examples=["int8"])] = "fp32"
    """Its precision, like "fp32" or "int8"."""
    weights: Annotated[SomeSize, Field(examples=["14 MB"])] | None = None
    """What a node must load to run it. Not given: nobody knows; it fits everywhere, but nodes
    with `load` refuse it."""
    accuracy: AccuracyTable | None = None
    """The share of right answers. Not given: `useful` is not defined."""
    layers: Annotated[list[LayerTable], Field(min_length=1, max_length=10_000)]
    """Its layers from input to result; it may be cut behind each."""
    costs: Annotated[dict[Name, CostTable], Field(min_length=1)]
    """What each layer takes, by the hardware that runs it; elsewhere the variant cannot run."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for hardware, cost in self.costs.items():
            if len(cost.seconds) != len(self.layers):
                msg = (
                    f"costs.{hardware}.seconds: has {len(cost.seconds)} entries for"
                    f" {len(self.layers)} layers; give one for each"
                )
                raise ValueError(msg)
        return self


class InlineModel(Table):
    """A network that a scenario defines with figures of its own."""

    task: str = "classification"
    """What it is for; only told."""
    variants: Annotated[dict[Name, InlineVariant], Field(min_length=1)]
    """Its forms, by name."""
