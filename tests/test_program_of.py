"""A network as a program against the prices of its plans."""

import dataclasses
import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from offload.algorithms.program import solve, value
from offload.entities import Facts, Observation, Plan, Report, Wire
from offload.overheads import FREE, Toll
from offload.planning.columns import tabulate
from offload.planning.price import price, price_at
from offload.planning.program_of import State, program_of
from tests import hand_made

NET = hand_made.variant([4000, 2000, 6000, 500, 5])
LAST = NET.last


def town(toll: Toll = FREE, *, private: bool = False) -> Facts:
    """Return a device beside an edge node that is quicker, and a cloud that is quicker again."""
    return hand_made.facts(
        {NET: {"device": [0.02, 0.01, 0.03, 0.01], "edge": [0.002] * 4, "cloud": [0.001] * 4}},
        nodes=[
            hand_made.node("edge", "edge", batch_max=4, batch_wait_s=0.002),
            hand_made.node("cloud", "cloud"),
        ],
        cells=[dataclasses.replace(hand_made.cell(), toll=toll)],
        wires=[
            Wire("wan", ("edge", "cloud"), 1e9, 0.02, 0.001, loss=0.1, timeout_s=0.01, toll=toll)
        ],
        private=private,
        most_input_bytes=4000.0,
    )  # fmt: skip


FACTS, TOLLED = town(), town(Toll(2e-6, 300.0, 0.2))


def plans(node: str) -> list[Plan]:
    """Return the plan that leaves for a node at each cut; the last stays."""
    if node == "edge":
        away = [Plan(NET, cut, LAST, "edge", None, ("cell",)) for cut in range(LAST)]
    else:
        away = [Plan(NET, cut, cut, None, "cloud", ("cell",)) for cut in range(LAST)]
    return [*away, Plan(NET, LAST, LAST)]


def placed(cut: int) -> list[bool]:
    """Return the placement of a plan that leaves at a cut."""
    return [False, *(layer >= cut for layer in range(LAST)), False]


@pytest.mark.parametrize("facts", [FACTS, TOLLED], ids=["free", "tolled"])
@given(st.floats(1e5, 1e8), st.floats(100, 9000), st.sampled_from(["edge", "cloud"]))
def test_a_placement_takes_and_saves_what_its_plan_does(
    facts: Facts, rate: float, size: float, node: str
) -> None:
    seen = hand_made.seen(facts, cell=rate)
    program = program_of(State.of(seen, "cell", 1.0, size), NET, node)
    prices = price_at(seen, tabulate(facts, plans(node)), size)
    for cut, plan in enumerate(plans(node)):
        row = prices.plans.index(plan)
        mine = value(program, placed(cut))
        assert mine.latency_s == pytest.approx(prices.latency_s[row])
        assert sum(program.here_j) - mine.saved_j == pytest.approx(prices.energy_j[row])


@given(st.floats(1e5, 1e8), st.floats(0, 0.2), st.floats(0, 9000))
def test_with_backlogs_it_never_promises_too_much(rate: float, wait_s: float, queued: float) -> None:
    seen = hand_made.seen(FACTS, "cell", 0.0, {"edge": Report(0.0, wait_s, {}, {})}, cell=rate)
    uplink = hand_made.Uplink("cell", True, rate, 8e7, queued)
    seen = Observation(0.0, 0.0, "cell", {"cell": uplink}, seen.reports, FACTS)
    program = program_of(State.of(seen, "cell", 1.0, 1000.0), NET, "edge")
    prices = price_at(seen, tabulate(FACTS, plans("edge")))
    for cut, latency_s in enumerate(prices.latency_s[:LAST]):
        mine = value(program, placed(cut)).latency_s
        assert mine >= latency_s - 1e-9
        if cut == 0:  # nothing else takes time before
            assert mine == pytest.approx(latency_s)


@settings(deadline=None, max_examples=30)
@given(st.floats(1e5, 1e8), st.floats(0.01, 0.2), st.booleans())
@example(5e5, 0.068, False)  # only the first cut is on time: at once or at home it takes 76 or 70 ms
def test_the_program_finds_the_most_frugal_cut_in_time(
    rate: float, limit_s: float, private: bool
) -> None:
    facts = town(private=private)
    seen = hand_made.seen(facts, cell=rate)
    program = program_of(State.of(seen, "cell", limit_s, 4000.0), NET, "edge")
    found = solve(program, limit_s)
    prices = price(hand_made.request(limit_s), seen)
    frugal_j = [
        energy_j
        for plan, energy_j, latency_s in zip(
            prices.plans, prices.energy_j, prices.latency_s, strict=True
        )
        if plan.cloud is None and latency_s <= limit_s
    ]
    if found is None:
        assert not frugal_j
    else:
        assert sum(program.here_j) - found.saved_j == pytest.approx(min(frugal_j))
        assert not private or not found.there[1]


def test_what_may_come_back_may_save_more() -> None:
    # The first and the last layers are heavy, and between them lies a private one.
    layers_s = [0.05, 0.001, 0.05, 0.001]
    facts = hand_made.facts(
        {NET: {"device": layers_s, "edge": [0.001, 1.0, 0.001, 1.0]}},
        nodes=[hand_made.node("edge", "edge")], cells=[hand_made.cell()], radio=None,
    )  # fmt: skip
    state = State.of(hand_made.seen(facts), "cell", 0.3, 1000.0)
    forward, free = (
        solve(program_of(state, NET, "edge", onward=onward), 0.3) for onward in (True, False)
    )
    assert forward is not None
    assert free is not None
    assert free.there == (False, True, False, True, False, False)
    assert forward.saved_j < free.saved_j
    assert math.isclose(free.saved_j, 2 * 0.1)  # at 2 W
