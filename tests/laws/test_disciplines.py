"""Priorities, limits and servers that come and go, against theory and against sums by hand."""

from collections import Counter, defaultdict
from itertools import pairwise
from statistics import fmean

import pytest

from offload.policies.table import choose
from offload.simulation.run import drive, run
from offload.simulation.world import World
from offload.streams import Streams

REPLICATIONS = 12
SERVICE_S = 0.010

# Sources of one kind beside a station, over hops that take no time.
STATION = """
[models.work.variants.only]
layers = [{{ name = "all", output = "0 B" }}]
costs.core = {{ known = "assumed", source = "a law", seconds = ["10 ms"], service = "exponential" }}
[devices.source]
hardware = "core"
{tasks}
[nodes.station]
kind = "edge"
hardware = "core"
{node}
[links.hop]
from = "*"
to = "station"
up = "1 Gbit/s"
down = "1 Gbit/s"
shared = false
"""
TASK = """
[devices.source.tasks.{name}]
models = ["work"]
arrivals = "poisson"
every = "{every} s"
deadline = "1 s"
late = "finish"
input = "0 B"
result = "0 B"
{more}
"""


def cobham(loads, service_s=SERVICE_S):
    """Mean waits of M/M/1 with non-preemptive priorities, the first class first (Cobham 1954)."""
    remaining_s = sum(loads) * service_s
    before = [sum(loads[:number]) for number in range(len(loads) + 1)]
    return [remaining_s / ((1 - ahead) * (1 - own)) for ahead, own in pairwise(before)]


def test_cobham_itself():
    assert cobham([0.4, 0.4], 1.0) == pytest.approx([1.3333, 6.6667], abs=1e-4)
    assert cobham([0.8], 1.0) == pytest.approx([4.0])


@pytest.mark.parametrize(("loads", "duration"), [((0.4, 0.4), 180), ((0.2, 0.3, 0.1), 90)])
def test_priorities(load_text, agree, loads, duration):
    tasks = "".join(
        TASK.format(name=f"class-{number}", every=SERVICE_S / load, more=f"priority = {9 - 4 * number}")
        for number, load in enumerate(loads)
    )
    scenario = load_text(STATION.format(tasks=tasks, node='queue = "priority"'), duration)
    means = defaultdict(list)
    for replication in range(REPLICATIONS):
        stays = defaultdict(list)
        for outcome in run(scenario, choose({"name": "edge"}), 1, replication).outcomes:
            if outcome.request.born_s > 15:
                stays[outcome.request.task].append(outcome.edge_s)
        for task, stay in stays.items():
            means[task].append(fmean(stay))
    # First come first served, all would stay as long; and with preemption the first 1 / (1 - load).
    for number, wait_s in enumerate(cobham(loads)):
        agree(means[f"class-{number}"], wait_s + SERVICE_S, within=0.2)


def blocking(servers, offered, places):
    """Share of arrivals that an M/M/c/K system turns away, K = `places` (birth and death)."""
    weights = [1.0]
    for number in range(1, places + 1):
        weights.append(weights[-1] * offered / min(number, servers))
    return weights[-1] / sum(weights)


def test_blocking_itself():
    assert blocking(1, 0.8, 5) == pytest.approx(0.088819, abs=1e-6)
    assert blocking(1, 1.2, 10) == pytest.approx(0.192586, abs=1e-6)
    assert blocking(4, 3.2, 4) == pytest.approx(0.228145, abs=1e-6)  # Erlang B
    assert blocking(8, 6.4, 8) == pytest.approx(0.144394, abs=1e-6)


@pytest.mark.parametrize(("servers", "load", "limit"), [(1, 0.8, 4), (1, 1.2, 9), (4, 0.8, 0)])
def test_a_limited_queue_turns_away_as_many_as_theory_says(load_text, agree, servers, load, limit):
    tasks = TASK.format(name="work", every=SERVICE_S / load / servers, more="")
    node = f"servers = {servers}\nqueue_limit = {limit}"
    scenario = load_text(STATION.format(tasks=tasks, node=node), duration=90 / servers)
    shares = []
    for replication in range(REPLICATIONS):
        outcomes = run(scenario, choose({"name": "edge"}), 1, replication).outcomes
        causes = Counter(outcome.cause for outcome in outcomes if outcome.request.born_s > 2)
        assert set(causes) == {"", "shed"}
        shares.append(causes["shed"] / causes.total())
    agree(shares, blocking(servers, load * servers, servers + limit))


def test_who_is_admitted_by_deadline_begins_before_it(load_text):
    tasks = TASK.format(name="work", every=SERVICE_S / 1.5, more="").replace('"1 s"', '"50 ms"')
    scenario = load_text(STATION.format(tasks=tasks, node='admit = "deadline"'), duration=20)
    outcomes = run(scenario, choose({"name": "edge"}), 1, 0).outcomes
    causes = Counter(outcome.cause for outcome in outcomes)
    # Overloaded by half, it serves all that it can and turns away the rest.
    assert causes["shed"] / causes.total() == pytest.approx(1 - 1 / 1.5, rel=0.1)
    served = sorted(
        (outcome.ended_s, outcome.request.born_s) for outcome in outcomes if not outcome.cause
    )
    for (before_s, _), (_, born_s) in pairwise(served):
        assert max(before_s, born_s) <= born_s + 0.050 + 1e-12


