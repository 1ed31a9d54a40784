"""Stations against queueing theory: each law within a 99.9 % interval over independent replications."""

import math
from statistics import fmean

import pytest

from offload.policies.table import choose
from offload.simulation.run import run

REPLICATIONS = 12
SERVICE_S = 0.010
WARM_UP_S = 15.0  # 1500 services; at a load of 0.8 an M/M/1 queue forgets within 100

# One source, a hop that takes no time, one station; the answer returns in no time.
STATION = """
[models.work.variants.only]
layers = [{{ name = "all", output = "0 B" }}]
costs.core = {{ known = "assumed", source = "a law", seconds = ["10 ms"], {service} }}
[devices.source]
hardware = "core"
[devices.source.tasks.work]
models = ["work"]
arrivals = "poisson"
every = "{every} s"
deadline = "1 s"
late = "finish"
input = "0 B"
result = "0 B"
[nodes.station]
kind = "edge"
hardware = "core"
servers = {servers}
[links.hop]
from = "*"
to = "station"
up = "1 Gbit/s"
down = "1 Gbit/s"
shared = false
"""

# Many devices, each seldom heard: none queues behind itself, so each request shares the cell by itself.
CELL = """
[models.work.variants.only]
layers = [{{ name = "all", output = "0 B" }}]
costs.core = {{ known = "assumed", source = "a law", seconds = ["{seconds}"] }}
[nodes.station]
kind = "edge"
hardware = "core"
[links.cell]
from = "*"
to = "station"
up = "48 Mbit/s"
down = "48 Mbit/s"
"""
GROUP = """
[devices.{name}]
count = {count}
hardware = "core"
[devices.{name}.tasks.work]
models = ["work"]
arrivals = "poisson"
every = "{every} s"
deadline = "1 s"
late = "finish"
input = "{size} kB"
result = "0 B"
"""

WIRE = """
[models.work.variants.only]
layers = [{{ name = "all", output = "0 B" }}]
costs.core = {{ known = "assumed", source = "a law", seconds = ["1 ns"] }}
[devices.source]
hardware = "core"
[devices.source.tasks.work]
models = ["work"]
arrivals = "poisson"
every = "{every} s"
deadline = "1 s"
late = "finish"
input = "100 kB"
result = "0 B"
[nodes.site]
kind = "edge"
hardware = "core"
[nodes.region]
kind = "cloud"
hardware = "core"
[links.hop]
from = "*"
to = "site"
up = "1000 Gbit/s"
down = "1000 Gbit/s"
shared = false
[links.wire]
from = "site"
to = "region"
rate = "80 Mbit/s"
delay = "3 ms"
jitter = "2 ms"
"""


def legs(scenario, policy, warm_up_s, *columns):
    """Mean of each leg in each replication, over the requests born after the warm-up: a list a leg."""
    means = []
    for replication in range(REPLICATIONS):
        outcomes = run(scenario, choose({"name": policy}), 1, replication).outcomes
        assert not any(outcome.cause for outcome in outcomes)
        kept = [outcome for outcome in outcomes if outcome.request.born_s > warm_up_s]
        means.append([fmean(getattr(outcome, column) for outcome in kept) for column in columns])
    return list(zip(*means, strict=True))


def erlang_c(servers, offered):
    """Probability that an arrival at M/M/c waits; from Erlang B by its recursion."""
    blocked = 1.0
    for number in range(1, servers + 1):
        blocked = offered * blocked / (number + offered * blocked)
    return blocked / (1 - offered / servers * (1 - blocked))


def pollaczek_khinchine(load, cv, service_s=SERVICE_S):
    """Mean time in M/G/1, first come first served."""
    return service_s + load * service_s * (1 + cv**2) / (2 * (1 - load))


def test_erlang_c_itself():
    # Tabulated values; the formula above is otherwise nobody's witness.
    assert erlang_c(2, 1.6) == pytest.approx(0.711111, abs=1e-6)
    assert erlang_c(4, 3.2) == pytest.approx(0.596432, abs=1e-6)


@pytest.mark.parametrize("load", [0.5, 0.7, 0.8])
@pytest.mark.parametrize(
    ("service", "cv"), [('service = "exponential"', 1.0), ('service = "constant"', 0.0)]
)
def test_one_server(load_text, agree, service, cv, load):
    text = STATION.format(service=service, every=SERVICE_S / load, servers=1)
    (means,) = legs(load_text(text, duration=150), "edge", WARM_UP_S, "edge_s")
    agree(means, pollaczek_khinchine(load, cv), within=0.15)


