"""A reality check as a figure: predicted against measured, and the errors by themselves."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from offload.views.figures import Floats, panels
from offload.views.palette import COLOURS

OFF = "#7F7F7F"
MOST = 60.0  # per cent; errors beyond lie on the edge
MARKERS = {"idle": "o", "loaded": "s"}
# What a panel shows: its title, the keys of what was measured and predicted, and the bound that counts.
PANELS = (
    ("mean latency", "mean_s", "error_mean", 0.05),
    ("p95 of latency", "p95_s", "error_p95", 0.10),
    ("compute alone", "work_s", "error_work", 0.05),
)


def scatter(cells: pl.DataFrame) -> Figure:
    """Draw each cell: above predicted against measured, below the error with its interval.

    `cells` is cells.csv. Bands are 5 % (of the mean) and 10 % (of the p95) wide on each side.
    """
    figure, axes = panels("Predicted against measured, a point a cell", 6, 3.3, 2.9, most_columns=3)
    networks = cells["network"].unique(maintain_order=True).to_list()
    for number, (title, value, error, bound) in enumerate(PANELS):
        _against(axes[number], cells, networks, value, bound)
        axes[number].set_title(title, fontsize=9)
        _errors(axes[3 + number], cells, networks, value, error, bound)
    axes[0].set_ylabel("predicted (ms)", fontsize=8)
    axes[3].set_ylabel("predicted - measured (%)", fontsize=8)
    axes[2].legend(
        handles=list(_explained(networks)), frameon=False, fontsize=7.5, loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
    )  # fmt: skip
    return figure


def _against(axes: Axes, cells: pl.DataFrame, networks: list[str], value: str, bound: float) -> None:
    measured = 1e3 * cells[f"measured_{value}"].to_numpy()
    ends = np.array([0.8 * measured.min(), 1.25 * measured.max()])
    axes.fill_between(ends, ends * (1 - bound), ends * (1 + bound), color=OFF, alpha=0.25, linewidth=0)
    axes.plot(ends, ends, color=OFF, linewidth=0.8)
    for place, row in enumerate(cells.iter_rows(named=True)):
        axes.plot(measured[place], 1e3 * row[f"calibrated_{value}"], **_look(row, networks))
    axes.set(xscale="log", yscale="log")
    _numbers((axes.xaxis, axes.yaxis), measured)
    axes.tick_params(labelsize=7, which="both")


def _errors(
    axes: Axes, cells: pl.DataFrame, networks: list[str], value: str, error: str, bound: float
) -> None:
    measured = 1e3 * cells[f"measured_{value}"].to_numpy()
    axes.axhspan(-100 * bound, 100 * bound, color=OFF, alpha=0.25, linewidth=0)
    axes.axhline(0.0, color=OFF, linewidth=0.8)
    errors = {kind: 100 * cells[f"{kind}_{error}"].to_numpy() for kind in ("calibrated", "offline")}
    most = max(150 * bound, min(MOST, max(float(np.abs(each).max()) for each in errors.values())))
    axes.plot(measured, errors["offline"].clip(-most, most), "x", color=OFF, markersize=4, zorder=1)
    for place, row in enumerate(cells.iter_rows(named=True)):
        if f"calibrated_{error}_low" in row:
            ends = [100 * row[f"calibrated_{error}_{end}"] for end in ("low", "high")]
            shown = np.clip(ends, -most, most)
            axes.plot([measured[place]] * 2, shown, color=_colour(row, networks), linewidth=0.8)
        axes.plot(measured[place], errors["calibrated"][place].clip(-most, most), **_look(row, networks))
    axes.set(xscale="log", ylim=(-1.05 * most, 1.05 * most))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:+g}" if y else "0"))
    _numbers((axes.xaxis,), measured)
    axes.tick_params(labelsize=7, which="both")
    axes.set_xlabel("measured (ms)", fontsize=8)


def _numbers(many: Iterable[Axis], shown: Floats) -> None:
    """Write 2 and 5 times powers of ten too, where numbers would be few else."""
    ends = 0.8 * shown.min(), 1.25 * shown.max()

    def minor(x: float, _: int) -> str:
        leading = round(x / 10 ** np.floor(np.log10(x) + 1e-9))
        return f"{x:g}" if leading in {2, 5} and ends[0] <= x <= ends[1] else ""

    for axis in many:
        axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        axis.set_minor_formatter(FuncFormatter(minor))


def _colour(row: dict[str, Any], networks: list[str]) -> str:
    return COLOURS[networks.index(str(row["network"])) % len(COLOURS)]


def _look(row: dict[str, Any], networks: list[str]) -> dict[str, Any]:
    colour = _colour(row, networks)
    return {
        "marker": MARKERS[str(row["load"])], "color": colour, "markersize": 4.5, "linestyle": "none",
        "markerfacecolor": colour if row["form"] == "fp32" else "white",
    }  # fmt: skip


def _explained(networks: list[str]) -> Iterator[Line2D]:
    def point(label: str, **look: object) -> Line2D:
        return Line2D([], [], linestyle="none", markersize=5, label=label, **look)  # type: ignore[arg-type]

    for number, network in enumerate(networks):
        yield point(network, marker="D", color=COLOURS[number % len(COLOURS)])
    for load, marker in MARKERS.items():
        yield point(load, marker=marker, color=OFF)
    yield point("fp32", marker="o", color="black")
    yield point("int8", marker="o", color="black", markerfacecolor="white")
    yield point("offline", marker="x", color=OFF)
