"""Who leaves early and who is right then, image by image."""

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from offload.entities import Plan
from offload.planning import exits
from offload.planning.price import unloaded
from offload.planning.validity import why_invalid
from tests import drawn, hand_made, slow

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


def test_shortened_plans_end_at_each_exit_that_lies_ahead() -> None:
    assert exits.shortened([LOCAL]) == [LOCAL, replace(LOCAL, exit=1), replace(LOCAL, exit=0)]
    assert exits.shortened([SPLIT]) == [SPLIT, replace(SPLIT, exit=1)]  # the first lies before its cut
    plain = Plan(hand_made.variant([9, 5, 1]), 2, 2)
    assert exits.shortened([plain, LOCAL])[:2] == [plain, LOCAL]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_shortened_plans_can_be_carried_out_and_are_all_there_are(data: Any) -> None:
    facts = data.draw(drawn.worlds(early=True))
    whole = [plan for plan in slow.all_plans(facts) if None in (plan.edge, plan.cloud)]
    ends = [
        replace(plan, exit=number) for plan in whole for number in range(len(plan.variant.exits) - 1)
    ]
    valid = {plan for plan in ends if why_invalid(facts, plan) is None}
    found = exits.shortened(whole)
    assert set(found) == valid | set(whole)
    assert len(set(found)) == len(found)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_the_mean_is_that_of_branchynet(data: Any) -> None:
    """Sum over exits n of P(a request comes so far) x the seconds from exit n - 1 to n.

    Teerapittayanon, McDanel and Kung, ICPR 2016; theirs leave by entropy, ours by the largest
    probability, which changes who leaves and not the identity.
    """
    facts = data.draw(drawn.worlds(early=True))
    plans = [p for p in slow.all_plans(facts) if p.confidence is not None and p.cloud is None]
    assume(plans)
    plan = data.draw(st.sampled_from(plans))
    net, cell, place = plan.variant, facts.cells["cell"], facts.profiles
    known = net.answers[None, 0]
    begin, mean_s, still = 0, 0.0, list(range(known.images))
    for exit_, end in enumerate(net.exits):
        here = min(max(plan.device_cut, begin), end)
        seconds = place["device"][net].seconds(begin, here)
        if end > here:
            seconds += place["edge"][net].seconds(here, end)
        if begin <= plan.device_cut < end:  # the first exit beyond the cut: there and back
            sent_bytes = (
                net.cuts[plan.device_cut].payload_bytes if plan.device_cut else facts.input_bytes
            )
            seconds += cell.toll.seconds(sent_bytes, 8 / cell.up_bps)
            seconds += cell.toll.seconds(facts.result_bytes[net], 8 / cell.down_bps)
            seconds += 2 * cell.delay_s
        mean_s += len(still) / known.images * seconds
        still = [image for image in still if known.confidence[exit_][image] < 255 * plan.confidence]
        begin = end
    assert unloaded(facts, "cell", [plan]).latency_s[0] == pytest.approx(mean_s, rel=1e-9)
