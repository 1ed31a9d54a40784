"""The report in a real browser: from a file, by keyboard, in both themes, in print."""

from pathlib import Path

import pytest

from offload.analysis.compare import compare, silent
from offload.analysis.story import read
from offload.scenario.load import load
from offload.views.report import page as report
from offload.views.report.diagram import diagram
from tests.hand_made import ROOT, SHIPPED

LUMINANCE = """() => {
  const [r, g, b] = getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).map(Number);
  return (r + g + b) / 765;
}"""


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """A report of a comparison of cars that move, in which there is something to warn of."""
    folder = tmp_path_factory.mktemp("browser")
    short = ['duration="2 s"', 'warm_up="500 ms"']
    scenario = load(ROOT / "scenarios" / "urban-intersection.toml", short)
    compare(
        scenario, [scenario.compared[0], *scenario.compared[4:6], scenario.compared[8]], 2, out=folder
    )
    with silent("", report.PARTS) as advance:
        return report.write(read(folder), folder / "report", advance)[0]


@pytest.fixture
def opened(page, written):
    page.goto(written.as_uri())
    return page


def test_it_opens_from_a_file_without_complaints(opened) -> None:
    assert opened.title() == "urban-intersection: report of a comparison"
    headings = opened.locator("h2").all_inner_texts()
    assert headings[:5] == ["The question", "The scenario", "The answer", "Warnings", "Tables"]
    assert headings[-2:] == ["How figures are known", "How it was made"]


def test_the_theme_follows_the_system_and_the_button(opened) -> None:
    button = opened.get_by_role("button", name="Dark theme")
    assert button.get_attribute("aria-pressed") == "false"
    assert opened.evaluate(LUMINANCE) > 0.9
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    assert opened.evaluate(LUMINANCE) < 0.2
    opened.reload()
    assert opened.evaluate(LUMINANCE) < 0.2, "it is remembered for the page"
    opened.get_by_role("button", name="Dark theme").click()
    opened.emulate_media(color_scheme="dark")
    assert opened.evaluate(LUMINANCE) > 0.9, "the button has the last word"


def test_the_replay_follows_the_button(opened) -> None:
    paper = "getComputedStyle(document.querySelector('.replay')).getPropertyValue('--paper')"
    light = opened.evaluate(paper)
    opened.get_by_role("button", name="Dark theme").click()
    dark = opened.evaluate(paper)
    assert dark != light
    opened.emulate_media(color_scheme="dark")
    assert opened.evaluate(paper) == dark
    opened.get_by_role("button", name="Dark theme").click()
    assert opened.evaluate(paper) == light


def test_the_theme_of_the_system(page, written) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto(written.as_uri())
    assert page.evaluate(LUMINANCE) < 0.2


def test_paper_is_light_and_has_no_controls_and_all_that_is_folded(opened) -> None:
    opened.get_by_role("button", name="Dark theme").click()
    opened.emulate_media(media="print")
    assert opened.evaluate(LUMINANCE) > 0.9
    assert not opened.locator("#theme").is_visible()
    assert not opened.locator("nav").is_visible()
    opened.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.locator("main details:not([open])").count() == 0
    opened.evaluate("dispatchEvent(new Event('afterprint'))")
    assert opened.locator("main details[open]").count() == 0


def test_the_keyboard_reaches_everything(opened) -> None:
    wanted = opened.evaluate(
        """() => [...document
          .querySelectorAll("a[href], button, summary, input, select, [tabindex='0']")]
          .filter((each) => each.checkVisibility() && !each.disabled)
          .map((each, index) => { each.dataset.stop = index; }).length"""
    )
    assert wanted > 20
    reached = set()
    for _ in range(wanted + 60):  # browsers stop at what scrolls, too
        opened.keyboard.press("Tab")
        reached.add(opened.evaluate("document.activeElement.dataset.stop ?? null"))
    assert len(reached - {None}) == wanted


def test_the_first_stop_leads_past_the_contents(opened) -> None:
    opened.keyboard.press("Tab")
    assert opened.evaluate("document.activeElement.textContent") == "Skip to the content"
    opened.keyboard.press("Enter")
    assert opened.evaluate("document.activeElement.id") == "main"


def test_tables_are_sorted_by_keyboard(opened) -> None:
    table = opened.locator("table.sortable").first
    useful = table.get_by_role("button", name="useful")
    useful.focus()
    opened.keyboard.press("Enter")
    cells = [
        float(text.split()[0]) for text in table.locator("tbody tr td:nth-child(2)").all_inner_texts()
    ]
    assert cells == sorted(cells, reverse=True)
    assert table.locator("th[aria-sort='descending']").count() == 1
    opened.keyboard.press("Enter")
    again = [
        float(text.split()[0]) for text in table.locator("tbody tr td:nth-child(2)").all_inner_texts()
    ]
    assert again == cells[::-1]


@pytest.mark.parametrize("width", [1280, 800, 700, 400])
def test_nothing_is_wider_than_the_window(opened, width: int) -> None:
    opened.set_viewport_size({"width": width, "height": 800})
    opened.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert opened.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [1280, 400])
def test_names_without_a_space_are_not_wider_than_the_window(page, written, width: int) -> None:
    """Names of files have up to a hundred characters, and titles, sentences and links hold them."""
    long = written.with_name("long.html")
    long.write_text(written.read_text().replace("objects", "W" * 100).replace("cabinet", "M" * 100))
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(long.as_uri())
    assert page.locator("nav a", has_text="W" * 100).count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_black_is_ink_on_dark_paper(opened) -> None:
    """The colour of clairvoyant is black; on dark paper it has to be light."""
    opened.get_by_role("button", name="Dark theme").click()
    row = opened.locator("table.sortable tbody tr", has_text="clairvoyant").first
    assert row.locator(".swatch").evaluate(
        "(each) => getComputedStyle(each).borderTopColor"
    ) == row.evaluate("(each) => getComputedStyle(each).color")


def test_text_of_diagrams_stays_in_its_boxes(page) -> None:
    css = (report.TEMPLATES / "report.css").read_text()
    drawn = "".join(diagram(load(path)).svg for path in SHIPPED)
    page.set_content(f"<style>{css}</style><main>{drawn}</main>")
    page.set_viewport_size({"width": 1280, "height": 900})
    outside = page.evaluate(
        """() => [...document.querySelectorAll("svg.diagram g:not(.label)")].flatMap((group) => {
          const box = [...group.querySelectorAll("rect")].at(-1).getBBox();
          return [...group.querySelectorAll("text")].filter((text) => {
            const at = text.getBBox();
            return at.x < box.x || at.x + at.width > box.x + box.width || at.y < box.y
              || at.y + at.height > box.y + box.height;
          }).map((text) => text.textContent);
        })"""
    )
    assert outside == []
