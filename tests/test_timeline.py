"""Timelines: valid by the trace-event format, slices that are the rows' legs, lanes, counters."""

import json
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from offload.analysis.compare import compare
from offload.analysis.folder import FolderError
from offload.analysis.rows import LEGS
from offload.analysis.spans import spans
from offload.analysis.story import Story, read
from offload.cli import app
from offload.policies.table import choose
from offload.scenario.load import load
from offload.views.timeline import trace, write
from tests.hand_made import ROOT

SMALL = ROOT / "tests" / "small.toml"


def made(out: Path, name: str, *settings: str, policies: tuple[str, ...]) -> Story:
    """Leave results of one replication, and read them again."""
    path = SMALL if name == "small" else ROOT / "scenarios" / f"{name}.toml"
    scenario = load(path, ['warm_up="1 s"', *settings])
    compare(scenario, [choose({"name": each}) for each in policies], 1, out=out, second_opinion=False)
    return read(out)


@pytest.fixture(scope="module")
def stories(tmp_path_factory) -> dict[str, Story]:
    """Results: of an edge and a cloud, of batches, of frames with stages, of cars that come and go."""
    out = tmp_path_factory.mktemp("stories")
    busy = ['duration="5 s"', "devices.car.count=12"]
    batch = 'nodes.cabinet.batch={max = 4, wait = "40 ms"}'
    return {
        "plain": made(out / "plain", "small", *busy, policies=("local", "random", "edge")),
        "batch": made(
            out / "batch", "small", *busy, batch, 'links.cell.up="200 Mbit/s"', policies=("edge",)
        ),
        "frames": made(out / "frames", "ar-headset", 'duration="4 s"', policies=("random",)),
        "cars": made(out / "cars", "highway-platoon", 'duration="4 s"', policies=("quickest",)),
    }


def written(story: Story, path: Path, **options) -> dict:
    """Write a timeline and parse it."""
    count = write(story, path, **options)
    found = json.loads(path.read_text(encoding="ascii"))
    assert len(found["traceEvents"]) == count
    return found


NAMES = ("plain", "batch", "frames", "cars")


@pytest.fixture(scope="module")
def timelines(stories, tmp_path_factory) -> dict[str, tuple[pl.DataFrame, dict]]:
    """Return rows and the timeline of each story."""
    out = tmp_path_factory.mktemp("timelines")
    policies = {"plain": "random"}
    return {
        name: (
            story.rows(policies.get(name, story.best)),
            written(story, out / f"{name}.json", policy=policies.get(name)),
        )
        for name, story in stories.items()
    }


# The format, as its document says it: which keys each phase must and may have, and of which types.

COMMON = {"ph": str, "name": str, "pid": int}
PHASES = {
    "M": {"args": dict},
    "X": {"tid": int, "ts": int, "dur": int, "cat": str, "args": dict},
    "s": {"tid": int, "ts": int, "cat": str, "id": int},
    "t": {"tid": int, "ts": int, "cat": str, "id": int, "bp": str},
    "f": {"tid": int, "ts": int, "cat": str, "id": int, "bp": str},
    "C": {"ts": int, "args": dict},
}
METADATA = {
    "process_name": ("name", str, False), "process_sort_index": ("sort_index", int, False),
    "thread_name": ("name", str, True), "thread_sort_index": ("sort_index", int, True),
}  # fmt: skip


def check(found: dict) -> None:
    """Assert that this is a trace: every event, and what events say of each other."""
    assert set(found) == {"displayTimeUnit", "otherData", "traceEvents"}
    assert found["displayTimeUnit"] in ("ms", "ns")
    threads, named = set(), set()
    for event in found["traceEvents"]:
        keys = COMMON | PHASES[event["ph"]]  # no other phases: none of B and E
        if event["ph"] == "M":
            key, kind, of_thread = METADATA[event["name"]]
            keys |= {"tid": int} if of_thread else {}
            assert type(event["args"][key]) is kind
            assert len(event["args"]) == 1
            place = event["name"], event["pid"], event.get("tid")
            assert place not in named
            named.add(place)
        assert set(event) == set(keys)
        for key, kind in keys.items():
            assert type(event[key]) is kind, (key, event)
        assert event["pid"] > 0
        assert event.get("ts", 0) >= 0
        assert event.get("dur", 0) >= 0
        if event["ph"] == "C":
            assert event["args"]
            assert all(type(value) is float and value >= 0 for value in event["args"].values())
        if "tid" in event:
            threads.add((event["pid"], event["tid"]))
    for pid, tid in threads:
        assert {("process_name", pid, None), ("thread_name", pid, tid)} <= named
    assert len({tid for _, tid in threads}) == len(threads)
    check_arrows(found["traceEvents"])


