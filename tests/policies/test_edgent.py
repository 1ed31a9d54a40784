"""Exits that every request takes: held against each exit and cut, one by one."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from offload.entities import Facts, Observation, Plan
from offload.planning.validity import why_invalid
from offload.policies.edgent import Edgent
from tests import drawn, hand_made, slow


def ends(facts: Facts, seen: Observation) -> list[Plan]:
    """List every exit and cut, on the device and at most one server."""
    found = []
    for whole in slow.all_plans(facts):
        for number in (None, *range(len(whole.variant.exits) - 1)):
            plan = replace(whole, exit=number)
            one = plan.confidence is None and plan.codec is None and None in (plan.edge, plan.cloud)
            if one and why_invalid(facts, plan) is None and (plan.uplinks is None or seen.serving):
                found.append(plan)
    return found


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_better_exit_is_on_time_and_no_cut_of_it_quicker(data: Any) -> None:
    facts = data.draw(drawn.worlds(private=data.draw(st.booleans()), early=True))
    serving = data.draw(st.sampled_from(["cell", "cell", None]))
    seen = hand_made.seen(facts, serving, data.draw(drawn.WAITS), cell=data.draw(st.floats(1e3, 1e8)))
    every = [(slow.share_right(p), slow.prices(seen, p)[0], p) for p in ends(facts, seen)]
    deadline_s = data.draw(drawn.deadlines(latency_s for _, latency_s, _ in every))
    margin_s = data.draw(st.sampled_from([0.0, 0.01]))
    request = hand_made.request(deadline_s + margin_s, facts.input_bytes)
    plan = Edgent(margin_s).decide(request, seen)
    assert plan in [p for _, _, p in every]

    on_time = [each for each in every if each[1] <= deadline_s]
    latency_s, _ = slow.prices(seen, plan)
    if on_time:
        best = max(right for right, _, _ in on_time)
        assert slow.share_right(plan) == best
        assert latency_s == pytest.approx(min(s for right, s, _ in on_time if right == best), rel=1e-9)
    else:
        assert latency_s == pytest.approx(min(s for _, s, _ in every), rel=1e-9)


# One image in four is answered rightly at the first exit, two at the second, three at the end.
SURE = [255] * 4
RIGHT = [([1, 0, 0, 0], SURE), ([1, 1, 0, 0], SURE), ([1, 1, 1, 0], SURE)]


def street(**known: Any) -> tuple[Any, Observation]:
    """Return a network with three exits on a device beside a server ten times as quick."""
    net = hand_made.variant([4000, 3000, 500, 400, 5], exits=(1, 3, 4), **known)
    facts = hand_made.facts(
        {net: {"device": [0.01, 0.02, 0.03, 0.04], "edge": [0.001, 0.002, 0.003, 0.004]}},
        nodes=[hand_made.node("edge", "edge")],
        cells=[hand_made.cell()],
        input_bytes=4000.0,
    )
    return net, hand_made.seen(facts, cell=4e5)


@pytest.mark.parametrize("known", [{"answers": {(None, 0): hand_made.answers(*RIGHT)}}, {}])
@pytest.mark.parametrize(
    ("deadline_s", "cuts", "exit_"),
    [
        # To the end: 100 ms alone; or two layers, 500 B in 10 ms, 2 + 7 ms and 10 B back in 1 us: 49 ms.
        (0.2, (2, 4), None),
        (0.0491, (2, 4), None),
        # The second exit: 60 ms alone; or two layers and 45 ms. The first: 10 ms.
        (0.0489, (2, 4), 1),
        (0.0451, (2, 4), 1),
        (0.0449, (4, 4), 0),
        (0.01001, (4, 4), 0),
        (0.009, (4, 4), 0),
    ],
)
def test_exits_from_the_deepest_on(
    known: Any, deadline_s: float, cuts: tuple[int, int], exit_: int | None
) -> None:
    net, seen = street(**known)  # by accuracy where it was measured, by depth where it was not
    plan = Edgent().decide(hand_made.request(deadline_s), seen)
    way = ("edge", None, ("cell",)) if cuts[0] < net.last else (None, None, None)
    assert plan == Plan(net, *cuts, *way, exit=exit_)


def test_networks_without_measured_exits_come_after_those_that_are_known() -> None:
    known = hand_made.variant([10, 5], accuracy=0.1, model="known")
    unknown = hand_made.variant([10, 8, 5], exits=(1, 2), model="unknown")
    facts = hand_made.facts({unknown: {"device": [0.01, 0.01]}, known: {"device": [0.05]}})
    seen = hand_made.seen(facts, None)
    decide = Edgent().decide
    assert decide(hand_made.request(0.06), seen) == Plan(known, 1, 1)
    assert decide(hand_made.request(0.03), seen) == Plan(unknown, 2, 2)
    assert decide(hand_made.request(0.015), seen) == Plan(unknown, 2, 2, exit=0)


def test_who_can_do_nothing_alone_waits_for_the_nearest_cell_with_exits_too() -> None:
    net = hand_made.variant(
        [4000, 500, 5], exits=(1, 2), answers={(None, 0): hand_made.answers(*RIGHT[1:])}
    )
    facts = hand_made.facts(
        {net: {"edge": [0.01, 0.05]}}, nodes=[hand_made.node("edge", "edge")], cells=[hand_made.cell()]
    )
    # 4 kB at 8 Mbit/s take 4 ms, there and back 2 ms more: 66 ms to the end, 16 ms to the first exit.
    for deadline_s, exit_ in ((0.067, None), (0.065, 0)):
        plan = Edgent().decide(hand_made.request(deadline_s), hand_made.seen(facts, None))
        assert plan == Plan(net, 0, 2, "edge", None, ("cell",), exit=exit_)
