"""Bounds on any policy: against all plans played in the real world, and against every shipped policy."""

import json
from itertools import product

import numpy as np
import pytest
from typer.testing import CliRunner

from offload.algorithms.horizon import alone_s
from offload.analysis.bounds import bound, counted
from offload.analysis.result import simulate
from offload.cli import app
from offload.policies.table import NAMED, choose
from offload.scenario.load import load
from offload.simulation.instance import every_plan, instance, play
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
layers = [{{ name = "a", output = "5 kB" }}, {{ name = "b", output = "1 kB" }}]
accuracy = {{ value = 0.7, known = "assumed", source = "a test" }}
[models.net.variants.plain.costs.core]
known = "assumed"
source = "a test"
seconds = ["10 ms", "30 ms"]
service = "exponential"
[devices.box]
count = 1
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
    def make(rest=KINDS["one server"], late="finish", duration=40, every=8, deadline=40):
        path = tmp_path / "tiny.toml"
        told = TINY.format(rest=rest, late=late, duration=duration, every=every, deadline=deadline)
        path.write_text(told)
        return load(path)

    return make


def all_plans(scenario, replication, most_plays=1300):
    """Play every choice of plans; return the least missed, the most useful, the least mean latency.

    And whether more are missed than would be if each were alone.
    """
    streams = Streams(scenario.file.seed, replication)
    given = instance(scenario.setting(0.0, streams), streams)
    asked = given.asked
    ids = [each.request.id for each in asked]
    alone = np.mean([min(map(alone_s, each.options)) > each.request.deadline_s for each in asked])
    plans = list(every_plan(given.setting.facts[0]))
    assert len(plans) >= 3
    if len(ids) < 3 or len(plans) ** len(ids) > most_plays:
        return None
    best = [1.0, 0.0, np.inf]
    for chosen in product(plans, repeat=len(ids)):
        rows = play(given, dict(zip(ids, chosen, strict=True)))
        late_s = np.array([np.inf if o.cause else o.ended_s - o.request.born_s for o in rows])
        on_time = late_s <= [o.request.deadline_s for o in rows]
        right = np.array([bool(o.correct) for o in rows])
        best = [
            min(best[0], 1 - on_time.mean()), max(best[1], (on_time & right).mean()),
            min(best[2], late_s.mean()),
        ]  # fmt: skip
    return len(ids), best, best[0] > alone + 1e-9


@pytest.mark.parametrize(("kind", "late"), [*product(KINDS, ["finish"]), ("one server", "drop")])
def test_never_above_the_best_of_all_plans_and_often_equal(tiny, kind, late):
    scenario = tiny(KINDS[kind], late)
    tried = equal = crowds = 0
    misses, latencies = [], []
    for replication in range(40):
        known = all_plans(scenario, replication)
        if known is None:
            continue
        count, (missed, useful, mean_s), crowded = known
        found = bound(counted(scenario, scenario.file.seed, replication))
        assert found.requests == count
        assert found.missed <= missed + 1e-9
        assert found.useful >= useful - 1e-9
        assert found.latency_mean_s <= mean_s * (1 + 1e-9)
        tried += 1
        crowds += crowded
        equal += abs(found.missed - missed) < 1e-9
        misses.append((found.missed, missed))
        if np.isfinite(mean_s):
            latencies.append(found.latency_mean_s / mean_s)
    assert tried >= 8
    assert crowds >= (1 if kind == "a cloud" else 5)
    assert equal >= 0.75 * tried
    proved, best = np.sum(misses, axis=0)
    assert proved >= 0.8 * best > 0
    assert 0.75 < np.mean(latencies) < 1.0


def check_each_plan_alone(scenario, every):
    """Play some plans where nobody else is: each takes what was said, and is right or wrong as said."""
    given = counted(scenario, scenario.file.seed, 0)
    plans = given.asked[0].plans
    assert len(given.asked) >= 3
    tried = range(0, len(plans), every)
    for number in tried:
        outcomes = play(given, {each.request.id: each.plans[number] for each in given.asked})
        by_id = {o.request.id: o for o in outcomes}
        for each in given.asked:
            outcome = by_id[each.request.id]
            took_s = outcome.ended_s - outcome.request.born_s
            assert took_s == pytest.approx(alone_s(each.options[number]), rel=1e-9)
            assert outcome.correct is each.right[number]
    return [plans[number] for number in tried]


@pytest.mark.parametrize("kind", KINDS)
def test_what_each_plan_takes_alone_is_what_it_takes_in_the_world(tiny, kind):
    plans = check_each_plan_alone(tiny(KINDS[kind], duration=400_000, every=100_000), 1)
    places = {(plan.edge, plan.cloud) for plan in plans}
    assert len(places) == (4 if kind == "a cloud" else 2)


def test_what_exits_and_codecs_take_alone_is_what_they_take_in_the_world():
    tasks = [("gateway", "parts"), ("watch", "hands")]
    sparse = [f'devices.{group}.tasks.{task}.every="150 ms"' for group, task in tasks]
    sparse += [f"devices.{group}.tasks.{task}.streams=1" for group, task in tasks]
    sparse += [f'devices.{group}.tasks.{task}.late="finish"' for group, task in tasks]
    sparse += ["devices.gateway.count=1", "devices.watch.count=1", 'warm_up="0 s"', 'duration="400 ms"']
    sparse += ["devices.watch.tasks.hands.private=false", 'links.cell.from="*"', "links.aside="]
    plans = check_each_plan_alone(
        load(hand_made.ROOT / "scenarios" / "smart-factory.toml", sparse), every=23
    )
    assert {plan.exit for plan in plans} >= {None, 0, 1, 2}
    assert {plan.codec for plan in plans} == {None, "uint8", "uint8+zstd"}


