"""The map, to be played: devices on their tracks, and each request on its way as a pulse."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from offload.analysis.story import Story
from offload.scenario.setup import Setting
from offload.views.palette import LEG_COLOURS
from offload.views.report import scene
from offload.views.report.pulses import NAMES, STEP_S, data
from offload.views.report.scene import Scene

BUDGET = 4_500_000  # bytes of data at most: a page should open quickly, and go through the post
BYTES_A_REQUEST = 8.0  # no fewer, where there are many
SHORTEST_S = 5.0  # rather than a shorter window, fewer policies

_SCRIPTS = ("replay_data.js", "replay_scene.js", "replay.js")


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when what is replayed of which policies."""

    begin_s: float
    end_s: float
    labels: tuple[str, ...]


def section(story: Story, budget: int = BUDGET) -> str | None:
    """Return the replay of replication 0 of each policy as markup, with its data, script and style.

    Where its data would be larger than `budget` bytes it is of a shorter window, then of fewer
    policies, and says so. None where there are no devices, or no requests.
    """
    setting = story.setting(0)
    born = {label: story.rows(label).height for label in story.labels}
    if not setting.devices or not any(born.values()):
        return None
    drawn = scene.lay_out(setting)
    whole = Window(0.0, setting.duration_s, tuple(born))
    warm_s = min(story.found.warm_up_s, whole.end_s / 2.0)
    window: Window | None = whole
    if (least := sum(born.values()) * BYTES_A_REQUEST) > budget:
        window = _smaller(whole, budget / least, warm_s)
    size = 0
    while window is not None:
        told = _told(story, setting, drawn, window)
        # No end of a script, nor a comment, may stand in it: names come from files.
        shown = json.dumps(told, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
        size = len(shown)
        if size <= budget:
            said = [_what(told), *_otherwise(drawn, setting)]
            if window != whole:
                said.insert(1, _shortened(told, setting, born, size))
            return _markup(said, shown, drawn.aspect)
        window = _smaller(window, budget / size, warm_s)
    return _markup([_too_large(setting, size, budget)])


def _told(story: Story, setting: Setting, drawn: Scene, window: Window) -> dict[str, Any]:
    """Return what the script reads."""
    begin_s, end_s = window.begin_s, window.end_s
    return {
        "begin_s": begin_s,
        "end_s": end_s,
        "warm_up_s": story.found.warm_up_s,
        "step_s": STEP_S,
        "legs": [
            {"name": leg, "colour": colour} for leg, colour in zip(NAMES, LEG_COLOURS, strict=True)
        ],
        "scene": scene.told(drawn, setting),
        "devices": scene.tracks(drawn, setting, begin_s, end_s, STEP_S),
        "policies": [data(story, label, setting, begin_s, end_s) for label in window.labels],
    }


def _smaller(window: Window, share: float, warm_s: float) -> Window | None:
    """Return a window that takes about this share, behind the warm-up; None where none is worth it."""
    long_s = window.end_s - window.begin_s
    if long_s > SHORTEST_S:
        begin_s = max(window.begin_s, warm_s)
        end_s = begin_s + max(SHORTEST_S, 0.95 * share * long_s)
        return replace(window, begin_s=begin_s, end_s=min(end_s, window.end_s))
    if len(window.labels) > 1:
        kept = max(1, min(len(window.labels) - 1, int(share * len(window.labels))))
        return replace(window, labels=window.labels[:kept])
    if long_s > SHORTEST_S / 50.0:
        return replace(window, end_s=window.begin_s + 0.95 * share * long_s)
    return None


def _what(told: Mapping[str, Any]) -> str:
    policies = told["policies"]
    count = sum(policy["requests"] for policy in policies)
    begin_s, end_s = (round(told[key], 2) for key in ("begin_s", "end_s"))
    return (
        f"Replication 0 of {_count(len(policies), 'policy', 'policies')}, from {begin_s:g} to"
        f" {end_s:g} s: {_count(count, 'request')}, times to {STEP_S * 1e6:g} \N{MICRO SIGN}s."
    )


def _shortened(told: Mapping[str, Any], setting: Setting, born: Mapping[str, int], size: int) -> str:
    """Say what is left out for its size, with the numbers."""
    count = max(1, sum(policy["requests"] for policy in told["policies"]))
    lacking = len(born) - len(told["policies"])
    left = f", without {_count(lacking, 'policy', 'policies')}," if lacking else ""
    whole_mb = size * sum(born.values()) / count / 1e6
    before = ", and nobody who was under way when it begins" if told["begin_s"] > 0.0 else ""
    return (
        f"Shortened: all {sum(born.values()):,} requests of the {setting.duration_s:g} s would take"
        f" about {whole_mb:.2g} MB of this page; this part{left} takes {size / 1e6:.2g} MB."
        f" It shows who is born in it{before}."
    )


def _otherwise(drawn: Scene, setting: Setting) -> list[str]:
    """Say what is drawn otherwise than it is."""
    said = []
    if drawn.aside:
        said.append(
            f"{_count(drawn.aside, 'device')} at the same place as others, or as a node,"
            f" {'is' if drawn.aside == 1 else 'are'} drawn around it."
        )
    if any(node.kind == "cloud" for node in setting.nodes.values()):
        said.append("Clouds are drawn at the border, wherever they are.")
    if any(cell.range_m == float("inf") for cell in setting.cells.values()):
        said.append("Cells whose range nothing states, or a radio model decides, have no circle.")
    said.append(
        "On links pulses move evenly, with what they wait there; a request that was tried again is drawn"
        " as if once, with all that its legs took."
    )
    return said


def _too_large(setting: Setting, size: int, budget: int) -> str:
    return (
        f"Not shown: with {_count(len(setting.devices), 'device')} the shortest replay would take"
        f" {size / 1e6:.2g} MB, more than the {budget / 1e6:.2g} MB that are kept for it."
    )


def _count(number: int, one: str, more: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def _markup(said: Sequence[str], shown: str = "", aspect: float = 1.0) -> str:
    """Return the section; only what `shown` holds, as JSON, comes from files."""
    caption = " ".join(said)
    body = f"<p>{caption}</p>"
    if shown:
        here = Path(__file__)
        style = here.with_name("replay.css").read_text(encoding="utf-8")
        script = "\n".join(here.with_name(name).read_text(encoding="utf-8") for name in _SCRIPTS)
        form = here.with_name("replay.html").read_text(encoding="utf-8")
        form = form.replace("CAPTION", caption).replace("ASPECT", f"{aspect:.3f}")
        body = (
            f"<style>\n{style}</style>\n{form}"
            f'<script type="application/json" class="replay-data">{shown}</script>\n'
            f'<script type="module">\n{script}</script>'
        )
    title = '<h2 id="replay-title">Replay</h2>'
    tag = '<section id="replay" class="replay" aria-labelledby="replay-title">'
    return f"{tag}\n{title}\n{body}\n</section>\n"
