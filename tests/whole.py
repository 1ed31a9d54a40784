"""Runs whose every birth must have one row that is whole."""

import math

import pytest

from offload.analysis.rows import LEGS
from offload.entities import Plan
from offload.policies.table import choose
from offload.simulation.run import drive
from offload.simulation.world import World
from offload.streams import Streams
from offload.world import births


class Asked:
    """Any policy, and the ids of the requests that it was asked about."""

    def __init__(self, policy):
        self.policy = policy
        self.ids = []

    def decide(self, request, seen):
        """Take note and pass on."""
        self.ids.append(request.id)
        return self.policy.decide(request, seen)


def play(scenario, name, **options):
    """Run a policy; return the world and the ids that it was asked about."""
    choice = choose({"name": name, **options})
    policy = choice.make()
    if hasattr(policy, "start"):
        policy.start(Streams(3, 0).generator("policy"))
    asked = Asked(policy)
    world = World(scenario.setting(0.0), Streams(3, 0), choice.knowledge)
    drive(world, asked, choice)
    return world, asked.ids


def expected_births(world):
    """Draw every source's births again, without a world."""
    found = []
    for source in world.setting.sources:
        name = (source.device.name, source.facts.task, str(source.stream))
        generator = world.streams.generator("births", *name)
        for born_s in births.times(source.births, generator, from_s=max(0.0, source.device.enters_s)):
            if born_s >= min(world.setting.duration_s, source.device.leaves_s):
                break
            found.append((born_s, source.device.name, source.facts.task))
    return sorted(found)


def check_rows(world, asked):
    """Assert that every birth has one row that is whole."""
    outcomes = world.outcomes
    devices = {device.name: device for device in world.setting.devices}
    ids = [outcome.request.id for outcome in outcomes]
    assert len(set(ids)) == len(ids)
    assert sorted(ids) == sorted(asked)
    born = sorted((o.request.born_s, o.request.device, o.request.task) for o in outcomes)
    assert born == expected_births(world)
    for outcome in outcomes:
        stay_s = outcome.ended_s - outcome.request.born_s
        legs = [getattr(outcome, leg) for leg in LEGS]
        assert min(legs) >= 0
        assert math.fsum(legs) == pytest.approx(stay_s, rel=0, abs=1e-9)
        device = devices[outcome.request.device]
        assert outcome.ended_s <= min(world.end_s, device.leaves_s)
        assert outcome.request.born_s >= device.enters_s
        assert (outcome.cause == "left") == (outcome.ended_s == device.leaves_s)
        assert isinstance(outcome.plan, Plan)
        assert (outcome.exit is None) == (bool(outcome.cause) or not outcome.plan.variant.exits)
        assert not (outcome.cause and outcome.correct)
        if not outcome.cause and outcome.uplink_s:
            facts = next(f for f in world.setting.facts if f.group == outcome.request.group)
            assert outcome.down_bytes == facts.result_bytes[outcome.plan.variant]
