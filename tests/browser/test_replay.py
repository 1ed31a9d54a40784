"""The replay in a real browser: what it draws, how it plays, and what its panel tells."""

import numpy as np
import polars as pl
import pytest

from offload.analysis import story as stories
from offload.analysis.compare import compare
from offload.analysis.spans import spans
from offload.scenario.load import load
from offload.views.report.pulses import NAMES, STEP_S
from offload.views.report.replay import section
from tests import crowd
from tests.hand_made import ROOT

SECONDS = 8
LABELS = ("edge", "random")


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """Two hundred vehicles under two policies."""
    folder = tmp_path_factory.mktemp("crowd")
    scenario = crowd.scenario(folder, SECONDS)
    choices = [choice for choice in scenario.compared if choice.label in LABELS]
    compare(scenario, choices, 1, out=folder / "out")
    return stories.read(folder / "out")


def written(folder, markup):
    """Write a page with a section, and return its address."""
    page = folder / "page.html"
    head = '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>replay</title></head>'
    page.write_text(f"{head}<body>{markup}</body></html>", encoding="utf-8")
    return page.as_uri()


@pytest.fixture
def replay(page, story, tmp_path):
    """The page with the replay, ready."""
    page.goto(written(tmp_path, section(story)))
    page.wait_for_function("window.offloadReplay?.counts")
    return page


def state(page, key):
    return page.evaluate(f"window.offloadReplay.{key}")


def calm(legs, around):
    """Return a time near this one at which no leg begins or ends within rounding."""
    edges = np.concatenate([legs["begin_s"].to_numpy(), legs["end_s"].to_numpy()])
    times = around + np.arange(200) * STEP_S
    far = np.abs(edges[:, None] - times[None]).min(axis=0)
    assert far.max() > 1.5 * STEP_S
    return float(times[far.argmax()])


def test_it_does_not_start_by_itself(replay) -> None:
    frames, time_s = state(replay, "frames"), state(replay, "time")
    replay.wait_for_timeout(300)
    assert not state(replay, "playing")
    assert state(replay, "time") == time_s == 1.0  # behind the warm-up
    assert state(replay, "frames") <= frames + 2  # it has its size now


def test_play_advances_the_clock_and_pause_stops_it(replay) -> None:
    replay.get_by_role("button", name="Play").click()
    replay.wait_for_function("window.offloadReplay.time > 1.02")
    assert state(replay, "playing")
    replay.get_by_role("button", name="Pause").click()
    time_s, frames = state(replay, "time"), state(replay, "frames")
    replay.wait_for_timeout(200)
    assert (state(replay, "time"), state(replay, "frames")) == (time_s, frames)
    assert f"{time_s:.3f} s" in replay.get_by_role("status").inner_text()


def test_who_plays_pauses_and_plays_at_once_has_one_clock(replay) -> None:
    replay.evaluate(
        """() => {
          const { play, pause } = window.offloadReplay;
          for (let i = 0; i < 5; i++) { play(); pause(); }
          play();
          window.drawn = [];
          const look = () => {
            window.drawn.push(window.offloadReplay.frames);
            if (window.drawn.length < 10) requestAnimationFrame(look);
            else pause();
          };
          requestAnimationFrame(look);
        }"""
    )
    replay.wait_for_function("window.drawn.length === 10")
    drawn = replay.evaluate("window.drawn")
    assert drawn[-1] - drawn[0] == 9  # once a frame


def test_time_does_not_go_back_where_a_frame_began_before_it_was_asked_for(replay) -> None:
    gone = replay.evaluate(
        """() => new Promise((done) => {
          const { time, play, pause } = window.offloadReplay;
          performance.now = () => Performance.prototype.now.call(performance) + 1000;
          play();
          requestAnimationFrame(() => { pause(); done(window.offloadReplay.time - time); });
        })"""
    )
    assert gone == 0


def test_the_policy_that_was_chosen_last_is_shown(replay, story) -> None:
    """However long the one before takes to be read."""
    replay.evaluate(
        """async () => {
          const { choosePolicy } = window.offloadReplay;
          const Unpacking = window.DecompressionStream;
          let late = 0;
          window.DecompressionStream = class {
            constructor(kind) {
              const { readable, writable } = new Unpacking(kind);
              const wait = late++ ? 0 : 200;
              const slow = new TransformStream({
                start: () => new Promise((then) => { setTimeout(then, wait); }),
              });
              [this.writable, this.readable] = [writable, readable.pipeThrough(slow)];
            }
          };
          await Promise.all([choosePolicy(1), choosePolicy(0)]);
        }"""
    )
    assert state(replay, "policy") == story.labels[0]


