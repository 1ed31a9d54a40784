"""The report: what it says of results that are known, what it escapes, and what it refuses."""

import math
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest
from typer.testing import CliRunner

from offload.analysis import rows
from offload.analysis.compare import Comparison, PolicyResult, compare, silent
from offload.analysis.statistics import Interval, Pair
from offload.analysis.story import Story, read
from offload.analysis.survival import PairAgain, Survival
from offload.cli import app
from offload.scenario.load import load
from offload.views import present
from offload.views.report import fronts, page
from offload.views.report.chart import Chart
from offload.views.report.doubts import doubts
from offload.views.report.made import commands, made
from offload.views.report.provenance import Known, provenance
from offload.views.report.pulses import NAMES, ways
from offload.views.report.words import answer, limits, question
from tests.hand_made import ROOT

SMALL = ROOT / "tests" / "small.toml"
VOID = {"meta", "br", "hr", "img", "link", "input", "col", "wbr"}


def keep(out: Path, *settings: str, replications: int = 2) -> Path:
    """Compare the policies of the small scenario and leave what `offload compare` leaves."""
    scenario = load(SMALL, ['duration="4 s"', *settings])
    found = compare(scenario, scenario.compared, replications, out=out)
    present.keep(found, out)
    return out


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return keep(tmp_path_factory.mktemp("report") / "small")


@pytest.fixture(scope="module")
def story(kept: Path) -> Story:
    return read(kept)


