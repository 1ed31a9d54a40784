"""What the replay tells its script: the same as the rows, small, and safe in a page."""

import base64
import json
import zlib
from html.parser import HTMLParser

import hypothesis.strategies as st
import numpy as np
import polars as pl
import pytest
from hypothesis import given

from offload.analysis import story as stories
from offload.analysis.compare import compare
from offload.analysis.spans import spans
from offload.scenario.load import load
from offload.scenario.starters import starter
from offload.views.report import scene
from offload.views.report.packed import pack, signed
from offload.views.report.pulses import NAMES, STEP_S, data, ways
from offload.views.report.replay import section
from tests import crowd
from tests.hand_made import ROOT

SMALL = ROOT / "tests" / "small.toml"


def unpacked(text: str) -> list[int]:
    """Return the numbers of all columns."""
    found, number, shift = [], 0, 0
    for byte in zlib.decompress(base64.b64decode(text)):
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            found.append(number)
            number, shift = 0, 0
    return found


def unsigned(numbers: np.ndarray) -> np.ndarray:
    return np.where(numbers % 2, -(numbers + 1) // 2, numbers // 2)


def columns(policy: dict) -> dict[str, np.ndarray]:
    """Return the columns of a policy's requests and legs by name."""
    numbers = np.array(unpacked(policy["columns"]))
    count, legs = policy["requests"], policy["legs"]
    names = ["request", "born", "device", "kind", "end", "trip", "deadline"]
    found = {name: numbers[i * count : (i + 1) * count] for i, name in enumerate(names)}
    found |= {"took": numbers[-2 * legs : -legs], "waits": numbers[-legs:]}
    assert len(numbers) == 7 * count + 2 * legs
    return found | {"request": np.cumsum(unsigned(found["request"])), "born": np.cumsum(found["born"])}


class Texts(HTMLParser):
    """Collects what stands in scripts of data, and the visible words."""

    def __init__(self) -> None:
        super().__init__()
        self.where, self.data, self.words, self.tags = "", "", "", []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.where = dict(attrs).get("class", "script") if tag == "script" else tag
        self.tags.append(tag)

    def handle_data(self, text: str) -> None:
        if self.where == "replay-data":
            self.data += text
        elif self.where not in ("script", "style"):
            self.words += text


def read(markup: str) -> Texts:
    found = Texts()
    found.feed(markup)
    return found


def shown(markup: str) -> dict:
    """Return what the script would read."""
    return json.loads(markup.split('class="replay-data">')[1].split("</script>", maxsplit=1)[0])


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> stories.Story:
    folder = tmp_path_factory.mktemp("small")
    scenario = load(SMALL, ["devices.car.count=6", "devices.car.tasks.objects.deadline=80 ms"])
    compare(scenario, scenario.compared, 1, out=folder)
    return stories.read(folder)


@given(st.lists(st.lists(st.integers(0, 2**60))))
def test_columns_are_read_back(lists: list[list[int]]) -> None:
    assert unpacked(pack(np.array(each, np.int64) for each in lists)) == [
        n for each in lists for n in each
    ]


@given(st.lists(st.integers(-(2**50), 2**50)))
def test_signs_are_kept(numbers: list[int]) -> None:
    told = signed(np.array(numbers, np.int64))
    assert (told >= 0).all()
    assert unsigned(told).tolist() == numbers


def test_numbers_below_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="below 0"):
        pack([np.array([3, -1])])


@pytest.mark.parametrize("label", ["local", "edge", "random"])
def test_legs_are_those_of_the_rows(story: stories.Story, label: str) -> None:
    setting, rows = story.setting(), story.rows(label)
    told = data(story, label, setting, 0.0, 10.0)
    found = columns(told)
    assert found["request"].tolist() == rows["request"].to_list()
    assert [setting.devices[n].name for n in found["device"]] == rows["device"].to_list()
    assert found["born"] * STEP_S == pytest.approx(rows["born_s"].to_numpy(), abs=STEP_S)
    assert [told["ends"][n] for n in found["end"]] == [
        list(each) for each in rows[["cause", "on_time"]].rows()
    ]
    assert [told["kinds"][n][2] for n in found["kind"]] == rows["plan"].to_list()
    assert (found["deadline"] - 1) * STEP_S == pytest.approx(np.full(rows.height, 0.08), abs=STEP_S)
    sizes = np.array([len(told["trips"][n]) for n in found["trip"]])
    sums = np.add.reduceat(np.append(found["took"], 0), np.cumsum(sizes) - sizes) * STEP_S
    assert sums == pytest.approx((rows["ended_s"] - rows["born_s"]).to_numpy(), abs=2 * STEP_S)


