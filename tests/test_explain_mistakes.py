"""Decisions seen with the truth: what each mistake is, by hand, and that the truth is the truth."""

import math
from types import SimpleNamespace

import polars as pl
import pytest

from offload.analysis.explaining.mistakes import (
    HOPELESS,
    NOT_ASKED,
    OVERTAKEN,
    PREFERENCE,
    STALE,
    Look,
    Witness,
    judge,
)  # fmt: skip
from offload.analysis.explaining.study import decisions
from offload.analysis.result import simulate, simulate_in_chunks
from offload.policies.table import choose
from offload.scenario.load import load
from offload.streams import Streams
from tests.hand_made import ROOT

SMALL = ROOT / "tests" / "small.toml"


def watched(scenario, choice, witness):
    """Return the rows of a run that somebody looks on at."""
    frames: list[pl.DataFrame] = []
    simulate_in_chunks(scenario, choice, 3, 0, frames.append, witness)
    return pl.concat(frames)


def look(plan_s, best_s, shown_s, *, left_s=0.1, swayed=True):
    return Look(left_s, "chosen", plan_s, "best", best_s, "shown", shown_s, swayed)


GOOD, POOR, IDLE = look(0.09, 0.05, 0.05), look(0.2, 0.05, 0.05), look(0.2, 0.05, 0.3)
LOST = look(math.inf, 0.15, 0.15)


@pytest.mark.parametrize(
    ("looks", "mistake"),
    [
        ([LOST], HOPELESS),
        ([POOR], STALE),
        ([IDLE], PREFERENCE),
        ([look(0.2, 0.05, 0.05, swayed=False)], PREFERENCE),  # it chose so by chance, or in its turn
        ([GOOD], OVERTAKEN),
        ([look(0.1, 0.1, 0.1)], OVERTAKEN),  # to the moment
        ([], NOT_ASKED),
        ([GOOD, LOST], OVERTAKEN),  # on time until something failed
        ([GOOD, POOR], STALE),
        ([POOR, LOST], STALE),
        ([LOST, POOR], HOPELESS),
        ([GOOD, GOOD, IDLE], PREFERENCE),
    ],
)
def test_every_request_has_one_mistake(looks: list[Look], mistake: str) -> None:
    assert judge(looks) == mistake


def test_a_stage_must_leave_time_for_those_after_it() -> None:
    """What it leaves them is 10 ms, and they take 30 ms at the least: nobody overtook it."""
    witness = SimpleNamespace(looks={1: [GOOD], 2: [look(0.05, 0.05, 0.05, left_s=0.01)]})
    found = decisions([{"request": 1}, {"request": 2}], [0.04, 0.03], witness)
    assert [each.left_s for each in found] == pytest.approx([0.07, 0.01])
    assert judge(found) == STALE
    assert judge(decisions([{"request": 1}, {"request": 2}], [0.04, 0.01], witness)) == OVERTAKEN
    assert decisions([{"request": 1}], [0.04], None) == ()


def test_what_only_a_node_is_asked_is_no_question_to_the_others() -> None:
    choice = choose({"name": "quickest"})
    witness = Witness(choice, Streams(3, 0), frozenset({1}), frozenset({1}))
    witness.others = [SimpleNamespace(learn=print)]
    witness.answers = [lambda questions: [][len(questions) - 1]]  # who decides jointly of nothing
    witness(None, [SimpleNamespace(seen=SimpleNamespace(begun="a plan"))], ["a plan"])
    assert not witness.looks


def test_the_truth_about_who_is_alone_is_what_happens() -> None:
    settings = ["devices.car.count=1", 'devices.car.tasks.objects.every="3 s"', 'duration="600 s"']
    scenario = load(SMALL, settings)
    choice = choose({"name": "random"})
    plain = simulate(scenario, choice).rows()
    everyone = frozenset(plain["request"])
    witness = Witness(choice, Streams(3, 0), everyone, everyone)
    again = watched(scenario, choice, witness)
    assert again.equals(plain)
    assert len(witness.looks) == len(witness.fates) == plain.height > 150
    for row in plain.iter_rows(named=True):
        (found,) = witness.looks[row["request"]]
        assert found.plan == row["plan"]
        assert found.plan_s == pytest.approx(row["latency_s"])
        assert found.best_s <= found.plan_s * (1 + 1e-9)
        assert not found.swayed


@pytest.mark.parametrize("policy", ["quickest", "power-of-d", "round-robin", "assignment", "spinn"])
def test_who_looks_on_changes_nothing(policy: str) -> None:
    """Not by drawing from another's chance, nor by advancing a station."""
    settings = ["devices.car.count=12", 'duration="3 s"', "nodes.cabinet.batch={max=4, wait='5 ms'}"]
    scenario = load(SMALL, settings)
    choice = choose({"name": policy})
    plain = simulate(scenario, choice).rows()
    everyone = frozenset(plain["request"])
    witness = Witness(choice, Streams(3, 0), everyone, everyone)
    assert watched(scenario, choice, witness).equals(plain)
    assert set(witness.looks) == everyone


def test_an_estimating_policy_is_compared_with_the_truth_alone() -> None:
    scenario = load(SMALL, ["devices.car.count=12", 'duration="2 s"'])
    choice = choose({"name": "quickest", "estimate": "ewma"})
    everyone = frozenset(simulate(scenario, choice).rows()["request"])
    witness = Witness(choice, Streams(3, 0), everyone, frozenset())
    watched(scenario, choice, witness)
    assert all(each.swayed for looks in witness.looks.values() for each in looks)