def test_with_nobody_else_the_bound_is_what_the_best_plan_takes(tiny):
    """Births so far apart that the second comes when the first has long been answered."""
    scenario = tiny(duration=400_000, every=100_000, deadline=30)
    (count, best, crowded) = all_plans(scenario, 1)
    found = bound(counted(scenario, scenario.file.seed, 1))
    assert count >= 3
    assert not crowded
    assert (found.missed, found.useful) == pytest.approx(best[:2])
    assert found.latency_mean_s == pytest.approx(best[2])


def test_an_overloaded_instance_has_a_bound_above_nothing_and_near_what_was_found(tiny):
    scenario = tiny(late="drop", duration=200, every=15, deadline=60)
    runs = [run(scenario, choose({"name": name}), 4, 0) for name in ("local", "quickest")]
    found = bound(counted(scenario, 4, 0), runs)
    assert 0.1 < found.missed <= found.found
    assert found.found - found.missed < 0.25
    policies = [np.mean([bool(o.cause) or o.ended_s > o.request.born_s + 0.06 for o in r.outcomes])
                for r in runs]  # fmt: skip
    assert found.found <= min(policies)


@pytest.mark.parametrize("late", ["finish", "drop"])
def test_every_shipped_policy_lies_above_the_bound(late):
    scenario = load(SMALL, ['duration="12 ms"', f'devices.gateway.tasks.parts.late="{late}"'])
    found = bound(counted(scenario, scenario.file.seed, 0))
    assert found.missed > 0.02
    defined = 0
    for name in NAMED:
        if name == "cloud":  # there is none
            continue
        measured = simulate(scenario, name).measures()
        assert 1 - measured["on_time"] >= found.missed - 1e-9
        assert measured["useful"] <= found.useful + 1e-9
        if not np.isnan(measured["latency_mean_s"]):
            assert measured["latency_mean_s"] >= found.latency_mean_s
            defined += 1
    assert defined >= (8 if late == "finish" else 1)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        (["nodes.cabinet.batch={max=4, wait='1 ms'}"], "nodes.cabinet.batch"),
        (["links.cell.range='50 m'", "devices.gateway.at=['90 m', '0 m']"], "devices.gateway: "),
        (["nodes.cabinet.policy={name='edge'}"], "nodes.cabinet.policy"),
        (["faults.break={of=['cabinet'], mtbf='1 s', mttr='1 s'}"], "faults of cabinet"),
        (["warm_up='auto'"], "warm_up"),
        (["duration='10 s'"], "requests"),
    ],
)
def test_what_no_bound_covers_is_said_in_one_line(settings, what):
    done = CliRunner().invoke(app, ["bound", str(SMALL), *(f"--set={each}" for each in settings)])
    assert done.exit_code == 2, done.output
    assert what in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_command_tells_bound_and_regret():
    short = ["--set", 'duration="6 ms"', "--replications", "2", "--policy", "quickest", "--policy=local"]
    done = CliRunner().invoke(app, ["bound", str(SMALL), *short, "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [policy["label"] for policy in told["policies"]] == ["quickest", "local"]
    for policy in told["policies"]:
        for key, mine in policy["measures"].items():
            gap = policy["regret"][key]
            sign = -1 if key == "useful" else 1
            assert gap["mean"] == pytest.approx(sign * (mine["mean"] - told["bound"][key]["mean"]))
            assert gap["mean"] >= 0
            assert gap["low"] <= gap["mean"] <= gap["high"]
    assert told["found"]["mean"] >= told["bound"]["missed"]["mean"]
    shown = CliRunner().invoke(app, ["bound", str(SMALL), *short])
    assert shown.exit_code == 0
    assert all(word in shown.stdout for word in ("bound", "regret", "quickest", "best plans found"))


def test_whatever_may_become_of_a_plan_is_among_those_considered():
    """Exits: taken by a confidence or stated, they ask for the same."""
    factory = load(hand_made.ROOT / "scenarios" / "smart-factory.toml")
    facts = factory.setting(0.0).facts[0]
    plans = list(every_plan(facts))
    assert len(plans) == len(set(plans))
    early = [plan for plan in plans if plan.exit == 0]
    assert {plan.uplinks for plan in early} == {None, ("cell",)}
    assert {plan.codec for plan in plans} >= {None, *facts.codecs}


def test_a_request_that_is_asked_again_counts_once() -> None:
    task = "devices.car.tasks.objects"
    settings = [
        "devices.car.count=6", 'duration="1 s"', 'warm_up="0 s"', 'devices.car.hardware="cortex-a53"',
        f'{task}.every="30 ms"', f"{task}.retries=2", "nodes.cabinet.queue_limit=1",
        'links.cell.up="2 Gbit/s"', 'nodes.cabinet.hardware="x86-core"',
    ]  # fmt: skip
    scenario = load(hand_made.ROOT / "tests" / "small.toml", settings)
    streams = Streams(3, 0)
    given = instance(scenario.setting(0.0, streams), streams)
    outcomes = run(scenario, choose({"name": "edge"}), 3, 0).outcomes
    assert max(each.attempts for each in outcomes) > 1
    ids = [each.request.id for each in given.asked]
    assert len(ids) == len(set(ids))
    assert sorted(ids) == sorted(each.request.id for each in outcomes)
    deadlines = {each.request.id: each.request.deadline_s for each in outcomes}
    assert all(each.request.deadline_s == deadlines[each.request.id] for each in given.asked)


def test_requests_without_a_plan_are_played_all_the_same() -> None:
    scenario = load(hand_made.ROOT / "tests" / "small.toml", ['duration="1 s"', 'warm_up="0 s"'])
    streams = Streams(3, 0)
    given = instance(scenario.setting(0.0, streams), streams)
    assert len(play(given, {})) == len(given.asked)
