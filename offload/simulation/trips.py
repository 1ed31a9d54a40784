"""A plan looked up once: the stations it visits and what it asks of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from offload.energy import Radio
from offload.entities import Cell, Facts, Hardware, Plan, Wire
from offload.networks import Profile
from offload.planning import exits
from offload.planning.cost import Work, cost, sends_input, works
from offload.planning.money import has_prices
from offload.simulation.air import Air, Dedicated
from offload.simulation.batching import Batching
from offload.simulation.queueing import Queueing
from offload.simulation.stations import InOrder

Ways = tuple[tuple[Wire, InOrder], ...]
Servers = InOrder | Batching | Queueing


@dataclass(frozen=True, slots=True)
class Stop:
    """Compute at one place: cuts from and to, mean seconds alone (some for coding), watts above idle."""

    profile: Profile
    first: int
    last: int
    seconds: float
    coding_s: float
    marginal_w: float
    servers: Servers | None  # None: the device's own
    price_per_s: float = 0.0
    pays: bool = False  # money, or from a battery
    varies: bool = field(init=False)

    def __post_init__(self) -> None:
        same = self.profile.service == "quantiles" and self.profile.spread == (1.0,)
        object.__setattr__(self, "varies", not same)


@dataclass(frozen=True, slots=True)
class Away:
    """What a plan asks of others than the device: of whom, how much. Empty where it asks nothing.

    What crosses the cell is `sent_bytes` and `received_bytes`, which are more than the messages where it
    takes a toll. Joules and money are of these, if they are sent whole at the nominal rate.
    """

    cell: Cell
    uplink: Air
    downlink: Air
    up_bytes: float
    up_air_s: float
    to_edge: Ways
    edge: Stop | None
    to_cloud: Ways
    mid_bytes: float
    cloud: Stop | None
    back: Ways
    result_bytes: float
    down_air_s: float
    radio: Radio | None
    asks: bool = False  # the edge node decides where it goes on
    pays: bool = True  # messages cost energy or money
    sent_bytes: float = field(init=False)
    received_bytes: float = field(init=False)
    up_j: float = field(init=False)
    down_j: float = field(init=False)
    up_money: float = field(init=False)
    down_money: float = field(init=False)

    def __post_init__(self) -> None:
        radio, price, toll = self.radio, self.cell.price_per_byte, self.cell.toll
        sent_bytes, received_bytes = toll.size(self.up_bytes), toll.size(self.result_bytes)
        told = {
            "sent_bytes": sent_bytes,
            "received_bytes": received_bytes,
            "up_j": radio.up_j(sent_bytes, self.up_air_s) if radio else 0.0,
            "down_j": radio.down_j(received_bytes, self.down_air_s) if radio else 0.0,
            "up_money": price * sent_bytes,
            "down_money": price * received_bytes,
        }
        for name, value in told.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True, slots=True)
class Plain:
    """What a plan asks that only crosses hops of the device's own, at no cost, to and from one node.

    The node serves in order, and there is nothing to do but there. Bytes are those that cross.
    """

    uplink: Dedicated
    stop: Stop
    downlink: Dedicated
    up_bytes: float
    up_air_s: float
    result_bytes: float
    down_air_s: float
    drops_late: bool


@dataclass(frozen=True, slots=True)
class Trip:
    """A plan looked up: what it asks of the device and of others, and whether its answer is right.

    `right[image]` tells it of the test image that a Fate chooses; else `accuracy` is the probability;
    with neither nobody can say. `exit` is where it leaves a network that has several exits. If it
    `falls_back`, the device runs the whole network when a node turns the request away. Trips that are
    `sized` send inputs of several sizes, and this one those of the mean. Where it is
    so simple, `plain` says it all.
    """

    overhead_s: float
    drops_late: bool
    device: Stop | None
    away: Away | None
    exit: int | None
    right: bytes | None
    accuracy: float | None
    falls_back: bool = False
    sized: bool = False
    plain: Plain | None = None

    def carrying(self, input_bytes: float) -> "Trip":
        """Return the trip of a request with so large an input; one that is sized."""
        away: Away = self.away  # type: ignore[assignment]  # it sends its input somewhere
        air_s = 8 * away.cell.toll.size(input_bytes) / away.cell.up_bps
        mid_bytes = input_bytes if away.edge is None else away.mid_bytes
        sent = replace(away, up_bytes=input_bytes, up_air_s=air_s, mid_bytes=mid_bytes)
        return replace(self, away=sent)


@dataclass(frozen=True, slots=True)
class Fork:
    """A plan looked up that is another trip for another request: by its size, or where it may leave.

    `taken` tells the exit of each test image, and `trips` the trip of each exit.
    """

    taken: bytes
    trips: Mapping[int, Trip]

    def trip(self, number: float, input_bytes: float) -> Trip:
        """Return the trip of a request with so large an input, whose Fate holds this number."""
        found = self.trips[self.taken[int(number * len(self.taken))]]
        return found.carrying(input_bytes) if found.sized else found


def look_up(
    facts: Facts,
    plan: Plan,
    airs: Mapping[str, tuple[Air, Air]],
    servers: Mapping[str, Servers],
    wires: Mapping[tuple[str, str], InOrder],
) -> Trip | Fork:
    """Look up everything that a plan needs. The plan must be valid."""
    if plan.confidence is None:
        only = trip(facts, plan, airs, servers, wires)
        return Fork(bytes(1), {0: only}) if only.sized else only
    branches = [branch for _, branch in exits.branches(plan)]
    trips = {b.exit: trip(facts, b, airs, servers, wires) for b in branches if b.exit is not None}
    return Fork(exits.exits_taken(plan), trips)


def trip(
    facts: Facts,
    plan: Plan,
    airs: Mapping[str, tuple[Air, Air]],
    servers: Mapping[str, Servers],
    wires: Mapping[tuple[str, str], InOrder],
) -> Trip:
    """Look up what a plan needs that states no confidence."""
    _, _, _, up_bytes, mid_bytes, result_bytes, _ = cost(facts, plan)
    on_device, at_edge, in_cloud = works(facts, plan)
    device = away = None
    if on_device is not None:
        device = _stop(on_device, facts.hardware, None, pays=facts.capacity_j is not None)
    if plan.uplinks is not None:
        cell = facts.cells[plan.uplinks[0]]
        site = cell.node
        up_air_s = 8 * cell.toll.size(up_bytes) / cell.up_bps
        down_air_s = 8 * cell.toll.size(result_bytes) / cell.down_bps
        away = Away(
            cell=cell,
            uplink=airs[cell.name][0],
            downlink=airs[cell.name][1],
            up_bytes=up_bytes,
            up_air_s=up_air_s,
            to_edge=ways(facts, wires, site, plan.edge),
            edge=_at(facts, at_edge, plan.edge, servers),
            to_cloud=ways(facts, wires, plan.edge or site, plan.cloud),
            mid_bytes=mid_bytes,
            cloud=_at(facts, in_cloud, plan.cloud, servers),
            back=ways(facts, wires, plan.cloud or plan.edge or site, site),
            result_bytes=result_bytes,
            down_air_s=down_air_s,
            radio=facts.radio,
            pays=facts.radio is not None or facts.capacity_j is not None or has_prices(facts),
            asks=at_edge is not None and facts.nodes[plan.edge or ""].decides_s is not None,
        )
    sized = facts.most_input_bytes is not None and sends_input(plan)
    answers, last = exits.answers(plan), exits.last_exit(plan)
    return Trip(
        overhead_s=facts.overhead_s,
        drops_late=facts.late == "drop",
        device=device,
        away=away,
        exit=last if len(plan.variant.exits) > 1 else None,
        right=None if answers is None else answers.right[last],
        accuracy=exits.accuracy(plan),
        falls_back=facts.fallback == "device" and plan.variant in facts.profiles["device"],
        sized=sized,
        plain=None if device or away is None or sized else _plain(away, facts),
    )


def _plain(away: Away, facts: Facts) -> Plain | None:
    """Return what is asked of others in a straight line, if it can be said so."""
    up, down, stop = away.uplink, away.downlink, away.edge
    if not isinstance(up, Dedicated) or not isinstance(down, Dedicated):
        return None
    if stop is None or not isinstance(stop.servers, InOrder) or away.cloud is not None:
        return None
    if away.to_edge or away.back or away.asks or away.pays or facts.overhead_s:
        return None
    if away.cell.toll.handshake_s or away.cell.toll.s_per_byte:
        return None
    late = facts.late == "drop"
    sent = away.sent_bytes, away.up_air_s, away.received_bytes, away.down_air_s
    return Plain(up, stop, down, *sent, drops_late=late)


def _at(
    facts: Facts, work: Work | None, name: str | None, servers: Mapping[str, Servers]
) -> Stop | None:
    if work is None or name is None:
        return None
    node = facts.nodes[name]
    price = node.price_per_s
    return _stop(work, node.hardware, servers[name], price, pays=price > 0.0)


def _stop(
    work: Work, hardware: Hardware, servers: Servers | None, price_per_s: float = 0.0, *, pays: bool
) -> Stop:
    return Stop(
        work.profile, work.first, work.last, work.seconds, work.coding_s, hardware.marginal_w, servers,
        price_per_s, pays,
    )  # fmt: skip


def ways(facts: Facts, wires: Mapping[tuple[str, str], InOrder], here: str, there: str | None) -> Ways:
    """Return the wires from node to node, each with the queue of its direction; none to nowhere."""
    if there is None:
        return ()
    found = []
    for name in facts.routes[here, there]:
        wire = facts.wires[name]
        found.append((wire, wires[name, here]))
        here = wire.ends[1] if wire.ends[0] == here else wire.ends[0]
    return tuple(found)
