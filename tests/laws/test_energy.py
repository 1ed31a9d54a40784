"""Energy adds up: rows, devices and stations tell the same joules."""

from collections import defaultdict
from math import fsum
from pathlib import Path

import pytest

from offload.policies.table import NAMED, choose
from offload.scenario.load import load
from offload.simulation.run import drive, run
from offload.simulation.world import World
from offload.streams import Streams

URBAN = Path(__file__).parents[2] / "scenarios" / "urban-intersection.toml"
SHORT = ('duration="6 s"', 'warm_up="1 s"')

# Sent while the device walks out of the cell for good: half of it is on air when it leaves.
LEAVING = """
[models.work.variants.only]
layers = [{ name = "all", output = "1 kB" }]
costs.core = { known = "assumed", source = "a law", seconds = ["1 ms"] }
[devices.walker]
hardware = "core"
radio_power = "2 W"
mobility = { trace = "leave.csv" }
[devices.walker.tasks.work]
models = ["work"]
every = "100 s"
deadline = "100 s"
input = "1000 kB"
[nodes.site]
kind = "edge"
hardware = "core"
[links.cell]
from = "*"
to = "site"
up = "1 Mbit/s"
down = "1 Mbit/s"
range = "100 m"
give_up = "1 s"
"""

SERVERS = """
[models.work.variants.only]
layers = [{ name = "half", output = "40 kB" }, { name = "rest", output = "1 kB" }]
[models.work.variants.only.costs.core]
known = "assumed"
source = "a law"
seconds = ["4 ms", "6 ms"]
service = "exponential"
[devices.source]
count = 10
hardware = "core"
[devices.source.tasks.work]
models = ["work"]
arrivals = "poisson"
every = "150 ms"
deadline = "10 s"
late = "finish"
input = "60 kB"
[nodes.site]
kind = "edge"
hardware = "core"
servers = 2
[nodes.region]
kind = "cloud"
hardware = "core"
batch = { max = 4, wait = "5 ms" }
[links.cell]
from = "*"
to = "site"
up = "200 Mbit/s"
down = "200 Mbit/s"
[links.wire]
from = "site"
to = "region"
rate = "1 Gbit/s"
"""


@pytest.mark.parametrize("name", NAMED)
def test_joules_of_devices(name):
    scenario = load(URBAN, SHORT)
    done = run(scenario, choose({"name": name}), 7, 0)
    setting = scenario.setting(0.0)
    facts = {each.group: each for each in setting.facts}
    (cell,) = setting.cells.values()
    rows_j, air_s = defaultdict(list), defaultdict(list)
    for outcome in done.outcomes:
        rows_j[outcome.request.device].append(outcome.energy_j)
        air_s[outcome.request.device] += [
            8 * outcome.up_bytes / cell.up_bps,
            8 * outcome.down_bytes / cell.down_bps,
        ]
    assert len(done.devices) == len(setting.devices)
    for account in done.devices:
        mine = facts[account.group]
        idle_w, busy_w = mine.hardware.idle_w.value, mine.hardware.busy_w.value
        radio_j = mine.radio.up.base_w * fsum(air_s[account.device])
        marginal_j = (busy_w - idle_w) * account.busy_s + radio_j
        assert fsum(rows_j[account.device]) == pytest.approx(marginal_j, rel=1e-9, abs=1e-12)
        assert account.marginal_j == pytest.approx(marginal_j, rel=1e-9, abs=1e-12)
        # Told the other way round: busy watts while computing, idle watts otherwise, and the radio.
        total_j = busy_w * account.busy_s + idle_w * (account.seconds - account.busy_s) + radio_j
        assert account.idle_j + account.marginal_j == pytest.approx(total_j, rel=1e-9)
        assert account.seconds >= max(6.0, *(outcome.ended_s for outcome in done.outcomes))
    spent_j = sum(account.marginal_j for account in done.devices)
    assert spent_j > 0.1


def test_radio_joules_are_the_cell_busy_time(load_text):
    # Nobody else witnesses air time: a cell is on air exactly for what the devices pay.
    tables = SERVERS.replace('hardware = "core"', 'hardware = "core"\nradio_power = "2 W"', 1)
    world = World(load_text(tables, duration=10).setting(0.0), Streams(1, 0))
    busy_s = 0.0

    def watch(air):
        usual, since_s = air.note, [0.0]

        def note(now):
            nonlocal busy_s
            busy_s += (now - since_s[0]) * (air.active > 0)
            since_s[0] = now
            usual(now)

        air.note = note

    for book in world.observer.books.values():
        book.told.clear()  # so that every change is told
    for air in world.airs["cell"]:
        watch(air)
    choice = choose({"name": "edge"})
    drive(world, choice.make(), choice)
    assert busy_s > 1.5
    assert fsum(o.energy_j for o in world.outcomes) == pytest.approx(2 * busy_s, rel=1e-9)


def test_a_transfer_that_fails_costs_what_was_sent_of_it(load_text, tmp_path):
    trace = tmp_path / "leave.csv"
    trace.write_text("time,id,x,y\n0,a,0,0\n")
    (born,) = run(load_text(LEAVING, duration=100), choose({"name": "local"}), 1, 0).outcomes
    born_s = born.request.born_s
    # It takes 8 s to send; after 5 s the walker is 100 m away.
    trace.write_text(f"time,id,x,y\n{born_s},a,0,0\n{born_s + 10},a,200,0\n")
    (outcome,) = run(load_text(LEAVING, duration=100), choose({"name": "edge"}), 1, 0).outcomes
    assert outcome.cause == "out-of-range"
    assert outcome.ended_s == pytest.approx(born_s + 5 + 1, abs=1e-9)
    assert outcome.energy_j == pytest.approx(2 * 5, rel=1e-6)


@pytest.mark.parametrize(("name", "column"), [("edge", "edge_j"), ("cloud", "cloud_j")])
def test_joules_of_servers(load_text, name, column):
    scenario = load_text(SERVERS, duration=10)
    choice = choose({"name": name})
    world = World(scenario.setting(0.0), Streams(1, 0))
    drive(world, choice.make(), choice)
    station = world.servers["site" if name == "edge" else "region"]
    assert station.busy_s > 1
    # 5 W busy, 2 W idle.
    joules = fsum(getattr(outcome, column) for outcome in world.outcomes)
    assert joules == pytest.approx(3 * station.busy_s, rel=1e-9)
    if name == "cloud":
        assert max(outcome.batch for outcome in world.outcomes) > 1  # shares, not wholes
