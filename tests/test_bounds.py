"""Bounds on any policy: against all plans played in the real world, and against every shipped policy."""

import json
from itertools import product

import numpy as np
import pytest
from typer.testing import CliRunner

from offload.analysis.bounds import bound, play
from offload.cli import app
from offload.policies.table import NAMED, choose
from offload.scenario.load import load
from offload.simulation.instance import NotCoveredError, every_plan, instance
from offload.simulation.run import run
from offload.streams import Streams
from tests import hand_made

SMALL = hand_made.ROOT / "scenarios" / "small-cell.toml"

TINY = """
format = 1
name = "tiny"
duration = "{duration} ms"
drain = "100 s"
seed = 4
[hardware.core]
kind = "cpu"
memory = "1 GB"
idle_power = {{ value = "2 W", known = "assumed", source = "a test" }}
busy_power = {{ value = "5 W", known = "assumed", source = "a test" }}
[models.net.variants.plain]
layers = [{{ name = "a", output = "{middle}" }}, {{ name = "b", output = "1 kB" }}]
accuracy = {{ value = 0.7, known = "assumed", source = "a test" }}
[models.net.variants.plain.costs.core]
known = "assumed"
source = "a test"
seconds = ["10 ms", "30 ms"]
service = "exponential"
[devices.box]
count = 2
hardware = "core"
[devices.box.tasks.work]
models = ["net"]
arrivals = "poisson"
every = "{every} ms"
deadline = "{deadline} ms"
late = "{late}"
input = "20 kB"
{rest}
"""
EDGE = """
[nodes.cabinet]
kind = "edge"
hardware = "core"
servers = {servers}
[links.cell]
from = "*"
to = "cabinet"
up = "10 Mbit/s"
down = "50 Mbit/s"
delay = "2 ms"
shared = {shared}
"""
CLOUD = """
[nodes.region]
kind = "cloud"
hardware = "core"
[links.backhaul]
from = "cabinet"
to = "region"
rate = "20 Mbit/s"
delay = "3 ms"
jitter = "2 ms"
loss = 0.05
"""

KINDS = {
    "one server": EDGE.format(servers=1, shared="true"),
    "hops of their own": EDGE.format(servers=1, shared="false"),
    "two servers": EDGE.format(servers=2, shared="true"),
    "a cloud": EDGE.format(servers=1, shared="true") + CLOUD,
}


@pytest.fixture
def tiny(tmp_path):
    def make(rest=KINDS["one server"], late="finish", duration=150, every=80, deadline=60, middle="5 kB"):
        path = tmp_path / "tiny.toml"
        told = TINY.format(
            rest=rest, late=late, duration=duration, every=every, deadline=deadline, middle=middle
        )
        path.write_text(told)
        return load(path)

    return make


def all_plans(scenario, replication, most_plays=800):
    """Play every choice of plans; return the least missed, the most useful, the least mean latency."""
    streams = Streams(scenario.file.seed, replication)
    setting = scenario.setting(0.0, streams)
    ids = [each.request.id for each in instance(setting, streams).asked]
    plans = list(every_plan(setting.facts[0]))
    assert len(plans) >= 3
    if not ids or len(plans) ** len(ids) > most_plays:
        return None
    best = [1.0, 0.0, np.inf]
    for chosen in product(plans, repeat=len(ids)):
        rows = play(setting, streams, dict(zip(ids, chosen, strict=True)))
        late_s = np.array([np.inf if o.cause else o.ended_s - o.request.born_s for o in rows])
        on_time = late_s <= [o.request.deadline_s for o in rows]
        right = np.array([bool(o.correct) for o in rows])
        best = [
            min(best[0], 1 - on_time.mean()), max(best[1], (on_time & right).mean()),
            min(best[2], late_s.mean()),
        ]  # fmt: skip
    return len(ids), best


@pytest.mark.parametrize(("kind", "late"), [*product(KINDS, ["finish"]), ("one server", "drop")])
def test_never_above_the_best_of_all_plans_and_often_equal(tiny, kind, late):
    scenario = tiny(KINDS[kind], late)
    tried = equal = 0
    misses, latencies = [], []
    for replication in range(24):
        known = all_plans(scenario, replication)
        if known is None:
            continue
        count, (missed, useful, mean_s) = known
        found = bound(scenario, scenario.file.seed, replication)
        assert found.requests == count
        assert found.missed <= missed + 1e-9
        assert found.useful >= useful - 1e-9
        assert found.latency_mean_s <= mean_s * (1 + 1e-9)
        tried += 1
        equal += abs(found.missed - missed) < 1e-9
        misses.append((found.missed, missed))
        latencies.append(found.latency_mean_s / mean_s)
    print(kind, late, tried, equal, np.sum(misses, axis=0), np.mean(latencies))
    assert tried >= 8
    assert equal >= 0.6 * tried
    assert 0.8 < np.mean(latencies) < 1.0
