"""Batteries, tails and harvests add up: the devices' accounts against an integral over the rows."""

from bisect import bisect_right
from itertools import pairwise
from math import fsum

import pytest

from offload.policies.table import NAMED, choose
from offload.simulation.run import run
from offload.simulation.world import World
from offload.streams import Streams
from offload.world.power import RADIOS
from tests.whole import expected_births

TABLES = """
[models.work.variants.only]
layers = [{ name = "half", output = "40 kB" }, { name = "rest", output = "1 kB" }]
costs.core = { known = "assumed", source = "a law", seconds = ["60 ms", "90 ms"] }
[devices.rover]
count = 3
hardware = "core"
radio_power = "RADIO"
frequency = 0.8
battery = { capacity = "CAPACITY", start = 0.6, low = 0.3, harvest = HARVEST }
[devices.rover.tasks.work]
models = ["work"]
arrivals = "poisson"
every = "700 ms"
deadline = "600 ms"
input = "60 kB"
[nodes.site]
kind = "edge"
hardware = "core"
[links.cell]
from = "*"
to = "site"
up = "8 Mbit/s"
down = "8 Mbit/s"
delay = "3 ms"
shared = SHARED
[nodes.region]
kind = "cloud"
hardware = "core"
[links.wire]
from = "site"
to = "region"
rate = "1 Gbit/s"
delay = "5 ms"
"""
SUN = '{ peak = "9 W", sunrise = "6 h", sunset = "18 h", clouds = 0.4, starts = "16.995 h" }'


def scenario(load_text, capacity, harvest, radio="wifi", shared="true", duration=40):
    text = TABLES.replace("CAPACITY", capacity).replace("HARVEST", harvest)
    return load_text(text.replace("RADIO", radio).replace("SHARED", shared), duration)


def spells(rows, facts):
    """Return when a device computes, and when its radio is in use, as the rows tell it."""
    computes, sends = [], []
    for row in rows:
        device_s = row.request.born_s + row.decide_s + row.device_s
        if row.plan.device_cut:
            work_s = facts.profiles["device"][row.plan.variant].seconds(0, row.plan.device_cut)
            computes.append((device_s - work_s, device_s))
        if row.plan.uplinks:
            sends.append((device_s, device_s + row.uplink_s))
            sends.append((row.ended_s - row.downlink_s, row.ended_s))
    return computes, sorted(sends)


def merged(stretches):
    """Put what overlaps or touches together."""
    found = []
    for begin, end in sorted(stretches):
        if found and begin <= found[-1][1] + 1e-9:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found


@pytest.mark.parametrize("shared", ["true", "false"])
@pytest.mark.parametrize("radio", ["lte", "wifi"])
@pytest.mark.parametrize("harvest", ['"0 W"', '"15 W"', SUN])
def test_accounts_are_the_integral(load_text, harvest, radio, shared):
    law = scenario(load_text, "700 J", harvest, radio, shared)
    facts, supply = law.setting(0.0).facts[0], law.setting(0.0).supplies["rover"]
    done = run(law, choose({"name": "random"}), 3, 0)
    assert {row.cause for row in done.outcomes} <= {"", "late"}
    kept = RADIOS[radio]
    # 3 W above idling at full frequency, 0.8 cubed of it here.
    computing_w = 3 * 0.8**3
    until_s = max(40.0, *(row.ended_s for row in done.outcomes))
    for account in done.devices:
        rows = [row for row in done.outcomes if row.request.device == account.device]
        computes, sends = spells([row for row in rows if not row.cause], facts)
        sends = merged(sends)
        gaps = [(end, begin) for (_, end), (begin, _) in pairwise([*sends, (until_s, until_s)])]
        awake = [(end, min(end + kept.tail_s, begin)) for end, begin in gaps]
        wakes = [sends[0][0], *(begin for end, begin in gaps[:-1] if begin - end > kept.tail_s)]
        # What requests paid for the radio is drawn when a message has come.
        lumps = [(at, kept.promotion_j) for at in wakes]
        for row in rows:
            lumps += radio_lumps(row, facts, kept)
        levels = [(0.0, until_s, 2.0), *((a, b, computing_w) for a, b in computes)]
        levels += [(a, b, kept.tail_w) for a, b in awake]
        drawn_j, left_j, spilled_j = integral(levels, lumps, supply, until_s)
        assert account.drawn_j == pytest.approx(drawn_j, rel=1e-9)
        assert account.battery_j == pytest.approx(left_j, rel=1e-9)
        assert account.tail_j == pytest.approx(fsum(b - a for a, b in awake) * kept.tail_w, rel=1e-6)
        assert account.promotion_j == pytest.approx(len(wakes) * kept.promotion_j)
        assert account.marginal_j == pytest.approx(fsum(row.energy_j for row in rows))
        assert account.short_j == account.off_s == 0
        assert account.spilled_j == pytest.approx(spilled_j, rel=1e-9, abs=1e-9)
        assert (spilled_j > 0) == (harvest == '"15 W"')


