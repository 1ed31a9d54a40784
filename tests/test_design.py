"""Points of a grid, of a list and of a Latin hypercube."""

from itertools import chain

import numpy as np
import pytest

from offload.analysis.sweeping.design import LONGEST, part, points
from offload.analysis.sweeping.vary import VaryError, read

TWO = [read("nodes.a.servers=1, 2"), read("links.cell.up=10 Mbit/s, 20 Mbit/s")]


def test_a_grid_is_every_value_with_every_other() -> None:
    found = points("grid", TWO, None, 1)
    assert [each.values for each in found] == [
        ("1", "10 Mbit/s"), ("1", "20 Mbit/s"), ("2", "10 Mbit/s"), ("2", "20 Mbit/s"),
    ]  # fmt: skip
    assert found[1].name == "servers-1_up-20-Mbit-s"


def test_a_list_is_the_kth_of_each() -> None:
    found = points("list", TWO, None, 1)
    assert [each.values for each in found] == [("1", "10 Mbit/s"), ("2", "20 Mbit/s")]


def test_each_part_of_each_range_holds_one_point_of_a_hypercube() -> None:
    varied = [read("a=0..1 s"), read("b=1..1000 W log"), read("c=1..25"), read("d=x, y")]
    found = points("latin-hypercube", varied, 50, seed=3)
    values = list(zip(*(each.values for each in found), strict=True))
    seconds = np.array([float(each.split()[0]) for each in values[0]])
    watts = np.log(np.array([float(each.split()[0]) for each in values[1]])) / np.log(1000)
    for shares in (seconds, watts):
        assert sorted((shares * 50).astype(int)) == list(range(50))
    assert all(values[2].count(str(number)) == 2 for number in range(1, 26))
    assert values[3].count("x") == 25
    assert abs(np.corrcoef(seconds, watts)[0, 1]) < 0.4  # not along a diagonal


def test_a_hypercube_comes_from_the_seed_and_its_keys_alone() -> None:
    one = [read("a=0..1 s")]
    first = points("latin-hypercube", one, 20, 3)
    assert points("latin-hypercube", one, 20, 3) == first
    assert points("latin-hypercube", one, 20, 4) != first
    places = {round(20 * float(each.values[0].removesuffix(" s")) % 1, 3) for each in first}
    assert len(places) > 15  # not the middle of each part
    both = points("latin-hypercube", [*one, read("b=0..1 s")], 20, 3)
    assert [each.values[0] for each in both] == [each.values[0] for each in first]


def test_names_are_short_and_of_one_point_each() -> None:
    varied = [read("nodes.a.servers=1, 2"), read("nodes.*.servers=1, 2"), read("x.up=a b, a/b, A-b, q")]
    found = points("grid", varied, None, 1)
    assert len({each.name.lower() for each in found}) == len(found) == 16
    assert found[0].name == "a.servers-1_all.servers-1_up-a-b"
    long = points("grid", [read(f"{'k' * 20}{n}=1..2") for n in range(6)], None, 1)
    assert len({each.name for each in long}) == 64
    assert max(len(each.name) for each in long) <= LONGEST


def test_parts_are_all_points_once() -> None:
    whole = points("grid", [read("a=1..10")], None, 1)
    found = [part(whole, number, 4) for number in (1, 2, 3, 4)]
    assert [len(each) for each in found] == [3, 3, 2, 2]
    assert sorted(chain(*found), key=whole.index) == whole


def test_too_many_points_are_refused() -> None:
    with pytest.raises(VaryError, match="more than 100000 points"):
        points("grid", [read(f"{key}=1..100") for key in "abc"], None, 1)
