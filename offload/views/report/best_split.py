"""Which plan is the quickest over bandwidth and load, as a heat map of the planner's prices."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from offload.analysis.best_split import BestSplit, best_split
from offload.analysis.rows import plan_label
from offload.analysis.story import Story
from offload.analysis.watching import Watching
from offload.entities import Cell, Facts, Plan
from offload.units import UNITS, show_seconds
from offload.views.report.axes import Swatch, legend
from offload.views.report.chart import Chart
from offload.views.report.looks import amount, percent, share
from offload.views.report.over_time import paint
from offload.views.report.svg import INK, SMALL, WIDTH, Picture

LETTERS = {"device": "D", "edge": "E", "cloud": "C", "edge + cloud": "EC"}
LATE = ".4"  # opacity of what is later than the deadline
HIGH = 25.0  # of a cell of the map
LEFT, TOP = 52.0, 22.0
TABLED = 3  # every third rate stands in the table


def split_map(story: Story, seen: Watching) -> Chart | None:
    """Draw the quickest plan of the task with most requests over the rate of its cell and the load."""
    label = story.best
    asked = _most_asked(story, label, seen)
    found = None if asked is None else best_split(*asked)
    if found is None:
        return None
    facts, cell = found.facts, found.cell
    used = float(seen.used(label, cell.name)[seen.counted].mean()) if cell.shared else 0.0
    busy = max(used, float(seen.busy(label, cell.node)[seen.counted].mean()))
    picture = Picture("best-split")
    _draw(picture, found, busy, label)
    title = f"The quickest plan for {facts.group} {facts.asked}, over bandwidth and load"
    row = int(np.abs(np.array(found.loads) - busy).argmin())
    own = int(np.abs(np.array(found.up_bps) - cell.up_bps).argmin())
    told = [
        f"at {_rate(found.up_bps[column])} the quickest is {plan_label(found.plans[row][column])},"
        f" {show_seconds(found.latency_s[row, column])}"
        for column in (own, 0)
    ]
    says = (
        f"With {percent(found.loads[row])} of {cell.name} and of all edge nodes busy, {'; '.join(told)}"
        " (as the planner prices it for an idle device, with the waits of M/M/c queues; not simulated)."
    )
    chosen = range(0, len(found.up_bps), TABLED)
    columns = ["busy", *(_rate(found.up_bps[column]) for column in chosen)]
    table = [
        [percent(load), *(f"{_family(found.plans[row][column])},"
                          f" {show_seconds(found.latency_s[row, column])}" for column in chosen)]
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
    used = mine["uplink"].drop_nulls().value_counts().sort("count", "uplink", descending=[True, False])
    name = next((each for each in used["uplink"] if each in facts.cells), next(iter(facts.cells)))
    return facts, facts.cells[name]


def _family(plan: Plan) -> str:
    """Say what kinds of places compute: `device`, `device + edge`."""
    parts = {"device": plan.on_device, "edge": plan.edge is not None, "cloud": plan.cloud is not None}
    return " + ".join(name for name, there in parts.items() if there)


def _letter(plan: Plan) -> str:
    """Return what stands in a cell: a letter, or behind how many layers a device hands over."""
    after = plan.variant.cuts[min(plan.device_cut, plan.end)].after
    return LETTERS.get(_family(plan)) or str(after)


def _unit(bps: float) -> tuple[str, float]:
    """Return the unit in which a rate reads best, and its size."""
    fitting = [(unit, size) for unit, size in UNITS["rate"].items() if bps >= size]
    return fitting[-1] if fitting else ("bit/s", 1.0)


def _rate(bps: float) -> str:
    unit, size = _unit(bps)
    return f"{amount(bps / size)} {unit}"


def _draw(picture: Picture, found: BestSplit, busy: float, label: str) -> None:
    cell, wide = found.cell, (WIDTH - LEFT - 8) / len(found.up_bps)
    bottom = TOP + HIGH * len(found.loads)
    about = f"busy share of {cell.name} and of the servers of all edge nodes"
    picture.text(4, TOP - 8, about, room=WIDTH - 8, size=SMALL)
    _draw_cells(picture, found, wide, bottom)
    for row, load in enumerate(found.loads):
        y = bottom - HIGH * (row + 0.5) + 4
        picture.text(LEFT - 6, y, percent(load), size=SMALL, text_anchor="end")
    unit, size = _unit(found.up_bps[0])
    for column, bps in enumerate(found.up_bps):
        x = LEFT + wide * (column + 0.5)
        picture.text(x, bottom + 14, amount(bps / size), size=SMALL, text_anchor="middle")
    about = f"rate of {cell.name} up, if nobody else sends ({unit})"
    picture.text((LEFT + WIDTH) / 2, bottom + 30, about, room=WIDTH - LEFT, size=SMALL,
                 text_anchor="middle")  # fmt: skip
    rates = np.log(found.up_bps)
    own = float(np.interp(np.log(cell.up_bps), rates, np.arange(len(rates))))
    at = float(np.interp(busy, found.loads, np.arange(len(found.loads))))
    here = f"here: {_rate(cell.up_bps)}, {share(busy)} busy (cell or site, whichever is more; {label})"
    _ring(picture, LEFT + wide * (own + 0.5), bottom - HIGH * (at + 0.5), says=here)
    entries = _entries(picture, found, here)
    picture.height = legend(picture, LEFT, bottom + 38, WIDTH - LEFT, entries, WIDTH - LEFT - 40)


def _draw_cells(picture: Picture, found: BestSplit, wide: float, bottom: float) -> None:
    """Draw a box for each load and rate, and over all of them what their letters are."""
    letters = []
    for row, plans in enumerate(found.plans):
        y = bottom - HIGH * (row + 1)
        for column, plan in enumerate(plans):
            x, latency_s = LEFT + wide * column, float(found.latency_s[row, column])
            late = latency_s > found.facts.deadline_s
            says = (
                f"{_rate(found.up_bps[column])}, {percent(found.loads[row])} busy: {plan_label(plan)},"
                f" {show_seconds(latency_s)}{', too late' if late else ''}"
            )
            fill = paint(picture, _family(plan))
            picture.box((x, y), wide - 1, HIGH - 1, fill, says, fill_opacity=LATE if late else None)
            letters.append((x + wide / 2, y + HIGH / 2 + 4, _letter(plan)))
    with picture.group(fill="#000", stroke="#fff", stroke_width="3", stroke_opacity=".75",
                       stroke_linejoin="round", paint_order="stroke", pointer_events="none",
                       text_anchor="middle", font_size=SMALL):  # fmt: skip
        for x, y, letter in letters:
            picture.text(x, y, letter)


def _ring(picture: Picture, x: float, y: float, radius: float = 9.0, says: str = "") -> None:
    """Mark where a scenario is, such that it is seen on any colour."""
    picture.put("circle", cx=x, cy=y, r=radius, fill="none", stroke="#fff", stroke_width="4")
    picture.put("circle", says, cx=x, cy=y, r=radius, fill="none", stroke="#000", stroke_width="2")


def _entries(picture: Picture, found: BestSplit, here: str) -> Sequence[tuple[Swatch, str]]:
    families = dict.fromkeys(_family(plan) for row in found.plans for plan in row)
    entries: list[tuple[Swatch, str]] = [(_box(picture, each), _explained(each)) for each in families]
    if (found.latency_s > found.facts.deadline_s).any():
        deadline = show_seconds(found.facts.deadline_s)
        entries.append((_box(picture, next(iter(families)), LATE), f"faded: later than {deadline}"))
    return [*entries, (lambda x, y: _ring(picture, x, y, 5.0), here)]


def _explained(family: str) -> str:
    if family in LETTERS:
        return f"{LETTERS[family]}: {family}"
    return f"number: {family}, divided behind that layer"


def _box(picture: Picture, family: str, opacity: str | None = None) -> Swatch:
    def draw(x: float, y: float) -> None:
        picture.box((x - 6, y - 5), 12, 10, paint(picture, family), fill_opacity=opacity, stroke=INK,
                    stroke_width=".5")  # fmt: skip

    return draw
