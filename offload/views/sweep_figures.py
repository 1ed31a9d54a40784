"""A sweep as a figure: lines over one key, a map over two, points against each of more."""

from itertools import cycle
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from offload.analysis.sweeping.sweep import Sweep
from offload.analysis.sweeping.vary import Vary
from offload.views.figures import MARKERS, canvas, legend, line, panels
from offload.views.palette import colour
from offload.views.sweep import SHOWN, correlation

CROWDED = 6  # labels that fit side by side
MOST_LINED = 20  # points of a list that are drawn in its order
MOST_WRITTEN = 12  # rows or columns of a map whose cells are large enough for a number
MOST_KEYS = 12  # panels
SPREAD = 20.0  # numbers that differ by more are drawn on a logarithmic axis


def draw(found: Sweep, measure: str) -> Figure:
    """Draw what suits the points."""
    if len(found.keys) == 1 or (found.method == "list" and len(found.points) <= MOST_LINED):
        return _lines(found, measure)
    if found.method == "grid" and len(found.keys) == 2:
        return _maps(found, measure)
    return _scatter(found, measure)


def _lines(found: Sweep, measure: str) -> Figure:
    """Draw a line a policy, with the band of its intervals; a gap where the measure is not defined."""
    values = [", ".join(each.point.values) for each in found.points]
    numbers = found.column(0).numbers if len(found.keys) == 1 else None
    x = np.array(range(len(values)) if numbers is None else numbers, dtype=float)
    order = np.argsort(x, kind="stable")
    what, times = SHOWN[measure]
    figure, axes = canvas(_title(found), width=7.2)
    for label, marker in zip(found.labels, cycle(MARKERS), strict=False):
        low, mean, high = times * _columns(found, label, measure)[:, order]
        look = colour(label, found.labels)
        axes.plot(x[order], mean, _style(found, label), marker=marker, markersize=4, linewidth=1.4,
                  color=look, label=label)  # fmt: skip
        axes.fill_between(x[order], low, high, color=look, alpha=0.18, linewidth=0)
    if numbers is not None and _spread(x):
        axes.set_xscale("log")
    axes.minorticks_off()
    thin = slice(None, None, ceil(len(values) / (3 * CROWDED)))  # as many as can be read
    axes.set_xticks(x[order][thin], [values[index] for index in order][thin])
    long = len(values) > CROWDED or max(map(len, values)) > 2 * CROWDED
    axes.tick_params(axis="x", labelsize=8, rotation=45 if long else 0)
    axes.set(xlabel=", ".join(found.keys))
    axes.set_ylabel(what, fontsize=8)
    axes.set_ylim(bottom=0, top=1.02 if times == 1.0 else None)
    legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _maps(found: Sweep, measure: str) -> Figure:
    """Draw a map a policy: the first key upwards, the second to the right; all of one scale."""
    what, times = SHOWN[measure]
    ups, rights = (_in_order(found, key) for key in (0, 1))
    tables = {
        label: _table(found, label, measure, ups, rights) * times for label in found.labels
    }  # fmt: skip
    everything = np.concatenate([table.ravel() for table in tables.values()])
    low, high = float(np.nanmin(everything)), float(np.nanmax(everything))
    figure, all_axes = panels(
        f"{_title(found)}\n{what}", len(tables), 3.3, 2.9, most_columns=2 if len(tables) in (2, 4) else 3
    )
    mesh = None
    for axes, (label, table) in zip(all_axes, tables.items(), strict=True):
        mesh = axes.imshow(table, origin="lower", aspect="auto", cmap="viridis", vmin=low, vmax=high)
        axes.set_title(label, fontsize=9)
        axes.set_xticks(range(len(rights)), rights)
        axes.set_yticks(range(len(ups)), ups)
        axes.tick_params(labelsize=7, length=0)
        axes.tick_params(axis="x", rotation=45 if max(map(len, rights)) > 4 else 0)
        axes.set_facecolor("#DDDDDD")  # where nothing is known
        if max(table.shape) <= MOST_WRITTEN:
            _write(axes, table, (low + high) / 2, times)
        axes.set_xlabel(found.keys[1], fontsize=8)
        axes.set_ylabel(found.keys[0], fontsize=8)
    if mesh is not None:
        bar = figure.colorbar(mesh, ax=all_axes, shrink=0.9)
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=7)
    return figure