def test_it_stops_at_the_end(replay) -> None:
    replay.evaluate(f"window.offloadReplay.seek({SECONDS - 0.01})")
    replay.get_by_role("button", name="Play").click()
    replay.wait_for_function("!window.offloadReplay.playing")
    assert state(replay, "time") == SECONDS


@pytest.mark.parametrize("number", [0, 1])
def test_what_is_under_way_is_what_spans_say(replay, story, number) -> None:
    label = story.labels[number]
    legs = spans(story.rows(label), story.setting())
    replay.get_by_label("Policy").select_option(label)
    replay.wait_for_function(f"window.offloadReplay.policy === '{label}'")
    nodes = list(story.setting().nodes)
    for around in (5.0, 2.0, 2.05, 7.5):  # on, back, on a little
        now = calm(legs, around)
        replay.evaluate(f"window.offloadReplay.seek({now})")
        there = legs.filter((pl.col("begin_s") <= now) & (now < pl.col("end_s")))
        counts = state(replay, "counts")
        assert counts["total"] == len(there) > 0
        by_leg = dict(there["leg"].value_counts().iter_rows())
        assert counts["legs"] == [by_leg.get(name, 0) for name in NAMES]
        at_work = there.filter(pl.col("end_s") - pl.col("work_s") <= now + STEP_S)
        for node, found in zip(nodes, counts["nodes"], strict=True):
            served = pl.col("leg").is_in(["edge", "cloud"]) & (pl.col("place") == node)
            assert found["there"] == there.filter(served).height
            assert abs(found["works"] - at_work.filter(served).height) <= 1


def test_policies_have_their_own_requests(replay, story) -> None:
    before = replay.locator("canvas").screenshot()
    replay.get_by_label("Policy").select_option("random")
    replay.wait_for_function("window.offloadReplay.policy === 'random'")
    assert replay.locator("canvas").screenshot() != before


def test_a_frame_costs_what_is_under_way(replay, story) -> None:
    """Of 8 000 requests each frame looks at those under way, just ended, or born since the last."""
    rows = story.rows("edge")
    born_s, ended_s = rows["born_s"].to_numpy(), rows["ended_s"].to_numpy()
    replay.get_by_label("Speed").select_option("1")
    replay.evaluate(
        """() => {
          window.seen = [];
          const look = () => {
            const { time, examined, frames } = window.offloadReplay;
            window.seen.push([time, examined, frames]);
            if (window.seen.length < 60) requestAnimationFrame(look);
            else window.offloadReplay.pause();
          };
          window.offloadReplay.play();
          requestAnimationFrame(look);
        }"""
    )
    replay.wait_for_function("window.seen.length === 60 && !window.offloadReplay.playing")
    seen = replay.evaluate("window.seen")
    assert seen[-1][2] - seen[0][2] > 30  # it has drawn, frame by frame
    assert seen[-1][0] > seen[0][0]
    for time_s, examined, _ in seen:
        # A frame advances 0.1 s at most; ends are marked for 0.35 s.
        near = ((born_s <= time_s + 0.01) & (ended_s >= time_s - 0.1 - 0.35 - 0.01)).sum()
        assert examined <= near
    assert max(examined for _, examined, _ in seen) < len(rows) / 4


def test_clicking_a_vehicle_opens_its_last_requests_leg_by_leg(replay, story) -> None:
    replay.evaluate("window.offloadReplay.seek(4)")
    device = 37
    x, y = replay.evaluate(f"window.offloadReplay.spotOf({device})")
    replay.locator("canvas").click(position={"x": x, "y": y})
    panel = replay.get_by_role("region", name="Last requests of the device")
    assert panel.is_visible()
    name = panel.locator("h3").inner_text().split()[0]
    own = story.rows("edge").filter((pl.col("device") == name) & (pl.col("born_s") <= 4.0))
    shown = [int(each.get_attribute("data-request")) for each in panel.locator("li").all()]
    assert shown == own["request"].tail(6).reverse().to_list()
    for item, row in zip(
        panel.locator("li").all(), own.tail(6).reverse().iter_rows(named=True), strict=True
    ):
        legs = [
            float(each.get_attribute("data-seconds")) for each in item.locator("[data-seconds]").all()
        ]
        assert sum(legs) == pytest.approx(row["ended_s"] - row["born_s"], abs=2 * STEP_S)
        assert row["plan"] in item.inner_text()
        assert f"uplink {row['uplink_s'] * 1e3:.1f}"[:-2] in item.inner_text()
    before = shown
    replay.evaluate("window.offloadReplay.seek(6)")
    assert int(panel.locator("li").first.get_attribute("data-request")) > max(before)


