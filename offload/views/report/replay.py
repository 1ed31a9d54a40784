"""The map, to be played: devices on their tracks, and each request on its way as a pulse."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from offload.analysis import spans
from offload.analysis.rows import LEGS
from offload.analysis.story import Story
from offload.scenario.setup import Setting
from offload.views.palette import LEG_COLOURS
from offload.views.report import scene
from offload.views.report.packed import Whole, pack, signed, steps

BUDGET = 4_500_000  # bytes of this section at most: a page should open quickly, and be sent in a letter
STEP_S = 2e-5  # times are told in steps of this length
BYTES_A_REQUEST = 16.0  # about what one takes, where there are many
SHORTEST_S = 5.0  # rather than a shorter window, fewer policies

# Of what there are few combinations, each is told once: what was asked for, and how it ended.
_KIND = ("task", "stage", "plan", "where")
_END = ("cause", "on_time")
_WHERE = (
    pl.when("split").then(pl.lit("split"))
    .when(pl.col("cloud").is_not_null()).then(pl.lit("cloud"))
    .when(pl.col("edge").is_not_null()).then(pl.lit("edge"))
    .when(pl.col("plan").is_not_null()).then(pl.lit("device"))
    .otherwise(pl.lit("none"))
)  # fmt: skip
_LEGS = [leg.removesuffix("_s") for leg in LEGS]

_SCRIPTS = ("replay_data.js", "replay_scene.js", "replay.js")


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when what is replayed of which policies."""

    begin_s: float
    end_s: float
    labels: tuple[str, ...]


def section(story: Story, budget: int = BUDGET) -> str | None:
    """Return the replay of replication 0 of each policy as markup, with its data, script and style.

    Where that would be larger than `budget` bytes it is of a shorter window, then of fewer policies,
    and says so. None where there are no devices, or no requests.
    """
    setting = story.setting(0)
    born = {label: story.rows(label)["born_s"] for label in story.labels}
    if not setting.devices or not any(map(len, born.values())):
        return None
    window = _guess(Window(0.0, setting.duration_s, tuple(born)), story.found.warm_up_s, born, budget)
    while True:
        shown = _shown(story, setting, window)
        size = len(shown)
        if size <= budget:
            break
        smaller = _smaller(window, budget / size)
        if smaller is None:
            return _markup("", _too_large(setting, size, budget))
        window = smaller
    return _markup(shown, _caption(story, setting, window, born, size))


def data(story: Story, label: str, setting: Setting, window: Window) -> dict[str, Any]:
    """Return the requests of a policy that are born in a window, as the script reads them.

    `columns` are, packed: for each request its number and birth (differences), device, kind, end, trip,
    and deadline (0 for none); then for each leg of each trip how long it takes, and how much of that is
    waiting. Times are in steps of STEP_S, births from the begin of the window.
    """
    rows = story.rows(label)
    rows = rows.filter(
        ~pl.col("request").is_in(rows["parent"].drop_nulls().implode()), pl.col("born_s") < window.end_s
    )
    legs = spans.spans(rows, setting)
    rows = (
        rows.filter(pl.col("born_s") >= window.begin_s)
        .sort("born_s", "request")
        .with_columns(where=_WHERE)
        .with_row_index("number")
    )
    legs = legs.join(rows.select("request", "number"), on="request").sort("number", "begin_s", "end_s")
    kinds, kind = _told_once(rows, _KIND)
    ends, end = _told_once(rows, _END)
    trips, trip = _trips(rows, legs, setting)
    born = steps(rows["born_s"].to_numpy() - window.begin_s, STEP_S)
    took, waits = _lasting(legs, born, window.begin_s)
    device = rows["device"].replace_strict(
        {each.name: number for number, each in enumerate(setting.devices)}, return_dtype=pl.Int64
    )
    deadline = rows["deadline_s"].to_numpy()
    has_one = np.isfinite(deadline)
    return {
        "label": label,
        "requests": rows.height,
        "legs": legs.height,
        "kinds": [list(each) for each in kinds.iter_rows()],
        "ends": [list(each) for each in ends.iter_rows()],
        "trips": trips,
        "columns": pack([
            signed(np.diff(rows["request"].to_numpy(), prepend=0)), np.diff(born, prepend=0),
            device.to_numpy(), kind, end, trip,
            np.where(has_one, steps(np.where(has_one, deadline, 0.0), STEP_S) + 1, 0), took, waits,
        ]),
    }  # fmt: skip


