"""What a scenario file may say: its keys, their units and their bounds."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from offload.networks import Known
from offload.scenario.breaking import FaultTable
from offload.scenario.costs import CostsTable, PriceTable
from offload.scenario.energy import BatteryTable, RadioPower, SomeShare
from offload.scenario.fields import (
    Area,
    ByteRate,
    Frequency,
    LongTime,
    Name,
    Point,
    Power,
    Price,
    Size,
    SomeSize,
    Table,
    Time,
    Variation,
    WarmUp,
)
from offload.scenario.links import Link
from offload.scenario.mobility import Mobility
from offload.scenario.overheads import AfterIdling, MachineTable, Overhead
from offload.scenario.tasks import Task

MOST_REQUESTS = 50_000_000
MOST_SOURCES = 1_000_000
MOST_POINTS = 100_000


class Value(Table):
    """A power, how it is known, and its source."""

    value: Power
    known: Known
    source: str


class AnchorTable(Table):
    """A published latency of a whole network on this hardware."""

    model: str
    pixels: Annotated[int, Field(ge=1, le=100_000)]
    precision: str
    latency: LongTime
    source: str
    offline: Frequency | None = None
    precision_known: Known = "published"


class HardwareTable(Table):
    """A kind of machine: what it draws and costs, and how fast networks are known to run on it."""

    kind: Literal["cpu", "gpu", "accelerator"]
    memory: Size
    idle_power: Value
    busy_power: Value
    price: PriceTable | None = None
    note: str = ""
    latencies: list[AnchorTable] = []


class AccuracyTable(Table):
    """The share of correct answers, how it is known, and its source."""

    value: Annotated[float, Field(ge=0, le=1, strict=False)]
    known: Known
    source: str


class LayerTable(Table):
    """A layer of a network that a scenario defines: what leaves it."""

    name: str
    output: Size


class CostTable(Table):
    """What an inline variant costs on one hardware: seconds for each layer, one by one.

    `offline` is a throughput in large batches, which gives batch latencies l(b) = alpha b + beta with
    alpha = 1 / offline and alpha + beta the time of one.
    """

    known: Known
    source: str
    seconds: Annotated[list[LongTime], Field(min_length=1, max_length=10_000)]
    service: Literal["constant", "exponential", "log-normal"] = "constant"
    cv: Variation | None = None
    offline: Frequency | None = None


class InlineVariant(Table):
    """A form of a network that a scenario defines; `weights` is what a node must load to run it."""

    precision: str = "fp32"
    weights: SomeSize | None = None
    accuracy: AccuracyTable | None = None
    layers: Annotated[list[LayerTable], Field(min_length=1, max_length=10_000)]
    costs: Annotated[dict[Name, CostTable], Field(min_length=1)]

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
    variants: Annotated[dict[Name, InlineVariant], Field(min_length=1)]


class DeviceGroup(Table):
    """Devices of one kind. Of those in a trace, `count` are taken, or all if it is not given.

    `radio_power` is what sending and receiving draw, or the name of a radio that was measured. A
    processor may run at a share of its full `frequency`, and be slower `after_idle`. In shared cells a
    device gets air time by its `weight`.
    """

    count: Annotated[int, Field(ge=1, le=100_000)] | None = None
    hardware: Name
    radio_power: RadioPower = None
    frequency: SomeShare = 1.0
    after_idle: AfterIdling | None = None
    battery: BatteryTable | None = None
    weight: Annotated[float, Field(gt=0, le=1e6, strict=False, allow_inf_nan=False)] = 1.0
    at: Point | None = None
    mobility: Mobility | None = None
    tasks: Annotated[dict[Name, Task], Field(min_length=1)]

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.at is not None and self.mobility is not None:
            msg = "at and mobility exclude each other"
            raise ValueError(msg)
        if self.battery is not None and self.after_idle is not None:
            msg = "after_idle: a device with a battery must know what its work takes; leave it out"
            raise ValueError(msg)
        return self

    @property
    def at_most(self) -> int:
        """How many there may be; of a trace that is not bounded here, at least one."""
        return 1 if self.count is None else self.count


class Batch(Table):
    """How a server gathers equal work."""

    max: Annotated[int, Field(ge=2, le=4096)]
    wait: Time = 0.0


class Reports(Table):
    """How often a node says how it is."""

    every: LongTime


class ScaleTable(Table):
    """How servers come and go: when another starts, and after how much idleness one stops."""

    min: Annotated[int, Field(ge=1, le=10_000)] = 1
    max: Annotated[int, Field(ge=1, le=10_000)]
    up: Time
    start: Time
    idle: LongTime

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.max < self.min:
            msg = f"max: is less than min, {self.min}"
            raise ValueError(msg)
        return self


class NodeTable(Table):
    """An edge server or a cloud.

    Servers take up work first come first served, by priority, or earliest deadline first; or they gather
    batches. With `load`, weights have to be loaded before they are used; `resident` are there at first.
    An edge node may have a `policy` of its own, which decides where an arriving request goes on.
    An hour of a server's computing costs `price_per_hour`; if nothing, it is one's own. Servers may be
    slower `after_idle`.
    """

    kind: Literal["edge", "cloud"]
    at: Point = (0.0, 0.0)
    hardware: Name
    servers: Annotated[int, Field(ge=1, le=10_000)] = 1
    batch: Batch | None = None
    queue: Literal["fifo", "priority", "edf"] = "fifo"
    memory: SomeSize | None = None
    load: ByteRate | None = None
    resident: Annotated[list[str], Field(max_length=100)] = []
    admit: Literal["all", "deadline"] = "all"
    queue_limit: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    scale: ScaleTable | None = None
    reports: Reports = Reports.model_construct(every=0.1)
    policy: dict[str, Any] = {}
    price_per_hour: Price = 0.0
    after_idle: AfterIdling | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        others = ("queue", "load", "admit", "queue_limit", "scale")
        given = [key for key in others if key in self.model_fields_set]
        if self.batch is not None and given:
            msg = f"{given[0]}: servers that gather batches do so in order, and take all; leave it out"
            raise ValueError(msg)
        if self.scale is not None and "servers" in self.model_fields_set:
            msg = "servers: scale says how many there are; leave one of them out"
            raise ValueError(msg)
        if self.policy and self.kind == "cloud":
            msg = "policy: only an edge node decides where a request goes on; leave it out"
            raise ValueError(msg)
        if self.resident and self.load is None:
            msg = "resident: without load, everything is; leave it out, or say how quickly weights load"
            raise ValueError(msg)
        return self


class Compare(Table):
    """Which policies to compare: whole policy tables; `label` tells two of one name apart."""

    policies: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=100)]
    replications: Annotated[int, Field(ge=2, le=10_000)] = 10


class Sweep(Table):
    """Which keys of the scenario to vary, how, and which policies to compare at each point.

    `vary` is a table of keys (in quotes, dots and all) with the values of each, or a list of tables, one
    a point. Values are a list, or a range like "1..8" or "50..400 Mbit/s". The policies are those of
    [compare], or that of [policy], unless it names its own; `points` is how many a hypercube has.
    """

    method: Literal["grid", "list", "latin-hypercube"] = "grid"
    vary: (
        Annotated[dict[str, Any], Field(min_length=1, max_length=100)]
        | Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MOST_POINTS)]
    )
    points: Annotated[int, Field(ge=1, le=MOST_POINTS)] | None = None
    policies: Annotated[list[dict[str, Any]], Field(max_length=100)] = []
    replications: Annotated[int, Field(ge=1, le=10_000)] | None = None
    measures: Annotated[list[str], Field(max_length=20)] = []

    @field_validator("vary", mode="before")
    @classmethod
    def _tables(cls, given: object) -> object:
        if isinstance(given, dict) or (
            isinstance(given, list) and all(isinstance(each, dict) for each in given)
        ):
            return given
        msg = (
            'write { "nodes.hub.servers" = "1..4", "links.wifi.up" = ["20 Mbit/s", "40 Mbit/s"] }, or'
            ' with method = "list" one such table a point'
        )
        raise ValueError(msg)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if isinstance(self.vary, list) and self.method != "list":
            msg = 'method: tables of keys are points one by one; write "list"'
            raise ValueError(msg)
        if self.points is not None and self.method != "latin-hypercube":
            msg = f"points: a {self.method} has as many as its values make; leave it out"
            raise ValueError(msg)
        return self


class ScenarioFile(Table):
    """A scenario."""

    format: Literal[1]
    name: Name
    description: str = ""
    duration: LongTime
    warm_up: WarmUp = 0.0
    drain: Time = 30.0
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    map: Area | None = None
    profiles: str | None = None
    shares: Literal["measured", "second-opinion"] = "measured"
    hardware: dict[Name, HardwareTable] = {}
    models: dict[Name, InlineModel] = {}
    devices: Annotated[dict[Name, DeviceGroup], Field(min_length=1)]
    nodes: dict[Name, NodeTable] = {}
    links: dict[Name, Link] = {}
    machines: dict[Name, MachineTable] = {}
    faults: dict[Name, FaultTable] = {}
    policy: dict[str, Any] = {}
    compare: Compare | None = None
    sweep: Sweep | None = None
    costs: CostsTable = CostsTable.model_construct()

    @property
    def overheads(self) -> Iterator[tuple[str, str, Overhead]]:
        """Of what, by which key, which table says what messages and work cost beyond all else."""
        found: list[tuple[str, str, Overhead | None]] = []
        for name, link in self.links.items():
            found += [(f"links.{name}", "hop_cost", link.hop_cost)]
            found += [(f"links.{name}", "security", link.security)]
        for kind, tables in (("devices", self.devices), ("nodes", self.nodes)):
            found += [(f"{kind}.{name}", "after_idle", each.after_idle) for name, each in tables.items()]
        for name, machine in self.machines.items():
            found += [(f"machines.{name}", "co_location", machine.co_location)]
        yield from ((of, key, table) for of, key, table in found if table is not None)

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if isinstance(self.warm_up, float) and self.warm_up >= self.duration:
            msg = "warm_up: must be shorter than duration"
            raise ValueError(msg)
        births = 0.0
        for name, group in self.devices.items():
            outages = group.battery.outages_hz * self.duration * group.at_most if group.battery else 0.0
            if outages > MOST_REQUESTS:
                msg = f"devices.{name}.battery: it may empty {outages:.3g} times; give it more capacity"
                raise ValueError(msg)
            for task_name, task in group.tasks.items():
                sources = group.at_most * task.streams
                if sources > MOST_SOURCES:
                    msg = f"devices.{name}.count: {sources:.3g} sources of requests; at most 1e6 may be"
                    raise ValueError(msg)
                spells = sources * self.duration * task.spells_hz
                if spells > MOST_REQUESTS:
                    key = f"devices.{name}.tasks.{task_name}.{'on' if task.on else 'states'}"
                    msg = f"{key}: about {spells:.3g} bursts; at most {MOST_REQUESTS:.0e} may be"
                    raise ValueError(msg)
                births += sources * self.duration * task.rate_hz * task.rows
        if births > MOST_REQUESTS:
            msg = (
                f"duration: about {births:.3g} requests would be born; at most"
                f" {MOST_REQUESTS:.0e} may be"
            )
            raise ValueError(msg)
        return self
