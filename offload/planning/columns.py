"""All plans open to a device, as columns: one entry a plan, computed once."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from numbers import Integral

import numpy as np
import numpy.typing as npt

from offload.entities import Facts, Plan
from offload.networks import Variant
from offload.planning.cuts import open_cuts

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """The rows of a table whose plans visit the same nodes."""

    edge: str | None
    cloud: str | None
    rows: slice


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The plans that a device may choose from while one cell serves it (or none).

    Seconds are means for a batch of one. A part that a plan does not use is zero. `up_bytes` cross
    the cell and the wires to the edge node, `mid_bytes` the wires to the cloud.
    """

    plans: tuple[Plan, ...]
    device_s: Floats
    edge_s: Floats
    cloud_s: Floats
    up_bytes: Floats
    mid_bytes: Floats
    result_bytes: Floats
    energy_j: Floats
    accuracy: Floats
    on_device: Flags
    unsplit: Flags
    ways: tuple["Way", ...]


@lru_cache(maxsize=1024)
def columns(facts: Facts, serving: str | None) -> Columns:
    """List every plan for this task while `serving` is the cell in use."""
    plans: list[Plan] = []
    ways: list[Way] = []
    for edge, cloud in _visits(facts, serving):
        more = [p for v in facts.variants for p in _plans(facts, v, serving, edge, cloud)]
        ways.append(Way(edge, cloud, slice(len(plans), len(plans) + len(more))))
        plans += more
    costs = [cost(facts, plan) for plan in plans]
    table = np.array(costs, dtype=float).reshape(len(plans), 7)
    return Columns(
        plans=tuple(plans),
        device_s=table[:, 0],
        edge_s=table[:, 1],
        cloud_s=table[:, 2],
        up_bytes=table[:, 3],
        mid_bytes=table[:, 4],
        result_bytes=table[:, 5],
        energy_j=table[:, 6],
        accuracy=np.array([p.variant.accuracy.value if p.variant.accuracy else np.nan for p in plans]),
        on_device=np.array([p.device_cut > 0 for p in plans], dtype=bool),
        unsplit=np.array([not p.split for p in plans], dtype=bool),
        ways=tuple(way for way in ways if way.rows.start < way.rows.stop),
    )


def cost(facts: Facts, plan: Plan) -> tuple[float, float, float, float, float, float, float]:
    """Return seconds on device, edge and cloud, bytes up, between and back, and device joules.

    Device joules are marginal: (busy - idle) watts while computing, radio watts for the air time at
    the cell's full rate, both ways.
    """
    variant, last = plan.variant, plan.variant.last
    device_s = edge_s = cloud_s = up_bytes = mid_bytes = result_bytes = air_s = 0.0
    if plan.device_cut > 0:
        device_s = facts.profiles["device"][variant].seconds(0, plan.device_cut)
    if plan.edge is not None:
        edge_s = facts.profiles[plan.edge][variant].seconds(plan.device_cut, plan.edge_cut)
    if plan.cloud is not None:
        cloud_s = facts.profiles[plan.cloud][variant].seconds(plan.edge_cut, last)
    if plan.uplinks is not None:
        up_bytes = crossing(facts, variant, plan.device_cut)
        result_bytes = facts.result_bytes[variant]
        cell = facts.cells[plan.uplinks[0]]
        air_s = 8 * up_bytes / cell.up_bps + 8 * result_bytes / cell.down_bps
    if plan.cloud is not None:
        mid_bytes = crossing(facts, variant, plan.edge_cut)
    energy_j = facts.hardware.marginal_w * device_s + facts.radio_w * air_s
    return device_s, edge_s, cloud_s, up_bytes, mid_bytes, result_bytes, energy_j


def crossing(facts: Facts, variant: Variant, cut: int) -> float:
    """Return the bytes that cross a cut: the encoded input at the first, raw values elsewhere."""
    return facts.input_bytes if cut == 0 else float(variant.cuts[cut].payload_bytes)


