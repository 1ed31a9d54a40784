"""What a scenario file may say: its keys, their units and their bounds."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from offload.scenario.breaking import FaultTable
from offload.scenario.comparing import Chosen, Compare, Sweep
from offload.scenario.costs import CostsTable
from offload.scenario.energy import BatteryTable, RadioPower, SomeShare
from offload.scenario.fields import (
    Area,
    ByteRate,
    LongTime,
    Name,
    Point,
    Price,
    SomeSize,
    Table,
    Time,
    WarmUp,
)
from offload.scenario.inline import HardwareTable, InlineModel
from offload.scenario.links import Link
from offload.scenario.mobility import Mobility
from offload.scenario.overheads import AfterIdling, MachineTable, Overhead
from offload.scenario.tasks import Task

MOST_REQUESTS = 50_000_000
MOST_SOURCES = 1_000_000


class DeviceGroup(Table):
    """Devices of one kind. Of those in a trace, `count` are taken, or all if it is not given.

    `radio_power` is what sending and receiving draw, or the name of a radio that was measured. A
    processor may run at a share of its full `frequency`, and be slower `after_idle`. In shared cells a
    device gets air time by its `weight`.
    """

    count: Annotated[int, Field(ge=1, le=100_000, examples=[20])] | None = None
    """How many devices there are. Not given: all that a trace has, else one."""
    hardware: Annotated[Name, Field(examples=["x86-core"])]
    """The machine in each of them, by its name; `offload hardware` lists those that ship."""
    radio_power: RadioPower = None
    """What sending and receiving draw, or a radio by its name with power lines, tails and promotions.
    Not given: they cost no energy."""
    frequency: SomeShare = 1.0
    """The share (0.01 to 1) of its full clock at which a device runs: work takes 1 / share as long, at
    the cube of it in power."""
    after_idle: AfterIdling | None = None
    """Makes work that begins after a long gap slower: a table, or "measured". Not given: it is not."""
    battery: BatteryTable | None = None
    """Gives each device a battery; when that is empty the device is off (cause `no-power`)."""
    weight: Annotated[float, Field(gt=0, le=1e6, strict=False, allow_inf_nan=False)] = 1.0
    """In shared cells a device gets air time by its weight."""
    at: Point | None = None
    """Where all of them stand: x and y. Not given, nor mobility: at the origin."""
    mobility: Mobility | None = None
    """How devices move: a trace from a file, points to pass, or a model."""
    tasks: Annotated[dict[Name, Task], Field(min_length=1)]
    """What each of them wants answered again and again, by name."""

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

    max: Annotated[int, Field(ge=2, le=4096, examples=[8])]
    """The most requests in a batch."""
    wait: Annotated[Time, Field(examples=["5 ms"])] = 0.0
    """How long a batch waits for more from its first member on."""


class Reports(Table):
    """How often a node says how it is."""

    every: Annotated[LongTime, Field(examples=["100 ms"])]
    """From one report to the next; devices decide on the last one that has come."""


class ScaleTable(Table):
    """How servers come and go: when another starts, and after how much idleness one stops."""

    min: Annotated[int, Field(ge=1, le=10_000)] = 1
    """The servers that always run."""
    max: Annotated[int, Field(ge=1, le=10_000, examples=[8])]
    """The most servers that run at once."""
    up: Annotated[Time, Field(examples=["200 ms"])]
    """Another server starts while more than this much work waits for each."""
    start: Annotated[Time, Field(examples=["4 s"])]
    """How long a server takes to start."""
    idle: Annotated[LongTime, Field(examples=["10 s"])]
    """A server that has had nothing to do for so long stops."""

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
    """What it is: a request passes an edge node first and a cloud last, and may be divided between
    them."""
    at: Point = (0.0, 0.0)
    """Where the node stands, and with it the cells that lead to it: x and y."""
    hardware: Annotated[Name, Field(examples=["x86-core"])]
    """The machine that each of its servers is, by its name."""
    servers: Annotated[int, Field(ge=1, le=10_000)] = 1
    """How many requests it works on at once."""
    batch: Batch | None = None
    """Lets servers gather equal work into batches. Not given: one request at a time."""
    queue: Literal["fifo", "priority", "edf"] = "fifo"
    """Who is served next: who came first, the highest `priority` of tasks, or the earliest deadline."""
    memory: Annotated[SomeSize, Field(examples=["512 MB"])] | None = None
    """What there is for weights: a network with more cannot run here, and with `load` no more is there
    at once. Not given: the hardware's."""
    load: ByteRate | None = None
    """How quickly weights are loaded before they are used; those used least recently make way. Not
    given: all weights are there."""
    resident: Annotated[list[str], Field(max_length=100, examples=[["mobilenetv2:int8"]])] = []
    """Variants ("network:form") whose weights are there at first; belongs to `load`."""
    admit: Literal["all", "deadline"] = "all"
    """Whom it takes: everyone, or only who would begin before its deadline. Who is turned away ends with
    cause `shed`."""
    queue_limit: Annotated[int, Field(ge=0, le=1_000_000, examples=[100])] | None = None
    """How many may wait; who comes then is turned away. Not given: any number."""
    scale: ScaleTable | None = None
    """Lets servers come and go, instead of `servers`."""
    reports: Reports = Reports.model_construct(every=0.1)
    """How often it tells how busy it and its cells are."""
    policy: Chosen = {}
    """A policy of the edge node's own, which decides where a request that came to it goes on. Not given:
    the device decides all."""
    price_per_hour: Price = 0.0
    """What an hour of a server's computing costs, in the scenario's currency; part of `money`."""
    after_idle: AfterIdling | None = None
    """Makes work that begins after a long gap slower: a table, or "measured". Not given: it is not."""

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


