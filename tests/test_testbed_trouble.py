"""What becomes of a testbed's processes and rows when something is stopped, killed, late or wrong."""

import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from offload import Observation, Plan, Request
from offload.entities import Outcome, Report
from offload.policies import table
from offload.scenario.load import load
from offload.simulation.run import run as simulate
from offload.streams import Streams
from offload.testbed import bed as beds
from offload.testbed import legs
from offload.testbed.bed import Testbed, TestbedError
from offload.testbed.births import requests
from offload.testbed.decisions import Decisions
from offload.testbed.namespaces import NamespacesError

SCENARIO = Path(__file__).with_name("testbed.toml")
HUB = [
    'nodes.side={ kind = "edge", hardware = "x86-core", reports = { every = "100 ms" } }',
    'links.there={ from = "edge", to = "side", rate = "1 Gbit/s", delay = "1 ms" }',
]


@dataclass
class Detour:
    """By way of another edge server: there alone, to the cloud, or both one after the other."""

    asked: int = 0

    def decide(self, request: Request, seen: Observation) -> Plan:
        del request
        variant, cell = seen.facts.variants[0], ("cell",)
        plans = (
            Plan(variant, 0, variant.last, "side", None, cell),
            Plan(variant, 3, 6, "side", "far", cell),
            Plan(variant, 0, 0, None, "far", cell),
        )
        unheard = seen.serving and seen.reports["side"] is None and seen.now_s > 1.0
        self.asked += 1
        return Plan(variant, variant.last, variant.last) if unheard else plans[self.asked % 3]


@dataclass
class Sees:
    """Remembers what was reported to it."""

    backlogs_s: list[float] = field(default_factory=list)

    def decide(self, request: Request, seen: Observation) -> Plan:
        del request
        self.backlogs_s.append(seen.reports["edge"].backlog_s)
        variant = seen.facts.variants[0]
        return Plan(variant, variant.last, variant.last)


@dataclass
class Upset:
    """Cannot bear to hear of its fifth request."""

    heard: int = 0

    def decide(self, request: Request, seen: Observation) -> Plan:
        del request
        variant = seen.facts.variants[0]
        return Plan(variant, 0, variant.last, "edge", None, ("cell",))

    def learn(self, outcome: Outcome) -> None:
        self.heard += 1
        if self.heard == 5:
            raise ValueError(outcome.request.id)


@pytest.fixture(autouse=True)
def _found(monkeypatch):
    """Let this module's policies be found, in processes that are started too."""
    here = str(Path(__file__).parent)
    monkeypatch.syspath_prepend(here)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([here, os.environ.get("PYTHONPATH", "")]))


def scenario(*settings):
    return load(SCENARIO, settings)


def born(given, seed=3):
    return requests(given.setting(0.0), Streams(seed, 0))


