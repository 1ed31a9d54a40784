"""Figures for a paper: latency distributions, where the time goes, usefulness against energy."""

from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import polars as pl

from offload.analysis.compare import Comparison
from offload.analysis.curves import answered_within, collected, leg_means
from offload.analysis.rows import LEGS
from offload.views.palette import LEG_COLOURS, colour

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

MARKERS = "os^DvPXhd<>*"
Floats = npt.NDArray[np.float64]


def write_figures(found: Comparison, rows: dict[str, pl.LazyFrame], known: str, out: Path) -> list[Path]:
    """Write every figure as PNG and PDF and return the paths.

    `rows[label]` are the rows of all replications after the warm-up, without those that have a parent;
    `known` says how their latencies are known and is printed below each figure.
    """
    figures = {
        "latency-cdf": latency_cdf(found, rows),
        "legs": legs(found, rows),
        "useful-energy": useful_energy(found),
    }
    return [path for name, figure in figures.items() for path in save(figure, out / name, known)]


def save(figure: Figure, stem: Path, known: str) -> list[Path]:
    """Write a figure as PNG and PDF, with how its figures are known below, and return the paths."""
    figure.text(0.01, 0.005, known, fontsize=6.5, color="#555555", va="bottom")
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "pdf")]
    for path in paths:
        # Dates in the file would make two equal results differ.
        figure.savefig(path, dpi=160, metadata={"CreationDate": None} if path.suffix == ".pdf" else None)
    plt.close(figure)
    return paths


def canvas(title: str, width: float = 6.4, height: float = 4.2) -> tuple[Figure, Axes]:
    """Return an empty figure with a title, and room for a line below."""
    figure, axes = plt.subplots(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0.035, 1, 0.965))  # type: ignore[union-attr,call-arg]  # constrained
    axes.set_title(title, fontsize=10, loc="left", pad=14)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def panels(
    title: str, count: int, width: float, height: float, most_columns: int
) -> tuple[Figure, list[Axes]]:
    """Return a figure of so many panels, each this large, with a title, and room for a line below."""
    columns = min(count, most_columns)
    rows = -(-count // columns)
    size = (max(width * columns + 1.2, 6.4), height * rows + 0.6)
    figure, grid = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    line = 0.18 / size[1]
    figure.get_layout_engine().set(rect=(0, line, 1, 1 - line))  # type: ignore[union-attr,call-arg]  # constrained
    figure.suptitle(title, fontsize=10, x=0.02, ha="left")
    for spare in grid.flat[count:]:
        spare.remove()
    found = list(grid.flat[:count])
    for axes in found:
        axes.spines[["top", "right"]].set_visible(False)
    return figure, found


def line(knowledge: str) -> str:
    """Return the style of a policy's line: dashed for references, which know more than devices can."""
    return "-" if knowledge == "reported" else "--"


def legend(axes: Axes, **options: Any) -> None:  # noqa: ANN401 - matplotlib's own
    """Add a legend if there is anything to explain."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=7.5, **options)


def latency_cdf(found: Comparison, rows: dict[str, pl.LazyFrame]) -> Figure:
    """Draw the share of requests answered within a time; a curve ends where the rest never finish."""
    figure, axes = canvas(f"{found.scenario}: share of requests answered within a time")
    labels = [policy.label for policy in found.policies]
    deadlines: set[float] = set()
    longest = 0.0
    for policy in found.policies:
        deadlines |= set(
            collected(rows[policy.label].select(pl.col("deadline_s").unique()))["deadline_s"]
        )
        latency, shares = answered_within(rows[policy.label])
        if not len(latency):
            continue
        most = int(np.searchsorted(shares, 0.995 * shares[-1]))
        longest = max(longest, float(latency[most]))
        # What is not answered by the end of a curve never is: it goes on flat.
        axes.step(
            [latency[0], *latency, 1e9], [0.0, *shares, shares[-1]], where="post",
            label=policy.label, linewidth=1.4,
            color=colour(policy.label, labels), linestyle=line(policy.knowledge),
        )  # fmt: skip
    # Far beyond the deadlines the rest of a long tail tells little.
    furthest = max(2.5e3 * max(deadlines, default=0.0), 1.0)
    axes.set_xlim(0, min(longest * 1.05, furthest) or furthest)
    for deadline_s in sorted(deadlines):
        if deadline_s * 1e3 > axes.get_xlim()[1]:
            continue
        axes.axvline(deadline_s * 1e3, color="#999999", linestyle=":", linewidth=1)
        axes.annotate(
            f"deadline {deadline_s * 1e3:g} ms", (deadline_s * 1e3, 1.015), fontsize=7,
            color="#555555", ha="center", va="bottom", annotation_clip=False,
        )  # fmt: skip
    axes.set(xlabel="latency (ms)", ylabel="share of all born requests", ylim=(0, 1.01))
    legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def legs(found: Comparison, rows: dict[str, pl.LazyFrame]) -> Figure:
    """Draw where the time of finished requests goes, waiting included."""
    figure, axes = canvas(f"{found.scenario}: where a finished request's time goes, waits included")
    labels = [policy.label for policy in found.policies]
    left = np.zeros(len(labels))
    means = [list(leg_means(rows[label]).values()) for label in labels]
    table = 1e3 * np.array(means)
    for index, leg in enumerate(LEGS):
        if table[:, index].max() > 0:
            name = leg.removesuffix("_s")
            axes.barh(labels, table[:, index], left=left, color=LEG_COLOURS[index], label=name)
            left += table[:, index]
    for place, policy in enumerate(found.policies):
        share = policy.unfinished / max(1, policy.requests)
        if share >= 0.001:
            axes.annotate(
                f"{share:.1%} unfinished", (left[place], place), xytext=(4, 0),
                textcoords="offset points", va="center", fontsize=7, color="#555555",
            )  # fmt: skip
    axes.invert_yaxis()
    axes.set(xlabel="mean time (ms)")
    axes.set_xlim(0, left.max() * 1.22 or 1)
    legend(axes, ncols=7, loc="upper center", bbox_to_anchor=(0.45, -0.13))
    return figure


def useful_energy(found: Comparison) -> Figure:
    """Draw useful (or on-time where useful is not defined) against energy, with both intervals."""
    measure = "useful" if any(policy.measures["useful"] for policy in found.policies) else "on_time"
    name = {"useful": "useful: correct before the deadline", "on_time": "answered on time"}[measure]
    figure, axes = canvas(f"{found.scenario}: what a joule buys")
    labels = [policy.label for policy in found.policies]
    for policy, marker in zip(found.policies, cycle(MARKERS), strict=False):
        x, y = policy.measures["energy_j"], policy.measures[measure]
        if x is None or y is None:
            continue
        hollow = policy.knowledge != "reported"
        axes.errorbar(
            x.mean, y.mean, xerr=np.nan_to_num(x.high - x.mean),
            yerr=np.nan_to_num(y.high - y.mean), fmt=marker, markersize=10 if hollow else 6,
            zorder=2 if hollow else 3, capsize=2, color=colour(policy.label, labels), label=policy.label,
            markerfacecolor="white" if hollow else None,
        )  # fmt: skip
    axes.set(xlabel="device energy per request (J, marginal)", ylabel=f"share {name}")
    top = axes.get_ylim()[1]
    axes.set_ylim(-0.02 * top, top)  # a marker at 0 is seen whole
    axes.set_xlim(left=0)
    legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
