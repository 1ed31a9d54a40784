"""A scenario run with real processes, networks and sockets; what happens when some of them die."""

import os
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from offload import Observation, Plan, Request
from offload.analysis.rows import LEGS
from offload.cli import app
from offload.dnn import zoo
from offload.entities import Node
from offload.policies import table
from offload.scenario.load import load
from offload.simulation.run import run as simulate
from offload.streams import Streams
from offload.testbed.bed import Testbed, TestbedError
from offload.testbed.births import requests
from offload.testbed.message import Ask, Stop
from offload.testbed.waiting import Job, Waiting

SCENARIO = Path(__file__).with_name("testbed.toml")


@dataclass
class Around:
    """Every way to divide the network among the three, one after the other."""

    asked: int = 0

    def decide(self, request: Request, seen: Observation) -> Plan:
        del request
        variant, cell = seen.facts.variants[0], ("cell",)
        last = variant.last
        plans = (
            Plan(variant, last, last),
            Plan(variant, 0, last, "edge", None, cell),
            Plan(variant, 3, last, "edge", None, cell),
            Plan(variant, 0, 0, None, "far", cell),
            Plan(variant, 3, 3, None, "far", cell),
            Plan(variant, 3, 6, "edge", "far", cell),
            Plan(variant, 3, last, "edge", None, cell, "uint8+zstd"),
        )
        self.asked += 1
        return plans[self.asked % len(plans)]


AROUND = {"name": "test_testbed:Around"}


@pytest.fixture(autouse=True)
def _found(monkeypatch):
    """Let this module's policy be found, in processes that are started too."""
    here = str(Path(__file__).parent)
    monkeypatch.syspath_prepend(here)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([here, os.environ.get("PYTHONPATH", "")]))


def scenario(*settings):
    return load(SCENARIO, settings)


def born(given, seed=3):
    return requests(given.setting(0.0), Streams(seed, 0))


def test_births_are_those_of_the_simulator():
    given = scenario(
        'devices.cam.tasks.parts.arrivals="poisson"',
        "devices.cam.count=3",
        'devices.cam.tasks.parts.input={ distribution = "log-normal", mean = "2 kB", cv = 0.5 }',
    )
    rows = simulate(given, given.policy, 3, 0).outcomes
    assert born(given) == sorted((row.request for row in rows), key=lambda r: (r.born_s, r.id))
    assert len(rows) > 50


def test_every_plan_answers_as_the_whole_network_and_legs_sum():
    given, seen = scenario('devices.cam.tasks.parts.codecs=["uint8+zstd"]'), {}
    with Testbed(given, table.choose(AROUND), shows=True) as bed:
        rows = bed.play(born(given), lambda o, _t, s: seen.update({o.request.id: s}))
        assert bed.spin().keys() == {"cam-0", "edge", "far"}
    assert [outcome.request for outcome, _ in rows] == born(given)
    assert {outcome.cause for outcome, _ in rows} == {""}
    assert {outcome.attempts for outcome, _ in rows} == {1}
    visited = {(o.plan.device_cut > 0, o.plan.edge, o.plan.cloud) for o, _ in rows}
    assert len(visited) == 6
    exact = {}
    for number, (outcome, timing) in enumerate(rows):
        legs = [getattr(outcome, leg) for leg in LEGS]
        assert min(legs) >= 0.0
        assert sum(legs) == pytest.approx(outcome.ended_s - outcome.request.born_s, abs=1e-9)
        plan, last = outcome.plan, outcome.plan.variant.last
        assert (timing.device is not None) == (plan.device_cut > 0)
        assert (timing.edge is not None) == (plan.edge is not None and plan.device_cut < plan.edge_cut)
        assert (timing.cloud is not None) == (plan.cloud is not None)
        if plan.uplinks is not None:
            assert outcome.uplink_s > 0.001 + 8 * outcome.up_bytes / 50e6
        if plan.codec is None:
            # A camera's file is lossy; what was split later answers to the bit.
            kind = "file" if plan.device_cut == 0 and last else "tensor"
            exact.setdefault((kind, number % 16), set()).add(tuple(seen[outcome.request.id][1]))
    assert all(len(answers) == 1 for answers in exact.values())
    assert sum(kind == "tensor" for kind, _ in exact) > 3