# Everything at once, on a node that is too small for what is asked of it.
BUSY = """
[models.first.variants.only]
weights = "60 MB"
layers = [{ name = "all", output = "1 kB" }]
costs.core = { known = "assumed", source = "a law", seconds = ["10 ms"], service = "exponential" }
[models.second.variants.only]
weights = "60 MB"
layers = [{ name = "all", output = "1 kB" }]
costs.core = { known = "assumed", source = "a law", seconds = ["15 ms"] }
[devices.source]
count = 4
hardware = "core"
radio_power = "1 W"
[devices.source.tasks.first]
models = ["first"]
arrivals = "poisson"
every = "100 ms"
deadline = "120 ms"
input = "20 kB"
fallback = "device"
[devices.source.tasks.second]
models = ["second"]
arrivals = "poisson"
every = "150 ms"
deadline = "300 ms"
priority = 5
input = "20 kB"
[nodes.site]
kind = "edge"
hardware = "core"
queue = "QUEUE"
memory = "100 MB"
load = "2 GB/s"
resident = ["first:only"]
admit = "deadline"
queue_limit = 6
scale = { max = 3, up = "20 ms", start = "500 ms", idle = "100 ms" }
[nodes.region]
kind = "cloud"
hardware = "core"
queue_limit = 1
[links.cell]
from = "*"
to = "site"
up = "30 Mbit/s"
down = "30 Mbit/s"
delay = "2 ms"
HANDOVER
[links.wire]
from = "site"
to = "region"
rate = "40 Mbit/s"
delay = "5 ms"
jitter = "2 ms"
"""


def busy(load_text, policy, queue, handover=""):
    """Play it; return the world."""
    text = BUSY.replace("QUEUE", queue).replace("HANDOVER", handover)
    scenario = load_text(text, duration=20)
    choice = choose({"name": policy})
    world = World(scenario.setting(0.0), Streams(2, 0), choice.knowledge)
    drive(world, choice.make(), choice)
    return world


@pytest.mark.parametrize("queue", ["fifo", "priority", "edf"])
@pytest.mark.parametrize("policy", ["edge", "cloud", "quickest", "clairvoyant"])
@pytest.mark.parametrize("handover", ["", 'handover = "5 ms"'])
def test_every_birth_has_one_row(load_text, queue, policy, handover):
    world = busy(load_text, policy, queue, handover)
    outcomes = world.outcomes
    assert len({o.request.id for o in outcomes}) == len(outcomes) > 1000
    for outcome in outcomes:
        legs_s = (outcome.decide_s, outcome.device_s, outcome.uplink_s, outcome.edge_s, outcome.wan_s,
                  outcome.cloud_s, outcome.downlink_s)  # fmt: skip
        stay_s = outcome.ended_s - outcome.request.born_s
        assert min(legs_s) >= 0
        assert sum(legs_s) == pytest.approx(stay_s, abs=1e-9)
        assert 0 <= outcome.load_s <= outcome.edge_s + 1e-12
    causes = Counter((o.request.task, o.cause, o.attempts) for o in outcomes)
    if policy in ("edge", "cloud"):
        assert causes["second", "shed", 1] > 20
        assert causes["first", "", 2] > 50
    assert causes["first", "shed", 1] == causes["second", "", 2] == 0


@pytest.mark.parametrize("policy", ["edge", "cloud"])
@pytest.mark.parametrize("handover", ["", 'handover = "5 ms"'])
def test_who_is_turned_away_goes_on_at_home(load_text, policy, handover):
    world = busy(load_text, policy, "fifo", handover)
    gone_home = [o for o in world.outcomes if o.attempts == 2 and not o.cause]
    assert len(gone_home) > 50
    for outcome in gone_home:
        first, last = outcome.first_plan, outcome.plan
        node = "site" if policy == "edge" else "region"
        assert (first.edge or first.cloud, first.device_cut) == (node, 0)
        assert (last.uplinks, last.device_cut, last.variant) == (None, 1, first.variant)
        assert outcome.edge_s == outcome.cloud_s == 0.0  # turned away on arrival
        assert outcome.device_s > 0
        # Word of it has no size: a delay of the cell, and jitter and delay of the wire there and back.
        assert 0.002 - 1e-9 < outcome.downlink_s < 0.012  # it may wait behind an answer
        assert (outcome.wan_s > 0.010) == (policy == "cloud")
        assert (outcome.up_bytes, outcome.down_bytes) == (20_000, 0)
        watts, radio_s = 3, 8 * 20_000 / 30e6
        if "handover" in handover or outcome.device_s < SERVICE_S:
            assert outcome.energy_j <= watts * outcome.device_s + radio_s + 1e-9


@pytest.mark.parametrize("queue", ["fifo", "priority", "edf"])
def test_joules_of_a_server_are_of_its_computing_not_of_loading(load_text, queue):
    world = busy(load_text, "edge", queue)
    station = world.servers["site"]
    assert sum(o.load_s for o in world.outcomes) > 1
    assert sum(o.edge_j for o in world.outcomes) == pytest.approx(3 * station.busy_s, rel=1e-9)
    on_s = station.server_seconds(world.clock.now)
    assert station.busy_s < on_s < 3 * world.clock.now


def test_no_more_than_the_deadline_allows_with_less_memory(load_text):
    # Room for one network of two: each change of network is a cold start of 30 ms.
    world = busy(load_text, "edge", "fifo")
    loads_s = {round(outcome.load_s, 9) for outcome in world.outcomes}
    assert 0.0 in loads_s
    assert {seconds for seconds in loads_s if seconds} >= {0.03}
