"""Nodes and links that break: nothing is lost, and what is hit ends as the scenario says, by hand."""

from collections import Counter

import pytest

from offload.policies.table import choose
from offload.simulation.run import run
from offload.streams import Streams

TABLES = """
[models.work.variants.only]
layers = [{ name = "half", output = "40 kB" }, { name = "rest", output = "1 kB" }]
[models.work.variants.only.costs.core]
known = "assumed"
source = "a law"
seconds = ["150 ms", "100 ms"]
[devices.box]
count = COUNT
hardware = "core"
radio_power = "2 W"
[devices.box.tasks.work]
models = ["work"]
arrivals = "poisson"
every = "EVERY"
deadline = "5 s"
late = "finish"
input = "200 kB"
OPTIONS
[nodes.site]
kind = "edge"
hardware = "core"
SITE
[nodes.region]
kind = "cloud"
hardware = "core"
servers = 4
[links.cell]
from = "*"
to = "site"
up = "20 Mbit/s"
down = "20 Mbit/s"
delay = "10 ms"
[links.wire]
from = "site"
to = "region"
rate = "100 Mbit/s"
delay = "30 ms"
[faults.storm]
FAULT
"""
USUAL = {
    "COUNT": "4", "EVERY": "300 ms", "OPTIONS": "", "SITE": "servers = 3",
    "FAULT": 'of = ["site"]\nwindows = [["5 s", "6 s"], ["12 s", "12.5 s"]]',
}  # fmt: skip


def tables(**words):
    """Return the scenario with words in the place of those in capitals."""
    text = TABLES
    for word, by in (USUAL | words).items():
        text = text.replace(word, by)
    return text


BREAKS = {
    "node": {},
    "batch": {"SITE": 'servers = 2\nbatch = { max = 4, wait = "50 ms" }'},
    "scale": {"SITE": 'scale = { min = 1, max = 4, up = "100 ms", start = "300 ms", idle = "1 s" }'},
    "retry": {"OPTIONS": "retries = 2"},
    "home": {"OPTIONS": 'fallback = "device"'},
    "all together": {"FAULT": 'of = ["site", "cell", "wire", "region"]\nmtbf = "4 s"\nmttr = "700 ms"'},
    "slow": {"FAULT": 'of = ["site", "wire"]\nmtbf = "4 s"\nmttr = "2 s"\nslower = 3'},
}


@pytest.mark.parametrize("words", BREAKS.values(), ids=list(BREAKS))
@pytest.mark.parametrize("name", ["edge", "cloud", "quickest", "random", "clairvoyant"])
def test_every_birth_has_one_row(load_text, name, words):
    scenario = load_text(tables(**words), 20, 100)
    options = {"variant": "only"} if name in ("edge", "cloud") else {}
    done = run(scenario, choose({"name": name, **options}), 3, 0)
    ids = [each.request.id for each in done.outcomes]
    assert len(ids) == len(set(ids)) > 200
    causes = Counter(each.cause for each in done.outcomes)
    assert set(causes) <= {"", "node-down", "out-of-range", "no-route"}
    if name == "edge" and "slower" not in words.get("FAULT", ""):
        hit = sum(each.attempts > 1 for each in done.outcomes)
        assert (hit > 0) == ("OPTIONS" in words)
        assert (causes["node-down"] > 0) == ("OPTIONS" not in words)
    for each in done.outcomes:
        legs = (each.decide_s, each.device_s, each.uplink_s, each.edge_s, each.wan_s, each.cloud_s)
        assert sum(legs) + each.downlink_s == pytest.approx(each.ended_s - each.request.born_s, abs=1e-9)


def test_births_and_faults_are_the_same_under_all_policies(load_text):
    scenario = load_text(tables(**BREAKS["all together"]), 20, 100)
    born = [
        sorted(
            (each.request.born_s, each.request.id) for each in run(scenario, choose(p), 3, 0).outcomes
        )
        for p in ({"name": "local", "variant": "only"}, {"name": "edge", "variant": "only"})
    ]
    assert born[0] == born[1]
    speeds = [scenario.setting(0.0, Streams(3, n)).speeds["site"].times_s for n in (0, 0, 1)]
    assert speeds[0] == speeds[1] != speeds[2]


def alone(load_text, **words):
    """Run one box that asks the edge every half a minute; return what became of each request."""
    scenario = load_text(tables(COUNT="1", EVERY="2 s", SITE="", **words), 30, 100)
    return run(scenario, choose({"name": "edge", "variant": "only"}), 3, 0).outcomes


def arrives_s(each):
    """When a request that meets nobody is at the site: 200 kB at 20 Mbit/s, and the cell's delay."""
    return each.request.born_s + 0.08 + 0.01


WINDOW = 'of = ["site"]\nwindows = [["0 s", "8 s"], ["10 s", "18 s"]]'


