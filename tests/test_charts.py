"""The charts of a report: their figures against the rows, and nothing unreadable whatever is shown."""

import re
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree as ET

import polars as pl
import pytest

from offload.analysis.compare import compare
from offload.analysis.rows import LEGS
from offload.analysis.story import Story, read
from offload.policies.table import choose
from offload.scenario.load import load
from offload.units import show_seconds
from offload.views.report.chart import Chart
from offload.views.report.charts import charts
from offload.views.report.looks import share
from offload.views.report.svg import text_width
from tests.hand_made import ROOT

SMALL = ROOT / "tests" / "small.toml"
BAD = '<script>alert(1) & "quotes" in a label that goes on for much longer than there is room'
NAMES = ("local", "edge", "cloud", "quickest", "thrifty", "on-time", "random", "clairvoyant", "fresh")
ALL = ("latency-cdf", "legs", "energy-front", "money-front", "plans-over-time", "load-over-time",
       "differences", "best-split")  # fmt: skip


def story(
    folder: Path, tables: Sequence[dict[str, str]], *settings: str, replications: int = 2
) -> Story:
    scenario = load(SMALL, settings)
    compare(
        scenario, [choose(table) for table in tables], replications, out=folder, second_opinion=False
    )
    return read(folder)


@pytest.fixture(scope="module")
def ten(tmp_path_factory) -> Story:
    """Ten policies, one of them with a label that no page should believe, on a full cell."""
    tables = [{"name": name} for name in NAMES] + [{"name": "quickest", "label": BAD}]
    return story(
        tmp_path_factory.mktemp("ten"), tables, "devices.car.count=30", 'duration="6 s"',
        "nodes.cabinet.price_per_hour=2", "nodes.cabinet.servers=2", 'links.cell.up="60 Mbit/s"',
    )  # fmt: skip


@pytest.fixture(scope="module")
def drawn(ten: Story) -> dict[str, Chart]:
    return {chart.name: chart for chart in charts(ten)}


def boxes(svg: str) -> list[tuple[str, float, float, float, float]]:
    """Return each text with its left, top, right and bottom end, as wide as fonts make it at least."""
    found = []

    def look(tree: ET.Element, size: float, anchor: str) -> None:
        for each in tree:
            mine = float(each.attrib.get("font-size", size)), each.attrib.get("text-anchor", anchor)
            look(each, *mine)
            if each.tag.endswith("}text"):
                text = "".join([each.text or "", *(child.tail or "" for child in each)])
                wide, x, y = 0.8 * text_width(text, mine[0]), *(float(each.attrib[k]) for k in "xy")
                left = x - {"start": 0.0, "middle": wide / 2, "end": wide}[mine[1]]
                found.append((text, left, y - 0.7 * mine[0], left + wide, y))

    look(ET.fromstring(svg), 12.0, "start")
    return found


def check_readable(chart: Chart) -> None:
    """No text stands on another or beyond the picture, and all of it is well-formed and safe."""
    tree = ET.fromstring(chart.svg)
    _, _, width, height = map(float, tree.attrib["viewBox"].split())
    texts = boxes(chart.svg)
    for text, left, top, right, bottom in texts:
        assert left >= -2, (chart.name, text)
        assert right <= width + 2, (chart.name, text)
        assert top >= -2, (chart.name, text)
        assert bottom <= height + 1, (chart.name, text)
    for (a, *first), (b, *second) in combinations(texts, 2):
        apart = first[2] <= second[0] or second[2] <= first[0]
        assert apart or first[3] <= second[1] or second[3] <= first[1], (chart.name, a, b)
    assert "<script" not in chart.svg
    assert "#000000" not in chart.svg
    assert "nan" not in re.sub(r">[^<]*<", "><", chart.svg)
    assert chart.says.endswith(".")
    assert chart.says in ET.tostring(tree, encoding="unicode", method="text")
    assert all(len(row) == len(chart.columns) for row in chart.rows)
    assert 0 < len(chart.rows) <= 60


def test_ten_policies_have_all_charts_within_200_kilobytes(drawn: dict[str, Chart]) -> None:
    assert tuple(drawn) == ALL
    assert sum(len(chart.svg.encode()) for chart in drawn.values()) < 200_000
    for chart in drawn.values():
        check_readable(chart)


def test_ids_are_no_one_elses(drawn: dict[str, Chart]) -> None:
    ids = [each for chart in drawn.values() for each in re.findall(r' id="([^"]*)"', chart.svg)]
    assert len(ids) == len(set(ids))
    for chart in drawn.values():
        used = set(re.findall(r"url\(#([^)]*)\)", chart.svg))
        assert used <= set(re.findall(r' id="([^"]*)"', chart.svg))


