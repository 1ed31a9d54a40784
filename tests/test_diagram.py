"""The scenario as a diagram: all is in it, nothing overlaps, whatever the scenario."""

from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from offload.scenario.load import load
from offload.views.report.diagram import PAD, WIDTHS, Area, Drawing, _wrapped, diagram, place, svg
from offload.views.report.parts import CLOUD, MOST_APART, Box, Line, Parts, parts
from tests.hand_made import ROOT, SHIPPED

SMALL = ROOT / "tests" / "small.toml"


def overlap(a: Area, b: Area) -> bool:
    return a.x < b.right and b.x < a.right and a.y < b.y + b.height and b.y < a.y + a.height


def check(drawing: Drawing) -> None:
    areas = [*drawing.boxes.items(), *((line.title, area) for line, area in drawing.labels.items())]
    for (name, a), (other, b) in combinations(areas, 2):
        assert not overlap(a, b), (name, other)
    for name, area in areas:
        assert area.x >= 0, name
        assert area.y >= 0, name
        assert area.right <= drawing.width, name
        assert area.y + area.height <= drawing.height, name


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_nothing_overlaps_in_any_shipped_scenario(path: Path) -> None:
    scenario = load(path)
    found = parts(scenario)
    drawing = place(found)
    check(drawing)
    assert set(drawing.boxes) == {box.name for box in found.boxes}
    assert drawing.width <= 1100
    # Every device group, cell and node is there, or stands for as many alike.
    file, setting = scenario.file, scenario.setting(0.0)
    assert sum(box.many for box in found.boxes) == len(file.devices) + len(setting.cells) + len(
        setting.nodes
    )
    ET.fromstring(svg(drawing))


def test_figures_stand_in_their_boxes() -> None:
    found = {box.name: box for box in parts(load(SMALL)).boxes}
    assert found["car"].title == "2 x car"
    assert "objects: every 200 ms, deadline 100 ms" in found["car"].lines
    assert "60 kB for net" in found["car"].lines
    assert found["cell"].lines == ("20 Mbit/s up, 50 Mbit/s down", "delay 2 ms")
    assert "1 server of t4" in found["cabinet"].lines
    (wire,) = [line for line in parts(load(SMALL)).lines if line.kind == "wire"]
    assert wire == Line("wire", ("cabinet", "region"), "backhaul", ("1 Gbit/s", "5 ms + 1 ms jitter"))


def test_many_sites_alike_are_one_that_stands_for_all() -> None:
    found = parts(load(ROOT / "scenarios" / "city-grid.toml"))
    boxes = {box.name: box for box in found.boxes}
    assert boxes["rsu-a1"].many == boxes["cell-a1"].many == 9 > MOST_APART
    assert "12 wires among them: 10 Gbit/s, 500 us" in boxes["rsu-a1"].lines
    (wire,) = [line for line in found.lines if line.kind == "wire"]
    assert wire.title == "9 wires, each"
    # Two that are alike are drawn one by one.
    platoon = {box.name for box in parts(load(ROOT / "scenarios" / "highway-platoon.toml")).boxes}
    assert {"west", "east"} <= platoon


def test_what_breaks_is_told() -> None:
    found = parts(load(ROOT / "scenarios" / "blackout.toml"))
    boxes = {box.name: box for box in found.boxes}
    assert "power: down 10 s to 20 s" in boxes["unit-west"].lines
    assert "heat: 4 times slower 25 s to 35 s" in boxes["unit-east"].lines
    wires = {line.title: line for line in found.lines}
    assert wires["backhaul"].figures[-1] == "digger: down every 15 s, for 4 s"


def test_devices_alone(tmp_path: Path) -> None:
    found = place(parts(load(SMALL, ["nodes=", "links="])))
    check(found)
    assert len(found.boxes) == 1


def test_a_cloud_with_a_cell_of_its_own_and_wires_between_edges() -> None:
    """Whatever connects what: many wires, long names, clouds that devices reach directly."""
    names = [f"edge-{number}" for number in range(6)]
    long = "a-name-of-a-hundred-characters-" * 3
    boxes = [Box("g", long, ("x" * 100,), 0), *(Box(n, n, ("two", "lines"), 2) for n in names)]
    boxes += [Box(f"c{n}", long, ("1 Mbit/s",), 1) for n in names]
    boxes += [Box("far", "far", (), CLOUD), Box("farther", long, (), CLOUD), Box("wide", "wide", (), 1)]
    lines = [Line("site", (f"c{n}", n)) for n in names] + [Line("site", ("wide", "far"))]
    figures = ("1 Gbit/s", "1 ms", "a fault: down every 10 s")
    lines += [Line("wire", (a, b), f"{a}-{b}", figures) for a, b in combinations(names, 2)]
    lines += [Line("wire", (n, "far"), f"up-{n}", figures) for n in names]
    drawing = place(Parts(tuple(boxes), tuple(lines)))
    check(drawing)
    assert len(drawing.labels) == 15 + 6
    ET.fromstring(svg(drawing))


def test_wide_characters_stay_in_their_box() -> None:
    """A W, or a sign of Chinese, takes the room of two usual characters."""
    room = WIDTHS[0] - 2 * PAD
    for char in "W\u65e5":
        titles, _ = _wrapped(Box("g", char * 60, (), 0))
        assert "".join(titles) == char * 60
        assert max(map(len, titles)) * 1.1 * 13.5 <= room
    assert _wrapped(Box("g", "60 x car", ("60 kB for mobilenetv2 or resnet18",), 0)) == (
        ["60 x car"], ["60 kB for mobilenetv2 or resnet18"],
    )  # fmt: skip


def test_its_table_says_the_same() -> None:
    chart = diagram(load(SMALL))
    assert chart.says == "1 group of devices, 1 cell, 1 edge server, 1 cloud, 1 wire."
    assert ("wire", "backhaul (cabinet to region)", "1 Gbit/s; 5 ms + 1 ms jitter") in chart.rows
    assert len(chart.rows) == 5
