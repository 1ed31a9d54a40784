"""From what a policy is given it reaches neither the world nor the future, and can change nothing."""

import operator
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache, partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from msgspec import Struct

from offload import energy, entities, networks, overheads
from offload.analysis.rows import to_frame
from offload.entities import Luck, Observation
from offload.planning.price import price
from offload.policies.quickest import Quickest
from offload.policies.table import KNOWLEDGE, choose
from offload.scenario.load import load
from offload.simulation.clock import Clock
from offload.simulation.run import drive
from offload.simulation.world import World
from offload.streams import Streams
from tests.walk import walk

ROOT = Path(__file__).resolve().parents[1]
PLAIN = (str, bytes, int, float, bool, type(None), tuple, MappingProxyType)
NOUNS = {
    each
    for module in (energy, entities, networks, overheads)
    for each in vars(module).values()
    if isinstance(each, type) and each.__module__ == module.__name__
}

# They have frames of several networks, faults and second tries, cells that overlap or hand over,
# batteries, hops of one's own, inputs of several sizes, and an edge node that decides.
SHIPPED = {
    "ar-headset": (),
    "blackout": ('faults.power.windows=[["1 s", "1.5 s"]]',),
    "camera-corridor": (),
    "clinic-wearables": (),
    "highway-platoon": ('duration="1 s"',),
    "smart-factory": ('duration="0.3 s"',),
    "urban-intersection": (),
    "tests/small": ('nodes.cabinet.policy={name="quickest"}',),
}


def loaded(name):
    path = f"{name}.toml" if "/" in name else f"scenarios/{name}.toml"
    return load(ROOT / path, ('duration="2 s"', 'warm_up="0 s"', *SHIPPED[name]))


def asked(world, policy, every):
    """Play a world and yield every so many questions that it asks."""
    game, number = world.play(), 0
    questions = next(game, ())
    while questions:
        for question in questions:
            if number % every == 0 or question.seen.begun is not None:
                yield question
            number += 1
        try:
            questions = game.send([policy.decide(q.request, q.seen) for q in questions])
        except StopIteration:
            return


@pytest.mark.parametrize("knowledge", KNOWLEDGE)
@pytest.mark.parametrize("name", SHIPPED)
def test_all_that_a_policy_reaches_is_its_own_and_cannot_be_changed(name, knowledge):
    """Only nouns: no world, clock, station, air, journey, generator, Fate, book, meter, place.

    Nothing that can be changed either: no dict, list, set, array.
    """
    scenario = loaded(name)
    heard = []
    world = World(scenario.setting(0.0), Streams(3, 0), knowledge, heard.append)
    devices = {device.name for device in world.setting.devices}
    walked = list(world.setting.facts)
    assert {type(thing) for thing in walk(walked)} <= {*NOUNS, *PLAIN} - {Luck, Observation}
    met = 0
    for question in asked(world, Quickest(), 17):
        things = list(walk([question], walked))
        assert {type(thing) for thing in things} <= {*NOUNS, *PLAIN}
        assert (Luck in map(type, things)) == (knowledge == "clairvoyant" and not_at_a_node(question))
        named = {thing for thing in things if isinstance(thing, str)} & devices
        assert named == {question.request.device}
        met += 1
    assert met > 5
    outcomes = heard[::17]  # what a policy learns
    assert outcomes
    assert {type(thing) for thing in walk(outcomes, walked)} <= {*NOUNS, *PLAIN} - {Luck, Observation}


def not_at_a_node(question):
    return question.seen.begun is None


class Vandal(Quickest):
    """Decides as `quickest`, then tries to change all that it can reach."""

    def __init__(self):
        super().__init__()
        self.tried = self.refused = 0
        self.known = []

    def decide(self, request, seen):
        """Return the quickest plan."""
        plan = super().decide(request, seen)
        prices = price(request, seen)
        own = [prices.latency_s] if seen.luck is None else [prices.latency_s, prices.energy_j]
        for thing in walk([request, seen, prices], [*self.known, *own]):
            for attempt in changes(thing):
                self.tried += 1
                try:
                    attempt()
                except (AttributeError, TypeError, ValueError):
                    self.refused += 1
        self.known += [seen.facts, prices.table]
        return plan


def changes(thing):
    """Return ways in which one might try to change a thing of its kind."""
    if isinstance(thing, Mapping):
        return [partial(operator.setitem, thing, key, 9) for key in ("x", *thing)]
    if isinstance(thing, np.ndarray):
        return [partial(thing.fill, 0)]
    if isinstance(thing, Struct):
        return [partial(setattr, thing, name, 9) for name in thing.__struct_fields__]
    if is_dataclass(thing):
        return [partial(setattr, thing, each.name, 9) for each in fields(thing)]
    return []


@pytest.mark.parametrize("knowledge", KNOWLEDGE)
@pytest.mark.parametrize("name", ["tests/small", "highway-platoon", "clinic-wearables"])
def test_who_tries_to_change_the_world_changes_nothing(name, knowledge):
    vandal, rows = Vandal(), []
    for policy in (Quickest(), vandal, Quickest()):
        scenario = loaded(name)
        world = World(scenario.setting(0.0), Streams(3, 0), knowledge)
        chosen = choose({"name": "quickest"})
        drive(world, policy, chosen, {node: (Quickest(), chosen) for node in scenario.forwarders})
        rows.append(to_frame(world.outcomes, world.setting.facts))
    assert rows[0].equals(rows[1])
    assert rows[0].equals(rows[2])
    assert vandal.tried == vandal.refused > 1000


def test_the_walk_finds_a_world_however_it_is_hidden():
    clock = Clock()

    def closed():
        return clock

    def going(hidden):
        yield hidden

    begun = going(clock)
    next(begun)

    @dataclass(frozen=True, slots=True)
    class Noun:
        held: object

    class Loose:
        pass

    loose = Loose()
    loose.held = clock

    class Compact(Struct, frozen=True, gc=False):
        held: object

    ways = [
        closed, clock.at, partial(print, clock), begun, Noun(clock), loose, Compact(clock), [clock],
        {1: clock}, {clock: 1}, MappingProxyType({1: (clock,)}), deque([clock]), np.array([clock]),
        lambda held=clock: held, iter([clock]), map(clock.at, [1]), lru_cache(clock.at), [clock].pop,
    ]  # fmt: skip
    for way in ways:
        assert any(thing is clock for thing in walk([way])), way
