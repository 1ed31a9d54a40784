"""A sizing on a terminal and as a figure: cost against what is to be reached."""

from itertools import cycle
from math import isfinite
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from offload.analysis.files import write_json
from offload.analysis.sizing.result import Configuration, Sized
from offload.analysis.sizing.target import Target
from offload.views.figures import MARKERS, canvas, legend, save
from offload.views.palette import colour
from offload.views.sweep import SHOWN
from offload.views.table import headed

MOST_ROWS = 24
# The unit in which tables show a measure that is no share, and how many of it are one of the measure.
UNITS = {"energy_j": ("mJ", 1e3), "money": ("", 1.0)}
MILLISECONDS = ("ms", 1e3)


def keep(found: Sized, out: Path) -> list[Path]:
    """Write the figure and size.json beside the rows; return the figure's paths."""
    write_json(out / "size.json", found.as_json())
    costs = sorted({item.known for each in found.configurations for item in each.items})
    return save(draw(found), out / "size", f"{found.known}; costs {', '.join(costs)}")


def show(found: Sized) -> None:
    """Print what was simulated, the answer and what it costs, and what the next step buys."""
    console = Console()
    if not console.is_terminal:  # a file has no edge at which figures would have to be cut
        console = Console(width=max(console.width, 140))
    console.print(configurations(found))
    for line in answer(found):
        console.print(line, highlight=False)
    if found.chosen is not None:
        console.print(breakdown(found, found.configurations[found.chosen]))
        console.print(steps(found))
    for note in found.notes:
        console.print(f"note: {note}", highlight=False, markup=False)
    console.print(_method(found), style="dim", highlight=False)
    console.print(found.known, style="dim", highlight=False)


def configurations(found: Sized) -> Table:
    """Return a row for each configuration that was simulated, or for those around the answer."""
    targets = " and ".join(map(str, found.targets))
    shown = headed(
        f"{found.scenario}: {targets}; costs in {found.currency} a month",
        (*(target.measure for target in found.targets), "claimed", "cost", "runs", ""),
    )
    _give_way(shown, ", ".join((*_keys(found), "policy")))
    for n in _around(found):
        each = found.configurations[n]
        style = "bold" if n == found.chosen else None if each.tested else "dim"
        shown.add_row(
            name(each), *(_reached(each, target) for target in found.targets), _claimed(each, found),
            f"{each.cost.mean:.2f}", str(each.replications), _verdict(found, n), style=style,
        )  # fmt: skip
    return shown


def answer(found: Sized) -> list[str]:
    """Say which is the cheapest, and what is just cheaper; or how near one came."""
    if found.chosen is None:
        best = found.configurations[found.reached]
        reached = ", ".join(f"{t.measure} {_reached(best, t)}" for t in found.targets)
        open_ = any(each.verdict == "undecided" for each in found.configurations)
        missed = "not shown to be met" if open_ else "never met"
        return [f"[bold]{missed}[/]: the nearest is {_told(found, best)} with {reached}"]
    best = found.configurations[found.chosen]
    paid = f"{best.cost.mean:.2f} {found.currency} a month"
    unsure = any(
        each.verdict == "undecided" and each.cost.mean < best.cost.mean for each in found.configurations
    )
    what = "cheapest of those that are sure to do" if unsure else "cheapest"
    lines = [f"[bold]{what}[/]: {_told(found, best)}: {paid}; {_sentence(best, found)}"]
    if found.just_cheaper is not None:
        other = found.configurations[found.just_cheaper]
        lines.append(
            f"just cheaper: {_told(found, other)}: {other.cost.mean:.2f} {found.currency} a month;"
            f" {_sentence(other, found)}: {_verdict(found, found.just_cheaper)}"
        )
    else:
        lines.append("nothing here is cheaper")
    return lines


def breakdown(found: Sized, chosen: Configuration) -> Table:
    """Return what a configuration costs, part by part, and how that is known."""
    shown = headed(f"what it costs, in {found.currency} a month", ("cost",))
    _give_way(shown, "")
    shown.add_column("known")
    shown.add_column("source", overflow="fold", style="dim")
    for item in chosen.items:
        shown.add_row(item.what, f"{item.per_month:.2f}", item.known, item.source)
    shown.add_row("together", f"{chosen.cost.mean:.2f}", "", "", style="bold")
    return shown