def check_arrows(events: list[dict]) -> None:
    """Assert that each start has a finish, steps between, and a slice of its request around each."""
    slices, arrows = defaultdict(list), defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            slices[event["tid"]].append(
                (event["ts"], event["ts"] + event["dur"], event["args"]["request"])
            )
        elif event["ph"] in "stf":
            arrows[event["cat"], event["name"], event["id"]].append(event)
    for (_, _, request), chain in arrows.items():
        assert [each["ph"] for each in chain] == ["s", *["t"] * (len(chain) - 2), "f"]
        assert all(one["ts"] <= other["ts"] for one, other in pairwise(chain))
        assert all(each["bp"] == "e" for each in chain[1:])
        for each in chain:
            around = [who for begin, end, who in slices[each["tid"]] if begin <= each["ts"] < end]
            assert around == [request]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_valid_by_the_trace_event_format(timelines, name):
    check(timelines[name][1])


@pytest.mark.parametrize("spoil", [
    lambda events: events.append({"ph": "B", "name": "x", "pid": 1, "tid": 2, "ts": 0}),
    lambda events: next(e for e in events if e["ph"] == "X").update(dur=-1),
    lambda events: next(e for e in events if e["ph"] == "X").update(ts=0.5),
    lambda events: next(e for e in events if e["ph"] == "f").update(id=-1),
    lambda events: next(e for e in events if e["ph"] == "t").update(ts=10**9),
    lambda events: events.remove(next(e for e in events if e["name"] == "thread_name")),
])  # fmt: skip
def test_the_validator_can_fail(timelines, spoil):
    found = json.loads(json.dumps(timelines["plain"][1]))
    spoil(found["traceEvents"])
    with pytest.raises((AssertionError, KeyError)):
        check(found)


# What it says


def by(events, phase):
    return [event for event in events if event["ph"] == phase]


@pytest.mark.parametrize("name", NAMES)
def test_slices_of_each_request_are_the_legs_of_its_row(timelines, name):
    rows, found = timelines[name]
    sums, counts = defaultdict(Counter), Counter()
    for event in by(found["traceEvents"], "X"):
        leg = event["cat"].partition(",")[0]
        sums[event["args"]["request"]][f"{leg}_s"] += event["dur"]
        counts[event["args"]["request"]] += 1
    parents = set(rows["parent"].drop_nulls())
    legs = [row for row in rows.iter_rows(named=True) if row["request"] not in parents]
    assert found["otherData"]["requests"] == len(legs) > 50
    for row in legs:
        told = sums.pop(row["request"], Counter())
        for leg in LEGS:
            assert told[leg] == pytest.approx(1e6 * row[leg], abs=3.0)  # each way over wires is rounded
        stay_us = 1e6 * (row["ended_s"] - row["born_s"])
        assert told.total() == pytest.approx(stay_us, abs=2.0)
    assert not sums


