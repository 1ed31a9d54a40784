"""A run over time, as charts: where requests were to run, how busy nodes were, and how many waited."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from offload.analysis.series import WHERE, Floats, Ints
from offload.analysis.story import Story
from offload.analysis.watching import BINS, Watching
from offload.views.palette import LEG_COLOURS
from offload.views.report.axes import Swatch, legend, x_axis, y_axis
from offload.views.report.chart import Chart
from offload.views.report.looks import MOST_ROWS, Look, amount, looks, share
from offload.views.report.scales import Scale, prefixed, rounded
from offload.views.report.svg import SMALL, WIDTH, Picture, stairs

MOST_POLICIES = 12
MOST_NODES = 3
MOST_CELLS = 2
LEAST = 0.01  # requests, or percent: what never exceeds it is not drawn
# What computes in several places is striped in the colours of all; they are those of legs there.
KIND_COLOURS = {"device": LEG_COLOURS[1], "edge": LEG_COLOURS[3], "cloud": LEG_COLOURS[5]}
NO_PLAN = "#999999"


@dataclass(frozen=True, slots=True)
class Panel:
    """One of several small plots: a line for each policy."""

    title: str
    lines: Mapping[str, Floats]

    @property
    def highest(self) -> float:
        """The largest of all values."""
        return max(float(each.max()) for each in self.lines.values())


def plans_over_time(story: Story, seen: Watching) -> Chart | None:
    """Draw, a plot a policy, what share of the requests born at a time ran where."""
    shown = looks(story.found)[:MOST_POLICIES]
    totals = {label: {name: int(counts[seen.counted].sum()) for name, counts in each.where.items()}
              for label, each in seen.policies.items()}  # fmt: skip
    used = [name for name in WHERE if any(each.get(name) for each in totals.values())]
    if not used:
        return None
    picture = Picture("plans-over-time")
    entries: list[tuple[Swatch, str]] = [(_swatch(picture, name), name) for name in used]
    top = legend(picture, 46, 0, WIDTH - 46, [*entries, *_warm_up_entry(picture, seen)])
    for number, look in enumerate(shown):
        x, y = _plot(picture, seen, look.label, number, len(shown), (top, 64.0), (0.0, 100.0))
        _draw_shares(picture, seen, seen.policies[look.label].where, x, y)
        _draw_warm_up(picture, seen, x, y)
    label = story.best
    born = max(1, sum(totals[label].values()))
    parts = sorted(totals[label].items(), key=lambda each: -each[1])
    told = ", ".join(f"{share(count / born)} {_words(name)}" for name, count in parts if count)
    says = (
        f"Under {label} requests were to run: {told or 'nowhere, as there were none'} (by their last"
        " plan, lost ones too; after the warm-up, replication 0)."
    )
    says += _left_out(story, shown)
    title = "Where requests were to run, in % of those born at a time"
    table = [
        [look.label, *(share(totals[look.label].get(name, 0) / max(1, sum(totals[look.label].values())))
                       for name in used)]
        for look in looks(story.found)
    ]  # fmt: skip
    svg = picture.svg(title, says)
    return Chart(picture.name, title, says, svg, ["policy", *used], table[:MOST_ROWS])


def _words(name: str) -> str:
    return {
        "device": "on the device", "edge": "at the edge", "cloud": "in the cloud",
        "no plan": "without a plan",
    }.get(name, f"on {name}")  # fmt: skip


def _left_out(story: Story, shown: Sequence[Look]) -> str:
    count = len(story.labels)
    return f" The first {len(shown)} of {count} policies are drawn." if count > len(shown) else ""


def paint(picture: Picture, name: str) -> str:
    """Return the colour of a kind of place, or stripes of those of several."""
    return picture.stripes(*(KIND_COLOURS.get(kind, NO_PLAN) for kind in name.split(" + ")))


def _swatch(picture: Picture, name: str) -> Swatch:
    return lambda x, y: picture.box((x - 6, y - 5), 12, 10, paint(picture, name))


def _warm_up_entry(picture: Picture, seen: Watching) -> list[tuple[Swatch, str]]:
    if not seen.warm_up_s:
        return []
    return [(lambda x, y: picture.rule((x, y - 7), (x, y + 7), stroke_dasharray="2 2"), "warm-up ends")]


def _draw_warm_up(picture: Picture, seen: Watching, x: Scale, y: Scale) -> None:
    if seen.warm_up_s:
        at = x(seen.warm_up_s * prefixed(seen.setting.duration_s, "s")[1])
        picture.rule((at, y.begin), (at, y.end), stroke_dasharray="2 2")


def _plot(
    picture: Picture, seen: Watching, title: str, number: int, count: int,
    place: tuple[float, float], ends: tuple[float, float],
) -> tuple[Scale, Scale]:  # fmt: skip
    """Draw the axes of one of several plots, two beside each other, and return its scales.

    `place` is where the first begins and how high each is, `ends` those of its upright axis.
    """
    begin, high = place
    columns = 1 if count == 1 else 2
    wide = (WIDTH - 16 - 54 * columns) / columns
    left = 46.0 + (number % columns) * (wide + 60)
    top = begin + 22 + (number // columns) * (high + 46)
    unit, times = prefixed(seen.setting.duration_s, "s")
    x = Scale(0.0, seen.setting.duration_s * times, left, left + wide)
    y = Scale(*ends, top + high, top)
    picture.text(left, top - 6, title, room=wide, size=SMALL, font_weight="bold")
    y_axis(picture, y, left, left + wide, most=3)
    last_row = number // columns == (count - 1) // columns
    x_axis(picture, x, top + high, top, f"time ({unit})" if last_row else "")
    picture.height = max(picture.height, top + high + (36 if last_row else 20))
    return x, y


def _draw_shares(
    picture: Picture, seen: Watching, counts: Mapping[str, Ints], x: Scale, y: Scale
) -> None:
    """Draw shares one above the other, from the top: each covers what lies below it."""
    born = np.maximum(sum(counts.values(), np.zeros(BINS, dtype=np.int64)), 1)
    heights = np.cumsum([100 * each / born for each in counts.values()], axis=0)
    for name, top in reversed(list(zip(counts, heights, strict=True))):
        d = f"{_steps(seen, top, x, y)}V{y.begin:.0f}H{x.begin:.0f}Z"
        picture.path(d, "none", name, fill=paint(picture, name))


def _steps(seen: Watching, values: Floats, x: Scale, y: Scale) -> str:
    """Return the path of values that each hold for a bin."""
    times = prefixed(seen.setting.duration_s, "s")[1]
    places = [x(edge * times) for edge in seen.edges_s.tolist()]
    heights = [y(value) for value in values.tolist()]
    return stairs(list(zip(places, [*heights, heights[-1]], strict=True)))


def load_over_time(story: Story, seen: Watching) -> Chart | None:
    """Draw how busy nodes were and how many requests waited there and in the air, a line a policy."""
    shown = looks(story.found)[:MOST_POLICIES]
    labels = [look.label for look in shown]
    nodes, cells = _busiest(seen, labels)
    if not nodes and not cells:
        return None
    panels = []
    for node in nodes:
        busy = {label: 100 * seen.busy(label, node) for label in labels}
        panels.append(Panel(f"{node}: servers at work (%)", busy))
        waiting = {label: seen.waiting(label, node) for label in labels}
        panels.append(Panel(f"{node}: requests waiting", waiting))
    for cell in cells:
        sending = {label: seen.sending(label, cell) for label in labels}
        panels.append(Panel(f"{cell}: requests on their way up", sending))
    panels = [panel for panel in panels if panel.highest > LEAST]
    picture = Picture("load-over-time")
    entries = [(_line(picture, look), look.label) for look in shown]
    top = legend(picture, 46, 0, WIDTH - 46, [*entries, *_warm_up_entry(picture, seen)])
    for number, panel in enumerate(panels):
        ends = (0.0, rounded(0.0, panel.highest, 3)[1])
        x, y = _plot(picture, seen, panel.title, number, len(panels), (top, 84.0), ends)
        _draw_warm_up(picture, seen, x, y)
        _draw_lines(picture, seen, shown, panel.lines, x, y)
    says = _says_load(story, seen, nodes) + _left_out(story, shown)
    title = "Load over time"
    columns = ["policy", "place", "busy", "busiest", "waiting", "most waiting"]
    table = _load_table(seen, labels, nodes, cells)
    return Chart(picture.name, title, says, picture.svg(title, says), columns, table[:MOST_ROWS])


def _busiest(seen: Watching, labels: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the nodes and cells that had most to do, whatever the policy, in order of declaration."""
    work = {
        node: max(float(seen.busy(label, node).mean()) for label in labels)
        for node in seen.setting.nodes
    }
    sent = {
        cell: max(float(seen.sending(label, cell).mean()) for label in labels)
        for cell in seen.setting.cells
    }
    found = []
    for known, most in ((work, MOST_NODES), (sent, MOST_CELLS)):
        chosen = sorted((name for name in known if known[name] > 0), key=lambda name: -known[name])[
            :most
        ]
        found.append([name for name in known if name in chosen])
    return found[0], found[1]


