"""A sweep: which points it has, what it keeps, what it refuses."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from offload.analysis.measures import Summary
from offload.analysis.sweeping import design, sweep
from offload.analysis.sweeping.sweep import Case
from offload.analysis.sweeping.vary import read
from offload.analysis.work.attempt import Failure, attempt
from offload.analysis.work.replication import Replication
from offload.cli import app
from offload.scenario import load
from offload.scenario.faults import ScenarioError

SMALL = Path(__file__).parent / "small.toml"
FEW = ["--replications", "2", "--jobs", "1", "--policy", "local", "--policy", "edge"]
POINTS = ("20-Mbit-s", "4-Mbit-s")


def call(*args: str, file: Path = SMALL) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["sweep", str(file), *args])
    return done.exit_code, done.stdout, done.stderr


def cases(
    *vary: str, method: design.Method = "grid", settings: list[str] | None = None,
    out: Path = Path("out"),
) -> list[Case]:  # fmt: skip
    varied = [read(each) for each in vary]
    return sweep.cases(
        load.read(SMALL), settings or [], varied, design.points(method, varied, 10, 1),
        lambda scenario: scenario.compared, 1, out, sampled=method == "latin-hypercube",
    )  # fmt: skip


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("kept")
    code, told, _ = call("--vary", "links.cell.up=20 Mbit/s, 4 Mbit/s", *FEW, "--out", str(out))
    assert code == 0
    return out, told


def tiny(tmp_path: Path, *lines: str) -> Path:
    """A second of the small scenario, and a [sweep] table."""
    path = tmp_path / "tiny.toml"
    text = SMALL.read_text().replace('duration = "10 s"', 'duration = "1 s"')
    path.write_text("\n".join([text.replace('warm_up = "1 s"', 'warm_up = "0 s"'), *lines, ""]))
    return path


def rows(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.parquet")
            if path.parent != out}  # fmt: skip


def test_values_are_divided_at_commas_outside_of_brackets_and_quotes() -> None:
    found = read('links.cell.up={ states = ["1 Mbit/s", "2 Mbit/s"], stay = ["1 s", "2 s"] }, "3, 4"')
    assert found.key == "links.cell.up"
    assert found.values == (
        '{ states = ["1 Mbit/s", "2 Mbit/s"], stay = ["1 s", "2 s"] }', '"3, 4"',
    )  # fmt: skip


@pytest.mark.parametrize(
    ("values", "numbers"),
    [("1 ms, 2 s", (0.001, 2.0)), ("1, 2.5", (1.0, 2.5)), ("true, false", None), ("1 ms, 3 W", None)],
)
def test_values_are_numbers_if_all_are_of_a_kind(values: str, numbers: tuple[float, ...] | None) -> None:
    assert read(f"key={values}").numbers == numbers


def test_a_star_stands_for_all_there_are() -> None:
    found = cases("nodes.*.servers=1, 3", settings=["duration='2 s'"])
    raw = [json.loads(each.firsts[0].resolved) for each in found]
    assert [{node["servers"] for node in each["nodes"].values()} for each in raw] == [{1}, {3}]
    assert {each["duration"] for each in raw} == {"2 s"}


def test_every_point_is_the_comparison_with_that_value(kept: tuple[Path, str], tmp_path: Path) -> None:
    out, _ = kept
    told = json.loads((out / "summary.json").read_text())
    values = [point["values"] for point in told["points"]]
    assert values == [{"links.cell.up": "20 Mbit/s"}, {"links.cell.up": "4 Mbit/s"}]
    args = ["compare", str(SMALL), *FEW, "--set", "links.cell.up=4 Mbit/s", "--no-second-opinion"]
    done = CliRunner().invoke(app, [*args, "--out", str(tmp_path), "--json"])
    alone = json.loads(done.stdout)
    said = {"name": "4-Mbit-s", "values": values[1], "errors": {}}
    assert told["points"][1] == {**said, **alone}
    assert json.loads((out / "4-Mbit-s" / "summary.json").read_text()) == alone
    assert told["points"][0]["policies"] != told["points"][1]["policies"]
    for label in ("local", "edge"):
        rows = Path(label) / "1" / "requests.parquet"
        assert pl.read_parquet(out / "4-Mbit-s" / rows).equals(pl.read_parquet(tmp_path / rows))


def test_local_is_the_same_whatever_the_node_has(kept: tuple[Path, str]) -> None:
    """The same births and luck at every value."""
    out, _ = kept
    frames = [pl.read_parquet(out / value / "local" / "0" / "requests.parquet") for value in POINTS]
    assert frames[0].equals(frames[1])


def test_table_and_figure(kept: tuple[Path, str]) -> None:
    out, told = kept
    lines = [line.split() for line in told.splitlines()]
    assert ["links.cell.up", "local", "edge"] in lines
    assert [line[0] for line in lines if len(line) == 6 and line[2].startswith("0.")] == ["20", "4"]
    assert "±" in told
    (png,) = out.glob("*.png")
    (pdf,) = out.glob("*.pdf")
    assert png.stem == pdf.stem
    assert png.stat().st_size > 10_000


def test_what_is_there_is_not_simulated_again(kept: tuple[Path, str]) -> None:
    out, _ = kept
    before = {path: path.stat().st_mtime_ns for path in out.rglob("requests.parquet")}
    assert len(before) == 8
    code, told, _ = call(
        "--vary", "links.cell.up=20 Mbit/s, 4 Mbit/s, 1 Mbit/s", *FEW, "--out", str(out), "--json"
    )
    assert code == 0
    names = [point["name"] for point in json.loads(told)["points"]]
    assert names == ["20-Mbit-s", "4-Mbit-s", "1-Mbit-s"]
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize(
    ("vary", "told"),
    [
        ("=", "nothing to vary; write KEY=VALUE, VALUE"),
        ("nodes.*.servers", "nothing to vary"),
        ("nodes.*.servers= , ", "nothing to vary"),
        ("=1, 2", "nothing to vary"),
        ("nodes.*.servers=1, 2, 1", "1 is there twice"),
        ("nods.*.servers=1, 2", 'the file has no table nods; did you mean "nodes"?'),
        ("*.*.servers=1, 2", "one component of the key may be *"),
        ("nodes.e*.servers=1, 2", "one component of the key may be *"),
        ("duration.*=1, 2", "there is nothing that * could stand for"),
        ("nodes.*.severs=1, 2", 'no such key; did you mean "servers"?'),
        ("nodes.*.servers=1, many, -3", "many"),
    ],
)
def test_what_cannot_be_varied(vary: str, told: str, tmp_path: Path) -> None:
    code, printed, error = call("--vary", vary, *FEW, "--out", str(tmp_path / "out"))
    assert (code, printed) == (2, "")
    assert told in error
    assert "--vary" in error
    assert "--set" not in error
    assert not (tmp_path / "out").exists()


def test_all_faults_are_told_once() -> None:
    with pytest.raises(ScenarioError) as caught:
        cases("nodes.*.servers=0, 1, -2")
    assert len(caught.value.faults) == 4  # two values at two nodes


def test_other_bad_input(tmp_path: Path) -> None:
    code, _, error = call("--vary", "nodes.*.servers=1, 2", "--measure", "on-time", *FEW)
    assert (code, "must be one of useful, on_time" in error) == (2, True)
    (tmp_path / "summary.json").write_text('{"scenario": "another"}')
    code, _, error = call("--vary", "nodes.*.servers=1, 2", *FEW, "--out", str(tmp_path))
    assert (code, "holds the results of another" in error) == (2, True)


@pytest.mark.parametrize(
    "values",
    [
        '[{ name = "edge" }], [{ name = "local" }, { name = "cloud" }]',
        '[{ name = "local" }, { name = "cloud" }], [{ name = "edge" }]',
    ],
)
def test_policies_must_be_the_same_at_each_value(values: str, tmp_path: Path) -> None:
    code, told, said = call("--vary", f"compare.policies={values}", "--out", str(tmp_path))
    assert (code, told) == (2, "")
    assert "keep the labels" in said
    assert not list(tmp_path.rglob("*.parquet"))


def test_200_points_are_the_same_on_one_process_and_on_two(tmp_path: Path) -> None:
    file = tiny(
        tmp_path,
        "[sweep]",
        "replications = 1",
        'policies = [{ name = "edge" }]',
        'vary = { "nodes.cabinet.servers" = "1..10", "links.cell.up" = "2..40 Mbit/s count 20" }',
    )
    found = []
    for jobs in ("1", "2"):
        out = tmp_path / jobs
        code, told, said = call("--jobs", jobs, "--out", str(out), "--json", file=file)
        assert code == 0, said
        assert "simulating: 200 of 200" in said
        found.append((told, rows(out)))
    assert len(found[0][1]) == 2 * 200  # requests and devices
    assert found[0] == found[1]
    points = json.loads(told)["points"]
    assert len({str(point["values"]) for point in points}) == 200
    assert points[0]["values"] == {"nodes.cabinet.servers": "1", "links.cell.up": "2 Mbit/s"}
    assert len({point["policies"][0]["energy_j"]["mean"] for point in points}) >= 20


def test_the_table_of_points(tmp_path: Path) -> None:
    file = tiny(tmp_path)
    vary = ["--vary", "nodes.cabinet.servers=1, 2", "--vary", "links.cell.up=4..8 Mbit/s count 2"]
    policies = ["--policy", "local", "--policy", "edge", "--replications", "2", "--jobs", "1"]
    code, told, _ = call(*vary, *policies, "--out", str(tmp_path / "out"), "--json", file=file)
    assert code == 0
    table = pl.read_parquet(tmp_path / "out" / "points.parquet")
    assert table["links.cell.up"].to_list() == [4e6, 4e6, 8e6, 8e6] * 2
    assert table["policy"].to_list() == ["local", "edge"] * 4
    last = json.loads(told)["points"][-1]["policies"][-1]
    assert table.row(-1, named=True)["energy_j_high"] == last["energy_j"]["high"]
    assert (tmp_path / "out" / "sweep-useful.png").stat().st_size > 10_000


@pytest.mark.parametrize("policy", ["edge", "tests.bad_policies:RaisesInStart"])
def test_a_failed_point_does_not_stop_the_others(policy: str, tmp_path: Path) -> None:
    """The scenario at one value cannot be, since its warm-up is longer; or a policy fails at each."""
    args = ["--vary", "duration='500 ms', '3 s'", "--policy", "local", "--policy", policy]
    args += ["--replications", "2", "--jobs", "1", "--out", str(tmp_path)]
    code, told, said = call(*args)
    failed = 1 if policy == "edge" else 2
    assert code == 1
    why = f"{tmp_path / 'failed.txt'} tells why, and the same command tries them again"
    assert f"{failed} of 2 points failed; {why}" in said
    assert "failed" in told
    read = json.loads((tmp_path / "sweep.json").read_text())["points"]
    assert [point["state"] for point in read] == ["failed", "done" if policy == "edge" else "failed"]
    assert "warm_up: must be shorter than duration" in read[0]["errors"][""]
    assert "small.toml:5" in (tmp_path / "failed.txt").read_text()
    points = json.loads((tmp_path / "summary.json").read_text())["points"]
    labels = [each["label"] for each in points[1]["policies"]]
    assert labels == (["local", "edge"] if policy == "edge" else ["local"])
    table = pl.read_parquet(tmp_path / "points.parquet")
    assert table["error"].null_count() == 4 - 2 * 1 - (failed - 1)
    assert table["on_time_mean"].null_count() == 4 - table["error"].null_count()


def test_a_value_that_its_key_takes_at_some_points_is_no_mistake() -> None:
    """A node's memory may be too small for what it holds, but 0 servers are none anywhere."""
    found = cases("duration='500 ms', '3 s'", "warm_up='1 s', '0 s'")
    assert [bool(case.error) for case in found] == [True, False, False, False]
    with pytest.raises(ScenarioError, match=r"--vary nodes\.cabinet\.servers: .*greater than"):
        cases("duration='500 ms', '3 s'", "nodes.cabinet.servers=0, 1")
    with pytest.raises(ScenarioError, match="shorter than duration") as caught:  # at no point
        cases("duration='500 ms', '600 ms'")
    assert len(caught.value.faults) == 1