@pytest.mark.parametrize("name", NAMES)
def test_slices_of_a_thread_do_not_overlap(timelines, name):
    threads = defaultdict(list)
    for event in by(timelines[name][1]["traceEvents"], "X"):
        threads[event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
    for its in threads.values():
        its.sort()
        assert all(one[1] <= other[0] for one, other in pairwise(its))
        assert all(begin < end for begin, end in its)


def names_of(found):
    """Return the names of processes by pid, and of threads by (pid, tid)."""
    processes, threads = {}, {}
    for event in by(found["traceEvents"], "M"):
        if event["name"] == "process_name":
            processes[event["pid"]] = event["args"]["name"]
        if event["name"] == "thread_name":
            threads[event["pid"], event["tid"]] = event["args"]["name"]
    return processes, threads


@pytest.mark.parametrize("name", NAMES)
def test_names_are_unique(timelines, name):
    processes, threads = names_of(timelines[name][1])
    assert len(set(processes.values())) == len(processes)
    assert len({(pid, told) for (pid, _), told in threads.items()}) == len(threads)


def test_processes_and_threads_are_those_of_the_scenario(timelines):
    processes, threads = names_of(timelines["plain"][1])
    assert list(processes.values()) == [
        "devices: car", "cell: cell", "edge: cabinet", "wires: backhaul", "cloud: region",
    ]  # fmt: skip
    of = defaultdict(list)
    for (pid, _), told in threads.items():
        of[processes[pid]].append(told)
    assert [told for told in of["devices: car"] if "waiting" not in told] == [
        f"car-{number}" for number in range(12)
    ]
    # One server each, since wires without a queue let everything be inferred exactly.
    assert [told for told in of["edge: cabinet"] if "server" in told] == ["server 1"]
    assert of["cell: cell"][0] == "down 1"
    assert "up 1" in of["cell: cell"]


def test_waiting_is_told_from_work(timelines):
    rows, found = timelines["plain"]
    work_us = Counter()
    for event in by(found["traceEvents"], "X"):
        leg, kind = event["cat"].split(",")
        assert kind == (event["name"].split()[1] if leg in ("device", "edge", "cloud") else "link")
        if kind == "work":
            work_us[leg] += event["dur"]
    for leg in ("edge", "cloud"):
        joules = rows[f"{leg}_j"].sum()
        marginal_w = joules / (work_us[leg] / 1e6)
        assert marginal_w == pytest.approx(
            load(SMALL).setting(0.0).nodes["cabinet"].hardware.marginal_w, rel=1e-3
        )


def test_members_of_a_batch_share_its_server(timelines):
    """They stand one behind the other on one server, for the batch's seconds in all."""
    rows, found = timelines["batch"]
    sizes = dict(rows.select("request", "batch").iter_rows())
    assert max(sizes.values()) == 4
    processes, threads = names_of(found)
    servers = {
        tid for (pid, tid), told in threads.items()
        if processes[pid] == "edge: cabinet" and told.startswith("server")
    }  # fmt: skip
    assert len(servers) == 1
    ends_us = rows.filter(cause="").select(
        "request", end=(1e6 * (pl.col("ended_s") - pl.col("downlink_s"))).round().cast(pl.Int64)
    )
    mine = defaultdict(list)
    ends = dict(ends_us.iter_rows())
    for event in by(found["traceEvents"], "X"):
        if event["tid"] in servers and event["args"]["request"] in ends:
            mine[ends[event["args"]["request"]]].append(event)
    full = [its for its in mine.values() if len(its) == 4]
    assert len(full) > 10
    for its in full:
        its.sort(key=lambda event: event["ts"])
        assert all(one["ts"] + one["dur"] == other["ts"] for one, other in pairwise(its))
        assert max(event["dur"] for event in its) - min(event["dur"] for event in its) <= 1


def test_no_more_servers_are_drawn_than_there_are(tmp_path):
    """Chance on wires moves work to and fro; what overlaps then has lanes of its own."""
    settings = ['duration="20 s"', "devices.car.count=20", 'links.backhaul.jitter="20 ms"']
    fast = 'links.cell.up="5 Gbit/s"'
    story = made(tmp_path / "out", "small", *settings, fast, policies=("cloud",))
    found = written(story, tmp_path / "timeline.json")
    check(found)
    processes, threads = names_of(found)
    mine = [told for (pid, _), told in threads.items() if processes[pid] == "cloud: region"]
    assert [told for told in mine if "server" in told] == ["server 1"]
    assert "overlap 1" in mine
    assert "overlap" in found["otherData"]["inferred"]


@pytest.mark.parametrize("name", NAMES)
def test_counters_conserve(timelines, name):
    """The integral of each counter is what the slices of its lanes last."""
    _, found = timelines[name]
    events = found["traceEvents"]
    processes, threads = names_of(found)
    lasted = Counter()
    for event in by(events, "X"):
        lane = threads[event["pid"], event["tid"]].split()[0]
        lasted[event["pid"], {"server": "at work", "overlap": "at work"}.get(lane, lane)] += event["dur"]
    counted, last = Counter(), {}
    for event in by(events, "C"):
        before = last.get(event["pid"], {"ts": 0, "args": {}})
        for key, value in before["args"].items():
            counted[event["pid"], key] += value * (event["ts"] - before["ts"])
        last[event["pid"]] = event
    assert set(last) == {
        pid for pid, told in processes.items() if told.split(":")[0] in ("cell", "edge", "cloud")
    }
    for pid, event in last.items():
        assert set(event["args"].values()) == {0.0}
        for key in event["args"]:
            assert counted[pid, key] == pytest.approx(lasted[pid, key], rel=1e-4, abs=2.0)
    assert sum(counted.values()) > 1e6


def test_each_slice_tells_of_its_request(timelines):
    rows, found = timelines["frames"]
    of = {row["request"]: row for row in rows.iter_rows(named=True)}
    seen = set()
    for event in by(found["traceEvents"], "X"):
        told = event["args"]
        row = of[told["request"]]
        assert told["plan"] == row["plan"]
        assert told["on_time"] is row["on_time"]
        assert told["deadline_s"] == pytest.approx(row["deadline_s"])
        assert (told["stage"], told["parent"]) == (row["stage"], row["parent"])
        assert told.get("cause", "") == row["cause"]
        seen.add(row["stage"])
    assert seen == {"detect", "classify"}


# What is held


def test_the_same_results_give_the_same_bytes(stories, tmp_path):
    for name in ("one", "two"):
        write(stories["cars"], tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_it_holds_one_policy_the_best_unless_told(stories, tmp_path):
    story = stories["plain"]
    told = written(story, tmp_path / "best.json")["otherData"]
    assert (told["policy"], told["replication"], told["scenario"]) == (story.best, 0, "small")
    assert told["holds"].startswith("every request")
    assert (told["left_out"], told["known"]) == (0, story.found.known)
    other = written(story, tmp_path / "local.json", policy="local")
    assert other["otherData"]["policy"] == "local"
    assert set(names_of(other)[0].values()) == {"devices: car"}


def test_of_many_requests_a_stated_part_is_held(stories, tmp_path):
    """Who was under way when the window begins is held too, or servers would be at work for nobody."""
    story = stories["plain"]
    rows, path = story.rows("edge"), tmp_path / "part.json"
    found = written(story, path, policy="edge", most_requests=40)
    check(found)
    told = found["otherData"]
    held = {event["args"]["request"] for event in by(found["traceEvents"], "X")}
    assert told["holds"] == "the first 40 by birth of the requests that ended after 1 s"
    assert (told["requests"], told["left_out"]) == (40, rows.height - 40)
    wanted = rows.filter(pl.col("ended_s") > 1.0).sort("born_s", "request").head(40)
    assert held == set(wanted["request"])
    assert wanted["born_s"].min() < 1.0 < wanted["born_s"].max()


def test_its_size_is_bounded(stories, tmp_path):
    story, path = stories["plain"], tmp_path / "small.json"
    write(story, path, "edge", most_bytes=100_000)
    assert path.stat().st_size <= 100_000
    found = json.loads(path.read_text())
    check(found)
    assert found["otherData"]["left_out"] > 0
    assert found["otherData"]["requests"] > 20
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file(stories, tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write(stories["plain"], tmp_path / "folder")
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]


def test_no_requests_make_an_empty_trace(stories):
    story = stories["plain"]
    told, events = trace(story.rows("local").head(0), story.setting())
    assert (told["requests"], list(events)) == (0, [])


def test_hostile_names_stay_in_their_strings(tmp_path):
    """A scenario's names are somebody else's text."""
    name = """<b onload="x">&é"""
    text = SMALL.read_text().replace("[nodes.cabinet]", f"[nodes.'{name}']")
    (tmp_path / "hostile.toml").write_text(text.replace('"cabinet"', f"'{name}'"))
    scenario = load(tmp_path / "hostile.toml", ['duration="2 s"'])
    compare(scenario, [choose({"name": "edge"})], 1, out=tmp_path / "out", second_opinion=False)
    found = written(read(tmp_path / "out"), tmp_path / "timeline.json")
    check(found)
    assert f"edge: {name}" in names_of(found)[0].values()


# The command


def call(*args: object) -> tuple[int, str, str]:
    found = CliRunner().invoke(app, ["timeline", *map(str, args)])
    return found.exit_code, found.stdout, found.stderr


def test_the_command(stories, tmp_path):
    story = stories["plain"]
    code, out, err = call(story.folder)
    path = story.folder / "timeline.json"
    assert (code, err) == (0, "")
    assert out.startswith(f"{path}: ")
    assert f"events of {story.best}, replication 0; open it at https://ui.perfetto.dev" in out
    check(json.loads(path.read_text()))
    other = tmp_path / "new" / "edge.json"
    assert call(story.folder, "--policy", "edge", "--most", 30, "--out", other)[0] == 0
    assert json.loads(other.read_text())["otherData"]["requests"] == 30


def test_what_the_command_refuses(stories, tmp_path):
    folder = stories["plain"].folder
    for args, said in (
        ((tmp_path / "gone",), "no such folder; give one that run, compare or sweep has written"),
        ((folder, "--policy", "locla"), f"{folder}: no policy locla; there is edge, local, random"),
        ((folder, "--replication", 3), f"{folder}: no replication 3 of all policies; give 0 to 0"),
        ((folder, "--out", tmp_path), f"{tmp_path}: "),
    ):
        code, out, err = call(*args)
        assert (code, out) == (2, "")
        assert said in err
        assert len(err.splitlines()) == 1


def test_a_policy_that_is_not_there_is_refused_by_the_library(stories, tmp_path):
    with pytest.raises(FolderError, match="no policy locla"):
        write(stories["plain"], tmp_path / "x.json", policy="locla")


def test_spans_are_not_needed_of_what_is_left_out(stories):
    """The window is cut before legs are looked at: what they are does not depend on who is left out."""
    story = stories["cars"]
    rows, setting = story.rows(story.best), story.setting()
    some = rows.sort("born_s", "request").head(100)
    whole = spans(rows, setting).filter(pl.col("request").is_in(some["request"].implode()))
    cut = spans(some, setting)
    assert whole.drop("work_s").equals(cut.drop("work_s"))
