"""The playground in a browser: what it shows is what the library computes."""

import re

import pytest

from offload.views.play.answers import answer
from offload.views.play.live import REPLICATIONS, simulate
from offload.views.play.settings import SLIDERS, Settings
from tests.served import served

CHARTS = ("latency", "energy")


@pytest.fixture(scope="module")
def address():
    with served() as found:
        yield found


@pytest.fixture
def opened(page, address):
    page.goto(address)
    says(page, answer(Settings()).says)
    return page


def says(page, text):
    """Wait until the page names this best cut."""
    page.wait_for_function("text => document.getElementById('says').textContent === text", arg=text)


def slide(page, name, value):
    """Move a slider as its keys would."""
    stop = SLIDERS[name].values.index(value)
    page.locator(f"#control-{name}").fill(str(stop))


def test_it_begins_with_the_librarys_answer(opened):
    told = answer(Settings())
    assert opened.text_content("#why") == told.why
    assert opened.text_content("#rate") == told.rate
    rows = opened.locator("#table tbody tr")
    assert rows.count() == len(told.bars)
    best = opened.locator("#table tr.best td").all_text_contents()
    assert best[0] == str(told.bars[told.best].cut)
    assert float(best[-2]) == pytest.approx(1e3 * told.bars[told.best].latency_s, rel=5e-3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("distance_m", 50.0), ("bandwidth_hz", 100e6), ("load", 0.95), ("deadline_s", 0.05),
        ("input_bytes", 20e3),
    ],
)  # fmt: skip
def test_sliders_change_the_answer_to_what_the_library_computes(opened, name, value):
    slide(opened, name, value)
    expected = answer(Settings(**{name: value}))
    assert expected.says != answer(Settings()).says
    says(opened, expected.says)
    shown = SLIDERS[name].show(value)
    assert opened.locator(f"#control-{name}").get_attribute("aria-valuetext") == shown
    assert opened.locator("output[for=control-" + name + "]").text_content() == shown


def test_keys_move_a_slider(opened):
    values = SLIDERS["distance_m"].values
    there = values[values.index(Settings().distance_m) + 2]
    opened.focus("#control-distance_m")
    opened.keyboard.press("ArrowRight")
    opened.keyboard.press("ArrowRight")
    says(opened, answer(Settings(distance_m=there)).says)


def test_another_network_offers_its_forms_and_the_hardware_that_is_known(opened):
    opened.select_option("#control-network", "vgg16")
    options = opened.locator("#control-variant option").all_text_contents()
    assert options == ["fp32"]
    known = opened.locator("#control-device option:not([disabled])").all_text_contents()
    assert "x86-core" in known
    assert "cortex-a53" not in known  # nothing is published for it in fp32
    device, edge = (opened.input_value(f"#control-{at}") for at in ("device", "edge"))
    settings = Settings(network="vgg16", variant="fp32", device=device, edge=edge)
    says(opened, answer(settings).says)
    opened.select_option("#control-radio", "lte-1.8ghz")
    says(opened, answer(settings.model_copy(update={"radio": "lte-1.8ghz"})).says)


def test_predict_first_hides_then_judges_and_keeps_score(opened):
    told = answer(Settings())
    opened.check("#predict")
    assert "Which cut is best" in opened.text_content("#says")
    assert opened.text_content("#why") == ""
    assert opened.locator("#table").is_hidden()
    assert opened.locator("#judged").is_hidden()
    wrong = next(row for row, bar in enumerate(told.bars) if not bar.right)
    opened.select_option("#guessed", str(wrong))
    opened.click("#guess button")
    opened.locator("#judged").wait_for()  # a click returns before the page has dealt with it
    assert opened.text_content("#judged") == f"Not the best. {told.bars[wrong].told}"
    assert opened.text_content("#score") == "0 of 1 right"
    assert opened.text_content("#says") == told.says
    assert opened.locator("#table").is_visible()
    slide(opened, "distance_m", 100.0)  # a new situation is hidden again
    opened.wait_for_function("() => document.getElementById('says').textContent.startsWith('Which cut')")
    assert opened.locator("#judged").is_hidden()
    there = answer(Settings(distance_m=100.0))
    box = opened.locator("#latency").bounding_box()
    left, right = 66, 8  # the vertical axis, and room at the end
    place = (there.best + 0.5) / len(there.bars)
    opened.mouse.click(box["x"] + left + place * (box["width"] - left - right), box["y"] + 150)
    opened.locator("#judged").wait_for()
    assert opened.text_content("#judged") == f"Right. {there.bars[there.best].told}"
    assert opened.text_content("#score") == "1 of 2 right"


def test_hidden_bars_look_the_same_whatever_is_best(opened):
    def drawn():
        return [opened.evaluate(f"() => document.getElementById('{c}').toDataURL()") for c in CHARTS]

    shown = drawn()
    opened.check("#predict")
    hidden = drawn()
    assert hidden != shown
    slide(opened, "bandwidth_hz", 100e6)
    rate = answer(Settings(bandwidth_hz=100e6)).rate
    opened.wait_for_function("text => document.getElementById('rate').textContent === text", arg=rate)
    assert drawn() == hidden
    opened.uncheck("#predict")
    says(opened, answer(Settings(bandwidth_hz=100e6)).says)
    assert all(
        one not in (other, before) for one, other, before in zip(drawn(), hidden, shown, strict=True)
    )


def test_a_guess_counts_once(opened):
    opened.check("#predict")
    for _ in range(3):
        opened.click("#guess button")
        opened.wait_for_timeout(50)
    opened.locator("#judged").wait_for()
    assert re.fullmatch(r"[01] of 1 right", opened.text_content("#score"))


def test_the_simulation_shows_every_policy_as_the_library_has_it(opened):
    settings = Settings(every_s=0.5)
    opened.evaluate(
        """() => {
          const status = document.getElementById("status");
          window.said = [];
          new MutationObserver(() => window.said.push([status.textContent, status.ariaBusy]))
            .observe(status, { childList: true });
        }"""
    )
    slide(opened, "every_s", 0.5)
    expected = list(simulate(settings))[-1]
    # The run before may still tell its end: wait for what this one says.
    opened.wait_for_function(
        "says => document.getElementById('status').textContent === says", arg=expected.says
    )
    assert opened.locator("#live").get_attribute("data-replications") == str(REPLICATIONS)
    said = opened.evaluate("() => window.said")
    assert [expected.says, "false"] in said
    assert all(busy == "true" for text, busy in said if "…" in text)  # not read out
    assert len([text for text, _ in said if "…" in text]) > 1
    rows = opened.locator("#live tbody tr")
    assert rows.count() == len(expected.rows)
    for number, row in enumerate(expected.rows):
        texts = [cell.strip() for cell in rows.nth(number).locator("th, td").all_text_contents()]
        wanted = [
            row.label + row.says,
            "",
            row.on_time_text,
            row.mean_ms,
            row.p95_ms,
            row.energy_mj,
            row.notes,
        ]
        assert texts == wanted