@pytest.mark.parametrize("label", ["edge", "random"])
def test_who_is_under_way_where_is_what_spans_say(story: stories.Story, label: str) -> None:
    legs = spans(story.rows(label), story.setting())
    told = data(story, label, story.setting(), 0.0, 10.0)
    found = columns(told)
    trips = [told["trips"][n] for n in found["trip"]]
    codes = np.array([code for trip in trips for code, _ in trip])
    starts = np.cumsum([0, *map(len, trips)])
    until = np.concatenate([
        born + np.cumsum(found["took"][a:b])
        for born, a, b in zip(found["born"], starts, starts[1:], strict=False)
    ])  # fmt: skip
    begin = until - found["took"]
    edges = np.concatenate([legs["begin_s"].to_numpy(), legs["end_s"].to_numpy()])
    seen = 0
    for now in np.linspace(0.5, 9.5, 41).tolist():
        if np.abs(edges - now).min() < 2 * STEP_S:
            continue
        here = (begin * STEP_S <= now) & (now < until * STEP_S)
        there = legs.filter((pl.col("begin_s") <= now) & (now < pl.col("end_s")))
        assert sorted(NAMES[code] for code in codes[here]) == sorted(there["leg"])
        seen += len(there)
    assert seen > 10


def test_ways_lead_from_the_device_over_cell_and_wires_and_back(story: stories.Story) -> None:
    setting = story.setting()
    trip = [
        ("device", ""), ("uplink", "cell"), ("edge", "cabinet"), ("wan", "backhaul"),
        ("cloud", "region"), ("wan", "backhaul"), ("downlink", "cell"),
    ]  # fmt: skip
    found = [way for _, way in ways(setting, trip)]
    assert list(setting.nodes) == ["cabinet", "region"]
    assert found == [[-1], [-1, 0], [0], [0, 1], [1], [1, 0], [0, -1]]
    # Rows that do not tell the way back of the wires come home over them all the same.
    assert ways(setting, [*trip[:5], trip[-1]])[-1][1] == [1, 0, -1]
    assert ways(setting, [("uplink", "elsewhere")])[0][1] == [-1]
    assert ways(setting, trip[:2] + trip[3:4])[-1][1] == [0]


def test_who_stands_together_is_drawn_apart(story: stories.Story) -> None:
    drawn = scene.lay_out(story.setting())
    spots = np.array([*drawn.standing.values(), *drawn.nodes.values()])
    assert len(drawn.standing) == drawn.aside == 6
    apart = np.hypot(*(spots[:, None] - spots[None]).T) + np.eye(len(spots)) * 1e9
    assert apart.min() > 1.0
    left, low, right, high = drawn.box_m
    assert ((spots > [left, low]) & (spots < [right, high])).all()
    assert not drawn.to_scale
    assert drawn.nodes == {"cabinet": (0.0, 0.0)}
    assert "6 devices at the same place as others" in section(story)


def test_a_large_cell_does_not_squeeze_those_who_stand_together(tmp_path) -> None:
    file = tmp_path / "school.toml"
    file.write_text(starter("cameras", "school"))
    drawn = scene.lay_out(load(file, ["devices.camera.count=30"]).setting(0.0))
    spots = np.array([*drawn.standing.values()])
    apart = np.hypot(*(spots[:, None] - spots[None]).T) + np.eye(len(spots)) * 1e9
    _, low, _, high = drawn.box_m
    assert apart.min() > (high - low) / 100