def test_the_same_results_are_the_same_bytes(ten: Story, drawn: dict[str, Chart]) -> None:
    assert charts(read(ten.folder)) == list(drawn.values())


def test_shares_within_the_deadline_are_those_of_the_rows(ten: Story, drawn: dict[str, Chart]) -> None:
    chart = drawn["latency-cdf"]
    assert chart.columns[1] == "within 100 ms"
    for row in chart.rows:
        counted = ten.counted(row[0]).select("on_time", "cause").collect()
        assert row[1] == share(counted["on_time"].mean())
        assert row[-1] == share((counted["cause"] == "").mean())
    label = ten.best
    told = next(row[1] for row in chart.rows if row[0] == label)
    assert chart.says.startswith(f"{label} answers {told} of requests within 100 ms")
    assert "deadline 100 ms" in chart.svg
    within = {row[0]: float(row[1].removesuffix("%")) for row in chart.rows}
    least = re.search(r"; (.+), the least, ([\d.]+)%\.$", chart.says)
    assert least is not None
    assert within[least[1]] == float(least[2]) == min(within.values())


def test_legs_are_the_means_of_the_rows_and_say_what_did_not_finish(
    ten: Story, drawn: dict[str, Chart]
) -> None:
    chart = drawn["legs"]
    for row, policy in zip(chart.rows, ten.found.policies, strict=True):
        finished = ten.counted(row[0]).filter(pl.col("cause") == "")
        means = finished.select(pl.col(*LEGS).mean(), pl.col("latency_s").mean()).collect().to_dicts()[0]
        told = dict(zip(chart.columns, row, strict=True))
        assert told["in all"] == (show_seconds(means["latency_s"]) if means["latency_s"] else "-")
        for leg in LEGS:
            if leg.removesuffix("_s") in told:
                mean_s = means[leg]
                assert told[leg.removesuffix("_s")] == (show_seconds(mean_s) if mean_s else "-")
            else:
                assert not means[leg]
        assert told["unfinished"] == share(policy.unfinished / policy.requests)


def test_the_front_holds_who_is_not_beaten(ten: Story, drawn: dict[str, Chart]) -> None:
    rows = {row[0]: row for row in drawn["energy-front"].rows}
    known = {
        policy.label: (policy.measures["energy_j"].mean, policy.measures["useful"].mean)
        for policy in ten.found.policies
    }
    assert rows["clairvoyant"][3] == rows["fresh"][3] == "reference"
    contenders = [label for label in rows if rows[label][3] != "reference"]
    for label in contenders:
        joules, useful = known[label]
        beaten = any(
            known[other][0] <= joules and known[other][1] >= useful and known[other] != known[label]
            for other in contenders
        )
        assert rows[label][3] == ("no" if beaten else "yes")
    assert rows["local"][1].startswith(f"{known['local'][0] * 1e3:.3g} [") or known["local"][0] >= 1


def test_requests_ran_where_the_rows_say(ten: Story, drawn: dict[str, Chart]) -> None:
    chart = drawn["plans-over-time"]
    rows = {row[0]: dict(zip(chart.columns, row, strict=True)) for row in chart.rows}
    assert rows["local"]["device"] == "100.0%"
    assert rows["edge"]["edge"] == "100.0%"
    assert rows["cloud"]["cloud"] == "100.0%"
    for label, told in rows.items():
        ran = ten.rows(label).filter(pl.col("born_s") >= ten.found.warm_up_s)
        alone = ran.filter(pl.col("edge").is_null() & pl.col("cloud").is_null()).height
        assert told["device"] == share(alone / ran.height)


def test_nodes_were_as_busy_as_their_joules_say(ten: Story, drawn: dict[str, Chart]) -> None:
    rows = {(row[0], row[1]): row for row in drawn["load-over-time"].rows}
    assert rows["local", "cabinet"][2] == "0.0%"
    setting, warm_up_s = ten.setting(), ten.found.warm_up_s
    watts = setting.nodes["cabinet"].hardware.marginal_w
    ran = ten.rows("quickest")
    # Births at the ends of the time looked at hardly matter: 100 ms of 5 s.
    inside = ran.filter(pl.col("born_s") >= warm_up_s)
    busy = inside["edge_j"].sum() / watts / (setting.duration_s - warm_up_s) / 2  # servers
    told = float(rows["quickest", "cabinet"][2].removesuffix("%"))
    assert told == pytest.approx(100 * busy, rel=0.1)
    assert told > 10


