"""Who leaves early and who is right then, image by image."""

import pytest
from msgspec.structs import replace

from offload.entities import Plan
from offload.planning import exits
from tests import hand_made

# Four images: the first is easy, the last is never sure.
RAW = hand_made.answers(
    ([1, 0, 0, 0], [255, 204, 102, 0]),
    ([1, 1, 0, 0], [255, 255, 204, 0]),
    ([1, 1, 1, 0], [255, 255, 255, 0]),
)
ZIP = hand_made.answers(
    ([1, 0, 0, 0], [0, 0, 0, 0]), ([0, 0, 0, 0], [0, 0, 0, 0]), ([0, 0, 1, 1], [255] * 4)
)
NET = hand_made.variant(
    [100, 50, 40, 30, 20, 5],
    accuracy=0.75,
    exits=(1, 3, 5),
    answers={(None, 0): RAW, ("zip", 2): ZIP},
    codecs={("zip", 2): hand_made.coded(9.0)},
)
LOCAL = Plan(NET, 5, 5)
SPLIT = Plan(NET, 2, 4, "edge", "cloud", ("cell",))


@pytest.mark.parametrize(
    ("plan", "taken", "right"),
    [
        (replace(LOCAL, confidence=1.0), [0, 1, 2, 2], 3 / 4),
        (replace(LOCAL, confidence=0.9), [0, 1, 2, 2], 3 / 4),
        (replace(LOCAL, confidence=0.8), [0, 0, 1, 2], 1 / 4),  # 204 of 255 is exactly 0.8
        (replace(LOCAL, confidence=0.0), [0, 0, 0, 0], 1 / 4),
        (replace(LOCAL, confidence=0.9, exit=1), [0, 1, 1, 1], 2 / 4),
        (replace(LOCAL, confidence=0.9, exit=0), [0, 0, 0, 0], 1 / 4),
        (replace(SPLIT, confidence=0.9), [0, 1, 2, 2], 3 / 4),
        (replace(SPLIT, confidence=0.9, codec="zip"), [2, 2, 2, 2], 2 / 4),
        (replace(SPLIT, confidence=0.0, codec="zip"), [0, 0, 0, 0], 1 / 4),
    ],
)
def test_each_image_leaves_where_the_network_is_first_sure_enough(
    plan: Plan, taken: list[int], right: float
) -> None:
    assert list(exits.exits_taken(plan)) == taken
    assert [exits.exit_taken(plan, (image + 0.5) / 4) for image in range(4)] == taken
    assert exits.accuracy(plan) == right
    shares = {plan.exit: share for share, plan in exits.branches(plan)}
    assert shares == {number: taken.count(number) / 4 for number in set(taken)}


def test_without_a_confidence_nobody_leaves_early() -> None:
    assert exits.branches(SPLIT) == ((1.0, SPLIT),)
    assert exits.accuracy(LOCAL) == 3 / 4
    assert exits.accuracy(replace(LOCAL, exit=1)) == 2 / 4
    assert exits.accuracy(replace(SPLIT, codec="zip")) == 2 / 4
    assert exits.exit_taken(LOCAL, 0.9) is None


def test_what_has_left_asks_nothing_of_who_lies_beyond() -> None:
    here, there, end = (exits.leaving(replace(SPLIT, confidence=0.9), number) for number in range(3))
    assert (here.edge, here.cloud, here.uplinks, here.confidence) == (None, None, None, None)
    assert (there.edge, there.cloud, there.uplinks) == ("edge", None, ("cell",))
    assert (end.edge, end.cloud, end.uplinks) == ("edge", "cloud", ("cell",))
    assert [plan.end for plan in (here, there, end)] == [1, 3, 5]
    assert [plan.split for plan in (here, there, end)] == [False, True, True]


def test_published_accuracy_is_that_of_raw_values_at_the_end() -> None:
    net = hand_made.variant(
        [9, 5, 1], accuracy=0.6, exits=(1, 2), codecs={("zip", 0): hand_made.coded(1)}
    )
    plan = Plan(net, 0, 2, "edge", None, ("cell",))
    assert exits.accuracy(plan) == 0.6
    assert exits.accuracy(replace(plan, codec="zip")) is None
    assert exits.accuracy(replace(plan, exit=0)) is None
    assert exits.accuracy(replace(plan, variant=hand_made.variant([9, 5, 1]))) is None
    with pytest.raises(KeyError):
        exits.exits_taken(replace(plan, confidence=0.5))
