"""Which key moves a result most: planted effects, in grids and in Latin hypercubes."""

import numpy as np
import pytest

from offload.analysis.explaining.effects import Factor, effects, factors
from offload.streams import Streams

BOX = {"name": "x", "seed": 3, "nodes": {"box": {"servers": 1}}, "links": {"cell": {"up": "1 Mbit/s"}}}


def point(servers, up, **more):
    return BOX | {"nodes": {"box": {"servers": servers}}, "links": {"cell": {"up": up}}} | more


def test_factors_are_the_keys_that_differ_and_alike_ones_are_one() -> None:
    tables = [
        point(servers, up, name=f"{servers}{up}", warm={"a": up} if servers else {})
        for servers in (1, 2)
        for up in ("1 Mbit/s", "8 Mbit/s")
    ]
    one, two = sorted(factors(tables), key=lambda each: each.keys)
    assert one.keys == ("links.cell.up", "warm.a")
    assert one.values == ('"1 Mbit/s"', '"8 Mbit/s"')
    assert one.taken == (0, 1, 0, 1)
    assert one.numbers == (1e6, 8e6)
    assert (two.keys, two.taken, two.numbers) == (("nodes.box.servers",), (0, 0, 1, 1), (1.0, 2.0))
    assert factors([BOX, BOX]) == []
    (other,) = factors([BOX, BOX | {"links": {"cell": {"up": "1 Mbit/s", "delay": "1 ms"}}}])
    assert other.values == ("not given", '"1 ms"')
    assert other.numbers is None


def test_main_effects_of_a_grid() -> None:
    found = [
        Factor(("servers",), ("1", "2", "4"), (0, 0, 1, 1, 2, 2)),
        Factor(("up",), ('"1 Mbit/s"', '"2 Mbit/s"'), (0, 1) * 3),
    ]
    results = np.array([[0.1, 0.3], [0.2, 0.4], [0.5, 0.6], [0.6, 0.7], [0.3, 0.5], [0.4, 0.6]])
    told = effects("quickest", "useful", found, results, 1)
    assert (told.method, told.fit, told.points, told.replications) == ("main effect", None, 6, 2)
    first, second = told.effects
    assert (first.keys, first.best, first.worst) == (("servers",), "2", "1")
    assert first.effect.mean == pytest.approx(0.35)  # 0.4 in one replication, 0.3 in the other
    assert first.effect.low < 0 < first.effect.high  # from two replications
    assert second.effect.mean == pytest.approx(0.1)
    assert second.effect.low == pytest.approx(0.1)


def test_a_list_of_points_says_that_other_keys_vary_too() -> None:
    found = [
        Factor(("a",), ("1", "2"), (0, 0, 1)),
        Factor(("b",), ('"x"', '"y"'), (0, 1, 1)),
    ]
    told = effects("quickest", "useful", found, np.array([[0.1], [0.2], [0.9]]), 1)
    assert told.method == "main effect, others vary too"
    assert told.effects[0].keys == ("a",)
    assert np.isnan(told.effects[0].effect.low)


def test_rank_regression_of_a_latin_hypercube_finds_what_was_planted() -> None:
    chance = Streams(5, 0).generator("a test")
    columns = np.array([(chance.permutation(40) + 0.5) / 40 for _ in range(3)])
    found = [
        Factor((name,), tuple(f"{value:.4f}" for value in column), tuple(range(40)))
        for name, column in zip(("much", "little", "nothing"), columns, strict=True)
    ]
    results = np.exp(-3 * columns[0] + columns[1]) + 0.01 * chance.random(40)  # monotone, not linear
    told = effects("quickest", "useful", found, results[:, None], 1)
    assert told.method == "rank regression"
    assert told.fit > 0.9
    much, little, nothing = told.effects
    assert [each.keys for each in told.effects] == [("much",), ("little",), ("nothing",)]
    assert much.effect.high < -0.8
    assert float(much.best) < 0.1 < 0.9 < float(much.worst)
    assert 0.1 < little.effect.low < little.effect.mean < little.effect.high < 0.5
    assert nothing.effect.low < 0 < nothing.effect.high
    assert effects("quickest", "useful", found, results[:, None], 1) == told


def test_the_best_and_the_worst_of_many_values_are_not_told_apart_by_chance() -> None:
    """Of ten values that do nothing, the extremes differ: at most 5 % of intervals leave out zero."""
    chance = Streams(6, 0).generator("a test")
    key = Factor(("a",), tuple(map(str, range(10))), tuple(range(10)))
    lows = [
        effects("x", "useful", [key], chance.normal(size=(10, 10)), 1).effects[0].effect.low
        for _ in range(100)
    ]
    assert sum(low > 0.0 for low in lows) <= 8


def test_nothing_is_told_of_points_that_share_no_values() -> None:
    found = [
        Factor((name,), tuple(map(str, order)), (0, 1, 2, 3))
        for name, order in (("a", (1, 2, 3, 4)), ("b", (3, 1, 4, 2)))
    ]
    assert effects("x", "useful", found, np.arange(4.0)[:, None], 1) is None
