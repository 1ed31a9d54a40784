"""A sweep on a terminal: the measure at each point, the best points, what each key has to do with it."""

from pathlib import Path

import numpy as np
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from offload.analysis.statistics import Interval
from offload.analysis.sweeping.sweep import Sweep
from offload.views.table import mean_and_half

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
MOST_ROWS = 40  # points that a terminal shows one by one
BEST = 5


def keep(found: Sweep, measure: str, out: Path) -> list[Path]:
    """Write the figure of a measure beside the rows, if there is anything to draw; return its paths."""
    from offload.views.figures import save
    from offload.views.sweep_figures import draw

    if not any(each.interval(label, measure) for each in found.points for label in found.labels):
        return []
    return save(draw(found, measure), out / f"sweep-{measure}", found.found[0].known)


def tables(found: Sweep, measure: str) -> list[Group]:
    """Return a row a point and a column a policy, or of many points the best; and rank correlations."""
    shown = _points(found, measure) if len(found.points) <= MOST_ROWS else _best(found, measure)
    many = len(found.keys) > 1 and len(found.points) > BEST
    return [shown, *([_correlations(found, measure)] if many else [])]


def correlation(found: Sweep, key: int, label: str, measure: str) -> float | None:
    """Return Spearman's rank correlation of a key and a policy's measure, over the points.

    None where the values of the key are no numbers, or one of both never changes.
    """
    from scipy.stats import rankdata  # slow to import, and seldom needed

    numbers = found.column(key).numbers
    if numbers is None:
        return None
    pairs = [
        (x, interval.mean)
        for x, each in zip(numbers, found.points, strict=True)
        if (interval := each.interval(label, measure)) is not None
    ]
    if len(pairs) < 3 or any(len(set(column)) < 2 for column in zip(*pairs, strict=True)):
        return None
    x, y = (rankdata(column) for column in zip(*pairs, strict=True))
    return float(np.corrcoef(x, y)[0, 1])


def chance(found: Sweep) -> float:
    """Return how large a rank correlation of two independent columns is in 1 of 20 cases, about."""
    return float(1.96 / np.sqrt(max(2, len(found.found)) - 1))


def _titled(found: Sweep, title: str, table: Table) -> Group:
    points = f"{len(found.points)} points, " if len(found.keys) > 1 else ""
    told = {each.replications for each in found.found}
    runs = f"{min(told)} to {max(told)}" if len(told) > 1 else f"{next(iter(told), found.replications)}"
    told_of = f"{found.scenario}: {title}; {points}{runs} replications, seed {found.seed}"
    return Group(Text(told_of, style="bold"), table)


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)


def _points(found: Sweep, measure: str) -> Group:
    shown = _table()
    for key in found.keys:
        shown.add_column(key, no_wrap=True)
    for label in found.labels:
        shown.add_column(label, justify="right", no_wrap=True)
    for each in found.points:
        cells = [
            "failed" if label in each.errors or "" in each.errors
            else _told(each.interval(label, measure), measure)
            for label in found.labels
        ]  # fmt: skip
        shown.add_row(*each.point.values, *cells)
    return _titled(found, SHOWN[measure][0], shown)


def _best(found: Sweep, measure: str) -> Group:
    """Return the best points of each policy: shares are the better the larger, all else the smaller."""
    shown = _table()
    for name in ("policy", *found.keys):
        shown.add_column(name, no_wrap=True)
    shown.add_column(measure, justify="right", no_wrap=True)
    sign = -1.0 if measure in ("useful", "on_time", "accuracy") else 1.0
    for label in found.labels:
        known = [(i, each) for each in found.points if (i := each.interval(label, measure)) is not None]
        known.sort(key=lambda pair: sign * pair[0].mean)
        for place, (interval, each) in enumerate(known[:BEST]):
            shown.add_row("" if place else label, *each.point.values, _told(interval, measure))
        alike = sum(interval.mean == known[0][0].mean for interval, _ in known) - BEST
        if alike > 0:
            shown.add_row("", f"and {alike} more as good as the first")
    return _titled(found, f"the best points by {SHOWN[measure][0]}", shown)


def _correlations(found: Sweep, measure: str) -> Group:
    title = f"rank correlation with {measure}; of independent columns 95 % are within"
    shown = _table()
    shown.add_column("key", no_wrap=True)
    for label in found.labels:
        shown.add_column(label, justify="right", no_wrap=True)
    for number, key in enumerate(found.keys):
        known = [correlation(found, number, label, measure) for label in found.labels]
        shown.add_row(key, *("-" if each is None else f"{each:+.2f}" for each in known))
    return _titled(found, f"{title} ±{chance(found):.2f}", shown)


def _told(interval: Interval | None, measure: str) -> str:
    times = SHOWN[measure][1]
    return mean_and_half(interval, times, ".3f" if times == 1.0 else ".4g")
