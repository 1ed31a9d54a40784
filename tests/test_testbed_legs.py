"""From stamps to legs: consecutive, never negative, and each second where it was spent."""

import random
from pathlib import Path

import pytest

from offload.analysis.rows import LEGS
from offload.entities import Plan, Request
from offload.scenario.load import load
from offload.testbed import legs
from offload.testbed.legs import Trip
from offload.testbed.timing import Span

SETTING = load(Path(__file__).with_name("testbed.toml")).setting(0.0)
(FACTS,) = SETTING.facts
(VARIANT,) = FACTS.variants
LAST, CELL = VARIANT.last, ("cell",)
LOCAL = Plan(VARIANT, LAST, LAST)
EDGE = Plan(VARIANT, 0, LAST, "edge", None, CELL)
SPLIT = Plan(VARIANT, 3, LAST, "edge", None, CELL)
CLOUD = Plan(VARIANT, 0, 0, None, "far", CELL)
BOTH = Plan(VARIANT, 3, 6, "edge", "far", CELL)


def trip(plan: Plan, **given: object) -> Trip:
    request = Request(7, "cam-0", "cam", "parts", 1.0, 0.2, 2000.0)
    return Trip(request, FACTS, plan, 1.0, 0, **given)  # type: ignore[arg-type]


def relay(name: str, at_s: float) -> tuple[str, Span]:
    return name, Span(at_s, at_s, at_s, 0)


def spent(of: Trip, ended_s: float, cause: str = "") -> dict[str, float]:
    row, _ = legs.outcome(of, cause, ended_s)
    found = {leg: round(getattr(row, leg), 9) for leg in LEGS}
    assert min(found.values()) >= 0.0
    assert sum(found.values()) == pytest.approx(ended_s - 1.0)
    return {leg[:-2]: seconds for leg, seconds in found.items() if seconds}


def test_a_request_that_stays():
    done = trip(LOCAL, came_s=1.1, device=Span(1.1, 1.2, 1.5))
    assert spent(done, 1.5) == {"decide": 0.1, "device": 0.4}


def test_a_request_that_is_late_before_the_device_begins_has_waited_there():
    assert spent(trip(LOCAL, came_s=1.1), 2.0, "late") == {"decide": 0.1, "device": 0.9}


def test_what_earlier_attempts_took_counts_as_deciding():
    home = trip(LOCAL, came_s=3.0, attempt=2, first_plan=EDGE)
    assert spent(home, 3.5, "late") == {"decide": 2.0, "device": 0.5}


def test_two_stops_and_a_relay_on_the_way_home():
    spans = [("edge", Span(1.5, 1.6, 1.7)), ("far", Span(2.0, 2.0, 2.5)), relay("edge", 2.75)]
    done = trip(BOTH, came_s=1.1, left_s=1.3, device=Span(1.1, 1.1, 1.25), spans=spans)
    assert spent(done, 3.0) == {
        "decide": 0.1, "device": 0.15, "uplink": 0.25, "edge": 0.2, "wan": 0.55, "cloud": 0.5,
        "downlink": 0.25,
    }  # fmt: skip


def test_a_relay_there_and_back_is_the_wan():
    spans = [relay("edge", 1.5), ("far", Span(2.0, 2.1, 2.5)), relay("edge", 2.75)]
    done = trip(CLOUD, came_s=1.0, left_s=1.0, spans=spans)
    assert spent(done, 3.0) == {"uplink": 0.5, "wan": 0.75, "cloud": 0.5, "downlink": 0.25}


@pytest.mark.parametrize("cause", ["late", "shed", "malformed"])
def test_who_is_refused_after_waiting_at_a_node_has_waited_there(cause):
    done = trip(EDGE, came_s=1.0, left_s=1.0, spans=[("edge", Span(1.5, 2.0, 2.0, 0))])
    assert spent(done, 2.25, cause) == {"uplink": 0.5, "edge": 0.5, "downlink": 0.25}


def test_what_was_lost_behind_a_node_was_lost_on_the_wan():
    done = trip(CLOUD, came_s=1.0, left_s=1.0, spans=[relay("edge", 1.5)])
    assert spent(done, 2.25, "node-down") == {"uplink": 0.5, "wan": 0.75}


def test_legs_sum_whatever_happened():
    dice = random.Random(1)
    for _ in range(300):
        plan = dice.choice([LOCAL, EDGE, SPLIT, CLOUD, BOTH])
        times = sorted(dice.uniform(1.0, 3.0) for _ in range(9))
        spans = [
            ("edge", Span(times[3], times[4], times[5], dice.choice([0, 1]))),
            ("far", Span(times[6], times[7], times[7], dice.choice([0, 1]))),
            relay("edge", times[8]),
        ]
        known = dice.choice([None, Span(times[0], times[0], times[1])])
        if not plan.on_device:
            known = None
        some = trip(plan, came_s=times[0], device=known, spans=spans[: dice.randint(0, 3)])
        if plan.uplinks is None:
            some.spans = []
        some.left_s = times[2]
        spent(some, 3.5, dice.choice(["", "late", "node-down", "unfinished"]))


def test_patience_grows_with_what_is_to_be_expected():
    least_s = legs.patience_s(FACTS, EDGE, 0.0, 0.0)
    work_s = FACTS.profiles["edge"][VARIANT].seconds(0, LAST)
    assert least_s == pytest.approx(1.0 + work_s)  # the cell's give_up
    assert legs.patience_s(FACTS, EDGE, 1e6, 3.0) == pytest.approx(least_s + 8e6 / 50e6 + 3.0)