def test_who_comes_while_a_node_is_down_or_is_there_when_it_falls_fails_at_that_moment(load_text):
    found = alone(load_text, FAULT=WINDOW)
    assert {each.cause for each in found} == {"", "node-down"}
    for each in found:
        at_s = arrives_s(each)
        if at_s < 8 or 10 <= at_s < 18:
            assert (each.cause, each.edge_j) == ("node-down", 0.0)
            assert each.ended_s == pytest.approx(at_s, abs=1e-9)
        elif 8 < at_s < 9.5 or at_s > 19:
            assert each.cause == ""


def test_work_under_way_is_paid_for_until_the_node_falls(load_text):
    whole_run = alone(load_text, FAULT='of = ["site"]\nwindows = [["90 s", "91 s"]]')
    one = next(
        each
        for each in whole_run
        if each.request.born_s > 9 and each.edge_s < 0.2501 and each.uplink_s < 0.0901  # it met nobody
    )
    cut_s = round(arrives_s(one) + 0.09, 6)  # while it is being computed
    hit = [
        each
        for each in alone(load_text, FAULT=f'of = ["site"]\nwindows = [["{cut_s} s", "18 s"]]')
        if each.request.id == one.request.id
    ]
    assert hit
    for each in hit:
        assert each.cause == "node-down"
        assert each.ended_s == pytest.approx(cut_s, abs=1e-9)
        assert each.edge_j == pytest.approx(
            3.0 * (cut_s - arrives_s(each)), abs=1e-9
        )  # 5 W less 2 W idle


def test_a_retry_waits_and_asks_anew(load_text):
    found = alone(load_text, FAULT=WINDOW, OPTIONS='retries = 1\nretry_after = "70 ms"')
    hit = [each for each in found if each.attempts == 2]
    assert hit
    for each in hit:
        assert each.cause == "node-down"  # the edge again, which is still down
        at_s = arrives_s(each)
        if each.uplink_s < 2 * 0.0901:  # it met nobody
            assert each.ended_s == pytest.approx(at_s + 0.07 + 0.09, abs=1e-9)
            assert each.up_bytes == 400e3


def test_who_falls_back_computes_at_home(load_text):
    found = alone(load_text, FAULT=WINDOW, OPTIONS='fallback = "device"\nretry_after = "70 ms"')
    assert {each.cause for each in found} == {""}
    home = [each for each in found if each.attempts == 2]
    assert home
    free_s = 0.0
    for each in sorted(home, key=lambda each: each.request.born_s):
        begins_s = max(arrives_s(each) + 0.07, free_s)
        free_s = begins_s + 0.25
        assert each.ended_s == pytest.approx(free_s, abs=1e-9)
        assert each.plan.edge is None
        assert each.first_plan.edge == "site"
        assert each.energy_j == pytest.approx(3.0 * 0.25 + 2.0 * 0.08)


def test_a_straggler_takes_so_many_times_longer(load_text):
    usual = alone(load_text, FAULT='of = ["site"]\nwindows = [["90 s", "91 s"]]')
    slow = alone(load_text, FAULT='of = ["site"]\nwindows = [["0 s", "100 s"]]\nslower = 4')
    for one, other in zip(usual, slow, strict=True):
        if one.edge_s < 0.2501:  # it met nobody
            assert other.edge_s >= 4 * one.edge_s - 1e-9
    assert min(each.edge_s for each in slow) == pytest.approx(1.0)


def test_a_message_waits_for_a_wire_to_be_mended(load_text):
    scenario = load_text(
        tables(COUNT="1", EVERY="2 s", FAULT='of = ["wire"]\nwindows = [["4 s", "9 s"]]'), 30, 100
    )
    found = run(scenario, choose({"name": "cloud", "variant": "only"}), 3, 0).outcomes
    assert {each.cause for each in found} == {""}
    waited = [each for each in found if 4 < arrives_s(each) < 9]
    assert waited
    for each in waited:
        assert each.wan_s > 9 - arrives_s(each)


@pytest.mark.parametrize("knowledge", ["reported", "fresh"])
def test_a_node_that_is_down_is_silent(load_text, knowledge):
    seen = []

    class Watching:
        def decide(self, request, observed):
            seen.append((observed.now_s, observed.reports["site"]))
            return choose({"name": "local", "variant": "only"}).make().decide(request, observed)

    from offload.simulation.run import drive
    from offload.simulation.world import World

    scenario = load_text(tables(), 20, 100)
    world = World(scenario.setting(0.0), Streams(3, 0), knowledge)
    drive(world, Watching(), choose({"name": "local", "variant": "only"}))
    down = [report for now, report in seen if 5.3 < now < 6]
    assert down
    for report in down:
        if knowledge == "reported":
            assert report.sent_s < 5.0
        else:
            assert report.backlog_s == float("inf")
    assert all(report.sent_s > 6 for now, report in seen if 6.5 < now < 12) or knowledge == "fresh"