def steps(found: Sized) -> Table:
    """Return what each step from the chosen configuration buys."""
    target = found.targets[0]
    unit, times = ("points", 100.0) if target.is_share else _unit(target)
    shown = headed(
        f"what the next {found.currency} buys, in {target.measure}",
        (f"{found.currency} a month", f"gain{unit and f', {unit}'}", f"gain per {found.currency}"),
    )
    _give_way(shown, "step")
    for step in found.steps:
        gain, per = "-", "-" if step.cost <= 0 else "not priced"
        if step.gain is not None:
            half = (step.gain.high - step.gain.low) / 2
            gain = f"{step.gain.mean * times:+.3g} ±{half * times:.2g}"
        if step.per_unit is not None:
            per = f"{step.per_unit * times:+.3g}"
        shown.add_row(step.what, f"{round(step.cost, 2) + 0.0:+.2f}", gain, per)  # no -0.00
    return shown


def _give_way(table: Table, heading: str) -> None:
    """Head the first column, and let it wrap where there is little room: figures must not be cut."""
    first = table.columns[0]
    first.header, first.no_wrap, first.overflow = heading, False, "fold"


def name(each: Configuration) -> str:
    """Write a configuration for people: its values, then its policy."""
    return ", ".join((*each.values, each.policy))


def draw(found: Sized) -> Figure:
    """Draw the first target's measure against cost: the front, what it leaves behind, and the answer."""
    target = found.targets[0]
    figure, axes = canvas(
        f"{found.scenario}: what {target.measure} costs ({', '.join(_keys(found))})",
        width=7.6,
        height=4.6,
    )
    labels = list(dict.fromkeys(each.policy for each in found.configurations))
    looks = dict(zip(labels, cycle(MARKERS), strict=False))
    drawn: set[str] = set()
    for each in found.configurations:
        at = each.measures[target.measure]
        if at is None:
            continue
        ruled_out = not each.tested and not each.front  # by few replications: wide intervals
        across = _ends(each.cost.low, each.cost.mean, each.cost.high, 1.0)
        along = _ends(at.low, at.mean, at.high, _scaled(target, 1.0))
        axes.errorbar(
            each.cost.mean, _scaled(target, at.mean), xerr=None if ruled_out else across,
            yerr=None if ruled_out else along, fmt=looks[each.policy], capsize=2,
            markersize=5.5 if each.front else 4.5, linewidth=1, color=colour(each.policy, labels),
            alpha=1.0 if each.front else 0.3, zorder=3 if each.front else 2,
            markerfacecolor="white" if ruled_out else None,
            label=each.policy if each.front and each.policy not in drawn else None,
        )  # fmt: skip
        if each.front:
            drawn.add(each.policy)
    _front(found, axes)
    if any(not each.tested and not each.front for each in found.configurations):
        axes.plot([], [], "o", markersize=4.5, color="#999999", markerfacecolor="white",
                  label="not tested: ruled out, not surer, or no cheaper")  # fmt: skip
    axes.axhline(_scaled(target, target.limit), color="#555555", linestyle=":", linewidth=1)
    axes.annotate(
        f"target {target.show(target.limit)}", (1.0, _scaled(target, target.limit)),
        xycoords=("axes fraction", "data"), xytext=(0, -3), textcoords="offset points", fontsize=7.5,
        color="#555555", ha="right", va="top",
    )  # fmt: skip
    what = SHOWN[target.measure][0]
    axes.set_xlabel(f"cost ({found.currency} a month)")
    axes.set_ylabel(f"{what} (%)" if target.is_share else what, fontsize=8)
    _limits(found, axes)
    legend(axes, loc="best")
    return figure


def _front(found: Sized, axes: Axes) -> None:
    """Draw the front as steps, ring the answer, and name the points beside it."""
    target = found.targets[0]
    front = [n for n, each in enumerate(found.configurations) if each.front]
    several = len({each.policy for each in found.configurations}) > 1
    x = [found.configurations[n].cost.mean for n in front]
    y = [_scaled(target, _mean(found.configurations[n], target)) for n in front]
    axes.step(x, y, where="post", color="#888888", linewidth=1, zorder=1,
              label="front" if len(front) > 1 else None)  # fmt: skip
    nearest = found.reached if found.chosen is None else found.chosen
    for n in (nearest, found.just_cheaper):
        if n is None or found.configurations[n].measures[target.measure] is None:
            continue
        each = found.configurations[n]
        at = each.cost.mean, _scaled(target, _mean(each, target))
        chosen = n == found.chosen
        if chosen:
            axes.plot(*at, "o", markersize=15, markerfacecolor="none", markeredgecolor="black",
                      markeredgewidth=1.5, zorder=4, label="cheapest that meets the target")  # fmt: skip
        axes.annotate(
            name(each) if several else ", ".join(each.values), at,
            xytext=(9, -24) if n == found.just_cheaper else (12, -13),  # a line each: both may coincide
            textcoords="offset points", fontsize=7.5, color="black" if chosen else "#555555",
            weight="bold" if chosen else "normal",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85},
        )  # fmt: skip