def lives(pid):
    """Tell whether a process is there, and not only its number until somebody takes note of its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pids, within_s):
    """Tell whether all these processes end in time."""
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        if not any(map(lives, pids)):
            return True
        time.sleep(0.05)
    return False


def children(pid):
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(each) for each in found.stdout.split()]


def started(place, *options):
    """Start the command, all of it in a place; return it once requests are born."""
    here = Path(__file__).parents[1]
    command = subprocess.Popen(
        [sys.executable, "-c", "from offload.cli import main; main()", "testbed", "run", str(SCENARIO),
         *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=here,
        env={**os.environ, "TMPDIR": str(place)},
    )  # fmt: skip
    told = iter(command.stderr.readline, "")
    assert any("requests in" in line for line in told)
    return command


def test_ctrl_c_keeps_the_rows_and_leaves_no_process(tmp_path):
    out = tmp_path / "out"
    command = started(tmp_path, "--set", "duration=1 h", "--out", str(out), "--show", "--json")
    pids = children(command.pid)
    assert len(pids) >= 3
    time.sleep(2.0)
    os.killpg(command.pid, signal.SIGINT)  # as a terminal does: to all of them
    said, told = command.communicate(timeout=20)
    assert command.returncode == 130
    assert said == ""  # nothing but one JSON object would go there
    assert "rows that were there are kept" in told
    assert "Traceback" not in told
    assert gone(pids, 1.0)
    assert not list(tmp_path.glob("offload-*"))
    assert 20 <= pl.read_parquet(out / "requests.parquet").height <= 60
    timings = pl.read_parquet(out / "timings.parquet")
    assert timings["born_s"].is_sorted()


def test_when_who_began_it_is_killed_all_processes_end(tmp_path):
    command = started(tmp_path, "--set", "duration=1 h", "--set", "devices.cam.tasks.parts.every=20 min")
    pids = children(command.pid)
    command.kill()
    command.communicate(timeout=20)
    assert gone(pids, 10.0)


def test_a_device_that_hangs_is_killed_and_earlier_plays_leave_nothing_behind(monkeypatch):
    monkeypatch.setattr(beds, "SILENT_S", 1.0)
    given = scenario('devices.cam.tasks.parts.every="100 us"', 'duration="200 ms"', 'drain="0 s"',
                     "policy.name=local")  # fmt: skip
    those = born(given)
    with Testbed(given, given.policy) as bed:
        overloaded = bed.play(those)
        again = bed.play(those)
        os.kill(bed.process_id("cam-0"), signal.SIGSTOP)
        hung = bed.play(those[:3])
        after = bed.play(those[:3])
    for play in (overloaded, again):
        assert [row.request for row, _ in play] == those
        assert {row.cause for row, _ in play} == {"", "unfinished"}
        for row, timing in play:
            assert row.plan is not None or row.cause == "unfinished"
            if timing.device is not None:
                assert timing.device.received_s >= row.request.born_s
            if row.plan is not None:
                assert row.device_s > 0.0
    assert sum(row.plan is not None and row.cause == "unfinished" for row, _ in overloaded) > 10
    assert {row.cause for row, _ in hung} == {"device-down"}
    assert {row.cause for row, _ in after} == {""}


def test_links_that_the_kernel_shapes():
    given = scenario('links.cell.delay="0 s"', 'links.wan.delay="0 s"', 'links.cell.up="10 Mbit/s"',
                     'devices.cam.tasks.parts.input="60 kB"')  # fmt: skip
    choice = table.choose({"name": "cloud"})
    try:
        with Testbed(given, choice, kernel=True) as bed:
            rows = [outcome for outcome, _ in bed.play(born(given)[:10])]
            os.kill(bed.process_id("edge"), signal.SIGKILL)
            for _ in range(20):  # until it is back
                again = [outcome for outcome, _ in bed.play(born(given)[:10])]
                if again[-1].plan is not None and again[-1].plan.cloud:
                    break
    except NamespacesError as error:
        pytest.skip(str(error))
    assert {(row.cause, row.plan.cloud) for row in rows} == {("", "far")}
    # Buckets let the first packet of a message through at once.
    assert all(row.uplink_s > 8 * (row.up_bytes - 1600) / 10e6 for row in rows)
    assert again[-1].plan.cloud == "far"  # the edge, which is on the way, is back where it was


def test_what_would_leave_too_late_is_not_sent():
    settings = ['links.cell.up="100 kbit/s"', 'devices.cam.tasks.parts.deadline="400 ms"',
                "devices.cam.tasks.parts.late=drop", "devices.cam.tasks.parts.fallback="]  # fmt: skip
    given = scenario(*settings)
    with Testbed(given, given.policy) as bed:
        rows = [outcome for outcome, _ in bed.play(born(given))]
    late = [row for row in rows if row.cause == "late"]
    unsent = [row for row in late if row.up_bytes == 0.0]
    assert len(unsent) > len(rows) / 2  # of 20 in a second the link takes six
    assert {row.cause for row in rows} == {"", "late"}
    assert all(row.ended_s - row.request.born_s < 1.5 for row in rows)  # of all sent, the last: 2.4


def test_nodes_behind_others_are_heard_of_and_tried_again_when_they_are_not():
    given = scenario(*HUB, "devices.cam.tasks.parts.fallback=", "devices.cam.tasks.parts.retries=2",
                     'devices.cam.tasks.parts.retry_after="300 ms"',
                     'links.there.delay="30 ms"')  # fmt: skip
    those = born(given)
    choice = table.choose({"name": "test_testbed_trouble:Detour"})
    with Testbed(given, choice) as bed:
        rows = bed.play(those)
        threading.Timer(1.0, lambda: os.kill(bed.process_id("edge"), signal.SIGKILL)).start()
        again = [outcome for outcome, _ in bed.play(those)]
    assert {outcome.cause for outcome, _ in rows} == {""}
    plans = {(o.plan.edge, o.plan.cloud) for o, _ in rows}
    assert plans == {("side", None), ("side", "far"), (None, "far")}
    assert len({id(o.plan) for o, _ in rows}) == 3  # rows share their plans
    assert all((timing.edge is None) == (o.plan.edge is None) for o, timing in rows)
    simulated_s = {row.request.id: row.wan_s for row in simulate(given, choice, 3, 0).outcomes}
    for way in plans:
        mine = [o for o, _ in rows if (o.plan.edge, o.plan.cloud) == way]
        longer_s = statistics.median(o.wan_s - simulated_s[o.request.id] for o in mine)
        assert -1e-4 < longer_s < 0.05  # to the side once more would be 60 ms
    down = [row for row in again if row.cause == "node-down"]
    assert [row.request for row in again] == those
    assert len(down) > 10
    for row in down:
        assert row.attempts == 3
        assert row.ended_s - row.request.born_s >= 0.6
        assert row.decide_s >= 0.6


def test_a_policy_that_fails_as_it_learns_is_named():
    made = Decisions("cam-0", table.choose({"name": "test_testbed_trouble:Upset"}), Streams(1, 0))
    request = Request(4, "cam-0", "cam", "parts", 0.0, 1.0, 2000.0)
    outcome, _, _ = legs.lost(request, "late", 1.0)
    for _ in range(5):
        assert made.broken is None
        made.learn(outcome)
    assert "Upset failed in learn(outcome) for request 4: ValueError: 4" in str(made.broken)


def test_a_node_that_does_not_start_is_not_tried_all_the_time(monkeypatch, caplog):
    given, tries = scenario(), []
    monkeypatch.setattr(beds, "LOOK_EVERY_S", 0.01)
    bed = Testbed(given, given.policy)

    def start(name):
        tries.append(name)
        msg = "no more memory"
        raise TestbedError(msg)

    monkeypatch.setattr(bed, "_start", start)
    for name in ("edge", "far"):
        alive = name == "far"
        bed.members[name] = SimpleNamespace(process=SimpleNamespace(is_alive=lambda alive=alive: alive))
    bed.keeper.start()
    time.sleep(1.0)
    bed.close()
    assert not bed.keeper.is_alive()
    assert tries == ["edge"]
    assert "edge: it does not start (no more memory); again in 2 s" in caplog.text


def test_a_policy_sees_estimates_if_it_was_chosen_so():
    (facts,) = scenario().setting(0.0).facts
    request = Request(0, "cam-0", "cam", "parts", 0.0, 1.0, 2000.0)
    shown = {}
    for options in ({}, {"estimate": "ewma"}):
        choice = table.choose({"name": "test_testbed_trouble:Sees", **options})
        made = Decisions("cam-0", choice, Streams(1, 0))
        for sent_s, backlog_s in ((0.0, 0.0), (1.0, 2.0)):
            reports = {"edge": Report(sent_s, backlog_s, {}, {})}
            made.decide(request, Observation(sent_s + 10.0, 0.0, None, {}, reports, facts))
        shown[len(options)] = made.policy.backlogs_s
    assert shown[0] == [0.0, 2.0]
    assert shown[1] == pytest.approx([0.0, 1.0])  # an old report tells no more than what is usual
