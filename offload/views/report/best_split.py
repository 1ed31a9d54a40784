"""Which plan is the quickest over bandwidth and load, as a heat map of the planner's prices."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from offload.analysis.best_split import BestSplit, best_split
from offload.analysis.rows import plan_label
from offload.analysis.story import Story
from offload.analysis.watching import Watching
from offload.entities import Cell, Facts, Plan
from offload.units import Quantity, show_seconds
from offload.views.report.axes import Swatch, legend
from offload.views.report.chart import Chart
from offload.views.report.looks import amount, best, share
from offload.views.report.over_time import paint
from offload.views.report.svg import INK, SMALL, WIDTH, Picture

LETTERS = {"device": "D", "edge": "E", "cloud": "C", "edge + cloud": "EC"}
LATE = ".4"  # opacity of what is later than the deadline
HIGH = 25.0  # of a cell of the map
TABLED = 3  # every third rate stands in the table


def split_map(story: Story, seen: Watching) -> Chart | None:
    """Draw the quickest plan of the task with most requests over the rate of its cell and the load."""
    label = best(story.found).label
    asked = _most_asked(story, label, seen)
    found = None if asked is None else best_split(*asked)
    if found is None:
        return None
    facts, cell = found.facts, found.cell
    busy = float(seen.busy(label, cell.node)[seen.counted].mean())
    picture = Picture("best-split")
    _draw(picture, found, busy, label)
    title = f"The quickest plan for {facts.group} {facts.asked}, over bandwidth and load"
    at = int(np.abs(np.array(found.loads) - busy).argmin())
    own = int(np.abs(np.array(found.up_bps) - cell.up_bps).argmin())
    told = [
        f"{_rate(found.up_bps[column])} it is {plan_label(found.plans[at][column])},"
        f" {show_seconds(found.latency_s[at, column])}"
        for column in (own, 0)
    ]
    says = f"With {found.loads[at]:.0%} of {cell.node} and {cell.name} busy, at {'; at '.join(told)}."
    chosen = range(0, len(found.up_bps), TABLED)
    columns = ["busy", *(_rate(found.up_bps[column]) for column in chosen)]
    table = [
        [f"{load:.0%}", *(f"{_family(found.plans[row][column])}, "
                          f"{show_seconds(found.latency_s[row, column])}" for column in chosen)]
        for row, load in enumerate(found.loads)
    ]  # fmt: skip
    return Chart(picture.name, title, says, picture.svg(title, says), columns, table)


def _most_asked(story: Story, label: str, seen: Watching) -> tuple[Facts, Cell] | None:
    """Return what is asked for most, and the cell over which most of that went; None without cells."""
    rows = story.rows(label)
    rows = rows.filter(~pl.col("request").is_in(rows["parent"].drop_nulls().implode()))
    keys = ["group", "task", "stage"]
    kinds = rows.group_by(keys).len().sort("len", *keys, descending=[True, False, False, False])
    if kinds.is_empty():
        return None
    most = kinds.row(0)[:3]
    facts = next(each for each in seen.setting.facts if (each.group, each.task, each.stage) == most)
    if not facts.cells:
        return None
    mine = rows.filter(pl.col("group") == facts.group, pl.col("task") == facts.task)
    used = mine["uplink"].drop_nulls().value_counts(sort=True)
    order = used.sort("count", "uplink", descending=[True, False])["uplink"].to_list()
    name = next((each for each in order if each in facts.cells), next(iter(facts.cells)))
    return facts, facts.cells[name]


def _family(plan: Plan) -> str:
    """Say what kinds of places compute: `device`, `device + edge`."""
    parts = {"device": plan.on_device, "edge": plan.edge is not None, "cloud": plan.cloud is not None}
    return " + ".join(name for name, there in parts.items() if there)


def _letter(plan: Plan) -> str:
    """Return what stands in a cell: a letter, or behind how many layers a device hands over."""
    family = _family(plan)
    return LETTERS.get(family) or str(plan.variant.cuts[min(plan.device_cut, plan.end)].after)


def _rate(bps: float) -> str:
    unit = Quantity("rate").show(bps).split()[1]
    size = Quantity("rate").parse(f"1 {unit}")
    return f"{amount(bps / size)} {unit}"


def _draw(picture: Picture, found: BestSplit, busy: float, label: str) -> None:
    left, top = 52.0, 22.0
    wide = (WIDTH - left - 8) / len(found.up_bps)
    bottom = top + HIGH * len(found.loads)
    picture.text(8, top - 8, "load: busy share of the cell, and of the servers of its site", size=SMALL)
    for row, load in enumerate(found.loads):
        y = bottom - HIGH * (row + 1)
        picture.text(left - 6, y + 17, f"{load:.0%}", size=SMALL, text_anchor="end")
        for column, plan in enumerate(found.plans[row]):
            _draw_cell(picture, found, row, column, plan, (left + wide * column, y), wide)
    unit = _rate(found.up_bps[0]).split()[1]
    size = Quantity("rate").parse(f"1 {unit}")
    for column, bps in enumerate(found.up_bps):
        x = left + wide * (column + 0.5)
        picture.text(x, bottom + 14, amount(bps / size), size=SMALL, text_anchor="middle")
    middle = (left + WIDTH) / 2
    about = f"rate of {found.cell.name} up, alone ({unit})"
    picture.text(middle, bottom + 30, about, size=SMALL, text_anchor="middle")
    own = float(np.interp(np.log(found.cell.up_bps), np.log(found.up_bps), range(len(found.up_bps))))
    at = float(np.interp(busy, found.loads, range(len(found.loads))))
    x, y = left + wide * (own + 0.5), bottom - HIGH * (at + 0.5)
    here = f"here, {_rate(found.cell.up_bps)}; {found.cell.node} was {share(busy)} busy under {label}"
    _ring(picture, x, y, here)
    picture.height = legend(
        picture, left, bottom + 38, WIDTH - left, _entries(picture, found, here)
    )  # fmt: skip


def _draw_cell(
    picture: Picture, found: BestSplit, row: int, column: int, plan: Plan, corner: tuple[float, float],
    wide: float,
) -> None:  # fmt: skip
    latency_s = float(found.latency_s[row, column])
    late = latency_s > found.facts.deadline_s
    says = (
        f"{_rate(found.up_bps[column])}, {found.loads[row]:.0%} busy: {plan_label(plan)},"
        f" {show_seconds(latency_s)}{', too late' if late else ''}"
    )
    fill = paint(picture, _family(plan))
    picture.box(corner, wide - 1, HIGH - 1, fill, says, fill_opacity=LATE if late else None)
    x, y = corner[0] + wide / 2, corner[1] + 16.5
    halo = {"stroke": "#fff", "stroke_width": "3", "stroke_opacity": ".75", "paint_order": "stroke"}
    picture.text(x, y, _letter(plan), size=SMALL, text_anchor="middle", fill="#000",
                 pointer_events="none", **halo)  # fmt: skip


def _ring(picture: Picture, x: float, y: float, says: str = "") -> None:
    """Mark where a scenario is, visible on any colour."""
    picture.put("circle", cx=x, cy=y, r=9.0, fill="none", stroke="#fff", stroke_width="4")
    picture.put("circle", says, cx=x, cy=y, r=9.0, fill="none", stroke="#000", stroke_width="2")


def _entries(picture: Picture, found: BestSplit, here: str) -> Sequence[tuple[Swatch, str]]:
    families = dict.fromkeys(_family(plan) for row in found.plans for plan in row)
    entries: list[tuple[Swatch, str]] = [(_box(picture, each), _explained(each)) for each in families]
    deadline = show_seconds(found.facts.deadline_s)
    if (found.latency_s > found.facts.deadline_s).any():
        entries.append((_box(picture, next(iter(families)), LATE), f"pale: later than {deadline}"))
    return [*entries, (lambda x, y: _ring(picture, x, y), here)]


def _explained(family: str) -> str:
    return f"{LETTERS[family]}: {family}" if family in LETTERS else f"number: {family}, after that layer"


def _box(picture: Picture, family: str, opacity: str | None = None) -> Swatch:
    def draw(x: float, y: float) -> None:
        picture.box((x - 6, y - 5), 12, 10, paint(picture, family), fill_opacity=opacity, stroke=INK,
                    stroke_width=".5")  # fmt: skip

    return draw