def test_a_device_is_chosen_from_the_list_too(replay) -> None:
    replay.locator("select[name=device]").select_option("car-5")
    assert replay.locator(".replay-panel h3").inner_text().startswith("car-5 under edge")


def test_the_keyboard_does_it_all(replay) -> None:
    reached = []
    for _ in range(8):
        replay.keyboard.press("Tab")
        reached.append(
            replay.evaluate("document.activeElement.name || document.activeElement.className")
        )
        outline = replay.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", reached[-1]
    assert reached == ["play", "back", "on", "speed", "policy", "device", "time", "replay-stage"]
    replay.keyboard.press("ArrowRight")
    assert state(replay, "time") == pytest.approx(1.025)
    replay.keyboard.press("ArrowLeft")
    assert state(replay, "time") == pytest.approx(1.0)
    replay.keyboard.press("End")
    assert state(replay, "time") == SECONDS
    replay.keyboard.press("Home")
    replay.keyboard.press(" ")
    replay.wait_for_function("window.offloadReplay.time > 0.01")
    replay.keyboard.down(" ")
    replay.keyboard.down(" ")  # repeated, as it is held
    assert not state(replay, "playing")


def test_the_slider_scrubs(replay) -> None:
    replay.get_by_label("Time").fill("3.5")
    assert state(replay, "time") == 3.5
    assert replay.get_by_label("Time").get_attribute("aria-valuetext") == "3.50 seconds"
    assert "3.500 s:" in replay.get_by_role("status").inner_text()


CORNER = (
    "[...document.querySelector('canvas').getContext('2d').getImageData(2, 2, 1, 1).data].slice(0, 3)"
)
SUM = f"{CORNER}.reduce((sum, each) => sum + each)"


def corner(page):
    return page.evaluate(CORNER)


def test_it_follows_the_theme_and_prints_on_white(replay) -> None:
    light = corner(replay)
    assert sum(light) > 600
    replay.emulate_media(color_scheme="dark")
    replay.wait_for_function(f"{SUM} < 150")  # the page is told of it after a while
    replay.evaluate("document.documentElement.dataset.theme = 'light'")
    assert corner(replay) == light
    replay.emulate_media(color_scheme="light")
    replay.wait_for_function("!matchMedia('(prefers-color-scheme: dark)').matches")
    replay.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert sum(corner(replay)) < 150
    replay.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert corner(replay) == [255, 255, 255]
    replay.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert sum(corner(replay)) < 150


def test_the_canvas_is_as_sharp_as_the_screen_and_moves_nothing(browser, story, tmp_path) -> None:
    context = browser.new_context(viewport={"width": 900, "height": 700}, device_scale_factor=2)
    page = context.new_page()
    page.add_init_script(
        "window.moved = 0; new PerformanceObserver((list) => list.getEntries()"
        ".forEach((one) => { window.moved += one.value; }))"
        ".observe({ type: 'layout-shift', buffered: true });"
    )
    page.goto(written(tmp_path, section(story)))
    page.wait_for_function("window.offloadReplay?.counts")
    page.wait_for_timeout(200)
    sizes = "((one) => [one.width / one.clientWidth, one.height / one.clientHeight])"
    assert page.evaluate(f"{sizes}(document.querySelector('canvas'))") == [2, 2]
    assert page.evaluate("window.moved") < 0.01
    page.set_viewport_size({"width": 500, "height": 700})
    page.wait_for_function("document.querySelector('canvas').width < 1000")
    assert page.evaluate(f"{sizes}(document.querySelector('canvas'))") == [2, 2]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()


def test_names_are_words_and_not_markup(page, tmp_path) -> None:
    evil = '</script><img src=x onerror="document.title = 1">'
    scenario = load(ROOT / "tests" / "small.toml")
    rows = crowd.rows(50, 2, 10.0, 1).with_columns(
        task=pl.lit(evil), plan=pl.lit(evil), cause=pl.lit(evil)
    )
    page.goto(written(tmp_path, section(crowd.story(scenario, {evil: rows}))))
    page.wait_for_function("window.offloadReplay?.counts")
    page.locator("select[name=device]").select_option("car-1")
    page.evaluate("window.offloadReplay.seek(9.9)")
    assert evil in page.locator(".replay-panel").inner_text()
    assert page.locator("img").count() == 0
    assert page.title() == "replay"