def _visits(facts: Facts, serving: str | None) -> list[tuple[str | None, str | None]]:
    """Which nodes plans may visit: none, an edge node, a cloud, or one after the other."""
    if serving is None:
        return [(None, None)]
    site = facts.cells[serving].node
    near = [node for node in facts.nodes.values() if (site, node.name) in facts.routes]
    edges = [node.name for node in near if node.kind == "edge"]
    clouds = [node.name for node in near if node.kind == "cloud"]
    both = [(edge, cloud) for edge in edges for cloud in clouds if (edge, cloud) in facts.routes]
    return [(None, None), *((e, None) for e in edges), *((None, c) for c in clouds), *both]


def _plans(
    facts: Facts, variant: Variant, serving: str | None, edge: str | None, cloud: str | None
) -> list[Plan]:
    """The shortlisted plans of one variant that visit these nodes."""
    last = variant.last
    on_device = variant in facts.profiles["device"]
    if edge is None and cloud is None:
        return [Plan(variant, last, last)] if on_device else []
    if serving is None or any(
        variant not in facts.profiles[name] for name in (edge, cloud) if name is not None
    ):
        return []
    cuts = open_cuts(facts, variant)
    firsts = [cut for cut in cuts if cut == 0 or on_device]
    if cloud is None:
        pairs = [(first, last) for first in firsts]
    elif edge is None:
        pairs = [(first, first) for first in firsts]
    else:
        pairs = [(first, second) for first in firsts for second in cuts if first < second]
    return [Plan(variant, *pair, edge, cloud, (serving,)) for pair in pairs]


def why_invalid(facts: Facts, plan: object) -> str | None:
    """Say what is wrong with a plan, or None if the world can carry it out."""
    if not isinstance(plan, Plan):
        return f"it is {type(plan).__name__}, no Plan"
    if plan.variant not in facts.variants:
        known = ", ".join(variant.label for variant in facts.variants)
        return f"its variant is none of this task's: {known}"
    if (plan.codec, plan.exit, plan.confidence) != (None, None, None):
        return "it sets codec, exit or confidence, of which this scenario has none"
    return _wrong_cuts(facts, plan) or _wrong_places(facts, plan) or _wrong_way(facts, plan)


def _wrong_cuts(facts: Facts, plan: Plan) -> str | None:
    last = plan.variant.last
    cuts = (plan.device_cut, plan.edge_cut)
    if not all(isinstance(cut, Integral) for cut in cuts) or not 0 <= cuts[0] <= cuts[1] <= last:
        return f"its cuts {cuts} must satisfy 0 <= device_cut <= edge_cut <= {last}"
    if facts.private and cuts[0] == 0:
        return "raw input of a private task may not leave the device (device_cut is 0)"
    return None


def _wrong_places(facts: Facts, plan: Plan) -> str | None:
    """Check that each part runs on a node of its kind that has a profile of the variant."""
    for role, used, name in (
        ("device", plan.device_cut > 0, "device"),
        ("edge", plan.device_cut < plan.edge_cut, plan.edge),
        ("cloud", plan.edge_cut < plan.variant.last, plan.cloud),
    ):
        if not used:
            if role != "device" and name is not None:
                return f"it names {role} node {name!r} but gives it nothing to run"
            continue
        node = facts.nodes.get(name) if name is not None else None
        if role != "device" and (node is None or node.kind != role):
            known = ", ".join(each.name for each in facts.nodes.values() if each.kind == role)
            return f"{role} is {name!r}; the {role} nodes are: {known or 'none'}"
        if name is not None and plan.variant not in facts.profiles[name]:
            return f"{name} has no profile of {plan.variant.label}"
    return None


def _wrong_way(facts: Facts, plan: Plan) -> str | None:
    if (plan.uplinks is None) != (plan.device_cut == plan.variant.last):
        return "it must name an uplink if and only if something runs off the device"
    if plan.uplinks is None:
        return None
    if (
        not isinstance(plan.uplinks, tuple)
        or len(plan.uplinks) != 1
        or plan.uplinks[0] not in facts.cells
    ):
        return f"uplinks is {plan.uplinks}; choose one of ({', '.join(facts.cells)},)"
    stops = [facts.cells[plan.uplinks[0]].node, *(n for n in (plan.edge, plan.cloud) if n)]
    for here, there in pairwise(stops):
        if (here, there) not in facts.routes:
            return f"no route leads from {here} to {there}"
    return None
