"""A sweep on a terminal and as a figure: each policy's measure against what was varied."""

import json
from itertools import cycle
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from rich import box
from rich.table import Table

from offload.analysis.compare import to_json
from offload.analysis.statistics import Interval
from offload.analysis.sweep import Sweep
from offload.views.figures import MARKERS, canvas, colour, legend, line, save

# How a measure is shown: as what, and how many of that one of it is.
SHOWN = {
    "useful": ("share of requests answered correctly before the deadline", 1.0),
    "on_time": ("share of requests answered before the deadline", 1.0),
    "accuracy": ("share of answers that are right", 1.0),
    "latency_mean_s": ("mean latency (ms)", 1e3),
    "latency_p50_s": ("median latency (ms)", 1e3),
    "latency_p95_s": ("95 % of latencies are below (ms)", 1e3),
    "latency_p99_s": ("99 % of latencies are below (ms)", 1e3),
    "energy_j": ("device energy per request (mJ, marginal)", 1e3),
    "money": ("money per 1000 requests", 1e3),
}
CROWDED = 6  # labels that fit side by side


def keep(found: Sweep, measure: str, out: Path) -> list[Path]:
    """Write the figure and summary.json beside the rows; return the figure's paths."""
    aside = out / ".summary.json"
    aside.write_text(json.dumps(to_json(found.as_json()), indent=1) + "\n")
    aside.replace(out / "summary.json")
    return save(draw(found, measure), out / f"sweep-{measure}", found.points[0].known)


def table(found: Sweep, measure: str) -> Table:
    """Return a row a value, a column a policy: the mean of a measure ± half its interval."""
    first = found.points[0]
    title = (
        f"{first.scenario}: {SHOWN[measure][0]}; {first.replications} replications, seed {first.seed}"
    )
    shown = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
                  padding=(0, 1, 0, 0), pad_edge=False)  # fmt: skip
    shown.add_column(found.vary.key, no_wrap=True)
    for policy in first.policies:
        shown.add_column(policy.label, justify="right", no_wrap=True)
    for value, point in zip(found.vary.values, found.points, strict=True):
        shown.add_row(value, *(_told(policy.measures[measure], measure) for policy in point.policies))
    return shown


def _told(interval: Interval | None, measure: str) -> str:
    if interval is None:
        return "-"
    times = SHOWN[measure][1]
    digits = ".3f" if times == 1.0 else ".4g"
    half = "" if np.isnan(interval.high) else f" ±{(interval.high - interval.mean) * times:{digits}}"
    return f"{interval.mean * times:{digits}}{half}"


def draw(found: Sweep, measure: str) -> Figure:
    """Draw a line a policy, with the band of its intervals; a gap where the measure is not defined."""
    values, numbers = found.vary.values, found.vary.numbers
    spread = numbers is not None and min(numbers) > 0 and max(numbers) >= 50 * min(numbers)
    x = np.array(numbers if numbers is not None else range(len(values)), dtype=float)
    order = np.argsort(x, kind="stable")
    what, times = SHOWN[measure]
    first = found.points[0]
    bands = (
        f", {first.level:.0%} intervals over {first.replications} runs" if first.replications > 1 else ""
    )
    figure, axes = canvas(f"{first.scenario}: what {found.vary.key} changes{bands}", width=7.2)
    labels = [policy.label for policy in first.policies]
    for place, (label, marker) in enumerate(zip(labels, cycle(MARKERS), strict=False)):
        policies = [found.points[index].policies[place] for index in order]
        known = [policy.measures[measure] for policy in policies]
        rows = [(each.low, each.mean, each.high) if each else (np.nan,) * 3 for each in known]
        low, mean, high = times * np.array(rows).T
        look = colour(label, labels)
        style = line(policies[0].knowledge)
        axes.plot(x[order], mean, style, marker=marker, markersize=4, linewidth=1.4, color=look,
                  label=label)  # fmt: skip
        axes.fill_between(x[order], low, high, color=look, alpha=0.18, linewidth=0)
    if spread:
        axes.set_xscale("log")
    axes.minorticks_off()
    axes.set_xticks(x, values)
    axes.tick_params(axis="x", labelsize=8, rotation=45 if len(values) > CROWDED else 0)
    axes.set(xlabel=found.vary.key)
    axes.set_ylabel(what, fontsize=8)
    axes.set_ylim(bottom=0, top=1.02 if times == 1.0 else None)
    legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