def radio_lumps(row, facts, kept):
    """Return what the messages of a finished request took of the device, and when that was drawn."""
    if row.cause or not row.plan.uplinks:
        assert row.energy_j == 0 or row.plan.device_cut
        return []
    cell = facts.cells["cell"]
    sent_s = row.request.born_s + row.decide_s + row.device_s + row.uplink_s
    up_w = kept.up.base_w + kept.up.j_per_bit * cell.up_bps
    down_w = kept.down.base_w + kept.down.j_per_bit * cell.down_bps
    return [
        (sent_s, up_w * 8 * row.up_bytes / cell.up_bps),
        (row.ended_s, down_w * 8 * row.down_bytes / cell.down_bps),
    ]


def integral(levels, lumps, supply, until_s):
    """Integrate watts and joules drawn, and follow the charge, from change to change of anything."""
    harvest = supply.battery.harvest_w
    changes = {0.0, until_s, *harvest.times_s, *(at for at, _ in lumps)}
    changes |= {at for a, b, _ in levels for at in (a, b)}
    times = sorted(at for at in changes if at <= until_s)
    drawn_j, left_j, spilled_j = 0.0, supply.start_j, 0.0
    for begin, end in pairwise(times):
        taken_j = fsum(joules for at, joules in lumps if at == begin)
        watts = fsum(w for a, b, w in levels if a <= begin and end <= b)
        given_w = harvest.values[bisect_right(harvest.times_s, begin) - 1]
        drawn_j += taken_j + watts * (end - begin)
        left_j += (given_w - watts) * (end - begin) - taken_j
        spilled_j += max(0.0, left_j - supply.battery.capacity_j)
        left_j = min(left_j, supply.battery.capacity_j)
    last_j = fsum(joules for at, joules in lumps if at == until_s)
    return drawn_j + last_j, left_j - last_j, spilled_j


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("harvest", ['"1.5 W"', SUN])
def test_nothing_is_lost_where_the_power_goes(load_text, name, harvest):
    law = scenario(load_text, "20 J", harvest)
    choice = choose({"name": name})
    done = run(law, choice, 3, 0)
    world = World(law.setting(0.0), Streams(3, 0))
    born = sorted((o.request.born_s, o.request.device, o.request.task) for o in done.outcomes)
    assert born == expected_births(world)  # the same under every policy, one row each
    dark = [row for row in done.outcomes if row.cause == "no-power"]
    assert dark
    assert any(row.plan is None and row.ended_s == row.request.born_s for row in dark)
    for row in done.outcomes:
        legs = (row.decide_s, row.device_s, row.uplink_s, row.edge_s, row.wan_s, row.cloud_s)
        assert fsum((*legs, row.downlink_s)) == pytest.approx(row.ended_s - row.request.born_s, abs=1e-9)
        assert row.energy_j >= 0
    for account in done.devices:
        mine = [row for row in done.outcomes if row.request.device == account.device]
        assert account.off_s > 0
        assert account.idle_j == pytest.approx(2 * (account.seconds - account.off_s))
        assert account.marginal_j == pytest.approx(fsum(row.energy_j for row in mine))
        left_j = 12 + account.harvest_j - account.spilled_j - (account.drawn_j - account.short_j)
        assert account.battery_j == pytest.approx(left_j, abs=1e-9)
        assert 0 <= account.battery_j <= 20
        # At most what the messages under way took, each time that it emptied.
        assert account.short_j <= 0.2 * account.drawn_j