def test_differences_are_those_of_the_comparison_the_better_first(
    ten: Story, drawn: dict[str, Chart]
) -> None:
    chart = drawn["differences"]
    pairs = {frozenset((p.a, p.b)): p for p in ten.found.pairs if p.measure == "useful"}
    assert len(pairs) == 45
    label = ten.best
    assert all(label in row[:2] for row in chart.rows), "of more than thirty those with the best"
    assert len(chart.rows) == 9
    for better, worse, mean, low, high, differs in chart.rows:
        pair = pairs[frozenset((better, worse))]
        assert float(mean) == pytest.approx(100 * abs(pair.mean), abs=0.006)
        assert float(low) <= float(mean) <= float(high)
        assert (differs == "yes") == pair.differs
    assert chart.says.startswith(f"{sum(p.differs for p in pairs.values())} of 45 pairs")


def test_the_map_of_splits_tells_what_the_planner_finds(ten: Story, drawn: dict[str, Chart]) -> None:
    from offload.planning.price import unloaded

    chart = drawn["best-split"]
    facts = ten.setting().facts[0]
    prices = unloaded(facts, "cell")
    # At the cell's own rate, with nobody there.
    assert chart.rows[0][0] == "0%"
    told = chart.rows[0][list(chart.columns).index("60 Mbit/s")]
    assert told.endswith(show_seconds(prices.latency_s.min()))
    assert chart.svg.count("<rect") > 130


def test_the_map_says_where_the_scenario_is_by_what_is_busier(tmp_path: Path) -> None:
    """A full cell in front of an idle site is a loaded place, not an idle one."""
    found = story(
        tmp_path, [{"name": "edge"}], "devices.car.count=8", 'devices.car.tasks.objects.late="finish"',
        'devices.car.tasks.objects.deadline="40 ms"',
        replications=1,
    )  # fmt: skip
    drawn = {chart.name: chart for chart in charts(found)}
    busy = float(drawn["load-over-time"].rows[0][2].removesuffix("%"))
    assert busy < 30
    share_of_map = re.match(r"With (\d+)% of cell and of all edge nodes busy", drawn["best-split"].says)
    # Eight cars send 8 * 5 * 480 kbit a second over 20 Mbit/s.
    assert share_of_map is not None
    assert 90 <= int(share_of_map[1]) <= 100
    # What is later than the deadline, 40 ms, is faded, and said to be.
    svg = drawn["best-split"].svg
    assert svg.count(", too late<") == svg.count('fill-opacity=".4"><title>') > 0
    told = re.findall(r"busy: [^<]*, ([\d.]+) ms(, too late)?</title>", svg)
    assert len(told) == 13 * 11
    assert all((float(told_ms) > 40) == bool(late) for told_ms, late in told if told_ms != "40")


def test_no_more_servers_work_than_there_are_where_they_batch(tmp_path: Path) -> None:
    found = story(
        tmp_path, [{"name": "edge"}], "devices.car.count=30", "nodes.cabinet.servers=1",
        'nodes.cabinet.batch={ max = 8, wait = "5 ms" }', 'links.cell.up="2 Gbit/s"',
        'devices.car.tasks.objects.every="20 ms"', replications=1,
    )  # fmt: skip
    assert found.rows("edge")["batch"].max() == 8
    chart = next(chart for chart in charts(found) if chart.name == "load-over-time")
    assert 50 < float(chart.rows[0][3].removesuffix("%")) <= 100.0


def test_a_single_run_has_nothing_to_compare(tmp_path: Path) -> None:
    found = charts(story(tmp_path, [{"name": "quickest"}], replications=1))
    names = [chart.name for chart in found]
    assert names == ["latency-cdf", "legs", "plans-over-time", "load-over-time", "best-split"]
    for chart in found:
        check_readable(chart)


def test_one_replication_has_no_intervals_and_no_differences(tmp_path: Path) -> None:
    found = charts(story(tmp_path, [{"name": "quickest"}, {"name": "local"}], replications=1))
    assert "differences" not in [chart.name for chart in found]
    front = next(chart for chart in found if chart.name == "energy-front")
    assert all("[" not in row[1] + row[2] for row in front.rows)
    check_readable(front)


def test_nothing_finished_leaves_out_what_has_nothing_to_show(tmp_path: Path) -> None:
    tables = [{"name": "edge"}, {"name": "cloud"}]
    found = charts(story(tmp_path, tables, "devices.car.tasks.objects.deadline=1 us", replications=2))
    names = [chart.name for chart in found]
    assert "latency-cdf" not in names
    assert "legs" not in names
    assert "plans-over-time" in names
    for chart in found:
        check_readable(chart)


def test_long_waits_and_tiny_energies_are_readable(tmp_path: Path) -> None:
    found = charts(
        story(
            tmp_path, [{"name": "edge"}, {"name": "local"}], 'links.cell.up="100 kbit/s"',
            'devices.car.tasks.objects.late="finish"', 'devices.car.radio_power="1 mW"',
        )
    )  # fmt: skip
    for chart in found:
        check_readable(chart)
