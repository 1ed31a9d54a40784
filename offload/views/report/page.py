"""The report put together: one page that needs nothing else, the timeline, and figures for papers."""

from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from offload.analysis.compare import Advance
from offload.analysis.files import writing
from offload.analysis.story import Story
from offload.views import present, timeline
from offload.views.palette import colour
from offload.views.report import made, replay, words
from offload.views.report.charts import charts
from offload.views.report.diagram import diagram
from offload.views.report.doubts import doubts
from offload.views.report.provenance import COLUMNS, provenance
from offload.views.table import footnotes, sheets

TEMPLATES = Path(__file__).parent / "templates"
PAGE, TIMELINE = "report.html", "timeline.json"
PARTS = 5  # of which `write` tells
BLACK = "#000000"


@dataclass(frozen=True, slots=True)
class Named:
    """A policy as tables show it: in its colour, hollow if it is no contender."""

    label: str
    colour: str
    reference: bool
    saturated: bool


def write(story: Story, out: Path, advance: Advance) -> list[Path]:
    """Write the page, the figures and the timeline to a folder, each whole or not at all.

    Return their paths, the page's first; `advance` is called PARTS times. Raises OSError.
    """
    text = render(story, advance)
    out.mkdir(parents=True, exist_ok=True)
    page = out / PAGE
    with writing(page) as aside:
        aside.write_text(text, encoding="utf-8")
        aside.replace(page)
    advance("page")
    figures = present.draw(story.found, story.folder, out)
    advance("figures")
    timeline.write(story, out / TIMELINE)
    advance("timeline")
    return [page, *figures, out / TIMELINE]


def render(story: Story, advance: Advance) -> str:
    """Return the page's markup; `advance` is called twice. What comes from files is escaped in it."""
    found, scenario = story.found, story.scenario
    drawn = charts(story)
    advance("charts")
    moving = replay.section(story)
    advance("replay")
    known = provenance(scenario)
    measured = all(v.answers for facts in scenario.setting(0.0).facts for v in facts.variants)
    policies = [
        Named(
            each.label, _swatch(each.label, story.labels), each.knowledge != "reported", each.saturated
        )
        for each in found.policies
    ]
    return _template().render(
        name=scenario.file.name,
        description=scenario.file.description,
        question=words.question(story),
        diagram=diagram(scenario),
        answer=words.answer(found),
        limits=words.limits(found, measured_answers=measured),
        doubts=doubts(story, known),
        policies=policies,
        sheets=sheets(found),
        footnotes=footnotes(found),
        charts=drawn,
        replay=None if moving is None else Markup(moving),  # noqa: S704 - it has escaped what files say
        columns=COLUMNS,
        known=known,
        made=made.made(story),
        commands=made.commands(story),
        css=_own("report.css"),
        js=_own("report.js"),
    )


def _template() -> jinja2.Template:
    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("report.html.j2")


def _own(name: str) -> Markup:
    """Return a file of ours as it is."""
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))  # noqa: S704 - no file of a user's


def _swatch(label: str, labels: list[str]) -> str:
    """Return a policy's colour; black is the ink of the theme, so that it is seen on dark paper."""
    found = colour(label, labels)
    return "currentColor" if found == BLACK else found