class ScenarioFile(Table):
    """A scenario."""

    format: Literal[1]
    """The version of this format."""
    name: Annotated[Name, Field(examples=["city"])]
    """What the scenario is called, and the folder of its results."""
    description: str = ""
    """A sentence for readers: above all what the networks stand in for."""
    duration: Annotated[LongTime, Field(examples=["60 s"])]
    """For how long requests are born."""
    warm_up: Annotated[WarmUp, Field(examples=["10 s"])] = 0.0
    """Requests born before this are simulated and not counted. "auto" finds one cut for all policies
    (MSER-5 over the mean of the replications)."""
    drain: Time = 30.0
    """For how long after `duration` the world goes on with what is under way; what is not answered then
    has the cause `unfinished`."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    """The beginning of all chance: the same seed gives the same births and the same luck."""
    map: Annotated[Area, Field(examples=[[["0 m", "0 m"], ["2 km", "2 km"]]])] | None = None
    """The rectangle of the scenario: its corners with the least and the largest x and y. `offload check`
    notes who leaves it."""
    profiles: Annotated[str, Field(examples=["../profiles"])] | None = None
    """A folder of profiles of your own, beside the scenario; one replaces a shipped one of its name."""
    shares: Literal["measured", "second-opinion"] = "measured"
    """Which opinion on the layers' shares rescaled profiles follow: those measured here, or those of the
    best method of rescaling."""
    hardware: dict[Name, HardwareTable] = {}
    """Machines of your own by name, or other figures for shipped ones."""
    models: dict[Name, InlineModel] = {}
    """Networks of your own, with the figures of their layers, instead of profiles."""
    devices: Annotated[dict[Name, DeviceGroup], Field(min_length=1)]
    """The groups of devices, by name; the devices of a group car are car-0, car-1, and so on."""
    nodes: dict[Name, NodeTable] = {}
    """The edge servers and clouds, by name."""
    links: Annotated[
        dict[Name, Link], Field(examples=[{"wire": {"from": "hub", "to": "region", "rate": "1 Gbit/s"}}])
    ] = {}
    """What connects them, by name: cells from devices to a node, and wires between nodes."""
    machines: dict[Name, MachineTable] = {}
    """Machines that several groups and nodes share, by name."""
    faults: Annotated[
        dict[Name, FaultTable],
        Field(examples=[{"outage": {"of": ["hub"], "windows": [["10 s", "20 s"]]}}]),
    ] = {}
    """What breaks or slows down, by name."""
    policy: Chosen = {}
    """The policy of `offload run`: its name, and its options."""
    compare: Compare | None = None
    """What `offload compare` compares."""
    sweep: Sweep | None = None
    """What `offload sweep` varies."""
    costs: CostsTable = CostsTable.model_construct()
    """What `offload size` charges a configuration with."""

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