def test_a_batch_answers_as_one_by_one():
    settings = ['nodes.edge.batch={ max = 3, wait = "20 ms" }', 'devices.cam.tasks.parts.every="5 ms"',
                'duration="500 ms"']  # fmt: skip
    given = scenario(*settings)
    with Testbed(given, given.policy) as bed:
        rows = [outcome for outcome, _ in bed.play(born(given))]
    assert {row.cause for row in rows} == {""}
    sizes = Counter(row.batch for row in rows)
    assert max(sizes) == 3
    assert sizes[3] > len(rows) / 2


def test_an_edge_server_that_is_killed_is_done_without_and_comes_back():
    given = scenario('duration="12 s"')
    with Testbed(given, given.policy) as bed:
        killed = threading.Timer(2.0, lambda: os.kill(bed.process_id("edge"), signal.SIGKILL))
        killed.start()
        rows = [outcome for outcome, _ in bed.play(born(given))]
        assert bed.members["edge"].lives == 2
        again = [outcome for outcome, _ in bed.play(born(scenario()))]
    assert [row.request for row in rows] == born(given)
    assert {row.cause for row in rows} == {""}
    home = [row for row in rows if row.attempts == 2]
    assert home
    assert {row.plan.edge for row in home} == {None}
    assert {row.first_plan.edge for row in home} == {"edge"}
    assert rows[0].plan.edge == rows[-1].plan.edge == "edge"
    assert all(row.plan.edge == "edge" and row.attempts == 1 for row in again)


def test_an_edge_server_that_hangs_is_given_up():
    given = scenario()
    with Testbed(given, given.policy) as bed:
        os.kill(bed.process_id("edge"), signal.SIGSTOP)
        try:
            rows = [outcome for outcome, _ in bed.play(born(given))]
        finally:
            os.kill(bed.process_id("edge"), signal.SIGCONT)
    assert [row.request for row in rows] == born(given)
    assert {row.cause for row in rows} == {""}
    assert {row.attempts for row in rows} == {2}
    assert min(row.ended_s - row.request.born_s for row in rows) > 1.0  # the cell's give_up


def test_without_a_fallback_the_cause_is_told():
    given = scenario("devices.cam.tasks.parts.fallback=")
    with Testbed(given, given.policy) as bed:
        killed = threading.Timer(1.0, lambda: os.kill(bed.process_id("edge"), signal.SIGKILL))
        killed.start()
        rows = [outcome for outcome, _ in bed.play(born(given))]
    assert [row.request for row in rows] == born(given)
    assert {row.cause for row in rows} == {"", "node-down"}


def test_a_device_that_is_killed_leaves_a_row_for_each_request_and_plays_again():
    given = scenario()
    with Testbed(given, given.policy) as bed:
        threading.Timer(1.0, lambda: os.kill(bed.process_id("cam-0"), signal.SIGKILL)).start()
        rows = [outcome for outcome, _ in bed.play(born(given))]
        again = [outcome for outcome, _ in bed.play(born(given))]
    assert [row.request for row in rows] == born(given) == [row.request for row in again]
    assert {row.cause for row in rows} <= {"", "device-down"}
    assert rows[-1].cause == "device-down"
    assert {row.cause for row in again} == {""}


def test_a_policy_of_the_simulator_decides_from_reports():
    given = scenario()
    with Testbed(given, table.choose({"name": "quickest"})) as bed:
        rows = [outcome for outcome, _ in bed.play(born(given))]
    assert {row.cause for row in rows} == {""}
    assert {row.plan.edge for row in rows} == {None}  # the link takes longer than the network


