"""The map of the replay: where nodes, cells and devices are, and who is drawn aside to be seen."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from offload.scenario.setup import Device, Setting
from offload.views.report.packed import Whole, pack, signed, steps

Point = tuple[float, float]

NOMINAL_M = 100.0  # how wide a map is on which everything stands at one place
GOLDEN = 2.399963  # radians; turning by it spreads any number evenly
GRID = 16_383  # positions are told in this many parts of the map, which no screen resolves


@dataclass(frozen=True, slots=True)
class Scene:
    """Where everything is, in metres: edge nodes by name, standing devices by number, and the map's box.

    `aside` devices are not drawn where they are: others, or a node, are at the same place.
    `to_scale` says whether there is any distance on the map that is one.
    """

    nodes: Mapping[str, Point]
    standing: Mapping[int, Point]
    box_m: tuple[float, float, float, float]
    aside: int
    to_scale: bool

    @property
    def aspect(self) -> float:
        """How wide it is to be drawn for its height, within what suits a page."""
        left, low, right, high = self.box_m
        return min(max((right - left) / (high - low), 1.5), 3.2)

    @property
    def grid_m(self) -> float:
        """The least distance that positions are told to."""
        left, low, right, high = self.box_m
        return max(right - left, high - low) / GRID


def lay_out(setting: Setting) -> Scene:
    """Decide where everything is drawn; who stands together is drawn around the place."""
    together: dict[Point, list[int]] = defaultdict(list)
    corners: list[Point] = []
    for number, device in enumerate(setting.devices):
        x, y = device.place.track.x_m, device.place.track.y_m
        low, high = (float(x.min()), float(y.min())), (float(x.max()), float(y.max()))
        corners += [low, high]
        if low == high:
            together[low].append(number)
    sites: dict[Point, list[str]] = defaultdict(list)
    for node in setting.nodes.values():
        if node.kind == "edge":
            sites[node.at_m].append(node.name)
    corners += sites
    circles = [
        (setting.nodes[cell.node].at_m, cell.range_m)
        for cell in setting.cells.values()
        if cell.range_m < float("inf")
    ]
    wide_m = _wide_m(corners)
    to_scale = wide_m > 0.0 or bool(circles)
    wide_m = wide_m or 2.0 * min((range_m for _, range_m in circles), default=NOMINAL_M / 2)
    # A circle that is far larger than all that happens would leave nothing to see; it is cut off.
    seen = [circle for circle in circles if circle[1] <= 2.0 * wide_m]
    # Gaps are of what is drawn, not of where things are: a large circle would squeeze them together.
    shown_m = max([wide_m, *(2.0 * range_m for _, range_m in seen)])
    nodes = {
        name: spot
        for at, names in sites.items()
        for name, spot in zip(
            names, _around(at, len(names), shown_m / 16 * (len(names) > 1), shown_m / 8), strict=True
        )
    }
    standing = {
        number: spot
        for at, numbers in together.items()
        for number, spot in zip(
            numbers,
            _around(at, len(numbers), shown_m / 8 if at in sites else 0.0, shown_m / 45),
            strict=True,
        )
    }
    aside = sum(len(each) for at, each in together.items() if len(each) > 1 or at in sites)
    drawn = [*corners, *nodes.values(), *standing.values()]
    drawn += [(x + side * r, y + side * r) for (x, y), r in seen for side in (-1.0, 1.0)]
    return Scene(nodes, standing, _box(drawn, wide_m / 20), aside, to_scale)


def told(scene: Scene, setting: Setting) -> dict[str, Any]:
    """Return what stands still, for the script: nodes, cells and wires; clouds have no place."""
    number = {name: index for index, name in enumerate(setting.nodes)}
    return {
        "box_m": scene.box_m,
        "to_scale": scene.to_scale,
        "nodes": [
            {
                "name": node.name,
                "kind": node.kind,
                "servers": node.servers,
                "at_m": scene.nodes.get(node.name),
            }
            for node in setting.nodes.values()
        ],
        "cells": [
            {"node": number[cell.node], "range_m": cell.range_m if np.isfinite(cell.range_m) else None}
            for cell in setting.cells.values()
        ],
        "wires": [[number[end] for end in wire.ends] for wire in setting.wires.values()],
    }


def tracks(
    scene: Scene, setting: Setting, begin_s: float, end_s: float, step_s: float
) -> dict[str, Any]:
    """Return the tracks of devices in a window, for the script: their own points, not one a frame.

    Devices are named after their groups, so these and how many are in each will do.
    """
    counts: dict[str, int] = {}
    columns: tuple[list[Whole], ...] = ([], [], [])
    points, enters, leaves = [], [], []
    for number, device in enumerate(setting.devices):
        counts[device.group] = counts.get(device.group, 0) + 1
        at_s, x_m, y_m = _points(scene, number, device, begin_s, end_s)
        left, low, _, _ = scene.box_m
        points.append(len(at_s))
        for column, values in zip(
            columns,
            (
                steps(at_s - begin_s, step_s),
                steps(x_m - left, scene.grid_m),
                steps(y_m - low, scene.grid_m),
            ),
            strict=True,
        ):
            column.append(np.diff(values, prepend=0))
        enters.append(min(max(device.enters_s, begin_s), end_s) - begin_s)
        leaves.append(min(max(device.leaves_s, begin_s), end_s + 1.0) - begin_s)
    return {
        "groups": list(counts.items()),
        "points": sum(points),
        "grid_m": scene.grid_m,
        "columns": pack([
            np.array(points), steps(enters, step_s), steps(leaves, step_s),
            *(signed(np.concatenate(column)) for column in columns),
        ]),
    }  # fmt: skip


def _points(
    scene: Scene, number: int, device: Device, begin_s: float, end_s: float
) -> tuple[np.ndarray[Any, Any], ...]:
    """Return the points of a track that a window needs: those within, and one before and behind."""
    if number in scene.standing:
        x, y = scene.standing[number]
        return np.array([begin_s]), np.array([x]), np.array([y])
    track = device.place.track
    first = max(0, int(np.searchsorted(track.times_s, begin_s, side="right")) - 1)
    last = int(np.searchsorted(track.times_s, end_s)) + 1
    return track.times_s[first:last], track.x_m[first:last], track.y_m[first:last]


def way(setting: Setting, here: str | None, there: str | None) -> list[str]:
    """Return the nodes that one passes from node to node, over the wires of the route."""
    if here is None or there is None or here == there:
        return [there] if there in setting.nodes and there is not None else []
    passed: list[str] = [here]
    for name in setting.facts[0].routes.get((here, there), ()):
        ends = setting.wires[name].ends
        passed.append(ends[1] if ends[0] == passed[-1] else ends[0])
    return passed if passed[-1] == there else [*passed, there]


def _around(at: Point, count: int, inner_m: float, gap_m: float) -> list[Point]:
    """Return places about a gap apart, from an inner radius on, as the seeds of a sunflower.

    One for which nothing is kept free stands where it is. (H. Vogel, Mathematical Biosciences 44, 1979.)
    """
    seeds = np.arange(count)
    radii = np.sqrt(inner_m**2 + seeds * gap_m**2 / np.pi)
    x, y = at[0] + radii * np.sin(GOLDEN * seeds), at[1] + radii * np.cos(GOLDEN * seeds)
    return list(zip(x.tolist(), y.tolist(), strict=True))


def _wide_m(points: Iterable[Point]) -> float:
    spread = np.ptp(np.array(list(points) or [(0.0, 0.0)]), axis=0)
    return float(spread.max())


def _box(points: Iterable[Point], margin_m: float) -> tuple[float, float, float, float]:
    found = np.array(list(points))
    left, low = (found.min(axis=0) - margin_m).tolist()
    right, high = (found.max(axis=0) + margin_m).tolist()
    return left, low, right, high
