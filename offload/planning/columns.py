"""All plans open to a device, as columns: one row for each thing that may become of a plan."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import groupby
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from offload.entities import Facts, Plan
from offload.networks import Variant
from offload.planning import exits
from offload.planning.cost import cost, sends_input
from offload.planning.cuts import confidences, ways_on, ways_out

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """The rows of a table that visit the same nodes."""

    edge: str | None
    cloud: str | None
    rows: slice


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """Which rows of a table make up which plan, where some may leave at one exit or another.

    Row r becomes of plan `plan_of[r]` for a share `weights[r]` of the test images.
    """

    plan_of: npt.NDArray[np.intp]
    weights: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The plans that a device may choose from while one cell serves it (or none).

    `plans`, `accuracy` (NaN where nobody knows it), `sure_accuracy` (0 there), `unsplit` and the flags
    of each place in `at` (it runs the whole network) and `uses` (it computes some of it) have one entry
    a plan, the others one a row: what may become of a plan, by the exit that is taken. A place is
    "device" or a node's name. Where there is no `mixture`, rows are plans. Seconds are means for a
    batch of one. A part that a row does not use is zero. `up_bytes` cross the cell and the wires to the
    first node that computes, `mid_bytes` the wires to the cloud. Rows that are `raw` send the input
    itself: up, and on if no edge node computes, those of the request at hand; the table holds the mean.
    """

    plans: tuple[Plan, ...]
    rows: tuple[Plan, ...]
    device_s: Floats
    edge_s: Floats
    cloud_s: Floats
    up_bytes: Floats
    mid_bytes: Floats
    result_bytes: Floats
    energy_j: Floats
    accuracy: Floats
    sure_accuracy: Floats
    on_device: Flags
    raw: Flags
    unsplit: Flags
    at: Mapping[str, Flags]
    uses: Mapping[str, Flags]
    ways: tuple[Way, ...]
    mixture: Mixture | None

    def by_plan(self, column: Floats) -> Floats:
        """Turn a column of rows into one of plans: means over what may become of each."""
        if self.mixture is None:
            return column
        return np.bincount(self.mixture.plan_of, self.mixture.weights * column).astype(np.float64)


@lru_cache(maxsize=1024)
def columns(facts: Facts, serving: str | None) -> Columns:
    """List every plan for this task while `serving` is the cell in use."""
    visits = _visits(facts, serving)
    plans = [p for visit in visits for v in facts.variants for p in _plans(facts, v, serving, *visit)]
    return tabulate(facts, plans)


def tabulate(facts: Facts, plans: Sequence[Plan]) -> Columns:
    """Return these plans as columns. They must be valid, and leave the device over one cell at most."""
    found = [
        (row, number, share) for number, plan in enumerate(plans) for share, row in exits.branches(plan)
    ]
    # What stays comes first, and what leaves early is a row of those that visit no more nodes. The order
    # of plans holds otherwise.
    visits = list(dict.fromkeys([(None, None), *((row.edge, row.cloud) for row, _, _ in found)]))
    found.sort(key=lambda each: visits.index((each[0].edge, each[0].cloud)))
    rows = tuple(row for row, _, _ in found)
    numbers = [number for _, number, _ in found]
    mixture = None
    if numbers != list(range(len(plans))):
        mixture = Mixture(np.array(numbers), np.array([share for _, _, share in found]))
        lock(mixture.plan_of, mixture.weights)
    costs = np.array([cost(facts, row) for row in rows], dtype=float).reshape(len(rows), 7).T.copy()
    lock(costs)
    device_s, edge_s, cloud_s, up_bytes, mid_bytes, result_bytes, energy_j = costs
    known = [exits.accuracy(plan) for plan in plans]
    unsplit = np.array([not plan.split for plan in plans], dtype=bool)
    uses = {
        place: np.array([place in (plan.edge, plan.cloud) for plan in plans], dtype=bool)
        for place in facts.nodes
    }
    uses["device"] = np.array([plan.device_cut > 0 for plan in plans], dtype=bool)
    table = Columns(
        plans=tuple(plans),
        rows=rows,
        device_s=device_s,
        edge_s=edge_s,
        cloud_s=cloud_s,
        up_bytes=up_bytes,
        mid_bytes=mid_bytes,
        result_bytes=result_bytes,
        energy_j=energy_j,
        accuracy=np.array([np.nan if share is None else share for share in known]),
        sure_accuracy=np.array([share or 0.0 for share in known]),
        on_device=np.array([row.on_device for row in rows], dtype=bool),
        raw=np.array([sends_input(row) for row in rows], dtype=bool),
        unsplit=unsplit,
        at=MappingProxyType({place: flags & unsplit for place, flags in uses.items()}),
        uses=MappingProxyType(uses),
        ways=tuple(_ways(rows)),
        mixture=mixture,
    )
    held = (getattr(table, each.name) for each in fields(table))
    lock(*(column for column in held if isinstance(column, np.ndarray)))
    lock(*table.at.values(), *table.uses.values())
    return table


def lock(*columns: npt.NDArray[np.generic]) -> None:
    """Let nobody change what is kept, and shown to whoever asks again."""
    for column in columns:
        column.flags.writeable = False


def _ways(rows: tuple[Plan, ...]) -> Iterator[Way]:
    """The runs of rows that visit the same nodes."""
    begin = 0
    for (edge, cloud), run in groupby(rows, key=lambda row: (row.edge, row.cloud)):
        end = begin + len(tuple(run))
        yield Way(edge, cloud, slice(begin, end))
        begin = end


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
    sure = confidences(facts, variant)
    if edge is None and cloud is None:
        return [Plan(variant, last, last, confidence=each) for each in sure] if on_device else []
    if serving is None or any(
        variant not in facts.profiles[name] for name in (edge, cloud) if name is not None
    ):
        return []
    plans = []
    for first, codec in ways_out(facts, variant):
        if first > 0 and not on_device:
            continue
        plan = Plan(variant, first, first, edge, cloud, (serving,), codec)
        seconds = (last,) if cloud is None else (first,) if edge is None else ways_on(facts, plan)
        plans += [replace(plan, edge_cut=second, confidence=each) for second in seconds for each in sure]
    return plans
