"""What the nouns compute: seconds between cuts and batch sizes, and what counts as split."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.entities import Plan
from offload.networks import Cut, Profile, Variant
from tests import hand_made

NET = hand_made.variant([100, 80, 60, 40])


def costing(**by_batch: tuple[float, ...]) -> Profile:
    """Return a profile with seconds a layer by batch size, named b1, b2 and so on."""
    layers_s = {int(name[1:]): seconds for name, seconds in by_batch.items()}
    return Profile(NET, "box", "assumed", "a test", layers_s)


def test_layers_between_two_cuts_are_summed() -> None:
    cost = costing(b1=(1.0, 2.0, 4.0))
    for first, last in itertools.combinations_with_replacement(range(4), 2):
        assert cost.seconds(first, last) == sum((1.0, 2.0, 4.0)[first:last])


def test_a_cut_counts_layers_not_cuts() -> None:
    # Where a bare number would cross there is no cut, so cuts and layers are not one to one.
    holed = Variant(
        "net", "fp32", "fp32", "", (), NET.layers, (Cut(0, 9, 1), Cut(2, 9, 1), Cut(3, 1, 1))
    )
    cost = Profile(holed, "box", "assumed", "a test", {1: (1.0, 2.0, 4.0)})
    assert (cost.seconds(0, 1), cost.seconds(1, 2), cost.seconds(0, 2)) == (3.0, 4.0, 7.0)


def test_measured_batch_sizes_are_taken_as_they_are() -> None:
    cost = costing(b1=(1.0, 2.0, 4.0), b4=(2.0, 3.0, 5.0), b8=(9.0, 9.0, 9.0))
    assert [cost.seconds(0, 3, batch) for batch in (1, 4, 8)] == [7.0, 10.0, 27.0]


def test_between_measured_sizes_it_interpolates() -> None:
    cost = costing(b1=(1.0, 2.0, 4.0), b4=(2.0, 3.0, 5.0), b8=(9.0, 9.0, 9.0))
    assert cost.seconds(0, 3, 2) == pytest.approx(7 + 3 * 1 / 3)
    assert cost.seconds(0, 3, 6) == pytest.approx(10 + 17 * 2 / 4)
    assert cost.seconds(1, 2, 2.5) == pytest.approx(2 + 1 * 1.5 / 3)


def test_beyond_the_largest_it_extends_the_last_slope() -> None:
    cost = costing(b1=(1.0, 2.0, 4.0), b4=(2.0, 3.0, 5.0), b8=(9.0, 9.0, 9.0))
    assert cost.seconds(0, 3, 12) == pytest.approx(27 + 17 * 4 / 4)


def test_below_the_smallest_it_takes_the_smallest() -> None:
    cost = costing(b4=(2.0, 3.0, 5.0), b8=(9.0, 9.0, 9.0))
    assert cost.seconds(0, 3, 1) == 10.0


def test_from_a_single_size_a_batch_is_that_many_runs() -> None:
    assert costing(b1=(1.0, 2.0, 4.0)).seconds(0, 3, 3) == 21.0
    assert costing(b4=(1.0, 2.0, 4.0)).seconds(0, 3, 8) == 14.0
    assert costing(b4=(1.0, 2.0, 4.0)).seconds(0, 3, 2) == 7.0


@given(
    st.dictionaries(st.integers(1, 32), st.tuples(*[st.floats(1e-6, 1.0)] * 3), min_size=1, max_size=5),
    st.floats(1, 64),
)
def test_seconds_add_up_over_cuts_at_any_batch(
    by_batch: dict[int, tuple[float, ...]], batch: float
) -> None:
    cost = Profile(NET, "box", "assumed", "a test", by_batch)
    parts = [cost.seconds(cut, cut + 1, batch) for cut in range(3)]
    assert sum(parts) == pytest.approx(cost.seconds(0, 3, batch), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("device_cut", "edge_cut", "split"),
    [
        (3, 3, False),  # local
        (0, 3, False),  # edge
        (0, 0, False),  # cloud
        (1, 1, True),  # device and cloud
        (2, 3, True),  # device and edge
        (0, 2, True),  # edge and cloud
        (1, 2, True),  # all three
    ],
)
def test_a_plan_is_split_if_more_than_one_place_computes(
    device_cut: int, edge_cut: int, split: bool
) -> None:
    assert Plan(NET, device_cut, edge_cut).split is split


def test_label_and_last_cut() -> None:
    assert (NET.label, NET.last) == ("net:fp32", 3)
