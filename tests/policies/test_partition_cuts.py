"""What dads, qdmp and jointdnn choose."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import offload
from offload.entities import Facts, OffloadError, Plan, Request
from offload.networks import Variant
from offload.planning.division import divide
from offload.planning.validity import why_invalid
from offload.policies import table
from offload.policies.dads import Dads
from offload.policies.jointdnn import JointDnn
from offload.policies.qdmp import Qdmp
from offload.scenario.load import load
from tests import drawn, hand_made

POLICIES = (Dads, Qdmp, JointDnn)
SHIPPED = [facts for path in hand_made.SHIPPED for facts in load(path).setting(0.002).facts]


@pytest.mark.parametrize("made", POLICIES)
def test_they_keep_to_the_protocol(made: Any) -> None:
    assert offload.check_policy(made) == []
    assert table.load(made.__name__.lower()) is made


@pytest.mark.parametrize("made", POLICIES)
def test_they_answer_every_question_of_the_shipped_scenarios(made: Any) -> None:
    for facts in SHIPPED:
        for private in (False, True):
            asked = dataclasses.replace(facts, private=private)
            for serving in (None, *facts.cells):
                rates = dict.fromkeys(facts.cells, 3e6)
                plan = made().decide(hand_made.request(), hand_made.seen(asked, serving, **rates))
                assert why_invalid(asked, plan) is None


@pytest.mark.parametrize("made", POLICIES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_on_chains_they_are_the_quickest_that_divides_once(made: Any, data: Any) -> None:
    facts, rate_bps = (
        data.draw(drawn.worlds(private=data.draw(st.booleans()))),
        data.draw(st.floats(1e4, 1e9)),
    )
    plan = made(step=0.0).decide(hand_made.request(), hand_made.seen(facts, cell=rate_bps))
    found = divide(facts, "cell", rate_bps)
    row = found.plans.index(plan)
    assert found.latency_s[row] == pytest.approx(found.latency_s.min(), rel=1e-9)


@pytest.mark.parametrize("made", POLICIES)
def test_on_the_shipped_networks_they_are_the_quickest_listed_cut(made: Any) -> None:
    cuts = set()
    for facts in SHIPPED:
        for serving in facts.cells:
            for rate_bps in (1e5, 1e6, 1e7, 1e8):
                seen = hand_made.seen(facts, serving, **{serving: rate_bps})
                plan = made(step=0.0).decide(born(0.0), seen)
                division = divide(facts, serving, rate_bps)
                assert plan == division.quickest
                cuts.add((plan.device_cut > 0, plan.uplinks is None))
    assert len(cuts) == 3  # at once, in between and not at all


NET = hand_made.variant([2000, 1200, 10], accuracy=0.9)
EDGED = dataclasses.replace(
    NET,
    layers=tuple(
        dataclasses.replace(each, takes=(number,), output_bytes=(1200, 10)[number])
        for number, each in enumerate(NET.layers)
    ),
)


@pytest.mark.parametrize(
    ("made", "solver", "answer"),
    [
        (Qdmp, "offload.policies.qdmp.reduced", frozenset({1})),
        (Dads, "offload.policies.dads.light", frozenset({1})),
        (JointDnn, "offload.policies.jointdnn.shortest", (0.2, (False, True))),
    ],
)
def test_they_carry_out_what_their_solvers_find(
    made: Any, solver: str, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = hand_made.seen(town(EDGED), cell=8e4)
    assert made(step=0.0).decide(born(0.0), seen).device_cut == 0
    monkeypatch.setattr(solver, lambda *_: answer)  # not the best
    seen = hand_made.seen(town(EDGED), cell=8e4)
    assert made(step=0.0).decide(born(0.0), seen).device_cut == 1


def town(net: Variant = NET) -> Facts:
    """Return a device and an edge server; at 80 kbit/s a byte takes 0.1 ms.

    The frame sent, the stages take 0, 200 and 25 ms; behind a layer 120, 120 and 5 ms; else 520 ms.
    """
    return hand_made.facts(
        {net: {"device": [0.12, 0.4], "edge": [0.02, 0.005]}},
        nodes=[hand_made.node("edge", "edge")],
        cells=[hand_made.cell()],
        input_bytes=2000.0,
        deadline_s=9.0,
    )


def born(at_s: float, device: str = "car-0") -> Request:
    """Return a request that is born then."""
    return replace(hand_made.request(), born_s=at_s, device=device)


@pytest.mark.parametrize(("period_s", "cut"), [(0.3, 0), (0.21, 0), (0.19, 1), (0.1, 1)])
def test_dads_balances_the_stages_where_frames_come_too_quickly(period_s: float, cut: int) -> None:
    seen = hand_made.seen(town(), cell=8e4)
    for policy in (Dads(step=0.0), Dads(period=period_s, step=0.0)):
        policy.decide(born(1.0), seen)
        assert policy.decide(born(1.0 + period_s), seen).device_cut == cut
    assert Dads(step=0.0).decide(born(1.0), seen).device_cut == 0  # nobody knows how often yet


def test_dads_counts_the_requests_of_each_device() -> None:
    seen, policy = hand_made.seen(town(), cell=8e4), Dads(step=0.0)
    for number in range(4):  # 400 ms apart, two devices in turns
        for device in ("car-0", "car-1"):
            assert policy.decide(born(0.4 * number, device), seen).device_cut == 0
    # More come at once: a mean of 300, 240 and 200 ms, then of 171 ms.
    cuts = [policy.decide(born(1.2), seen).device_cut for _ in range(4)]
    assert (cuts[0], cuts[1], cuts[3]) == (0, 0, 1)
    assert policy.decide(born(1.6, "car-1"), seen).device_cut == 0


@pytest.mark.parametrize("made", POLICIES)
def test_a_plan_holds_while_the_rate_stays_in_its_step(made: Any) -> None:
    facts = town()
    policy = made(step=0.1)
    near = [8e4 * (1 + 0.001 * each) for each in range(5)]
    before = divide.cache_info().misses
    plans = {
        policy.decide(born(9.0 * i), hand_made.seen(facts, cell=rate)) for i, rate in enumerate(near)
    }
    assert divide.cache_info().misses == before + 1
    assert len(plans) == 1
    policy.decide(born(99.0), hand_made.seen(facts, cell=1.2 * 8e4))
    assert divide.cache_info().misses == before + 2


@pytest.mark.parametrize("made", POLICIES)
def test_what_has_begun_goes_on_as_it_was_sent(made: Any) -> None:
    begun = Plan(NET, 1, 2, "edge", None, ("cell",))
    seen = replace(hand_made.seen(town(), cell=8e4), begun=begun)
    assert made().decide(born(0.0), seen) is begun


@pytest.mark.parametrize("made", POLICIES)
def test_out_of_range_the_device_runs_what_it_can(made: Any) -> None:
    seen = hand_made.seen(town(), serving=None)
    assert made().decide(born(0.0), seen) == Plan(NET, 2, 2)
    alone = hand_made.facts(
        {NET: {"edge": [0.02, 0.005]}},
        nodes=[hand_made.node("edge", "edge")],
        cells=[hand_made.cell()],
    )
    waits = made().decide(born(0.0), hand_made.seen(alone, serving=None))
    assert waits == Plan(NET, 0, 2, "edge", None, ("cell",))
    with pytest.raises(OffloadError, match="no plan of variant int8"):
        made(variant="int8").decide(born(0.0), seen)


def test_jointdnn_leaves_once_where_the_path_comes_back() -> None:
    # The middle is quick at the edge, the ends on the device; there and back takes 2 x 0.1 s.
    net = hand_made.variant([9000, 1000, 1000, 9000])
    facts = hand_made.facts(
        {net: {"device": [0.1, 0.6, 0.1], "edge": [0.1, 0.1, 0.1]}},
        nodes=[hand_made.node("edge", "edge")],
        cells=[hand_made.cell(down_bps=8e4)],
        input_bytes=9000.0,
        result_bytes={net: 9000.0},
        deadline_s=9.0,
    )
    seen = hand_made.seen(facts, cell=8e4)
    # Back after the middle it would take 0.5 s; once away 1.2 s and more; on the device 0.8 s.
    assert JointDnn(step=0.0).decide(born(0.0), seen) == Plan(net, 3, 3)
    small = dataclasses.replace(facts, result_bytes={net: 900.0})
    plan = JointDnn(step=0.0).decide(born(0.0), hand_made.seen(small, cell=8e4))
    assert plan == Plan(net, 1, 3, "edge", None, ("cell",))