def test_what_a_testbed_cannot_do_is_told_at_once():
    given = scenario("nodes.edge.servers=2", "links.wan.loss=0.1", "devices.cam.count=2",
                     "links.cell.shared=true")  # fmt: skip
    with pytest.raises(TestbedError) as error:
        Testbed(given, table.choose({"name": "clairvoyant"}))
    told = str(error.value).splitlines()
    assert [line.partition("testbed.toml: ")[2].partition(":")[0] for line in told] == [
        "links.cell", "links.wan.loss", "nodes.edge.servers", "policy clairvoyant",
    ]  # fmt: skip


def ask(number, variant="a", priority=0, deadline_ns=0):
    return Ask(number, 1, "cam", variant, [Stop("edge", 0, 1)], 0, deadline_ns, priority)


def node(**given):
    hardware = scenario().setting(0.0).nodes["edge"].hardware
    return Node("edge", "edge", hardware, 1, (0.0, 0.0), 1.0, **given)


def put(waiting, *asks):
    return [waiting.put(Job(each, memoryview(b""), None, time.monotonic_ns())) for each in asks]


def ids(jobs):
    return [job.ask.id for job in jobs]


def test_a_server_takes_by_rank():
    first = Waiting(node())
    put(first, ask(1), ask(2), ask(3))
    assert [ids(first.take()) for _ in range(3)] == [[1], [2], [3]]
    ranked = Waiting(node(queue="priority"))
    put(ranked, ask(1), ask(2, priority=5), ask(3, priority=5))
    assert [ids(ranked.take()) for _ in range(3)] == [[2], [3], [1]]
    due = Waiting(node(queue="edf"))
    put(due, ask(1, deadline_ns=9), ask(2, deadline_ns=3), ask(3, deadline_ns=5))
    assert [ids(due.take()) for _ in range(3)] == [[2], [3], [1]]


def test_a_server_turns_away_who_finds_no_room():
    limited = Waiting(node(queue_limit=1))
    assert put(limited, ask(1), ask(2)) == [True, False]
    none = Waiting(node(queue_limit=0))
    assert put(none, ask(1), ask(2)) == [True, False]  # the first finds the server idle
    none.take()
    assert put(none, ask(3)) == [False]


def test_a_batch_is_full_or_ripe_and_of_one_kind():
    batches = Waiting(node(batch_max=2, batch_wait_s=0.0))
    put(batches, ask(1, "a"), ask(2, "b"), ask(3, "b"), ask(4, "a"), ask(5, "a"))
    assert [ids(batches.take()) for _ in range(3)] == [[1, 4], [2, 3], [5]]
    slow = Waiting(node(batch_max=2, batch_wait_s=60.0))
    put(slow, ask(1, "a"), ask(2, "b"), ask(3, "b"))
    assert ids(slow.take()) == [2, 3]
    threading.Timer(0.05, slow.close).start()
    assert slow.take() == []


def test_the_command_shows_both(tmp_path):
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["testbed", "run", str(SCENARIO), "--out", str(out), "--show"])
    assert done.exit_code == 0, done.output
    assert "measured (simulated)" in done.output
    assert "all answered" in done.output
    assert {path.name for path in out.iterdir()} >= {"requests.parquet", "timings.parquet", "log.txt"}
    again = CliRunner().invoke(app, ["run", str(out / "requests.parquet")])
    assert again.exit_code == 2
    assert "measured" in again.output


def test_bad_options_are_told():
    for options, told in (
        (["--core", "edge"], "--core edge"),
        (["--weights", "x"], "--weights x"),
        (["--policy", "nobody"], "nobody"),
        (["--frames", "/nowhere"], "/nowhere"),
    ):
        done = CliRunner().invoke(app, ["testbed", "run", str(SCENARIO), *options])
        assert done.exit_code == 2, done.output
        assert told in done.output


def test_the_network_that_is_run_is_the_one_of_the_zoo():
    network = zoo.network("fashion-cnn")
    with torch.inference_mode():
        assert network.forms["fp32"]()(*network.example(1)).shape == (1, 10)