def _write(axes: Axes, table: npt.NDArray[np.float64], middle: float, times: float) -> None:
    """Write each number in its cell, light on dark and dark on light."""
    for (up, right), value in np.ndenumerate(table):
        if not np.isnan(value):
            text = f"{value:.2f}".replace("0.", ".", 1) if times == 1.0 and value < 1 else f"{value:.3g}"
            axes.text(right, up, text, ha="center", va="center", fontsize=6.5,
                      color="white" if value < middle else "black")  # fmt: skip


def _scatter(found: Sweep, measure: str) -> Figure:
    """Draw the points against each key, with the rank correlation of each policy."""
    what, times = SHOWN[measure]
    count = min(len(found.keys), MOST_KEYS)
    columns = 2 if count in (2, 4) else 3
    figure, all_axes = panels(f"{_title(found)}\n{what}", count, 3.3, 2.9, most_columns=columns)
    for key, axes in enumerate(all_axes):
        x, unit, names = _axis(found.column(key))
        related = [correlation(found, key, label, measure) for label in found.labels]
        for label, known, marker in zip(found.labels, related, cycle(MARKERS), strict=False):
            _, mean, _ = times * _columns(found, label, measure)
            axes.plot(x, mean, marker, markersize=3.5, alpha=0.6, markeredgewidth=0, clip_on=False,
                      color=colour(label, found.labels),
                      label=label if known is None else f"{label} {known:+.2f}")  # fmt: skip
        if names:
            axes.set_xticks(range(len(names)), names)
            axes.set_xlim(-0.5, len(names) - 0.5)
        elif _spread(x):
            axes.set_xscale("log")
        elif (x == x.round()).all():
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel(f"{found.keys[key]}{unit}", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.set_ylim(bottom=0, top=1.02 if times == 1.0 else None)
        legend(axes, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, title_fontsize=7.5,
               title="rank correlation" if any(related) else None,
               handletextpad=0.1, columnspacing=1.0)  # fmt: skip
    return figure


def _axis(column: Vary) -> tuple[npt.NDArray[np.float64], str, list[str]]:
    """Return numbers to draw, their unit in brackets if they have one, and names if they are none.

    Numbers are in the unit that they were written in, if it is the same for all.
    """
    if column.numbers is None:
        names = list(dict.fromkeys(column.values))
        return np.array([names.index(value) for value in column.values], dtype=float), "", names
    units = {value.partition(" ")[2] for value in column.values}
    if len(units) > 1:
        return np.array(column.numbers), " (SI)", []
    try:
        x = np.array([float(value.partition(" ")[0]) for value in column.values])
    except ValueError:  # no space before the unit
        return np.array(column.numbers), " (SI)", []
    return x, f" ({unit})" if (unit := units.pop()) else "", []


def _title(found: Sweep) -> str:
    runs = {each.replications for each in found.found}
    over = f", {found.found[0].level:.0%} intervals over {min(runs)} runs" if min(runs) > 1 else ""
    if len(found.keys) == 1:
        return f"{found.scenario}: what {found.keys[0]} changes{over}"
    means = f", means over {min(runs)} runs" if min(runs) > 1 else ""
    if found.method == "list":
        return f"{found.scenario}: {len(found.points)} points{over}"
    drawn = "a Latin hypercube of " if found.method == "latin-hypercube" else ""
    return f"{found.scenario}: {drawn}{len(found.points)} points{means}"


def _style(found: Sweep, label: str) -> str:
    policies = (policy for each in found.found for policy in each.policies)
    return line(next((each.knowledge for each in policies if each.label == label), "reported"))


def _columns(found: Sweep, label: str, measure: str) -> npt.NDArray[np.float64]:
    """Return low, mean and high at each point, shape (3, points); NaN where there is none."""
    known = [each.interval(label, measure) for each in found.points]
    rows = [(each.low, each.mean, each.high) if each else (np.nan,) * 3 for each in known]
    return np.array(rows, dtype=float).T


def _in_order(found: Sweep, key: int) -> list[str]:
    """Return the values of a key, numbers from small to large."""
    column = found.column(key)
    numbers = column.numbers or tuple(range(len(column.values)))
    return list(dict.fromkeys(value for _, value in sorted(zip(numbers, column.values, strict=True))))


def _table(found: Sweep, label: str, measure: str, ups: list[str], rights: list[str]) -> Any:  # noqa: ANN401
    table = np.full((len(ups), len(rights)), np.nan)
    for each in found.points:
        if interval := each.interval(label, measure):
            table[ups.index(each.point.values[0]), rights.index(each.point.values[1])] = interval.mean
    return table


def _spread(x: npt.NDArray[np.float64]) -> bool:
    return bool(x.min() > 0 and x.max() >= SPREAD * x.min())
