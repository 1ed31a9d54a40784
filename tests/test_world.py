"""How many events a request takes, whatever it is that it does: the clock runs no more than it must."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from offload.analysis.rows import to_frame
from offload.entities import Outcome, Plan, Question
from offload.scenario.load import Scenario, load
from offload.simulation.world import World
from offload.streams import Streams

SCENARIO = """
format = 1
name = "events"
duration = "20 s"
[models.net.variants.only]
layers = [
    { name = "a", output = "20 kB" }, { name = "b", output = "10 kB" }, { name = "c", output = "1 kB" }
]
costs.x86-core = { known = "assumed", source = "a test", seconds = ["4 ms", "3 ms", "2 ms"] }
[devices.car]
count = 1
hardware = "x86-core"
[devices.car.tasks.look]
models = ["net"]
every = "500 ms"
deadline = "1 s"
input = "50 kB"
[nodes.site]
kind = "edge"
hardware = "x86-core"
[nodes.hub]
kind = "cloud"
hardware = "x86-core"
[links.hop]
from = "*"
to = "site"
up = "100 Mbit/s"
down = "100 Mbit/s"
delay = "1 ms"
shared = false
[links.fibre]
from = "site"
to = "hub"
rate = "1 Gbit/s"
delay = "2 ms"
"""
ONE_SERVER = SCENARIO.replace('[nodes.hub]\nkind = "cloud"\nhardware = "x86-core"\n', "").replace(
    '[links.fibre]\nfrom = "site"\nto = "hub"\nrate = "1 Gbit/s"\ndelay = "2 ms"\n', ""
)
HOME, SITE, THREE = (3, 3, None, None), (0, 3, "site", None), (1, 2, "site", "hub")


def loaded(tmp_path: Path, text: str, *settings: str) -> Scenario:
    """Return a scenario of this text with other settings."""
    path = tmp_path / "events.toml"
    path.write_text(text)
    return load(path, settings)


def play(scenario: Scenario, cuts: Sequence[tuple], *, foresees: bool = True) -> World:
    """Carry out these plans, one after the other and again; two cuts, an edge node, a cloud."""
    world = World(scenario.setting(0.0), Streams(1, 0))
    if not foresees:
        world.only_server = None
    game, number = world.play(), 0

    def plan(question: Question) -> Plan:
        nonlocal number
        number += 1
        device_cut, edge_cut, edge, cloud = cuts[number % len(cuts)]
        uplinks = None if device_cut == 3 else ("hop",)
        (variant,) = question.seen.facts.variants
        return Plan(variant, device_cut, edge_cut, edge, cloud, uplinks)

    questions = next(game)
    try:
        while True:
            questions = game.send([plan(question) for question in questions])
    except StopIteration:
        return world


@pytest.mark.parametrize(
    ("text", "settings", "cuts", "events"),
    [
        # Born; the device tells at once when its work ends.
        (SCENARIO, [], HOME, 1),
        # Born, at the only server; where that ends and the answer's own hop are told at once.
        (ONE_SERVER, [], SITE, 2),
        # Of several servers another may be done before: the answer asks for its hop when it is there.
        (ONE_SERVER, ["nodes.site.servers=2"], SITE, 3),
        (SCENARIO, [], SITE, 3),
        # Born, done at home, at the site, done there, in the cloud, done there, and back at the site.
        (SCENARIO, [], THREE, 7),
        # In a shared cell each message takes two: its last bit is sent, and arrives.
        (SCENARIO, ["links.hop.shared=true"], SITE, 6),
    ],
)
def test_events_a_request(tmp_path, text, settings, cuts, events) -> None:
    world = play(loaded(tmp_path, text, *settings), [cuts])
    assert len(world.outcomes) == 40
    assert not any(outcome.cause for outcome in world.outcomes)
    run = next(world.clock._eid) - len(world.clock._queue)
    assert run == 40 * events


def test_what_is_foreseen_is_what_happens(tmp_path) -> None:
    """Plans that do much or little at home mix at one server, in crowds, and some devices leave."""
    crowd = 'devices.car.tasks.look.arrivals="poisson"', 'devices.car.tasks.look.every="40 ms"'
    more = "devices.car.count=3", 'links.hop.down="300 kbit/s"'
    scenario = loaded(tmp_path, ONE_SERVER, *crowd, *more)
    frames = []
    for foresees in (True, False):
        world = play(
            scenario, [SITE, (1, 3, "site", None), SITE, HOME, (2, 3, "site", None)], foresees=foresees
        )
        frames.append(to_frame(world.outcomes, world.setting.facts))
        assert sum(map(waited, world.outcomes)) > 100
    assert frames[0].equals(frames[1])


def waited(outcome: Outcome) -> bool:
    """Tell whether an answer waited for its hop behind another."""
    return outcome.downlink_s > 0.001 + outcome.down_bytes * 8 / 300e3 + 1e-9