class Outline(HTMLParser):
    """Checks that elements are closed in order; notes headings, ids, and where links within lead to."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.headings: list[int] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        self.scripts += tag == "script"
        given = dict(attrs)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        if (given.get("href") or "").startswith("#"):
            self.links.append(str(given["href"])[1:])
        assert not [key for key in given if key.startswith("on")], "no handlers in the markup"
        assert given.get("src") is None, "nothing is fetched"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def outline(text: str) -> Outline:
    found = Outline()
    found.feed(text)
    found.close()
    assert found.open == []
    return found


def rendered(of: Story) -> str:
    with silent("", page.PARTS) as advance:
        return page.render(of, advance)


# The page


def test_the_page_is_whole(story: Story) -> None:
    text = rendered(story)
    found = outline(text)
    assert text.startswith("<!doctype html>")
    assert len(set(found.ids)) == len(found.ids)
    assert set(found.links) <= set(found.ids)
    assert found.headings[0] == 1
    assert found.headings.count(1) == 1
    steps = [b - a for a, b in zip(found.headings, found.headings[1:], strict=False)]
    assert max(steps) == 1, "no level of headings is left out"
    order = ["question", "scenario", "answer", "warnings", "tables", "charts", "provenance", "made"]
    assert [each for each in found.ids if each in order] == order
    for label in ("local", "edge", "random"):
        assert f"</span>{label}" in text
    assert not re.search(r"(?:src|href)=.?https?:", text)


def test_the_same_results_give_the_same_page(story: Story) -> None:
    assert rendered(story) == rendered(story)


def test_one_policy_in_one_replication(tmp_path: Path) -> None:
    scenario = load(SMALL, ['duration="4 s"'])
    compare(scenario, scenario.compared[:1], 1, out=tmp_path)
    alone = read(tmp_path)
    text = rendered(alone)
    outline(text)
    assert "How many requests does local answer correctly in time" in text
    assert "There is one replication only" in text
    assert not re.search(r"\b(nan|inf|None)\b", re.sub(r"(?s)<script.*?</script>", "", text))


def test_requests_that_come_back_to_their_device() -> None:
    """What failed at a node is computed at home: legs in an order that no plan has."""
    setting = load(ROOT / "scenarios" / "blackout.toml").setting(0.0)
    trip = [("decide", ""), ("uplink", "elsewhere"), ("edge", "unit-west"), ("device", "")]
    *_, (leg, way) = ways(setting, trip)
    assert (NAMES[leg], way) == ("device", [-1])


def test_names_from_files_are_escaped(tmp_path: Path, story: Story) -> None:
    """Whoever writes a scenario decides on names; none of them becomes markup."""
    text = SMALL.read_text()
    for plain, hostile in (
        ("nodes.cabinet", 'nodes."<b>"'), ('"cabinet"', '"<b>"'), ("devices.car", 'devices."<i>"'),
        ("tasks.objects", 'tasks."<script>"'), ("cell = {", '"<svg>" = {'),
        ('{ name = "random" }', '{ name = "random", label = "<u>" }'),
        ("format = 1", 'format = 1\ndescription = "</script><b>x</b>&"'),
    ):  # fmt: skip
        assert plain in text
        text = text.replace(plain, hostile)
    file = tmp_path / "hostile.toml"
    file.write_text(text)
    scenario = load(file, ['duration="3 s"', 'warm_up="0 s"'])
    compare(scenario, scenario.compared, 2, out=tmp_path / "out")
    made_of = rendered(read(tmp_path / "out"))
    assert outline(made_of).scripts == outline(rendered(story)).scripts
    for tag in ("<b>", "<i>", "<u>", "<svg>"):
        assert tag not in made_of
    assert "&lt;u&gt;" in made_of


# What it says


def policy(label: str, share: float, half: float = 0.01, **more) -> PolicyResult:
    measures = dict.fromkeys(
        (
            "latency_mean_s",
            "latency_p50_s",
            "latency_p95_s",
            "latency_p99_s",
            "energy_j",
            "accuracy",
            "money",
        )
    )
    given = {
        "name": label, "knowledge": "reported", "requests": 1000, "unfinished": 0, "saturated": False,
        "doubtful": 0.0, "share_gap_s": None,
    } | more  # fmt: skip
    interval = Interval(share - half, share, share + half)
    return PolicyResult(
        label=label, measures={**measures, "useful": interval, "on_time": interval}, **given
    )


class Stub(NamedTuple):
    """What a chart of differences takes from a story."""

    found: Comparison
    best: str


def pair(a: str, b: str, mean: float, half: float, measure: str = "useful") -> Pair:
    low, high = mean - half, mean + half
    return Pair(a, b, measure, low, mean, high, low > 0 or high < 0)


def result(policies: list[PolicyResult], pairs: list[Pair], replications: int = 10) -> Comparison:
    return Comparison(
        "made-up", 1, replications, 0.95, 1.0, tuple(policies), tuple(pairs), "all assumed", ()
    )


def test_the_best_is_told_with_its_lead_over_the_next() -> None:
    found = result(
        [policy("a", 0.6), policy("b", 0.7), policy("c", 0.5)],
        [pair("a", "b", -0.1, 0.02), pair("a", "c", 0.1, 0.02), pair("b", "c", 0.2, 0.02)],
    )
    assert answer(found) == (
        "Under b 70.0% (95% interval 69.0% to 71.0%) of all requests are answered correctly before"
        " their deadline, 10.0 points [+8.0, +12.0] more than under a, the next best (paired"
        " differences, 95% intervals for all pairs at once)."
    )


def test_a_tie_is_told_to_be_one() -> None:
    found = result(
        [policy("a", 0.69), policy("b", 0.7), policy("c", 0.5)],
        [pair("a", "b", -0.01, 0.02), pair("a", "c", 0.19, 0.02), pair("b", "c", 0.2, 0.02)],
    )
    told = answer(found)
    assert "the highest share, but a tie with a (1.0 points [-1.0, +3.0] less)" in told
    assert told.endswith("it is ahead of c.")
    assert "they may differ by up to 3.0 points" in " ".join(limits(found, measured_answers=True))


def test_who_choose_alike_are_told_to_come_to_the_same() -> None:
    found = result([policy("a", 0.7), policy("b", 0.7)], [pair("a", "b", 0.0, 0.0)])
    assert answer(found).endswith("the highest share, but a tie with b (the same in each replication).")
    assert "may differ" not in " ".join(limits(found, measured_answers=True))


def test_who_knows_more_than_devices_is_no_contender() -> None:
    found = result(
        [policy("god", 0.9, knowledge="clairvoyant"), policy("a", 0.6), policy("b", 0.5)],
        [pair("god", "a", 0.3, 0.02), pair("god", "b", 0.4, 0.02), pair("a", "b", 0.1, 0.02)],
    )
    assert answer(found).startswith("Under a 60.0%")
    assert "god" not in answer(found)
    assert limits(found, measured_answers=True)[0].startswith("god knows more than devices can")


def test_one_replication_claims_nothing() -> None:
    alone = Interval(math.nan, 0.7, math.nan)
    a, b = policy("a", 0.6), policy("b", 0.7)
    found = result([a, replace(b, measures={**b.measures, "useful": alone, "on_time": alone})], [], 1)
    assert "whether that is more than chance, one replication cannot tell" in answer(found)


def test_no_share_is_told_to_be_above_all_or_below_none() -> None:
    """Student's intervals of three replications reach beyond what shares can be."""
    found = result([policy("a", 0.97, 0.06), policy("b", 0.02, 0.05)], [pair("a", "b", 0.95, 0.2)], 3)
    told = answer(found)
    assert "97.0% (95% interval 91.0% to 100.0%)" in told
    assert "95.0 points [+75.0, +100.0] more than under b" in told
    assert fronts.differences(Stub(found, "a")).rows[0][3:5] == ["+75.00", "+100.00"]


