"""A scenario drawn: who asks, over which cells, which servers answer, and what connects them."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

from offload.scenario.load import Scenario
from offload.views.report.chart import Chart
from offload.views.report.parts import CELLS, CLOUD, DEVICES, EDGE, Box, Line, Parts, parts
from offload.views.report.svg import shortened, text_width

# All in pixels, at which the text is drawn; the page makes it smaller where there is less room.
WIDTHS = (236, 176, 196, 176)  # of boxes, by column
GAPS = (48, 28)  # behind devices, behind cells
HEADS = ("devices", "cells", "edge", "cloud")
HEAD, PAD, TITLE, LINE, BETWEEN = 28, 9, 17, 15, 16
TITLE_CHAR, CHAR, LABEL_CHAR = 7.6, 6.4, 5.9  # the width of a character, on the wide side
LABEL, LABEL_LINE = 132, 13  # room for what is said of wires
TRACK = 8  # between two that run side by side


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle: of a box, or of what is said of a wire."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """How far down its middle is."""
        return self.y + self.height / 2

    @property
    def right(self) -> float:
        """Where it ends."""
        return self.x + self.width


@dataclass(slots=True)
class Drawing:
    """Where everything goes: boxes by name, labels and paths of wires in the order of the lines."""

    parts: Parts
    boxes: dict[str, Area] = field(default_factory=dict)
    labels: dict[Line, Area] = field(default_factory=dict)
    ports: dict[tuple[Line, str], float] = field(default_factory=dict)
    tracks: dict[Line, float] = field(default_factory=dict)
    width: float = 0.0
    height: float = 0.0


def diagram(scenario: Scenario) -> Chart:
    """Draw a scenario; its boxes and wires are the rows of its table."""
    found = parts(scenario)
    counts = Counter(box.column for box in found.boxes for _ in range(box.many))
    wires = len(scenario.setting(0.0).wires)
    told = {
        "group of devices": counts[DEVICES], "cell": counts[CELLS], "edge server": counts[EDGE],
        "cloud": counts[CLOUD], "wire": wires,
    }  # fmt: skip
    says = ", ".join(f"{n} {name if n == 1 else _many(name)}" for name, n in told.items() if n)
    rows = [(HEADS[box.column], box.title, "; ".join(box.lines)) for box in found.boxes]
    rows += [
        ("wire", f"{line.title} ({line.ends[0]} to {line.ends[1]})", "; ".join(line.figures))
        for line in found.lines
        if line.kind == "wire"
    ]
    columns = ("what", "which", "figures")
    return Chart(
        "scenario-drawn", "Who asks, and who may answer", f"{says}.", svg(place(found)), columns, rows
    )


def _many(name: str) -> str:
    return name.replace("group", "groups") if name.startswith("group") else f"{name}s"


def place(found: Parts) -> Drawing:
    """Find places such that nothing overlaps: columns of boxes, and wires between the last of them."""
    drawing = Drawing(found)
    wires = [line for line in found.lines if line.kind == "wire"]
    xs = _columns(found, wires)
    ports = Counter(end for line in wires for end in line.ends)
    label = max((LABEL_LINE * len(_said(line)) + 8 for line in wires), default=0)
    rows = _rows(found)
    tall = {box.name: _height(box) for box in found.boxes}
    for box in found.boxes:
        if box.column == EDGE:
            tall[box.name] = max(tall[box.name], ports[box.name] * label)
    sites = [max(tall[node] if node else 0, _stack([tall[c] for c in cells])) for node, cells in rows]
    stacks = [[tall[b.name] for b in found.boxes if b.column == at] for at in (DEVICES, CLOUD)]
    drawing.height = HEAD + max(map(_stack, (*stacks, sites))) + 6
    for column, heights in zip((DEVICES, CLOUD), stacks, strict=True):
        names = [box.name for box in found.boxes if box.column == column]
        for name, y in zip(names, _spread(heights, drawing.height), strict=True):
            drawing.boxes[name] = Area(xs[column], y, WIDTHS[column], tall[name])
    for (node, cells), site, y in zip(rows, sites, _spread(sites, drawing.height), strict=True):
        if node:
            middle = y + (site - tall[node]) / 2
            drawing.boxes[node] = Area(xs[EDGE], middle, WIDTHS[EDGE], tall[node])
        top = y + (site - _stack([tall[cell] for cell in cells])) / 2
        for cell in cells:
            drawing.boxes[cell] = Area(xs[CELLS], top, WIDTHS[CELLS], tall[cell])
            top += tall[cell] + BETWEEN
    drawing.width = max(area.right for area in drawing.boxes.values()) + 8
    if wires or any(_to_cloud(drawing, line) for line in found.lines):
        drawing.width = max(drawing.width, xs[CLOUD] + 2)
    _route(drawing, wires, ports, label, xs)
    for said in drawing.labels.values():  # what is said of the lowest wire may reach below all boxes
        drawing.height = max(drawing.height, said.y + said.height + 6)
    return drawing


def _columns(found: Parts, wires: Sequence[Line]) -> tuple[float, ...]:
    """Return where columns begin; one without boxes takes no room."""
    there = {box.column for box in found.boxes}
    xs, x = [], 2.0
    tracks = LABEL + TRACK * (2 + len(wires)) if wires else 48
    for column, gap in enumerate((*GAPS, tracks, 0)):
        xs.append(x)
        if column in there or (column == EDGE and CLOUD in there):
            x += WIDTHS[column] + gap
    return tuple(xs)


def _rows(found: Parts) -> list[tuple[str, list[str]]]:
    """Return each edge node with its cells, then cells of clouds, each in a row of its own."""
    node_of = {line.ends[0]: line.ends[1] for line in found.lines if line.kind == "site"}
    edges = [box.name for box in found.boxes if box.column == EDGE]
    rows = [(edge, [cell for cell, node in node_of.items() if node == edge]) for edge in edges]
    return rows + [("", [cell]) for cell, node in node_of.items() if node not in edges]


def _route(
    drawing: Drawing, wires: Sequence[Line], ports: Counter[str], label: float, xs: Sequence[float]
) -> None:
    """Lead wires out of edge nodes, each on a level of its own; those into a cloud meet before it."""
    used: Counter[str] = Counter()
    clouds = [box.name for box in drawing.parts.boxes if box.column == CLOUD]
    tracks: dict[object, float] = {}
    for line in drawing.parts.lines:
        into = [end for end in line.ends if end in clouds]
        if line not in wires and not _to_cloud(drawing, line):
            continue
        key = into[0] if len(into) == 1 else line
        drawing.tracks[line] = tracks.setdefault(key, xs[CLOUD] - TRACK * (1.5 + len(tracks)))
        for end in line.ends:
            area = drawing.boxes[end]
            y = area.middle
            if end not in clouds and line in wires:
                y += (used[end] - (ports[end] - 1) / 2) * label
                used[end] += 1
            drawing.ports[line, end] = y
        begin = line.ends[0]
        if line in wires:
            x = drawing.boxes[begin].right + 6 if begin not in clouds else drawing.tracks[line] - LABEL
            top = drawing.ports[line, begin] - LABEL_LINE - 3
            drawing.labels[line] = Area(x, top, LABEL - 10, LABEL_LINE * len(_said(line)) + 6)


def _to_cloud(drawing: Drawing, line: Line) -> bool:
    """Tell whether a line leads from a cell to a cloud, past the edge."""
    columns = {box.name: box.column for box in drawing.parts.boxes}
    return line.kind == "site" and columns[line.ends[1]] == CLOUD


def _height(box: Box) -> float:
    titles, lines = _wrapped(box)
    return 2 * PAD + TITLE * len(titles) + LINE * len(lines)


def _wrapped(box: Box) -> tuple[list[str], list[str]]:
    room = WIDTHS[box.column] - 2 * PAD
    return _wrap(box.title, room, TITLE_CHAR), [
        part for line in box.lines for part in _wrap(line, room, CHAR)
    ]


def _wrap(text: str, room: float, char: float) -> list[str]:
    """Break text into lines of usual characters; into shorter ones where many of them are wide."""
    most = int(room / char)
    lines = textwrap.wrap(text, most)
    widest = max((sum(1 + (text_width(each, 1.0) >= 1.0) for each in line) for line in lines), default=0)
    return lines if widest <= 1.2 * most else textwrap.wrap(text, most * most // widest)


def _stack(heights: Sequence[float]) -> float:
    return sum(heights) + BETWEEN * max(0, len(heights) - 1)


def _spread(heights: Sequence[float], height: float) -> Iterator[float]:
    """Yield where each of a column begins, the column in the middle."""
    y = HEAD + (height - HEAD - 6 - _stack(heights)) / 2
    for each in heights:
        yield y
        y += each + BETWEEN


def svg(drawing: Drawing) -> str:
    """Return the drawing as markup."""
    boxes = {box.name: box for box in drawing.parts.boxes}
    heads = {box.column: drawing.boxes[box.name].x for box in drawing.parts.boxes}
    width, height = drawing.width, drawing.height
    made = [
        (
            f'<svg class="diagram" viewBox="0 0 {width:.0f} {height:.0f}"'
            f' style="max-width: {width:.0f}px" role="img"'
            ' aria-label="The scenario as a diagram; its table below says the same">'
        )
    ]
    made += [
        f'<text class="head" x="{x:g}" y="14">{HEADS[at]}</text>' for at, x in sorted(heads.items())
    ]
    made += [f'<path class="{line.kind}" d="{_path(drawing, line)}"/>' for line in drawing.parts.lines]
    made += [_label(line, area) for line, area in drawing.labels.items()]
    made += [_box(boxes[name], area) for name, area in drawing.boxes.items()]
    return "\n".join([*made, "</svg>"])


def _path(drawing: Drawing, line: Line) -> str:
    a, b = (drawing.boxes[end] for end in line.ends)
    if line in drawing.tracks:
        x = drawing.tracks[line]
        begin, end = (drawing.ports[line, each] for each in line.ends)
        left, right = (area.right if area.right < x else area.x for area in (a, b))
        return f"M{left:g} {begin:g}H{x:g}V{end:g}H{right:g}"
    half, down = (b.x - a.right) / 2, b.middle - a.middle
    return f"M{a.right:g} {a.middle:g}c{half:g} 0 {half:g} {down:g} {2 * half:g} {down:g}"


def _box(box: Box, area: Area) -> str:
    titles, lines = _wrapped(box)
    told = escape(f"{box.title}: {'; '.join(box.lines)}")
    made = [f'<g class="{HEADS[box.column]}"><title>{told}</title>']
    shape = f'width="{area.width:g}" height="{area.height:g}" rx="5"'
    if box.many > 1:
        made.append(f'<rect x="{area.x + 4:g}" y="{area.y - 4:g}" {shape}/>')
    made.append(f'<rect x="{area.x:g}" y="{area.y:g}" {shape}/>')
    y = area.y + PAD - 4
    for text in titles:
        y += TITLE
        made.append(f'<text class="title" x="{area.x + PAD:g}" y="{y:g}">{escape(text)}</text>')
    for text in lines:
        y += LINE
        made.append(f'<text x="{area.x + PAD:g}" y="{y:g}">{escape(text)}</text>')
    return "".join([*made, "</g>"])


def _label(line: Line, area: Area) -> str:
    """Say above a wire which it is, and below it what it carries."""
    y = area.y + LABEL_LINE - 1
    told = escape("; ".join((line.title, *line.figures)))
    made = [f'<g class="label"><title>{told}</title>']
    for number, text in enumerate(_said(line)):
        at = y + LABEL_LINE * number + (4 if number else 0)
        made.append(f'<text x="{area.x:g}" y="{at:g}">{escape(text)}</text>')
    return "".join([*made, "</g>"])


def _said(line: Line) -> list[str]:
    """Return what is said of a wire, as lines: its title, cut off where it is long, and its figures."""
    title = shortened(line.title, LABEL - 10, 1.6 * LABEL_CHAR)
    return [title, *(part for figure in line.figures for part in _wrap(figure, LABEL - 10, LABEL_CHAR))]
