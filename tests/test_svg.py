"""The small pieces that pictures are made of: ticks, places, paths, text."""

import math
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.views.report.axes import legend, x_axis, y_axis
from offload.views.report.scales import Scale, prefixed, rounded, spread, steps, written
from offload.views.report.svg import Picture, number, safe, shape, shortened, stairs, text_width

SIZES = st.floats(-1e12, 1e12).filter(lambda value: value == 0 or abs(value) > 1e-12)


@given(SIZES, SIZES, st.integers(2, 12))
def test_ticks_are_round_few_and_within(one: float, other: float, most: int) -> None:
    low, high = rounded(one, other) if one < other else rounded(other, one)
    nothing = 1e-8 * abs(other - one)  # that anybody could see
    assert low <= min(one, other) + nothing
    assert high >= max(one, other) - nothing
    step, ticks = steps(low, high, most)
    assert 1 <= len(ticks) <= most
    digits = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert min(abs(digits - each) for each in (1, 2, 5)) < 1e-6
    assert all(low - 1e-6 * step <= tick <= high + 1e-6 * step for tick in ticks)
    assert all(math.isclose(b - a, step, rel_tol=1e-6) for a, b in pairwise(ticks))


@pytest.mark.parametrize(
    ("low", "high", "most", "wanted"),
    [
        (0.0, 1.0, 6, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.0, 0.3, 4, [0.0, 0.1, 0.2, 0.3]),
        (130.0, 370.0, 4, [200.0, 300.0]),
        (-3.0, 7.0, 3, [0.0, 5.0]),
        (0.0, 4e-9, 3, [0.0, 2e-9, 4e-9]),
        (5.0, 5.0, 3, [5.0]),
    ],
)
def test_ticks_that_are_known(low: float, high: float, most: int, wanted: list[float]) -> None:
    assert steps(low, high, most)[1] == wanted


def test_ticks_are_written_alike_and_without_noise() -> None:
    assert written([0.0, 0.1, 0.1 + 0.2]) == ["0.0", "0.1", "0.3"]
    assert written([0.0, 500.0, 1000.0]) == ["0", "500", "1000"]
    assert written([0.0, 2e-9]) == ["0", "2e-09"]


@pytest.mark.parametrize(
    ("value", "wanted"), [(0.0, "J"), (3.0, "J"), (0.2, "mJ"), (3e-5, "uJ"), (1e-9, "nJ")]
)
def test_units_have_the_prefix_that_reads_best(value: float, wanted: str) -> None:
    assert prefixed(value, "J")[0] == wanted


def test_a_scale_puts_values_and_keeps_those_beyond_at_its_ends() -> None:
    scale = Scale(10.0, 20.0, 100.0, 0.0)
    assert [scale(value) for value in (10.0, 15.0, 20.0, 99.0, math.inf, 0.0)] == [100, 50, 0, 0, 0, 100]


@given(st.lists(st.floats(0, 100), max_size=12), st.floats(0.1, 30))
def test_places_keep_their_distance_and_their_order(wanted: list[float], gap: float) -> None:
    found = spread(wanted, gap, 0.0, 100.0)
    assert all(-1e-6 <= place <= 100 + 1e-6 for place in found)
    fits = min(gap, 100 / max(1, len(wanted) - 1))
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    places = [found[index] for index in order]
    assert all(b - a >= fits - 1e-6 for a, b in pairwise(places))
    if all(wanted[b] - wanted[a] >= gap for a, b in pairwise(order)):
        assert found == pytest.approx(wanted, abs=1e-6)


def test_numbers_are_short_and_what_is_none_is_refused() -> None:
    assert [number(value) for value in (3, 3.04, 3.06, -0.01, 1e4)] == ["3", "3", "3.1", "0", "10000"]
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match="no coordinate"):
            number(value)


@given(st.lists(st.tuples(st.floats(0, 700), st.floats(0, 300)), min_size=1, max_size=30))
def test_a_step_curve_ends_where_its_last_point_is(points: list[tuple[float, float]]) -> None:
    points.sort(key=lambda point: point[0])
    d = stairs(points).replace("h", " h ").replace("v", " v ").removeprefix("M").split()
    x, y = float(d[0]), float(d[1])
    for kind, by in zip(d[2::2], d[3::2], strict=True):
        x, y = (x + float(by), y) if kind == "h" else (x, y + float(by))
    assert (x, y) == pytest.approx((points[-1][0], points[-1][1]), abs=0.051)


def test_shapes_are_all_different() -> None:
    assert len({shape(kind, 0, 0, 5) for kind in range(10)}) == 10
    assert shape(10, 0, 0, 5) == shape(0, 0, 0, 5)


def test_text_is_escaped_everywhere() -> None:
    bad = "<script>alert('&\"')</script>\x00"
    picture = Picture("a", 100, 100)
    picture.text(1, 2, bad)
    picture.text(1, 2, bad, room=50)
    picture.put("rect", bad, x=1.0, fill=bad)
    markup = picture.svg(bad, bad)
    assert "<script" not in markup
    tree = ET.fromstring(markup)
    name = "{http://www.w3.org/2000/svg}"
    assert tree.find(f"{name}text").text == bad.replace("\x00", "\ufffd")
    assert tree.find(f"{name}rect").attrib["fill"] == bad.replace("\x00", "\ufffd")
    assert safe("a\nb") == "a\ufffdb"


def test_a_picture_says_what_it_is() -> None:
    picture = Picture("it", 320, 200)
    picture.box((0, 0), 5, 5, picture.stripes("#111", "#222"))
    picture.box((0, 0), 5, 5, picture.stripes("#111", "#222"))
    tree = ET.fromstring(picture.svg("a title", "what it shows"))
    name = "{http://www.w3.org/2000/svg}"
    assert tree.attrib["viewBox"] == "0 0 320 200"
    assert tree.attrib["role"] == "img"
    by_id = {each.attrib["id"]: each for each in tree.iter() if "id" in each.attrib}
    told = [by_id[each].text for each in tree.attrib["aria-labelledby"].split()]
    assert told == ["a title", "what it shows"]
    assert len(tree.findall(f".//{name}pattern")) == 1


def test_what_does_not_fit_is_cut_and_seen_by_pointing() -> None:
    long = "a policy with a name that goes on and on"
    assert text_width(shortened(long, 80)) <= 80
    assert shortened("short", 80) == "short"
    picture = Picture("a")
    picture.text(0, 0, long, room=80)
    assert f"<title>{long}</title>" in picture.marks[0]


def test_axes_have_as_many_ticks_as_there_is_room_for() -> None:
    wide, narrow = Picture("a"), Picture("b")
    x_axis(wide, Scale(0.0, 1e7, 0.0, 700.0), 100, 0)
    x_axis(narrow, Scale(0.0, 1e7, 0.0, 160.0), 100, 0)
    counts = [sum("<text" in mark for mark in each.marks) for each in (wide, narrow)]
    assert counts[0] > counts[1] >= 2
    y_axis(wide, Scale(0.0, 1.0, 100.0, 0.0), 40, 300, "share")
    assert any(">share<" in mark for mark in wide.marks)


def test_a_legend_breaks_its_lines() -> None:
    picture = Picture("a")
    entries = [(lambda x, y: picture.box((x, y), 1, 1, "#000"), f"entry number {n}") for n in range(9)]
    assert legend(picture, 0, 0, 400, entries[:2]) < legend(picture, 0, 0, 400, entries)
    assert legend(picture, 0, 7, 400, []) == 7
