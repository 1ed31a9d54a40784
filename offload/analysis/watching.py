"""A comparison over time: one replication of every policy, in bins."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
import polars as pl

from offload.analysis.series import Floats, Ints, Load, covered, loads, where
from offload.analysis.spans import spans
from offload.analysis.story import Story
from offload.entities import Node
from offload.scenario.setup import Setting

BINS = 60
PIECE = 100_000  # rows that are looked at at once: as intervals they are several times as large


@dataclass(frozen=True, slots=True)
class Watched:
    """One policy over time: births by their last plan, and the loads of nodes and of cells' uplinks.

    `used_s` is for how long of each bin anybody sent over a cell.
    """

    where: Mapping[str, Ints]
    nodes: Mapping[str, Load]
    air: Mapping[str, Load]
    used_s: Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class Watching:
    """Replication 0 of all policies over time, in bins between `edges_s`."""

    setting: Setting
    edges_s: Floats
    warm_up_s: float
    policies: Mapping[str, Watched]

    @property
    def counted(self) -> npt.NDArray[np.bool_]:
        """The bins that begin after the warm-up, or all if none does."""
        after = self.edges_s[:-1] >= self.warm_up_s - 1e-9
        return after if after.any() else np.ones(len(after), dtype=bool)

    def busy(self, label: str, node: str) -> Floats:
        """Return what share of a node's servers was at work in each bin."""
        load = self.policies[label].nodes.get(node)
        width_s = np.diff(self.edges_s)
        if load is None:
            return np.zeros(len(width_s))
        return load.work_s / (width_s * servers(self.setting.nodes[node]))

    def waiting(self, label: str, node: str) -> Floats:
        """Return how many requests were at a node and not at work, on average in each bin."""
        load = self.policies[label].nodes.get(node)
        width_s = np.diff(self.edges_s)
        return np.zeros(len(width_s)) if load is None else load.waiting_s / width_s

    def sending(self, label: str, cell: str) -> Floats:
        """Return how many requests were on their way up over a cell, on average in each bin."""
        load = self.policies[label].air.get(cell)
        width_s = np.diff(self.edges_s)
        return np.zeros(len(width_s)) if load is None else (load.work_s + load.waiting_s) / width_s

    def used(self, label: str, cell: str) -> Floats:
        """Return for what share of each bin anybody sent over a cell, which is how busy it was."""
        used_s = self.policies[label].used_s.get(cell)
        width_s = np.diff(self.edges_s)
        return np.zeros(len(width_s)) if used_s is None else used_s / width_s


def servers(node: Node) -> int:
    """Return how many servers a node has at most."""
    return node.scale.max if node.scale is not None else node.servers


def watch(story: Story) -> Watching:
    """Look at replication 0 of every policy over time."""
    setting = story.setting(0)
    edges_s = np.linspace(0.0, setting.duration_s, BINS + 1)
    watched = {label: _watched(story.rows(label), setting, edges_s) for label in story.labels}
    return Watching(setting, edges_s, story.found.warm_up_s, watched)


def _watched(rows: pl.DataFrame, setting: Setting, edges_s: Floats) -> Watched:
    frames = rows["parent"].drop_nulls().implode()  # their stages are in other pieces, perhaps
    pieces = (piece.filter(~pl.col("request").is_in(frames)) for piece in rows.iter_slices(PIECE))
    legs = pl.concat([_on_the_way(each, setting) for each in chain([rows.clear()], pieces)])
    at_nodes = legs.filter(pl.col("leg").is_in(["edge", "cloud"]))
    in_air = legs.filter(pl.col("leg") == "uplink")
    # Who has sent all waits for it to arrive, and keeps nobody from sending.
    delays = {name: cell.delay_s for name, cell in setting.cells.items()}
    delay_s = pl.col("place").replace_strict(delays, default=0.0, return_dtype=pl.Float64)
    sends = in_air.with_columns(end_s=pl.max_horizontal("begin_s", pl.col("end_s") - delay_s))
    return Watched(
        where(rows, edges_s), loads(at_nodes, rows, edges_s), loads(in_air, rows, edges_s),
        covered(sends, edges_s),
    )  # fmt: skip


def _on_the_way(rows: pl.DataFrame, setting: Setting) -> pl.DataFrame:
    """Return the legs of rows on their way up and at nodes; there it does not matter who else asks."""
    legs = spans(rows, setting).filter(pl.col("leg").is_in(["uplink", "edge", "cloud"]))
    return legs.select("request", "leg", "place", "begin_s", "end_s", "work_s")