def test_a_battery_that_lasts_changes_nothing(load_text):
    # Nor does a tail: what devices draw beside their requests is no request's business.
    plain = scenario(load_text, "1 kWh", '"0 W"')
    text = TABLES.replace("RADIO", "wifi").replace("SHARED", "true")
    without = load_text("\n".join(line for line in text.splitlines() if "battery" not in line), 40)
    for name in ("random", "quickest"):
        rows = [sorted(run(each, choose({"name": name}), 3, 0).outcomes, key=lambda o: o.request.id)
                for each in (plain, without)]  # fmt: skip
        for one, other in zip(*rows, strict=True):
            assert one.request == other.request
            assert one.ended_s == other.ended_s
            assert (one.cause, one.plan.device_cut) == (other.cause, other.plan.device_cut)
            assert one.energy_j == other.energy_j


# Walkers pass from cell to cell and leave; frames need several networks, nodes decide and turn away.
WALKERS = """
[models.work.variants.only]
layers = [{ name = "half", output = "40 kB" }, { name = "rest", output = "1 kB" }]
costs.core = { known = "assumed", source = "a law", seconds = ["30 ms", "60 ms"] }
[devices.walker]
hardware = "core"
radio_power = "lte"
battery = { capacity = "16 J", start = 0.5, low = 0.3, harvest = "1.5 W" }
mobility = { trace = "walk.csv" }
[devices.walker.tasks.frames]
every = "900 ms"
deadline = "800 ms"
[devices.walker.tasks.frames.stages.find]
models = ["work"]
input = "60 kB"
[devices.walker.tasks.frames.stages.name]
models = ["work"]
after = ["find"]
count = { mean = 1.5, max = 4 }
input = "20 kB"
[devices.walker.tasks.single]
models = ["work"]
arrivals = "poisson"
every = "600 ms"
deadline = "500 ms"
input = "60 kB"
fallback = "device"
[nodes.a]
kind = "edge"
hardware = "core"
queue_limit = 0
policy = { name = "random" }
[nodes.b]
kind = "edge"
hardware = "core"
at = ["100 m", "0 m"]
[links]
cell-a = { from = "*", to = "a", up = "9 Mbit/s", down = "9 Mbit/s", range = "70 m", handover = "80 ms" }
cell-b = { from = "*", to = "b", up = "9 Mbit/s", down = "9 Mbit/s", range = "70 m", handover = "80 ms" }
between = { from = "a", to = "b", rate = "100 Mbit/s", delay = "3 ms" }
"""


@pytest.mark.parametrize("name", ["local", "edge", "quickest", "random"])
def test_frames_handovers_and_those_who_leave(load_text, tmp_path, name):
    ways = [f"{4 * n + t},w{n},{10 * t - 60},0" for n in range(4) for t in range(25)]
    (tmp_path / "walk.csv").write_text("\n".join(["time,id,x,y", *ways]) + "\n")
    law = load_text(WALKERS, 30)
    done = run(law, choose({"name": name}), 3, 0)
    causes = {row.cause for row in done.outcomes}
    assert causes >= {"", "no-power"}
    roots = [row for row in done.outcomes if row.request.parent is None]
    born = sorted((o.request.born_s, o.request.device, o.request.task) for o in roots)
    assert born == expected_births(World(law.setting(0.0), Streams(3, 0)))
    for root in roots:
        parts = [row for row in done.outcomes if row.request.parent == root.request.id]
        if parts:
            assert root.energy_j == pytest.approx(fsum(row.energy_j for row in parts))
            assert (root.cause == "") == (not any(row.cause for row in parts))
    assert sum(account.off_s for account in done.devices) > 1
    for account in done.devices:
        mine = [row for row in roots if row.request.device == account.device]
        assert account.marginal_j == pytest.approx(fsum(row.energy_j for row in mine))
        left_j = 8 + account.harvest_j - account.spilled_j - (account.drawn_j - account.short_j)
        assert account.battery_j == pytest.approx(left_j, abs=1e-9)
        assert account.harvest_j == pytest.approx(1.5 * account.seconds)
