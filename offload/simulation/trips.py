"""A plan looked up once: the stations it visits and what it asks of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from offload.entities import Cell, Facts, Node, Plan, Profile, Wire
from offload.planning.columns import cost
from offload.simulation.stations import Air
from offload.simulation.journey import Journey
from offload.simulation.stations import Batching, InOrder, Member

Ways = tuple[tuple[Wire, InOrder], ...]
Servers = InOrder | Batching


@dataclass(frozen=True, slots=True)
class Stop:
    """Compute at one place: mean seconds alone, cuts from and to, and watts above idle."""

    profile: Profile
    first: int
    last: int
    seconds: float
    marginal_w: float
    servers: Servers | None  # None: the device's own
    varies: bool = field(init=False)

    def __post_init__(self) -> None:
        same = self.profile.service == "quantiles" and self.profile.spread == (1.0,)
        object.__setattr__(self, "varies", not same)


@dataclass(frozen=True, slots=True)
class Trip:
    """What a plan asks of whom. Parts that it does not use are None or empty."""

    overhead_s: float
    drops_late: bool
    device: Stop | None
    cell: Cell | None
    air: tuple[Air, Air] | None
    up_bytes: float
    up_air_s: float
    up_j: float
    to_edge: Ways
    edge: Stop | None
    to_cloud: Ways
    mid_bytes: float
    cloud: Stop | None
    back: Ways
    result_bytes: float
    down_air_s: float
    down_j: float


def trip(
    facts: Facts,
    plan: Plan,
    airs: Mapping[str, tuple[Air, Air]],
    servers: Mapping[str, Servers],
    wires: Mapping[tuple[str, str], InOrder],
) -> Trip:
    """Look up everything that a plan needs. The plan must be valid."""
    variant = plan.variant
    device_s, edge_s, cloud_s, up_bytes, mid_bytes, result_bytes, _ = cost(facts, plan)
    cell = facts.cells[plan.uplinks[0]] if plan.uplinks else None
    here = cell.node if cell else ""
    up_air_s = 8 * up_bytes / cell.up_bps if cell else 0.0
    down_air_s = 8 * result_bytes / cell.down_bps if cell else 0.0
    back = plan.cloud or plan.edge or here
    return Trip(
        overhead_s=facts.overhead_s,
        drops_late=facts.late == "drop",
        device=Stop(
            facts.profiles["device"][variant],
            0,
            plan.device_cut,
            device_s,
            facts.hardware.busy_w.value - facts.hardware.idle_w.value,
            None,
        )
        if plan.device_cut
        else None,
        cell=cell,
        air=airs[cell.name] if cell else None,
        up_bytes=up_bytes,
        up_air_s=up_air_s,
        up_j=facts.radio_w * up_air_s,
        to_edge=_ways(facts, wires, here, plan.edge),
        edge=_stop(facts, plan, plan.edge, plan.device_cut, plan.edge_cut, edge_s, servers),
        to_cloud=_ways(facts, wires, plan.edge or here, plan.cloud),
        mid_bytes=mid_bytes,
        cloud=_stop(facts, plan, plan.cloud, plan.edge_cut, variant.last, cloud_s, servers),
        back=_ways(facts, wires, back, here if cell else None),
        result_bytes=result_bytes,
        down_air_s=down_air_s,
        down_j=facts.radio_w * down_air_s,
    )


def batch_member(stop: Stop, times: float, due_s: float, journey: Journey, place: int) -> Member:
    """Return what may join a batch: equal work is one range of layers of one variant."""
    profile, first, last = stop.profile, stop.first, stop.last

    def done(share_s: float, members: int) -> None:
        journey.joules[place] += stop.marginal_w * share_s
        journey.batch = members

    def seconds(members: int) -> float:
        return profile.seconds(first, last, members)

    return Member((profile, first, last), seconds, times, due_s, done, journey.wake)


def _stop(
    facts: Facts, plan: Plan, name: str | None, first: int, last: int, seconds: float,
    servers: Mapping[str, Servers],
) -> Stop | None:  # fmt: skip
    if name is None:
        return None
    node: Node = facts.nodes[name]
    marginal_w = node.hardware.busy_w.value - node.hardware.idle_w.value
    profile = facts.profiles[name][plan.variant]
    return Stop(profile, first, last, seconds, marginal_w, servers[name])


def _ways(
    facts: Facts, wires: Mapping[tuple[str, str], InOrder], here: str, there: str | None
) -> Ways:
    if there is None:
        return ()
    ways = []
    for name in facts.routes[here, there]:
        wire = facts.wires[name]
        ways.append((wire, wires[name, here]))
        here = wire.ends[1] if wire.ends[0] == here else wire.ends[0]
    return tuple(ways)