def test_who_moves_keeps_its_own_points(tmp_path) -> None:
    scenario = crowd.scenario(tmp_path, 20)
    setting = scenario.setting(0.0)
    drawn = scene.lay_out(setting)
    assert drawn.to_scale
    assert not drawn.standing
    told = scene.tracks(drawn, setting, 5.0, 9.0, STEP_S)
    numbers = np.array(unpacked(told["columns"]))
    sizes = numbers[:200]
    first = setting.devices[0].place.track
    within = np.flatnonzero((first.times_s >= 5.0) & (first.times_s <= 9.0))
    assert sizes[0] == len(within) + (first.times_s[within[0]] > 5.0)
    times, x, _ = unsigned(numbers[600:]).reshape(3, -1)[:, : sizes[0]].cumsum(axis=1)
    assert 5.0 + times * STEP_S == pytest.approx(first.times_s[within], abs=STEP_S)
    assert drawn.box_m[0] + x * drawn.grid_m == pytest.approx(first.x_m[within], abs=drawn.grid_m)


def test_two_hundred_vehicles_for_a_minute_are_less_than_five_megabytes(tmp_path) -> None:
    scenario = crowd.scenario(tmp_path)
    rows = {
        label: crowd.rows(60_000, 200, 60.0, seed)
        for seed, label in enumerate(("local", "edge", "random"))
    }
    markup = section(crowd.story(scenario, rows))
    assert len(markup) < 5e6
    told = shown(markup)
    assert [policy["requests"] for policy in told["policies"]] == [60_000] * 3
    assert "Shortened" not in markup


def test_what_would_be_too_large_is_shortened_and_says_so(tmp_path) -> None:
    scenario = crowd.scenario(tmp_path)
    rows = {label: crowd.rows(6_000, 200, 60.0, seed) for seed, label in enumerate(("local", "edge"))}
    whole = section(crowd.story(scenario, rows, 10.0))
    markup = section(crowd.story(scenario, rows, 10.0), len(whole) // 2)
    assert len(markup) < len(whole)
    told = shown(markup)
    assert len(json.dumps(shown(markup), separators=(",", ":"))) <= len(whole) // 2
    assert [policy["label"] for policy in told["policies"]] == ["local", "edge"]
    born = rows["edge"]["born_s"].is_between(told["begin_s"], told["end_s"], closed="left").sum()
    assert 0 < told["policies"][1]["requests"] == born < 6_000
    assert "Shortened: all 12,000 requests of the 60 s would take about" in markup
    few = section(crowd.story(scenario, rows, 10.0), 30_000)
    assert [policy["label"] for policy in shown(few)["policies"]] == ["local"]
    assert "without 1 policy" in few
    assert "Not shown: with 200 devices" in section(crowd.story(scenario, rows, 10.0), 2_000)


def test_names_end_no_script(story: stories.Story) -> None:
    evil = '</script><img src=x onerror="alert(1)"><!--'
    rows = {evil: story.rows("edge").with_columns(task=pl.lit(evil), plan=pl.lit(evil))}
    markup = section(crowd.story(story.scenario, rows))
    found = read(markup)
    told = json.loads(found.data)
    assert told["policies"][0]["label"] == told["policies"][0]["kinds"][0][0] == evil
    assert "img" not in found.tags


def test_a_stage_that_begins_too_late_has_no_time_left(story: stories.Story) -> None:
    rows = story.rows("edge").with_columns(deadline_s=pl.lit(-0.01))
    told = data(crowd.story(story.scenario, {"edge": rows}), "edge", story.setting(), 0.0, 10.0)
    assert set(columns(told)["deadline"].tolist()) == {1}  # nothing, which is not the same as none
    rows = rows.with_columns(deadline_s=pl.lit(float("inf")))
    told = data(crowd.story(story.scenario, {"edge": rows}), "edge", story.setting(), 0.0, 10.0)
    assert set(columns(told)["deadline"].tolist()) == {0}


def test_without_requests_there_is_nothing_to_replay(story: stories.Story) -> None:
    assert section(crowd.story(story.scenario, {"edge": story.rows("edge").clear()})) is None


def test_the_same_rows_are_the_same_bytes(story: stories.Story) -> None:
    assert section(story) == section(story)