def test_who_cannot_be_ranked_is_told() -> None:
    c = policy("c", 0.9)
    c = replace(c, measures=c.measures | {"useful": None})
    found = result([policy("a", 0.6), policy("b", 0.7), c], [pair("a", "b", -0.1, 0.02)])
    assert "c" not in answer(found).replace("correctly", "").split()
    said = " ".join(limits(found, measured_answers=True))
    assert "c is not ranked: nobody can say which of its answers are right" in said
    assert "not ranked" not in " ".join(limits(result([c], []), measured_answers=True))


def test_where_nobody_knows_what_is_right_time_alone_counts() -> None:
    some = [policy("a", 0.6), policy("b", 0.7)]
    some = [replace(each, measures=each.measures | {"useful": None}) for each in some]
    found = result(some, [pair("a", "b", -0.1, 0.02, "on_time")])
    assert "are answered before their deadline" in answer(found)
    assert "Nobody can say here which answers are right" in " ".join(
        limits(found, measured_answers=False)
    )


def test_the_question_names_who_asks_what_and_where(story: Story) -> None:
    assert question(story) == (
        "Which of 3 policies answers most requests correctly in time, when 2 x car ask for objects"
        " within 100 ms, and each may be answered on the device, at cabinet, in region, or by several of"
        " them in turn?"
    )


# What should make one doubt it


def told(story: Story, known: tuple[Known, ...] = (), **more) -> str:
    return "\n".join(doubts(replace(story, found=replace(story.found, **more)), known))


def test_wide_intervals_are_told_with_what_would_do(story: Story) -> None:
    wide = told(story, policies=(policy("a", 0.6, 0.08), policy("b", 0.6, 0.01)), pairs=())
    assert "Intervals of useful are wide: a ±8.0 points. About 4 replications" in wide  # 12.7 / sqrt(2)
    hardly = told(story, policies=(policy("a", 0.6, 0.0201),), pairs=())
    assert "About 3 replications" in hardly, "two are not enough, as they are what there is"
    narrow = told(story, policies=(policy("a", 0.6, 0.019),), pairs=())
    assert "wide" not in narrow


def test_unfinished_and_saturated_are_told(story: Story) -> None:
    found = told(
        story, policies=(policy("a", 0.6, unfinished=250), policy("b", 0.6, saturated=True)), pairs=()
    )
    assert "Some requests were never answered: a 25.0%." in found
    assert "b is saturated" in found
    assert "saturated" not in told(story, policies=(policy("a", 0.6),), pairs=())


HOW = "choice of method left out too, 8 networks"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (f"mean 31%, max 40%, {HOW}; shares ±10%", "by 31% in the mean, by 40% at worst"),
        (f"mean 10%, max 45%, {HOW}", "by 10% in the mean, by 45% at worst"),
        (f"mean 10%, max 30%, {HOW}", ""),
        ("total published; shares ±10%", ""),
        ("error unknown", "with an error that nobody knows"),
    ],
)  # fmt: skip
def test_errors_of_rescaling_above_30_per_cent(story: Story, error: str, expected: str) -> None:
    known = Known("latency", "net:int8", "box", ("car",), "1 ms", "rescaled", "a test", error)
    found = told(story, (known,))
    assert expected in found
    assert ("Latencies on box of net:int8" in found) == bool(expected)


def test_errors_of_shipped_hardware_are_read() -> None:
    """What the page reads in an error must be how errors are written."""
    known = provenance(load(ROOT / "scenarios" / "urban-intersection.toml"))
    rescaled = [each for each in known if each.known == "rescaled"]
    assert rescaled
    for each in rescaled:
        assert each.errors is not None or each.error.startswith(("total published", "error unknown"))
    assert any(each.errors for each in rescaled)