def test_a_sampled_range_is_a_mistake_only_as_a_whole() -> None:
    found = cases("nodes.cabinet.servers=-4..5", method="latin-hypercube")
    assert 0 < sum(bool(case.error) for case in found) < 10
    with pytest.raises(ScenarioError, match=r"--vary nodes\.cabinet\.servers"):
        cases("nodes.cabinet.servers=-9..-1", method="latin-hypercube")


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (
            ["[sweep]", 'vary = { "nodes.cabinet.severs" = [1] }'],
            'toml:55: sweep.vary nodes.cabinet.severs: no such key; did you mean "servers"?',
        ),
        (
            ["[sweep]", "vary.nodes.cabinet.servers = [0]"],
            "toml:55: sweep.vary nodes.cabinet.servers: input should be greater",
        ),
        (
            ["[sweep]", 'vary = { "duration" = "8..1 s" }'],
            "toml:55: sweep.vary duration: 8..1 s: an empty range",
        ),
        (
            ["[sweep]", 'vary = { "duration" = ["1 s"], "warm_up" = [] }'],
            "toml:55: sweep.vary warm_up: nothing to vary",
        ),
        (
            ["[sweep]", 'vary = [{ seed = 1 }, { duration = "1 s" }]', 'method = "list"'],
            "sweep.vary: table 2 does not say seed",
        ),
        (
            ["[sweep]", "vary = [{ seed = 1 }]"],
            'toml:54: sweep.method: tables of keys are points one by one; write "list"',
        ),
        (
            ["[sweep]", "vary = { seed = [1, 2] }", "points = 3"],
            "toml:56: sweep.points: a grid has as many",
        ),
        (
            ["[sweep]", "vary = { seed = [1, 2] }", 'measures = ["joy"]'],
            'toml:56: no measure "joy"',
        ),
        (
            ["[sweep]", "vary = { seed = [1, 2] }", 'policies = [{ name = "edg" }]'],
            "toml:56: sweep.policies.0.name: no policy",
        ),
        (
            ["[sweep]", 'vary = { seed = [1, 2], duration = ["1 s"] }', 'method = "list"'],
            "2 for seed, 1 for duration",
        ),
        ([], "nothing to vary; give --vary"),
    ],
)  # fmt: skip
def test_what_a_table_cannot_say(lines: list[str], told: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, printed, said = call("--out", str(out), file=tiny(tmp_path, *lines))
    assert (code, printed) == (2, "")
    assert told in said
    assert not out.exists()


def test_a_list_of_tables_is_points(tmp_path: Path) -> None:
    file = tiny(
        tmp_path, "[sweep]", 'method = "list"', "replications = 1", 'measures = ["energy_j", "on_time"]',
        'vary = [{ "nodes.cabinet.servers" = 1, "links.cell.up" = "4 Mbit/s" },',
        '        { "nodes.cabinet.servers" = 1, "links.cell.up" = "8 Mbit/s" }]',
    )  # fmt: skip
    code, _, said = call("--jobs", "1", "--out", str(tmp_path / "out"), file=file)
    assert code == 0, said
    assert {path.stem for path in (tmp_path / "out").glob("*.png")} == {
        "sweep-energy_j",
        "sweep-on_time",
    }
    assert (tmp_path / "out" / "servers-1_up-8-Mbit-s" / "random" / "0").is_dir()


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--part", "3/2"], "--part 3/2: write K/N"),
        (["--part", "one"], "--part one: write K/N"),
        (["--points", "3"], "--points: a grid has as many"),
        (["--vary", "nodes.*.servers=3"], "--vary nodes.*.servers: is varied twice"),
        (["--method", "list", "--vary", "links.cell.up=1 Mbit/s"], "2 for nodes.*.servers, 1 for links"),
    ],
)
def test_options_that_cannot_be(args: list[str], told: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, printed, said = call("--vary", "nodes.*.servers=1, 2", *args, *FEW, "--out", str(out))
    assert (code, printed) == (2, "")
    assert told in said
    assert not out.exists()


def test_another_sweep_needs_another_folder(kept: tuple[Path, str]) -> None:
    out, _ = kept
    code, _, said = call("--vary", "links.cell.down=4 Mbit/s", *FEW, "--out", str(out))
    assert (code, "holds a sweep over links.cell.up, not links.cell.down" in said) == (2, True)


@pytest.mark.parametrize(("end", "jobs"), [(signal.SIGINT, "2"), (signal.SIGKILL, "1")])
def test_what_was_interrupted_goes_on(end: signal.Signals, jobs: str, tmp_path: Path) -> None:
    def args(values: str, out: Path) -> list[str]:
        few = ["--policy", "edge", "--replications", "2", "--set", 'duration="10 s"', "--out", str(out)]
        return ["--vary", f"nodes.cabinet.servers={values}", *few]

    out = tmp_path / "out"
    # More than can be done by then; what is done again is less.
    command = [sys.executable, "-c", "from offload.cli import main; main()", "sweep", str(SMALL)]
    process = subprocess.Popen(
        [*command, *args("1..200", out), "--jobs", jobs],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        until_s = time.monotonic() + 60.0
        # Of five, two may not have been told of yet, and of the other three two may lack the first run.
        while len(list(out.glob("*/edge/1/requests.parquet"))) < 5 and time.monotonic() < until_s:
            time.sleep(0.01)
        os.killpg(process.pid, end)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("requests.parquet")}
    assert 5 <= len(before) < 400
    assert all(pl.read_parquet(path).height > 50 for path in before)  # whole
    states = [point["state"] for point in json.loads((out / "sweep.json").read_text())["points"]]
    assert len(states) == 200
    assert "waiting" in states
    if end == signal.SIGINT:
        assert process.returncode == 130
        assert "the same command goes on" in said
        assert "done" in states
    half = out / "2" / "edge" / "1" / ".requests.parquet.1"  # as one that is killed in mid-write leaves
    half.parent.mkdir(parents=True, exist_ok=True)
    half.write_bytes(b"PAR1")
    assert call(*args("1..3", out), "--jobs", "1")[0] == 0
    assert not half.exists()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    states = [point["state"] for point in json.loads((out / "sweep.json").read_text())["points"]]
    assert states == ["done"] * 3
    again = tmp_path / "again"
    assert call(*args("1..3", again), "--jobs", "1")[0] == 0
    found, first_three = rows(out), rows(again)
    assert len(first_three) == 12
    assert {name: found[name] for name in first_three} == first_three


def test_until_adds_replications_where_they_are_needed(tmp_path: Path) -> None:
    args = ["--vary", "links.cell.up=4 Mbit/s, 20 Mbit/s", "--policy", "edge", "--policy", "local"]
    args += ["--jobs", "1", "--until", "on_time ±2%", "--most", "40", "--out", str(tmp_path), "--json"]
    code, told, said = call(*args, file=tiny(tmp_path))
    assert code == 0, said
    counts = [point["replications"] for point in json.loads(told)["points"]]
    for point, count in zip(json.loads(told)["points"], counts, strict=True):
        assert len(list((tmp_path / point["name"]).glob("edge/*/requests.parquet"))) == count
        halves = [each["on_time"]["high"] - each["on_time"]["mean"] for each in point["policies"]]
        assert (max(halves) <= 0.02) == (not point["unmet"])
    assert max(counts) == 40


def test_progress_tells_of_points(tmp_path: Path) -> None:
    told: list[str] = []

    @contextmanager
    def progress(what: str, total: int) -> Iterator[Callable[[str], None]]:
        assert (what, total) == ("simulating", 4)
        yield told.append

    found = cases("seed=1, 2", settings=["duration='1 s'", "warm_up='0 s'"], out=tmp_path)
    alone = [replace(case, firsts=case.firsts[:1]) for case in found]
    sweep.sweep("grid", ["seed"], alone, 2, 1, progress)
    assert told == ["1 (0 of 2 points)", "1 (1 of 2 points)", "2 (1 of 2 points)", "2 (2 of 2 points)"]


class Backwards:
    """Workers of which the last is the first to end."""

    def run(
        self, work: Sequence[Replication], _during: object = None, /
    ) -> Iterator[tuple[Replication, Summary | Failure]]:
        yield from ((each, attempt(each)) for each in reversed(work))

    def close(self) -> None:
        pass


def test_who_ends_first_decides_nothing(tmp_path: Path) -> None:
    settings = ["duration='1 s'", "warm_up='0 s'"]
    found = cases("links.cell.up=4 Mbit/s, 20 Mbit/s", settings=settings, out=tmp_path)
    forwards = sweep.sweep("grid", ["links.cell.up"], found, 3)
    assert sweep.sweep("grid", ["links.cell.up"], found, 3, Backwards()) == forwards
    assert forwards.points[0].found != forwards.points[1].found


def test_points_of_another_sweep_are_not_taken_for_done(tmp_path: Path) -> None:
    args = ["--vary", "nodes.cabinet.servers=1, 2", *FEW, "--out", str(tmp_path)]

    def states() -> list[str]:
        return [point["state"] for point in json.loads((tmp_path / "sweep.json").read_text())["points"]]

    file = tiny(tmp_path)
    assert call(*args, "--part", "1/2", file=file)[0] == 0
    assert states() == ["done", "waiting"]
    assert call(*args, "--part", "2/2", "--seed", "8", file=file)[0] == 0
    assert states() == ["waiting", "done"]
    assert call(*args, "--part", "1/2", "--seed", "8", file=file)[0] == 0
    assert states() == ["done", "done"]


def test_policies_without_room_get_a_table_of_their_own(
    kept: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    again = ["--vary", "links.cell.up=20 Mbit/s, 4 Mbit/s", *FEW, "--out", str(kept[0])]
    headings = {}
    for columns in ("80", "35"):
        monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
        monkeypatch.setenv("COLUMNS", columns)
        code, told, _ = call(*again)
        assert code == 0
        lines = re.sub(r"\x1b\[[0-9;]*m", "", told).splitlines()
        headings[columns] = [line.split() for line in lines if line.startswith(" links.cell.up")]
        assert not any("…" in line for line in lines)
    assert headings["80"] == [["links.cell.up", "local", "edge"]]
    assert headings["35"] == [["links.cell.up", "local"], ["links.cell.up", "edge"]]