def _limits(found: Sized, axes: Axes) -> None:
    """Let shares end at 100 %, with room for the answer's ring, and where the lowest of them lies."""
    target = found.targets[0]
    if target.is_share:
        means = [_scaled(target, _mean(each, target)) for each in found.configurations]
        lowest = float(np.nanmin([*means, _scaled(target, target.limit)]))
        room = max(1.0, 100.0 - lowest)
        axes.set_ylim(max(-3.0, lowest - 0.15 * room), 100.0 + 0.05 * room)


def _mean(each: Configuration, target: Target) -> float:
    at = each.measures[target.measure]
    return np.nan if at is None else at.mean


def _ends(low: float, mean: float, high: float, times: float) -> list[list[float]]:
    """The lengths of error bars; none where there is but one replication."""
    return [[float(np.nan_to_num(mean - low)) * times], [float(np.nan_to_num(high - mean)) * times]]


def _scaled(target: Target, value: float) -> float:
    """A value of the measure in the unit of tables and figures: percent, or as sweeps show it."""
    return value * (100.0 if target.is_share else SHOWN[target.measure][1])


def _keys(found: Sized) -> list[str]:
    return [axis.key for axis in found.axes]


def _told(found: Sized, each: Configuration) -> str:
    values = (f"{key} = {value}" for key, value in zip(_keys(found), each.values, strict=True))
    return f"{', '.join(values)} under {each.policy}"


def _reached(each: Configuration, target: Target) -> str:
    at = each.measures[target.measure]
    if at is None:
        return "-"
    unit, times = ("%", 100.0) if target.is_share else _unit(target)
    half = "" if np.isnan(at.high) else f" ±{(at.high - at.mean) * times:.2g}"
    return f"{at.mean * times:.4g}{half}{'' if target.is_share else ' '}{unit}".rstrip()


def _unit(target: Target) -> tuple[str, float]:
    return UNITS.get(target.measure, MILLISECONDS)


def _claimed(each: Configuration, found: Sized) -> str:
    """The bounds on which a claim rests: of what fails, those of the targets that it fails."""
    told = []
    fails = each.verdict == "fails"
    for target in found.targets:
        bound = each.bounds.get(str(target))
        if bound is None or not each.tested or (fails and not target.missed_by(bound)):
            continue
        at_least = fails == (target.sign < 0)
        end = bound.low if at_least else bound.high
        told.append(f"{'>=' if at_least else '<='} {target.show(end)}" if isfinite(end) else "no bound")
    return ", ".join(told)


def _sentence(each: Configuration, found: Sized) -> str:
    reached = ", ".join(f"{t.measure} {_reached(each, t)}" for t in found.targets)
    claimed = _claimed(each, found)
    return f"{reached} ({claimed})" if claimed else reached


def _verdict(found: Sized, n: int) -> str:
    return "cheapest" if n == found.chosen else found.configurations[n].verdict


def _around(found: Sized) -> list[int]:
    """Which configurations the table shows: all, or of many those tested, the nearest in cost."""
    shown = list(range(len(found.configurations)))
    if len(shown) <= MOST_ROWS:
        return shown
    middle = found.configurations[found.reached if found.chosen is None else found.chosen].cost.mean
    by_distance = sorted(
        shown,
        key=lambda n: (
            not (found.configurations[n].tested or found.configurations[n].front),
            abs(found.configurations[n].cost.mean - middle),
        ),
    )
    return sorted(by_distance[:MOST_ROWS])


def _method(found: Sized) -> str:
    return (
        "± is half of the 95% interval of each alone. What is claimed (meets, fails) holds for all"
        f" {found.possible} configurations at once with {found.level:.0%}: each has a test of its own at"
        f" {1 - found.level:.2g}/{found.possible}, shared among its looks (Bonferroni); what none of the"
        " replications showed, like a rare failure, it knows nothing of. Simulated"
        f" {len(found.configurations)} of {found.possible} configurations, {found.replications}"
        f" replications where all would take {found.exhaustive}. Costs are as if the simulated load went"
        " on all month. Ruled out: in a few replications"
        " no better than a larger one that fails; not surer: than a larger one that is undecided."
    )