def test_a_warm_up_that_is_too_short(tmp_path: Path) -> None:
    """A queue that grows all the time: what comes first has it easier."""
    filling = [
        "devices.car.count=20", 'links.cell.up="40 Mbit/s"', 'warm_up="0 s"', 'duration="10 s"',
        'devices.car.tasks.objects.deadline="20 s"',
    ]  # fmt: skip
    scenario = load(SMALL, filling)
    compare(scenario, [scenario.compared[1]], 3, out=tmp_path)
    found = read(tmp_path)
    assert "may be too short" in "\n".join(doubts(found, ()))
    # Where the warm-up is found from the rows there is nothing to doubt.
    auto = load(SMALL, [*filling, 'warm_up="auto"'])
    assert "may be too short" not in "\n".join(doubts(replace(found, scenario=auto), ()))


def test_a_second_opinion_is_told(story: Story) -> None:
    lost = PairAgain(pair("a", "b", 0.1, 0.01), pair("a", "b", 0.01, 0.02), survives=False)
    opinion = Survival("useful", 1, 0, (lost,), 0)
    some = (policy("a", 0.6, doubtful=0.5, share_gap_s=0.01), policy("b", 0.5))
    text = told(story, policies=some, pairs=(), second_opinion=opinion)
    assert "not all of the ranking survives" in text
    assert "a minus b: +0.100 becomes +0.010" in text
    assert "not simulated" in told(story, policies=some, pairs=())
    assert "opinion" not in told(story, policies=(policy("a", 0.6),), pairs=())


def test_replications_that_not_all_policies_have_are_told(story: Story) -> None:
    found = doubts(replace(story, left_out=("edge/2", "edge/3")), ())
    assert "Not all policies have these replications, which are left out: edge/2 and edge/3." in found


# How figures are known


@pytest.mark.parametrize("name", ["urban-intersection", "robotaxi", "smart-factory", "tele-operation"])
def test_provenance_of_every_profile(name: str) -> None:
    scenario = load(ROOT / "scenarios" / f"{name}.toml")
    found = provenance(scenario)
    assert len(set(found)) == len(found)
    latencies = {
        (each.of, each.hardware, place)
        for each in found
        if each.what == "latency"
        for place in each.places
    }
    expected = {
        (variant.label, name, facts.group if place == "device" else place)
        for facts in scenario.setting(0.0).facts
        for place, profiles in facts.profiles.items()
        for name in (facts.hardware.name if place == "device" else facts.nodes[place].hardware.name,)
        for variant in profiles
    }
    assert latencies == expected
    assert all(each.known and each.source and each.figure for each in found)
    assert {each.what for each in found} >= {"latency", "accuracy", "power"}


def test_overheads_and_prices_are_told() -> None:
    settings = [
        'links.cell.hop_cost={ message = "80 us" }',
        "links.cell.price_per_GB=2",
        "nodes.region.price_per_hour=3",
    ]
    found = {(each.what, each.of, *each.places): each for each in provenance(load(SMALL, settings))}
    assert found["overhead", "hop_cost", "links.cell"].figure == "message 80 us, per_MB 0 us"
    assert found["overhead", "hop_cost", "links.cell"].known == "assumed"
    assert found["price", "bytes", "cell"].figure == "2 a GB"
    assert found["price", "computing", "region"].figure == "3 an hour"