def _told_once(rows: pl.DataFrame, keys: Sequence[str]) -> tuple[pl.DataFrame, Whole]:
    """Return which combinations of columns there are, and which of them each row has."""
    known = rows.select(keys).unique(maintain_order=True)
    joined = rows.join(
        known.with_row_index("which"), on=list(keys), how="left", nulls_equal=True, maintain_order="left"
    )
    return known, joined["which"].to_numpy().astype(np.int64)


def _lasting(legs: pl.DataFrame, born: Whole, begin_s: float) -> tuple[Whole, Whole]:
    """Return how long legs take, and how long one waits in them; those of a request sum to its latency."""
    request = legs["number"].to_numpy().astype(np.int64)
    until = steps(legs["end_s"].to_numpy() - begin_s, STEP_S)
    first = np.diff(request, prepend=-1) > 0  # it begins at the birth, others where the last one ended
    took = np.maximum(until - np.where(first, born[request], np.roll(until, 1)), 0)
    return took, np.clip(took - steps(legs["work_s"].to_numpy(), STEP_S), 0, took)


def _trips(
    rows: pl.DataFrame, legs: pl.DataFrame, setting: Setting
) -> tuple[list[list[tuple[int, list[int]]]], Whole]:
    """Return which trips there are, and which of them each row makes.

    A trip is a list of legs (indices of LEGS), each with its way: the nodes that it passes, -1 being the
    device; where one stays it is a single one.
    """
    own = pl.when(pl.col("leg").is_in(["decide", "device"])).then(pl.lit("")).otherwise("place")
    stops, stop = _told_once(legs.with_columns(place=own), ("leg", "place"))
    taken = (
        legs.select("number", trip=pl.Series(stop).cast(pl.String))
        .group_by("number", maintain_order=True)
        .agg(pl.col("trip").str.join(" "))
    )
    trips, trip = _told_once(
        rows.select("number").join(taken, on="number", how="left", maintain_order="left"), ["trip"]
    )
    named = list(stops.iter_rows())
    found = [[named[int(each)] for each in (trip or "").split()] for (trip,) in trips.iter_rows()]
    return [_ways(setting, each) for each in found], trip


def _ways(setting: Setting, trip: Sequence[tuple[str, str]]) -> list[tuple[int, list[int]]]:
    """Return the legs of a trip with their ways, from where they are (a cell, a node, or wires)."""
    number = {name: index for index, name in enumerate(setting.nodes)}
    site = {name: cell.node for name, cell in setting.cells.items()}
    stops = [site.get(place) if leg in ("uplink", "downlink") else place for leg, place in trip]
    here: str | None = None
    ways: list[tuple[int, list[int]]] = []
    for index, (leg, _) in enumerate(trip):
        there = stops[index]
        if leg == "wan":
            there = next((each for each in stops[index + 1 :] if each in number), here)
        nodes = [number[each] for each in scene.way(setting, here, there)]
        if leg == "uplink":
            nodes = [-1, *nodes[-1:]]
        elif leg == "downlink":
            nodes = [*nodes, -1]
        elif leg in ("edge", "cloud"):
            nodes = nodes[-1:]
        elif leg != "wan":
            nodes = []
        ways.append((_LEGS.index(leg), nodes or [-1]))
        here = there if there in number else None
    return ways


