"""A Dask cluster of two workers: the same rows, also where one is killed, and what is refused."""

import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dask
import polars as pl
import pytest
from distributed import LocalCluster
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

import offload
from offload.analysis.work import cluster as clusters
from offload.analysis.work.attempt import Failure, KilledError
from offload.analysis.work.cluster import Cluster, ClusterError
from offload.analysis.work.replication import Replication, replications
from offload.analysis.work.workers import run_all, try_all
from offload.cli import app
from offload.policies.table import choose

SMALL = Path(__file__).parent / "small.toml"


@pytest.fixture(scope="module")
def started() -> Iterator[LocalCluster]:
    # A piece of work may end one process and is given up with the second; three more by default.
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50
        ) as those,
    ):
        yield those


@pytest.fixture
def scheduler(started: LocalCluster) -> LocalCluster:
    started.wait_for_workers(2)  # one may have been killed before
    return started


@pytest.fixture
def cluster(scheduler: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.syspath_prepend(Path(__file__).parent)  # for deadly_policies.py
    with closing(Cluster(scheduler.scheduler_address)) as connected:
        yield connected


def work(name: str, count: int, out: Path | None = None, *changes: str) -> list[Replication]:
    """Return replications of a policy in the small scenario."""
    return replications(offload.load(SMALL, changes), choose({"name": name}), 3, count, out)


def test_a_worker_killed_in_mid_run_loses_nothing(cluster: Cluster, tmp_path: Path) -> None:
    longer = 'duration="30 s"'
    shared = work("random", 12, tmp_path / "shared", longer)
    found, pids = {}, cluster._client.run(os.getpid)
    assert len(pids) == 2
    for each, summary in run_all(shared, cluster):
        if not found:
            os.kill(next(iter(pids.values())), signal.SIGKILL)
        found[each] = summary
    assert set(cluster._client.run(os.getpid).values()) != set(pids.values())  # it was killed
    alone = work("random", 12, tmp_path / "alone", longer)
    expected = [summary for _, summary in run_all(alone, 1)]
    assert repr([found[each] for each in shared]) == repr(expected)
    for one, other in zip(shared, alone, strict=True):
        rows = pl.read_parquet(one.rows_path), pl.read_parquet(other.rows_path)
        assert_frame_equal(*rows, check_exact=True)
    assert not list((tmp_path / "shared").glob(".seen*"))


def test_what_keeps_killing_workers_fails_alone(cluster: Cluster) -> None:
    good = work("local", 4)
    bad = [*work("deadly_policies:Deadly", 1), *work("deadly_policies:Raises", 1)]
    found = dict(try_all([*good[:2], *bad, *good[2:]], cluster))
    deadly, raises = (found.pop(each) for each in bad)
    assert isinstance(deadly, Failure)
    assert isinstance(deadly.error, KilledError)
    assert "KeyError: 0" in str(raises)
    assert repr([found[each] for each in good]) == repr([each for _, each in run_all(good)])


def test_the_scheduler_opens_no_work(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lives longer than a version of ours, and would write anew what it read with another."""
    opened = []
    monkeypatch.setattr(Replication, "__setstate__", lambda *_: opened.append(1))
    found = list(run_all(work("local", 2), cluster))  # the scheduler is in this process
    assert len(found) == 2
    assert not opened


def test_a_command_on_the_cluster(scheduler: LocalCluster, tmp_path: Path) -> None:
    call = ["compare", str(SMALL), "--policy", "edge", "--json", "--out"]
    there = [str(tmp_path / "there"), "--cluster", scheduler.scheduler_address]
    on_cluster = CliRunner().invoke(app, [*call, *there])
    here = CliRunner().invoke(app, [*call, str(tmp_path / "here"), "--jobs", "1"])
    assert (on_cluster.exit_code, here.exit_code) == (0, 0), on_cluster.stderr
    assert on_cluster.stdout == here.stdout
    both = CliRunner().invoke(app, [*call, *there, "--jobs", "2"])
    assert both.exit_code == 2
    assert both.stderr.startswith("--jobs: processes of this machine")


def test_a_sweep_of_200_points_is_the_same_on_two_processes_and_on_the_cluster(
    scheduler: LocalCluster, tmp_path: Path
) -> None:
    """Every file, byte by byte: rows, devices, summaries, and what tells of the sweep."""
    call = [
        "sweep", str(SMALL), "--set", 'duration="1 s"', "--set", 'warm_up="0 s"', "--policy", "random",
        "--replications", "1", "--vary", "nodes.cabinet.servers=1..10", "--json",
        "--vary", "links.cell.up=2..40 Mbit/s count 20",
    ]  # fmt: skip
    told, files = [], []
    for name, who in (("two", ["--jobs", "2"]), ("dask", ["--cluster", scheduler.scheduler_address])):
        out = tmp_path / name
        done = CliRunner().invoke(app, [*call, *who, "--out", str(out)])
        assert done.exit_code == 0, done.stderr
        told.append(done.stdout)
        files.append({p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()})
    assert sum(path.name == "requests.parquet" for path in files[0]) == 200
    assert len({content for path, content in files[0].items() if path.name == "requests.parquet"}) == 200
    assert files[0] == files[1]
    assert told[0] == told[1]


# Refused before anything is run


def refused(cluster: Cluster, pieces: list[Replication]) -> str:
    with pytest.raises(ClusterError) as raised:
        list(run_all(pieces, cluster))
    first, *lines = str(raised.value).splitlines()
    assert first.endswith("its workers cannot do this; nothing was run")
    assert len(lines) == 2  # one for each worker
    assert all(line.startswith("worker tcp://127.0.0.1:") for line in lines)
    return lines[0]


def test_other_versions(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = {**clusters._versions(), "numpy": "1.0"}
    monkeypatch.setattr(clusters, "_versions", lambda: mine)
    said = refused(cluster, work("local", 1, tmp_path))
    assert "here it is 1.0: rows might differ" in said
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_folder_that_workers_do_not_see(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where it lies on this machine's own disk: the file that is to be seen is not there."""
    monkeypatch.setattr(Path, "touch", lambda _: None)
    said = refused(cluster, work("local", 1, tmp_path))
    assert f"does not see {tmp_path}; give --out a folder on a file system that all" in said


def test_files_of_the_scenario_that_workers_do_not_see(cluster: Cluster, tmp_path: Path) -> None:
    scenario = tmp_path / "traced.toml"
    scenario.write_text(SMALL.read_text().replace("count = 2\n", 'mobility = { trace = "cars.csv" }\n'))
    trace = tmp_path / "cars.csv"
    trace.write_text("time,id,x,y\n0,a,0,0\n10,a,1,0\n")
    pieces = replications(offload.load(scenario), choose({"name": "local"}), 3, 1, None)
    pieces[0].identity()  # here it has been read
    trace.rename(tmp_path / "elsewhere.csv")
    assert "cars.csv" in refused(cluster, pieces)


def test_a_policy_that_workers_do_not_have(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("class Mine:\n    def decide(self, request, seen): ...\n")
    sys.path.insert(0, str(tmp_path))
    try:
        pieces = work("mine:Mine", 1)
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("mine")
    assert "mine:Mine cannot be loaded" in refused(cluster, pieces)


def test_a_policy_that_workers_loaded_before_it_was_changed(cluster: Cluster, tmp_path: Path) -> None:
    """They would go on to run the old one, though the file is the same for all."""
    code = "from deadly_policies import _quickest\nclass Mine:\n"
    code += "    def decide(self, request, seen): return _quickest(request, seen)\n"
    (tmp_path / "changing.py").write_text(code)
    sys.path.insert(0, str(tmp_path))
    try:
        list(run_all(work("changing:Mine", 1), cluster))
        (tmp_path / "changing.py").write_text(code + "# in another way\n")
        sys.modules.pop("changing")
        importlib.invalidate_caches()
        said = refused(cluster, work("changing:Mine", 1))
    finally:
        sys.path.remove(str(tmp_path))
    assert "has policy changing:Mine" in said
    assert said.endswith("rows might differ; it keeps the policies that it has loaded: start it again")


def test_a_worker_that_comes_later_is_checked(tmp_path: Path) -> None:
    (piece,) = work("local", 1, tmp_path)
    good = {"token": None, "paths": (), "wanted": clusters._versions()}
    with pytest.raises(ClusterError, match=r"came later .* has numpy .* here it is 1\.0"):
        clusters._piece(piece, **{**good, "wanted": {**clusters._versions(), "numpy": "1.0"}})
    with pytest.raises(ClusterError, match="does not see"):
        clusters._piece(piece, **{**good, "token": tmp_path / "no" / "token"})
    assert clusters._piece(piece, **good).requests > 0


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("localhost", "write tcp://HOST:PORT"),
        ("tcp://127.0.0.1:1", "no Dask scheduler answers there; dask scheduler starts one"),
    ],
)
def test_no_cluster(address: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "ANSWERS_WITHIN_S", 0.3)
    with pytest.raises(ClusterError, match=f"^--cluster {address}: {said}"):
        Cluster(address)


def test_no_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ClusterError, match=r"pip install 'offload\[cluster\]'"):
        Cluster("tcp://127.0.0.1:1")


def test_interrupted_on_a_cluster(scheduler: LocalCluster, tmp_path: Path) -> None:
    command = [
        sys.executable, "-c", "from offload.cli import main; main()", "compare", str(SMALL), "--set",
        'duration="60 s"', "--replications", "500", "--out", str(tmp_path), "--json",
        "--cluster", scheduler.scheduler_address,
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + 60
        while not any(tmp_path.glob("*/1/requests.parquet")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        printed, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, printed) == (130, "")
    lines = [line for line in said.splitlines() if not line.startswith("simulating: ")]
    assert lines == ["interrupted; what is finished is kept, and the same command goes on"]
    kept = list(tmp_path.rglob("requests.parquet"))
    assert 2 <= len(kept) < 1500
    assert all(pl.read_parquet(path).height for path in kept)
    assert not list(tmp_path.glob(".seen*"))