def test_how_it_was_made_and_how_to_repeat_it(
    kept: Path, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    told = dict(made(story))
    assert told["seed"] == "3"
    assert told["replications"] == "2"
    assert "numpy" in told["versions"]
    # The duration was set on the command line: the file alone does not repeat it, its rows do.
    ((command, _),) = commands(story)
    done = CliRunner().invoke(app, command.split()[1:])
    assert "identical: True" in done.stdout


def test_a_command_for_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    scenario = load(SMALL.relative_to(ROOT))
    compare(scenario, scenario.compared[:2], 2, out=tmp_path)
    (command, _), _ = commands(read(tmp_path))
    assert (
        command
        == "offload compare tests/small.toml --policy edge --policy local --replications 2 --seed 3"
    )


# The command


def call(*arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["report", *map(str, arguments)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_writes_the_page_the_timeline_and_the_figures(kept: Path, tmp_path: Path) -> None:
    code, printed = call(kept, "--out", tmp_path / "there")
    assert code == 0
    assert "open it in a browser" in printed
    names = {path.name for path in (tmp_path / "there").iterdir()}
    figures = {
        f"{name}.{kind}" for name in ("latency-cdf", "legs", "useful-energy") for kind in ("png", "pdf")
    }
    assert names == {"report.html", "timeline.json", *figures}
    outline((tmp_path / "there" / "report.html").read_text())


def test_goes_into_the_folder_itself_by_default(kept: Path, tmp_path: Path) -> None:
    shutil.copytree(kept, tmp_path / "results")
    code, _ = call(tmp_path / "results")
    assert code == 0
    assert (tmp_path / "results" / "report" / "report.html").is_file()
    # What was written is no result, and does not stand in the way of the next report.
    assert call(tmp_path / "results")[0] == 0


def refused(*arguments: str | Path) -> str:
    code, printed = call(*arguments)
    assert code == 2
    assert "Traceback" not in printed
    return printed.replace("\n", " ")


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    assert "no requests.parquet lies in it" in refused(tmp_path)
    assert "no such folder" in refused(tmp_path / "none")
    assert not (tmp_path / "report").exists()
    assert not (tmp_path / "none").exists()


def test_results_of_a_newer_format_are_refused(kept: Path, tmp_path: Path) -> None:
    shutil.copytree(kept, tmp_path / "results")
    file = tmp_path / "results" / "edge" / "1" / "requests.parquet"
    newer = pl.read_parquet_metadata(file) | {"format": str(rows.FORMAT + 1)}
    pl.read_parquet(file).write_parquet(file, metadata=newer)
    printed = refused(tmp_path / "results")
    assert f"rows of format {rows.FORMAT + 1}; this version reads {rows.FORMAT}" in printed
    assert not (tmp_path / "results" / "report").exists()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_refused(share: float, kept: Path, tmp_path: Path) -> None:
    shutil.copytree(kept, tmp_path / "results")
    file = tmp_path / "results" / "edge" / "1" / "requests.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    assert f"{file}: no whole file of rows" in refused(tmp_path / "results")
    assert not (tmp_path / "results" / "report").exists()


def test_rows_damaged_in_the_middle_are_refused(kept: Path, tmp_path: Path) -> None:
    shutil.copytree(kept, tmp_path / "results")
    file = tmp_path / "results" / "edge" / "1" / "requests.parquet"
    whole = bytearray(file.read_bytes())
    whole[4:2000] = bytes(1996)
    file.write_bytes(whole)
    assert "simulate again" in refused(tmp_path / "results")


def test_a_sweep_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "sweep"
    vary = ["--vary", "nodes.cabinet.servers=1, 2", "--set", 'duration="2 s"', "--replications", "1"]
    done = CliRunner().invoke(app, ["sweep", str(SMALL), *vary, "--jobs", "1", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "holds 2 points of a sweep; give the folder of one" in refused(out)


def test_a_folder_that_cannot_be_written_is_refused(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "give a folder that can be written" in refused(kept, "--out", tmp_path / "file")
    assert "give a folder that can be written" in refused(kept, "--out", tmp_path / "file" / "below")


def test_what_cannot_be_written_leaves_nothing_half_written(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert "No space left on device" in refused(kept, "--out", tmp_path / "there")
    assert list((tmp_path / "there").iterdir()) == []


def test_charts_and_replay_are_shown_where_there_are_any(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = Chart(
        "one", "A <title>", "It says.", "<svg><title>x</title></svg>", ("a", "b"), [("<1>", "2")]
    )
    monkeypatch.setattr(page, "charts", lambda _: [drawn])
    monkeypatch.setattr(page.replay, "section", lambda _: '<p id="moves">moves</p>')
    text = rendered(story)
    assert "<svg><title>x</title></svg>" in text
    assert "A &lt;title&gt;" in text
    assert "&lt;1&gt;" in text
    assert '<p id="moves">moves</p>' in text
    assert 'href="#replay"' in text
    monkeypatch.setattr(page, "charts", lambda _: [])
    monkeypatch.setattr(page.replay, "section", lambda _: None)
    text = rendered(story)
    assert 'href="#replay"' not in text
    assert 'href="#charts"' not in text
