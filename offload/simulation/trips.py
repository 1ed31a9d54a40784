"""A plan looked up once: the stations it visits and what it asks of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from offload.entities import Cell, Facts, Plan, Wire
from offload.networks import Profile, Variant
from offload.planning.columns import cost
from offload.simulation.air import Air
from offload.simulation.batching import Batching
from offload.simulation.stations import InOrder

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
class Away:
    """What a plan asks of others than the device: of whom, how much. Empty where it asks nothing."""

    cell: Cell
    uplink: Air
    downlink: Air
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


@dataclass(frozen=True, slots=True)
class Trip:
    """A plan looked up: what it asks of the device, and of others."""

    overhead_s: float
    drops_late: bool
    device: Stop | None
    away: Away | None


def trip(
    facts: Facts,
    plan: Plan,
    airs: Mapping[str, tuple[Air, Air]],
    servers: Mapping[str, Servers],
    wires: Mapping[tuple[str, str], InOrder],
) -> Trip:
    """Look up everything that a plan needs. The plan must be valid."""
    variant, last = plan.variant, plan.variant.last
    device_s, edge_s, cloud_s, up_bytes, mid_bytes, result_bytes, _ = cost(facts, plan)
    device = away = None
    if plan.device_cut:
        profile = facts.profiles["device"][variant]
        device = Stop(profile, 0, plan.device_cut, device_s, facts.hardware.marginal_w, None)
    if plan.uplinks is not None:
        cell = facts.cells[plan.uplinks[0]]
        site = cell.node
        up_air_s, down_air_s = 8 * up_bytes / cell.up_bps, 8 * result_bytes / cell.down_bps
        away = Away(
            cell=cell,
            uplink=airs[cell.name][0],
            downlink=airs[cell.name][1],
            up_bytes=up_bytes,
            up_air_s=up_air_s,
            up_j=facts.radio_w * up_air_s,
            to_edge=_ways(facts, wires, site, plan.edge),
            edge=_stop(facts, variant, plan.edge, plan.device_cut, plan.edge_cut, edge_s, servers),
            to_cloud=_ways(facts, wires, plan.edge or site, plan.cloud),
            mid_bytes=mid_bytes,
            cloud=_stop(facts, variant, plan.cloud, plan.edge_cut, last, cloud_s, servers),
            back=_ways(facts, wires, plan.cloud or plan.edge or site, site),
            result_bytes=result_bytes,
            down_air_s=down_air_s,
            down_j=facts.radio_w * down_air_s,
        )
    return Trip(facts.overhead_s, facts.late == "drop", device, away)


def _stop(
    facts: Facts,
    variant: Variant,
    name: str | None,
    first: int,
    last: int,
    seconds: float,
    servers: Mapping[str, Servers],
) -> Stop | None:
    if name is None:
        return None
    profile = facts.profiles[name][variant]
    return Stop(profile, first, last, seconds, facts.nodes[name].hardware.marginal_w, servers[name])


def _ways(facts: Facts, wires: Mapping[tuple[str, str], InOrder], here: str, there: str | None) -> Ways:
    if there is None:
        return ()
    ways = []
    for name in facts.routes[here, there]:
        wire = facts.wires[name]
        ways.append((wire, wires[name, here]))
        here = wire.ends[1] if wire.ends[0] == here else wire.ends[0]
    return tuple(ways)
