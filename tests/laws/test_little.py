"""Little's law, L = lambda W, exact on the path of a run that starts and ends empty."""

from math import fsum, inf

import pytest

from offload.policies.table import choose
from offload.simulation.run import drive
from offload.simulation.world import World
from offload.streams import Streams

TABLES = """
[models.work.variants.only]
layers = [{ name = "half", output = "40 kB" }, { name = "rest", output = "1 kB" }]
[models.work.variants.only.costs.core]
known = "assumed"
source = "a law"
seconds = ["4 ms", "6 ms"]
service = "exponential"
[devices.source]
count = 30
hardware = "core"
radio_power = "1 W"
[devices.source.tasks.work]
models = ["work"]
arrivals = "poisson"
every = "300 ms"
deadline = "150 ms"
late = "LATE"
input = "60 kB"
[nodes.site]
kind = "edge"
hardware = "core"
[nodes.region]
kind = "cloud"
hardware = "core"
batch = { max = 4, wait = "5 ms" }
[links.cell]
from = "*"
to = "site"
up = "40 Mbit/s"
down = "80 Mbit/s"
delay = "2 ms"
[links.wire]
from = "site"
to = "region"
rate = "100 Mbit/s"
delay = "5 ms"
jitter = "2 ms"
"""


class Counting:
    """Any policy, and how many requests are out there, integrated over time by who asks and hears."""

    def __init__(self, policy):
        self.policy = policy
        self.clock = None
        self.out = 0
        self.since_s = 0.0
        self.areas = []

    def count(self, change):
        """Book what lies between the last change and this."""
        now = self.clock.now
        self.areas.append(self.out * (now - self.since_s))
        self.since_s = now
        self.out += change

    def decide(self, request, seen):
        """One more is out there."""
        self.count(+1)
        return self.policy.decide(request, seen)

    def learn(self, _outcome):
        """One less."""
        self.count(-1)


@pytest.mark.parametrize("late", ["drop", "finish"])
@pytest.mark.parametrize("name", ["local", "edge", "cloud", "random", "quickest"])
def test_whole_system(load_text, name, late):
    scenario = load_text(TABLES.replace("LATE", late), duration=10)
    choice = choose({"name": name})
    policy = choice.make()
    if hasattr(policy, "start"):
        policy.start(Streams(1, 0).generator("policy"))
    counting = Counting(policy)
    world = World(scenario.setting(0.0), Streams(1, 0), choice.knowledge, counting.learn)
    counting.clock = world.clock
    drive(world, counting, choice)
    assert counting.out == 0  # empty again: each was heard of
    assert len(world.outcomes) > 500
    stays_s = [outcome.ended_s - outcome.request.born_s for outcome in world.outcomes]
    # Both sides times the length of the run: L T = (lambda T) W.
    assert fsum(counting.areas) == pytest.approx(fsum(stays_s), rel=1e-9)


def test_cell(load_text):
    scenario = load_text(TABLES.replace("LATE", "finish"), duration=10)
    choice = choose({"name": "edge"})
    world = World(scenario.setting(0.0), Streams(1, 0))
    cell, _ = world.airs["cell"]
    usual, areas, since_s = cell.note, [], [0.0]

    def note(now):
        waiting = sum(len(line.queue) for line in cell.lines.values())
        areas.append((waiting * (now - since_s[0]), (now - since_s[0]) * (cell.active > 0)))
        since_s[0] = now
        usual(now)

    cell.note = note
    for book in world.observer.books.values():
        book.told.clear()  # so that every change is told
    drive(world, choice.make(), choice)
    waiting_s, busy_s = (fsum(column) for column in zip(*areas, strict=True))
    # The delay of 2 ms is spent after the cell.
    stays_s = fsum(outcome.uplink_s - 0.002 for outcome in world.outcomes)
    assert waiting_s == pytest.approx(stays_s, rel=1e-9)
    # And it wastes no time: it is busy for what was sent at its full rate.
    sent_bits = 8 * fsum(outcome.up_bytes for outcome in world.outcomes)
    assert sent_bits == 8 * 60e3 * len(world.outcomes)
    assert busy_s == pytest.approx(sent_bits / 40e6, rel=1e-9)


@pytest.mark.parametrize(("name", "leg", "count"), [("edge", "edge_s", 1), ("local", "device_s", 30)])
def test_servers(load_text, name, leg, count):
    # Work in order: what waits follows from Lindley's recursion over the rows, device by device.
    scenario = load_text(TABLES.replace("LATE", "finish"), duration=10)
    choice = choose({"name": name})
    world = World(scenario.setting(0.0), Streams(1, 0))
    drive(world, choice.make(), choice)
    stations = {"site": world.servers["site"]} if name == "edge" else world.compute
    assert len(stations) == count
    for place, station in stations.items():
        rows = [o for o in world.outcomes if name == "edge" or o.request.device == place]
        arrived_s = [o.request.born_s + o.decide_s + (o.uplink_s if name == "edge" else 0) for o in rows]
        intervals = sorted((at, at + getattr(o, leg)) for at, o in zip(arrived_s, rows, strict=True))
        free_s, busy_s = -inf, []
        for at, ends in intervals:
            assert ends >= free_s - 1e-9  # nobody overtakes
            busy_s.append(ends - max(at, free_s))
            free_s = ends
        assert fsum(busy_s) == pytest.approx(station.busy_s, rel=1e-9)