def _shown(story: Story, setting: Setting, window: Window) -> str:
    """Return what the script reads, as JSON that may stand in a page."""
    drawn = scene.lay_out(setting)
    told = {
        "begin_s": window.begin_s,
        "end_s": window.end_s,
        "warm_up_s": story.found.warm_up_s,
        "step_s": STEP_S,
        "legs": [{"name": leg, "colour": colour} for leg, colour in zip(_LEGS, LEG_COLOURS, strict=True)],
        "scene": scene.told(drawn, setting),
        "devices": scene.tracks(drawn, setting, window.begin_s, window.end_s, STEP_S),
        "policies": [data(story, label, setting, window) for label in window.labels],
    }
    # No end of a script, nor a comment, may stand in it: names come from files.
    return json.dumps(told, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _guess(whole: Window, warm_up_s: float, born: dict[str, pl.Series], budget: int) -> Window:
    """Return the whole run if it may fit, or the part from the warm-up on that may."""
    most = budget / BYTES_A_REQUEST
    if sum(map(len, born.values())) <= most:
        return whole
    begin_s = min(warm_up_s, whole.end_s / 2.0)
    times_s = np.sort(np.concatenate([each.to_numpy() for each in born.values()]))
    times_s = times_s[times_s >= begin_s]
    if len(times_s) <= most:
        return Window(begin_s, whole.end_s, whole.labels)
    end_s = max(float(times_s[int(most)]), begin_s + SHORTEST_S)
    return Window(begin_s, min(end_s, whole.end_s), whole.labels)


def _smaller(window: Window, share: float) -> Window | None:
    """Return a window that takes about this share; None where none that is worth it would."""
    long_s = window.end_s - window.begin_s
    if long_s > SHORTEST_S:
        end_s = window.begin_s + max(SHORTEST_S, 0.95 * share * long_s)
        return Window(window.begin_s, end_s, window.labels)
    if len(window.labels) > 1:
        kept = max(1, min(len(window.labels) - 1, int(share * len(window.labels))))
        return Window(window.begin_s, window.end_s, window.labels[:kept])
    if long_s > SHORTEST_S / 50.0:
        return Window(window.begin_s, window.begin_s + min(share, 0.9) * long_s, window.labels)
    return None


def _caption(
    story: Story, setting: Setting, window: Window, born: dict[str, pl.Series], size: int
) -> list[str]:
    """Say what is shown, what is left out for its size, and what is drawn otherwise than it is."""
    all_of_them = sum(map(len, born.values()))
    there = sum(
        born[label].is_between(window.begin_s, window.end_s, closed="left").sum() for label in window.labels
    )
    said = [
        f"Replication 0 of {_count(len(window.labels), 'policy', 'policies')}, {window.begin_s:g} to"
        f" {window.end_s:.4g} s: {_count(there, 'request')}, times to {STEP_S * 1e6:g} \N{MICRO SIGN}s."
    ]
    if window != Window(0.0, setting.duration_s, tuple(born)):
        policies = len(born) - len(window.labels)
        left = f", and without {_count(policies, 'policy', 'policies')}," if policies else ""
        said.append(
            f"Shortened: all {all_of_them:,} requests of the {setting.duration_s:g} s would take about"
            f" {size * all_of_them / max(there, 1) / 1e6:.1f} MB; this part{left} takes {size / 1e6:.1f} MB."
        )
    drawn = scene.lay_out(setting)
    if drawn.on_rings:
        said.append(
            f"{_count(drawn.on_rings, 'device')} at the same place as others, or as a node:"
            " drawn on rings around it."
        )
    if any(node.kind == "cloud" for node in setting.nodes.values()):
        said.append("Clouds are drawn at the upper border, wherever they are.")
    said.append(
        "Transfers, with what they wait, are drawn at even speed; time on wires, out and back, on the way out;"
        " a request that was tried again as if it had been tried once."
    )
    return said


def _too_large(setting: Setting, size: int, budget: int) -> list[str]:
    return [
        f"Not shown: with {len(setting.devices):,} devices the shortest replay would take {size / 1e6:.1f} MB,"
        f" more than the {budget / 1e6:.1f} MB that are kept for it."
    ]


def _count(number: int, one: str, more: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def _markup(shown: str, said: Sequence[str]) -> str:
    """Return the section; only what `shown` holds, as JSON, comes from files."""
    caption = " ".join(said)
    if not shown:
        body = f"<p>{caption}</p>"
    else:
        here = Path(__file__)
        style = here.with_name("replay.css").read_text(encoding="utf-8")
        script = "\n".join(here.with_name(name).read_text(encoding="utf-8") for name in _SCRIPTS)
        form = here.with_name("replay.html").read_text(encoding="utf-8").replace("CAPTION", caption)
        body = (
            f"<style>\n{style}</style>\n{form}"
            f'<script type="application/json" class="replay-data">{shown}</script>\n'
            f'<script type="module">\n{script}</script>'
        )
    return f'<section id="replay" class="replay" aria-labelledby="replay-title">\n{_TITLE}{body}\n</section>\n'


_TITLE = '<h2 id="replay-title">Map replay</h2>\n'
