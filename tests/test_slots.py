"""Policies that answer several questions at once: all of a slot's, asked at its end."""

from collections.abc import Sequence
from math import ceil
from types import SimpleNamespace

import pytest

from offload import load
from offload.entities import Observation, Plan, Question, Request
from offload.planning.price import price
from offload.policies.table import choose
from offload.simulation.answering import PolicyError
from offload.simulation.asking import Desk
from offload.simulation.check import check_policy
from offload.simulation.run import Run, drive, run
from offload.simulation.world import World
from offload.streams import Streams
from tests.hand_made import ROOT

SMALL = ROOT / "tests" / "small.toml"


class Together:
    """The quickest plan for each (in one place), remembering who was asked with whom."""

    slot = 0.03

    def __init__(self, place: str | None = None) -> None:
        self.place = place
        self.asked: list[list[tuple[float, Request]]] = []

    def decide(self, request: Request, seen: Observation) -> Plan:
        raise AssertionError

    def decide_all(self, questions: Sequence[Question]) -> Sequence[Plan]:
        self.asked.append([(q.seen.now_s, q.request) for q in questions])
        prices = [price(q.request, q.seen) for q in questions]
        return [each.least(each.latency_s, each.at.get(self.place)) for each in prices]


def play(policy: Together, slot_s: float, *settings: str) -> World:
    scenario = load(SMALL, ["devices.car.count=30", *settings])
    world = World(scenario.setting(0.0), Streams(3, 0), slot_s=slot_s)
    drive(world, policy, choose({"name": "local"}))
    return world


def test_questions_wait_for_the_end_of_their_slot() -> None:
    policy = Together()
    world = play(policy, policy.slot)
    outcomes = {each.request.id: each for each in world.outcomes}
    assert max(map(len, policy.asked)) > 3
    assert sum(map(len, policy.asked)) == len(outcomes)
    for together in policy.asked:
        (now_s,) = {now_s for now_s, _ in together}
        assert now_s / policy.slot == pytest.approx(round(now_s / policy.slot), abs=1e-9)
        for _, request in together:
            assert now_s - policy.slot < request.born_s <= now_s + 1e-12
            assert request.deadline_s == pytest.approx(request.born_s + 0.1 - now_s)
            waited_s = outcomes[request.id].decide_s
            assert waited_s == pytest.approx(now_s - request.born_s, abs=1e-12)
            assert waited_s == pytest.approx(
                ceil(request.born_s / policy.slot) * policy.slot - request.born_s, abs=1e-9
            )


@pytest.mark.parametrize("born_s", [0.035, 0.07, 0.105, 0.14])
def test_who_is_born_as_a_slot_ends_is_asked_at_once(born_s: float) -> None:
    # 0.07 / 0.005 is 14.000000000000002.
    clock = SimpleNamespace(now=born_s, at=lambda time_s, _: asked.append(time_s))
    asked: list[float] = []
    Desk(clock, None, {}, 0.005).ask(None)
    assert asked == [pytest.approx(born_s, abs=1e-9)]


def test_legs_still_sum_to_the_latency_and_births_are_the_same() -> None:
    slotted, at_once = play(Together(), 0.03), play(Together(), 0.0)
    for outcome in slotted.outcomes:
        legs = [getattr(outcome, f"{leg}_s") for leg in
                ("decide", "device", "uplink", "edge", "wan", "cloud", "downlink")]  # fmt: skip
        assert sum(legs) == pytest.approx(outcome.ended_s - outcome.request.born_s, abs=1e-9)
    births = [sorted((o.request.id, o.request.born_s) for o in world.outcomes)
              for world in (slotted, at_once)]  # fmt: skip
    assert births[0] == births[1]


def test_who_leaves_while_waiting_is_not_asked_about() -> None:
    policy = Together()
    moving = 'devices.car.mobility={ model = "highway", length = "400 m", lanes = ["20 m/s"] }'
    world = play(policy, 1.7, moving)
    left = {each.request.id for each in world.outcomes if each.cause == "left" and each.plan is None}
    assert left
    asked = {request.id for together in policy.asked for _, request in together}
    assert not asked & left
    assert asked | left == {each.request.id for each in world.outcomes}


def test_retries_wait_for_a_slot_too() -> None:
    policy = Together("cabinet")
    retries = ["retries=2", 'retry_after="7 ms"']
    world = play(
        policy, policy.slot, "nodes.cabinet.queue_limit=1", 'links.cell.up="2 Gbit/s"',
        *(f"devices.car.tasks.objects.{each}" for each in retries),
    )  # fmt: skip
    again = [each for each in world.outcomes if each.attempts > 1]
    assert again
    assert sum(map(len, policy.asked)) == sum(each.attempts for each in world.outcomes)
    for together in policy.asked:
        assert len({now_s for now_s, _ in together}) == 1


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.syspath_prepend(str(ROOT / "tests"))
    return "test_slots:Together"


def test_a_policy_says_how_long_its_slot_is(named: str) -> None:
    def rows(slot_s: float | None) -> Run:
        scenario = load(SMALL)
        choice = choose({"name": named})
        if slot_s is None:
            return run(scenario, choice, 3, 0)
        return run(scenario, choose({"name": "quickest"}), 3, 0)

    assert max(each.decide_s for each in rows(None).outcomes) > 0.02
    assert max(each.decide_s for each in rows(0.0).outcomes) == 0.0


def test_it_may_be_tried_like_any_other() -> None:
    assert check_policy(Together) == []


def test_who_answers_another_number_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Together, "decide_all", lambda self, questions: [])
    with pytest.raises(PolicyError, match=r"0 plans for \d+ questions, for request \d+ .*variants: net"):
        play(Together(), 0.05)