def test_log_normal_service(load_text, agree):
    text = STATION.format(service='service = "log-normal", cv = 1.5', every=SERVICE_S / 0.6, servers=1)
    (means,) = legs(load_text(text, duration=150), "edge", WARM_UP_S, "edge_s")
    agree(means, pollaczek_khinchine(0.6, 1.5))


def test_device_is_an_m_m_1_queue(load_text, agree):
    text = STATION.format(service='service = "exponential"', every=SERVICE_S / 0.7, servers=1)
    (means,) = legs(load_text(text, duration=250), "local", WARM_UP_S, "device_s")
    agree(means, SERVICE_S / (1 - 0.7))


@pytest.mark.parametrize("load", [0.5, 0.7, 0.8])
def test_four_servers(load_text, agree, load):
    text = STATION.format(service='service = "exponential"', every=SERVICE_S / load / 4, servers=4)
    (means,) = legs(load_text(text, duration=40), "edge", 5.0, "edge_s")
    agree(means, SERVICE_S * (1 + erlang_c(4, 4 * load) / (4 * (1 - load))))


@pytest.mark.parametrize("load", [0.5, 0.7, 0.8])
def test_cell_shares_its_air_time_equally(load_text, agree, load):
    # M/G/1-PS: E[T(x)] = x / (C (1 - load)) for every size x, whatever the mixture.
    alone_s = {"small": 0.005, "middle": 0.010, "large": 0.030}
    each = 200
    every_s = each * sum(alone_s.values()) / load
    text = CELL.format(seconds="1 ns") + "".join(
        GROUP.format(name=name, count=each, every=every_s, size=round(seconds * 48e6 / 8e3))
        for name, seconds in alone_s.items()
    )
    scenario = load_text(text, duration=320)
    kept = {name: [] for name in alone_s}
    for replication in range(REPLICATIONS):
        times = {name: [] for name in alone_s}
        for outcome in run(scenario, choose({"name": "edge"}), 1, replication).outcomes:
            if outcome.request.born_s > 10:
                times[outcome.request.group].append(outcome.uplink_s)
        for name, seconds in times.items():
            kept[name].append(fmean(seconds))
    for name, means in kept.items():
        agree(means, alone_s[name] / (1 - load))


def test_cell_then_server(load_text, agree):
    # What leaves a processor-sharing queue with Poisson arrivals is Poisson: the server is M/D/1.
    count, load = 600, 0.7
    text = CELL.format(seconds="8 ms") + GROUP.format(
        name="all", count=count, every=count * SERVICE_S / load, size=60
    )
    in_cell, at_server = legs(load_text(text, duration=100), "edge", 10.0, "uplink_s", "edge_s")
    agree(in_cell, SERVICE_S / (1 - load))
    agree(at_server, pollaczek_khinchine(load * 0.8, 0.0, 0.008))


def test_wire_is_an_m_d_1_queue_and_a_delay(load_text, agree):
    load = 0.8
    scenario = load_text(WIRE.format(every=SERVICE_S / load), duration=150)
    (means,) = legs(scenario, "cloud", WARM_UP_S, "wan_s")
    # Both ways: the delay, and a jitter of this mean.
    agree(means, pollaczek_khinchine(load, 0.0) + 2 * (0.003 + 0.002))


def test_jitter_is_exponential(load_text):
    scenario = load_text(WIRE.format(every=10), duration=60_000)
    outcomes = run(scenario, choose({"name": "cloud"}), 1, 0).outcomes
    # Nobody waits: 10 ms on the wire, 3 ms there, 3 ms back, and two jitters: Erlang of two phases.
    spare_s = sorted(outcome.wan_s - SERVICE_S - 0.006 for outcome in outcomes)
    n = len(spare_s)
    farthest = max(
        abs(1 - math.exp(-x / 0.002) * (1 + x / 0.002) - (index + 0.5) / n)
        for index, x in enumerate(spare_s)
    )
    assert n > 5000
    assert farthest < 1.95 / math.sqrt(n) + 0.5 / n  # Kolmogorov: exceeded once in a thousand
