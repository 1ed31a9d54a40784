"""Named streams: the same numbers for the same name, whoever else asks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.streams import Streams

GOLDEN = (
    [0.6653062099363101, 0.991761815725136, 0.9004831285414018],
    [0.9918098685573743, 0.4121752608771606, 0.13667797728656972],
    [915, 178, 252],
)

NAMES = st.lists(st.text(max_size=8), min_size=1, max_size=3).map(tuple)


@given(st.lists(NAMES, min_size=1, max_size=6, unique=True), st.randoms(use_true_random=False))
def test_order_of_asking_does_not_matter(names: list[tuple[str, ...]], shuffler: object) -> None:
    one, other = Streams(3, 1), Streams(3, 1)
    first = {name: one.generator(*name).random(4).tolist() for name in names}
    shuffled = list(names)
    shuffler.shuffle(shuffled)
    for name in shuffled:
        other.generator("between", *name).random(100)  # somebody else draws in between
        assert other.generator(*name).random(4).tolist() == first[name]


def test_a_stream_begins_anew_each_time() -> None:
    streams = Streams(3, 1)
    assert streams.generator("a").random() == streams.generator("a").random()


def test_first_numbers_are_what_they_always_were() -> None:
    # Golden: all published results change if these do.
    assert Streams(7, 0).generator("births", "car-0").random(3).tolist() == GOLDEN[0]
    assert Streams(7, 1).generator("births", "car-0").random(3).tolist() == GOLDEN[1]
    assert Streams(2**62, 0).generator("fate").integers(0, 1000, 3).tolist() == GOLDEN[2]


@pytest.mark.parametrize(
    "other",
    [
        Streams(8, 0).generator("births", "car-0"),
        Streams(7, 1).generator("births", "car-0"),
        Streams(7, 0).generator("births", "car-1"),
        Streams(7, 0).generator("fate", "car-0"),
        Streams(7, 0).generator("birthscar-0"),
        Streams(7, 0).generator("births"),
        Streams(7, 0).generator("births", "car-0", ""),
    ],
    ids=["seed", "replication", "entity", "purpose", "joined", "shorter", "longer"],
)
def test_any_other_seed_replication_or_name_differs(other: np.random.Generator) -> None:
    mine = Streams(7, 0).generator("births", "car-0")
    mine, theirs = mine.random(1000), other.random(1000)
    assert not np.isin(theirs, mine).any()
    # Four standard errors of the correlation of independent numbers.
    assert abs(np.corrcoef(mine, theirs)[0, 1]) < 4 / np.sqrt(1000)


def test_many_streams_are_uniform_together() -> None:
    firsts = np.array([Streams(1, r).generator("fate", f"car-{d}").random() for r in range(20)
                       for d in range(50)])  # fmt: skip
    counts, _ = np.histogram(firsts, 10, (0, 1))
    # The 99.9 % point of chi-square with nine degrees of freedom is 27.9.
    assert ((counts - 100) ** 2 / 100).sum() < 27.9
