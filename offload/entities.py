"""The nouns: what is said about machines, links, requests, plans and outcomes, and never changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from msgspec import Struct

from offload.energy import Radio
from offload.networks import Figure, Known, Profile, Variant, freeze
from offload.overheads import FREE, AfterIdle, Toll

Knowledge = Literal["reported", "fresh", "clairvoyant"]


class OffloadError(Exception):
    """What a user gave cannot be used; the message says where, and what to write instead.

    ScenarioError (a scenario file), ProfileError (a profile), TraceError (a trace), PolicyTableError (a
    policy's options), PolicyError (a policy that failed), UnknownNetworkError (a network's name),
    EnvError (an environment for agents that learn).
    """


NAME_RULE = "a name has 1 to 100 characters, no slash, and does not begin with a dot"


def is_name(text: str) -> bool:
    """Tell whether text may name a thing, and so a folder."""
    return 0 < len(text) <= 100 and text.isprintable() and not set("/\\") & set(text) and text[0] != "."


@dataclass(frozen=True, slots=True)
class Hardware:
    """A kind of machine: what it draws and how fast networks are known to run on it."""

    name: str
    kind: str
    idle_w: Figure
    busy_w: Figure
    memory_bytes: float
    anchors: tuple["Anchor", ...] = ()

    @property
    def marginal_w(self) -> float:
        """What work costs above idling, in watts."""
        return self.busy_w.value - self.idle_w.value


@dataclass(frozen=True, slots=True)
class Anchor:
    """A published latency of a whole network, from which profiles are rescaled.

    `offline_hz` is its published throughput in large batches, where there is one.
    """

    model: str
    pixels: int
    precision: str
    latency_s: float
    source: str
    offline_hz: float | None = None
    precision_known: Known = "published"


@dataclass(frozen=True, slots=True)
class Cell:
    """A radio cell of a site: what devices in range of `node` share, uplink and downlink apart.

    `up_bps` and `down_bps` are nominal: what a device alone gets at speed 1. Cells that hand devices
    over to each other have an interruption, the others None.
    """

    name: str
    node: str
    up_bps: float
    down_bps: float
    delay_s: float
    range_m: float
    give_up_s: float
    shared: bool
    interruption_s: float | None = None
    price_per_byte: float = 0.0
    toll: Toll = FREE


@dataclass(frozen=True, slots=True)
class Wire:
    """A link between two nodes: in-order, then a delay with an exponential jitter of this mean.

    Packets are lost with probability `loss`; what is missing is sent again every `timeout_s`.
    """

    name: str
    ends: tuple[str, str]
    rate_bps: float
    delay_s: float
    jitter_s: float
    loss: float = 0.0
    timeout_s: float = 0.0
    price_per_byte: float = 0.0
    toll: Toll = FREE


@dataclass(frozen=True, slots=True)
class Scale:
    """How many servers run: another starts while more than `up_s` of work waits for each.

    It is usable `start_s` later, and stops after being idle for `idle_s`.
    """

    min: int
    max: int
    up_s: float
    start_s: float
    idle_s: float


@dataclass(frozen=True, slots=True)
class Node:
    """An edge server or a cloud: servers that take up work in some order, or gather batches.

    Where weights are loaded, at `load_bps`, no more than `memory_bytes` of them are there at once;
    `resident` from the start. Where servers come and go, `servers` run at first. An edge node may have a
    policy of its own that decides where an arriving request goes on, and takes `decides_s` for it.
    Computing costs `price_per_s` of money.
    """

    name: str
    kind: Literal["edge", "cloud"]
    hardware: Hardware
    servers: int
    at_m: tuple[float, float]
    report_every_s: float
    batch_max: int = 1
    batch_wait_s: float = 0.0
    queue: Literal["fifo", "priority", "edf"] = "fifo"
    memory_bytes: float = float("inf")
    load_bps: float | None = None
    resident: tuple[str, ...] = ()
    admit: Literal["all", "deadline"] = "all"
    queue_limit: int | None = None
    scale: Scale | None = None
    decides_s: float | None = None
    price_per_s: float = 0.0
    after_idle: AfterIdle | None = None

    @property
    def in_order(self) -> bool:
        """Whether it serves whoever comes, one by one, in the order in which they come."""
        plain = self.batch_max == 1 and self.queue == "fifo" and self.admit == "all"
        return plain and self.load_bps is None and self.queue_limit is None and self.scale is None


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """What never changes for one task of one kind of device: networks, costs, routes, limits.

    `profiles[place][variant]` holds what a variant costs, where a place is "device" or a node's name.
    `routes[a, b]` names the wires from node to node; `cells` are those that the device may use. Besides
    raw values, `codecs` may code what leaves the device; besides running to the end, a network with
    exits may leave early if it is as sure as one of `confidences`.

    `input_bytes` is the mean where inputs are of several sizes, and `most_input_bytes` more than any of
    them then has; a request tells its own. Of a frame that needs several networks each `stage` has
    facts of its own, whose `deadline_s` is the whole frame's. Without a `radio`, sending costs no
    energy; without a battery, `capacity_j` is None.
    """

    group: str
    task: str
    hardware: Hardware = field(repr=False)
    radio: Radio | None
    deadline_s: float
    input_bytes: float
    result_bytes: Mapping[Variant, float] = field(repr=False)
    private: bool
    late: Literal["drop", "finish"]
    overhead_s: float
    variants: tuple[Variant, ...]
    profiles: Mapping[str, Mapping[Variant, Profile]] = field(repr=False)
    nodes: Mapping[str, Node] = field(repr=False)
    cells: Mapping[str, Cell] = field(repr=False)
    wires: Mapping[str, Wire] = field(repr=False)
    routes: Mapping[tuple[str, str], tuple[str, ...]] = field(repr=False)
    codecs: tuple[str, ...] = ()
    confidences: tuple[float, ...] = ()
    priority: int = 0
    fallback: Literal["device"] | None = None
    retries: int = 0
    retry_after_s: float = 0.0
    stage: str | None = None
    most_input_bytes: float | None = None
    capacity_j: float | None = None

    def __post_init__(self) -> None:
        profiles = {place: MappingProxyType(dict(known)) for place, known in self.profiles.items()}
        object.__setattr__(self, "profiles", profiles)
        freeze(self, "result_bytes", "profiles", "nodes", "cells", "wires", "routes")

    @property
    def asked(self) -> str:
        """The task, and the stage if it has one: `frame` or `frame.detect`."""
        return _asked(self.task, self.stage)


def _asked(task: str, stage: str | None) -> str:
    return task if stage is None else f"{task}.{stage}"


# The nouns below are made once or more a request. A msgspec.Struct is made without a Python call, and
# the cyclic garbage collector need not follow it: none of these can be part of a cycle.


class Request(Struct, frozen=True, gc=False):
    """One frame that wants an answer. `deadline_s` is the time left when it is asked about.

    Of a higher `priority`, it goes first where a node serves by that.

    Where a frame needs several networks, each asks by a request of its own: the `parent` is the frame's
    id, `stage` names what it asks for, and it is born when what it needs has reached the device.
    """

    id: int
    device: str
    group: str
    task: str
    born_s: float
    deadline_s: float
    input_bytes: float
    priority: int = 0
    parent: int | None = None
    stage: str | None = None

    @property
    def asked(self) -> str:
        """The task, and the stage if it has one: `frame` or `frame.detect`."""
        return _asked(self.task, self.stage)


class Plan(Struct, frozen=True, gc=False, cache_hash=True):
    """A variant and two cuts: what runs on the device, at the named edge node, in the named cloud.

    The device runs what lies before `device_cut`, the edge what lies between the two, the cloud the
    rest. Cuts index `variant.cuts`. What a plan does not need is None.

    `codec` makes what leaves the device smaller, all the way to the first node that computes. `exit` is
    the last exit that may be used (an index of `variant.exits`), by default the end; `confidence` lets
    a request leave at an earlier one that is at least that sure. What has left computes no more, and
    sends its result back from where it is.
    """

    variant: Variant
    device_cut: int
    edge_cut: int
    edge: str | None = None
    cloud: str | None = None
    uplinks: tuple[str, ...] | None = None
    codec: str | None = None
    exit: int | None = None
    confidence: float | None = None

    @property
    def end(self) -> int:
        """The cut at which it ends at the latest."""
        return self.variant.last if self.exit is None else self.variant.exits[self.exit]

    @property
    def on_device(self) -> bool:
        """Whether the device has something to compute: layers, or what it encodes."""
        return self.device_cut > 0 or self.codec is not None

    @property
    def split(self) -> bool:
        """Whether more than one place computes."""
        end = self.end
        whole = self.edge_cut == 0 or self.edge_cut >= end
        return not (self.device_cut >= end or (self.device_cut == 0 and whole))


class Report(Struct, frozen=True, gc=False):
    """What a node said about itself: seconds of queued work, devices (by weight) active in its cells.

    `backlog_s` is how long whoever came last would wait for a server, if nobody else came. `resident`
    are the variants whose weights are there or on their way, None where none need be loaded.
    """

    sent_s: float
    backlog_s: float
    active_up: Mapping[str, float]
    active_down: Mapping[str, float]
    resident: tuple[str, ...] | None = None


class Uplink(Struct, frozen=True, gc=False):
    """How a device sees one of its cells.

    `rate_bps` is what it expects: the cell's rate over one more than the devices active in the last
    report. `own_rate_bps` is what its own last transfer got, `own_age_s` ago. `alone_bps` is the rate
    now if nobody else were active, None where nobody shares it.
    """

    cell: str
    reachable: bool
    rate_bps: float
    down_bps: float
    queued_bytes: float
    own_rate_bps: float | None = None
    own_age_s: float | None = None
    alone_bps: float | None = None


class Luck(Struct, frozen=True, gc=False):
    """What only a clairvoyant sees: the numbers of this request's Fate and the wires' queues.

    `answer` chooses the test image, and so the exit.
    """

    device: float
    edge: float
    cloud: float
    wire_out: float
    wire_back: float
    answer: float
    wire_free_s: Mapping[tuple[str, str], float]


class Observation(Struct, frozen=True, gc=False):
    """What a device knows when it must decide.

    Or what an edge node knows of a request that has begun and come to it by a plan: its own true state,
    the last reports of the others, and by which cell the result returns. `battery_j` is what is left in
    the device's own battery, where it has one.
    """

    now_s: float
    backlog_s: float
    serving: str | None
    uplinks: Mapping[str, Uplink]
    reports: Mapping[str, Report | None]
    facts: Facts
    battery_j: float | None = None
    luck: Luck | None = None
    begun: Plan | None = None


class Question(Struct, frozen=True, gc=False):
    """Someone asks where a request should run."""

    asker: str
    request: Request
    seen: Observation


class Outcome(Struct, frozen=True, gc=False):
    """What became of a request; one row of the results.

    The legs (`decide_s` to `downlink_s`) are consecutive, waiting included, and sum to the latency.
    `cause` is empty for a finished request; `correct` is None where nobody can say. `energy_j` is the
    device's marginal energy, `edge_j` and `cloud_j` that of the servers. `exit` is the one that was
    taken, None where the network has but one, or nobody was answered. Of the time at edge and cloud,
    `load_s` was spent waiting for weights to be loaded. `money` is the price of its seconds of
    computing elsewhere and of the bytes that it sent.

    A frame that needs several networks has no plan: its stages, which have rows of their own, do. Its
    legs are theirs along the critical path, its bytes, joules and money the sums of all of theirs.
    """

    request: Request
    first_plan: Plan | None
    plan: Plan | None
    attempts: int
    ended_s: float
    cause: str
    correct: bool | None
    decide_s: float
    device_s: float
    uplink_s: float
    edge_s: float
    wan_s: float
    cloud_s: float
    downlink_s: float
    up_bytes: float
    down_bytes: float
    energy_j: float
    edge_j: float
    cloud_j: float
    batch: int
    exit: int | None = None
    load_s: float = 0.0
    money: float = 0.0
