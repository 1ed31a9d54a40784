"""Who does the work: the same rows whoever does it, also where processes are killed."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import offload
from offload.analysis.work import processes
from offload.analysis.work.attempt import Failure, KilledError, attempt
from offload.analysis.work.replication import ChangedError, Replication, replications
from offload.analysis.work.workers import hired, run_all, try_all
from offload.policies.table import choose
from offload.simulation.answering import PolicyError

SMALL = Path(__file__).parent / "small.toml"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let policies be named that stand in deadly_policies.py, in this process and in others."""
    monkeypatch.syspath_prepend(Path(__file__).parent)


def work(name: str, count: int, out: Path | None = None, **options: str) -> list[Replication]:
    """Return replications of a policy in the small scenario."""
    return replications(offload.load(SMALL), choose({"name": name, **options}), 3, count, out)


def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    shared = work("deadly_policies:DeadlyOnce", 6, tmp_path / "shared", mark=str(mark))
    with hired(2) as workers:
        summaries = dict(run_all(shared[:4], workers))
        assert mark.exists()  # one was killed at work
        for process in workers._idle:
            for pid in process._processes:  # and these while they have nothing to do
                os.kill(pid, signal.SIGKILL)
            until = time.monotonic() + 30
            while not process._flags.broken and time.monotonic() < until:
                time.sleep(0.01)
        summaries |= run_all(shared[4:], workers)
    alone = work("deadly_policies:DeadlyOnce", 6, tmp_path / "alone", mark=str(mark))
    assert repr([summaries[each] for each in shared]) == repr([each for _, each in run_all(alone)])
    for one, other in zip(shared, alone, strict=True):
        rows = pl.read_parquet(one.rows_path), pl.read_parquet(other.rows_path)
        assert_frame_equal(*rows, check_exact=True)
    assert not list(tmp_path.rglob(".*"))


def test_what_fails_leaves_the_others_alone(tmp_path: Path) -> None:
    names = ("Deadly", "Exits", "Raises")
    bad = [each for name in names for each in work(f"deadly_policies:{name}", 1, tmp_path)]
    good = work("random", 4, tmp_path)
    found = dict(try_all([*good[:2], *bad, *good[2:]], 2))
    assert {each for each in found if isinstance(found[each], Failure)} == set(bad)
    deadly, exits, raises = (found.pop(each) for each in bad)
    assert isinstance(deadly.error, KilledError)
    assert str(deadly).startswith("policy deadly_policies:Deadly, replication 0: its process was killed")
    assert "something called sys.exit(3)" in str(exits)
    assert isinstance(raises.error, PolicyError)
    assert repr([found[each] for each in good]) == repr([each for _, each in run_all(good)])


@pytest.mark.parametrize("jobs", [1, 2])
def test_run_all_raises_what_fails(jobs: int, tmp_path: Path) -> None:
    pieces = [*work("local", 1, tmp_path), *work("deadly_policies:Raises", 1, tmp_path)]
    with pytest.raises(PolicyError, match="KeyError"):
        list(run_all(pieces, jobs))
    assert not list(tmp_path.rglob(".*"))


def test_what_fails_leaves_what_another_machine_writes(tmp_path: Path) -> None:
    """A worker of a cluster may still be at what a command wanted that was given up and called again."""
    (each,) = work("deadly_policies:Raises", 1, tmp_path)
    theirs = each.rows_path.with_name(".requests.parquet.elsewhere.1.0")
    theirs.parent.mkdir(parents=True)
    theirs.touch()
    assert isinstance(attempt(each), Failure)
    assert theirs.exists()


def test_what_has_changed_since_is_not_simulated(tmp_path: Path) -> None:
    """As where a worker has loaded another version of a user's policy, or of a file of the scenario."""
    (each,) = work("random", 1, tmp_path)
    ((_, found),) = try_all([replace(each, basis="of another file")])
    assert isinstance(found.error, ChangedError)
    assert "policy random, replication 0: files of the scenario, or the policy's, are not" in str(found)
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_fault_of_ours_tells_where_it_arose(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Replication, _during: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Replication, "run", broken)
    ((_, found),) = try_all(work("local", 1))
    assert isinstance(found.error, ZeroDivisionError)
    assert "in broken" in found.error.__notes__[0]


def test_a_full_disk_keeps_what_is_finished(tmp_path: Path) -> None:
    """Files may have at most a few bytes here, which the system tells in the same way."""
    main = [sys.executable, "-c", "from offload.cli import main; main()"]
    options = ["--policy", "local", "--jobs", "2", "--out", str(tmp_path)]

    def compare(count: int, limit: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*main, "compare", str(SMALL), *options, "--replications", str(count)],
            capture_output=True, text=True, check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        )  # fmt: skip

    list(run_all(work("local", 2, tmp_path)))
    kept = {path: path.stat().st_ino for path in tmp_path.rglob("requests.parquet")}
    done = compare(4, 1000)
    assert done.returncode == 2
    *_, told = done.stderr.strip().splitlines()
    assert ".parquet: File too large; what is finished is kept" in told
    assert "Traceback" not in done.stderr
    assert {path: path.stat().st_ino for path in tmp_path.rglob("requests.parquet")} == kept
    assert not list(tmp_path.rglob(".*.parquet*"))


def test_an_interruption_while_a_process_starts_is_heard_afterwards() -> None:
    """What is started does not hear it, and whoever else has a thread that does loses nothing."""
    other = threading.Thread(target=threading.Event().wait, args=(1.0,))
    other.start()
    begun, told = [], ""
    with pytest.raises(KeyboardInterrupt), processes.deaf():  # noqa: PT012 - what is under test
        deaf = "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('deaf')"
        told = subprocess.check_output([sys.executable, "-c", deaf], text=True)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        begun.append("and finished")
    other.join()
    assert told == "deaf\n"
    assert begun == ["and finished"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