def _line(picture: Picture, look: Look) -> Swatch:
    return lambda x, y: look.swatch(picture, x, y)


def _draw_lines(
    picture: Picture, seen: Watching, shown: Sequence[Look], values: Mapping[str, Floats],
    x: Scale, y: Scale,
) -> None:  # fmt: skip
    for number, look in enumerate(shown):
        mine = values[look.label]
        picture.path(_steps(seen, mine, x, y), look.colour, look.label, stroke_dasharray=look.dashes)
        at = int((number + 0.5) * BINS / len(shown))
        look.mark(picture, x.begin + (at + 0.5) * (x.end - x.begin) / BINS, y(mine[at]), radius=2.5)


def _says_load(story: Story, seen: Watching, nodes: Sequence[str]) -> str:
    """Say how busy the busiest node was under the best policy, or under the one that used nodes most."""
    counts = seen.counted
    tried = [(story.best, node) for node in nodes]
    if not any(seen.busy(*each)[counts].any() for each in tried):
        tried = [(label, node) for label in story.labels for node in nodes]
    if not tried:
        return "No node computed anything."
    label, node = max(tried, key=lambda each: float(seen.busy(*each)[counts].mean()))
    busy = seen.busy(label, node)[counts]
    waiting = seen.waiting(label, node)[counts].mean()
    width = amount(float(seen.edges_s[1] - seen.edges_s[0]))
    return (
        f"Under {label} {share(busy.mean())} of the servers of {node} were at work after the warm-up,"
        f" {share(busy.max())} at most over {width} s, and {amount(waiting)} requests waited there on"
        " average (replication 0)."
    )


def _load_table(
    seen: Watching, labels: Sequence[str], nodes: Sequence[str], cells: Sequence[str]
) -> list[list[str]]:
    counts, table = seen.counted, []
    for node in nodes:
        for label in labels:
            busy, waiting = (each(label, node)[counts] for each in (seen.busy, seen.waiting))
            table.append([label, node, share(busy.mean()), share(busy.max()), amount(waiting.mean()),
                          amount(waiting.max())])  # fmt: skip
    for cell in cells:
        for label in labels:
            sending = seen.sending(label, cell)[counts]
            table.append([label, cell, "-", "-", amount(sending.mean()), amount(sending.max())])
    return table
