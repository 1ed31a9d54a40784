"""A file of rows that grows: whole or absent, whatever happens while it is written."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

from offload.analysis import growing, rows
from offload.analysis.growing import Growing
from offload.analysis.result import simulate
from offload.analysis.work import replication
from offload.analysis.work.replication import Replication
from offload.cli import app
from offload.policies.table import choose
from offload.scenario.load import load
from offload.simulation import flow
from tests.hand_made import ROOT

SMALL = ROOT / "tests" / "small.toml"
CHUNK = 23
WHOLE = ["devices.parquet", "requests.parquet"]


@pytest.fixture
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (flow, rows, growing):
        monkeypatch.setattr(module, "CHUNK", CHUNK)


def small(out: Path) -> Replication:
    return replication.replications(load(SMALL), choose({"name": "random"}), 3, 1, out)[0]


def names(work: Replication) -> list[str]:
    return sorted(path.name for path in work.rows_path.parent.iterdir())


def python(script: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run a script in a process of its own, with small chunks."""
    begin = "from offload.analysis import growing, rows\nfrom offload.simulation import flow\n"
    begin += f"for each in (flow, rows, growing): each.CHUNK = {CHUNK}\n"
    call = [sys.executable, "-c", begin + script, *map(str, arguments)]
    return subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.usefixtures("_small_chunks")
def test_a_file_of_several_row_groups_holds_the_rows_and_says_what_they_are(tmp_path: Path) -> None:
    work, result = small(tmp_path), simulate(load(SMALL), "random", 3, 0)
    summary = work.run()
    found = pl.read_parquet(work.rows_path)
    assert_frame_equal(found, result.rows(), check_exact=True)
    groups = [len(each) for each in found["born_s"].get_chunks()]
    assert groups == [CHUNK] * (len(groups) - 1) + [found.height - CHUNK * (len(groups) - 1)]
    assert len(groups) == 5
    told = pl.read_parquet_metadata(work.rows_path)
    assert {key: told.get(key) for key in result.metadata} == result.metadata
    assert names(work) == WHOLE
    again = work.run()  # read, not simulated, in the same chunks: the same to the bit
    assert repr(again) == repr(summary) == repr(small(tmp_path / "none").run())


def test_a_file_of_one_chunk_or_none_is_written_at_once(tmp_path: Path) -> None:
    work = small(tmp_path)
    work.run()
    assert pl.read_parquet(work.rows_path)["born_s"].n_chunks() == 1
    with Growing(tmp_path / "none.parquet") as file:
        file.finish({"rows": "none"})
    assert pl.read_parquet(tmp_path / "none.parquet").schema == rows.SCHEMA


@pytest.mark.usefixtures("_small_chunks")
def test_what_fails_in_mid_run_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work, seen = small(tmp_path), []

    def interrupted(*_: object) -> None:
        seen.extend(names(work))
        raise KeyboardInterrupt

    monkeypatch.setattr(rows, "metadata", interrupted)  # asked for when the last row is there
    with pytest.raises(KeyboardInterrupt):
        work.run()
    assert len(seen) == 4  # the fifth chunk is in memory
    assert names(work) == []


KILLED = """
import os, sys
from pathlib import Path
sys.path.insert(0, ".")
from tests.test_growing import small
lay_aside = growing.Growing._lay_aside
def until(self, frame):
    lay_aside(self, frame)
    if len(self.parts) == 3:
        os.kill(os.getpid(), 9)
growing.Growing._lay_aside = until
small(Path(sys.argv[1])).run()
"""


@pytest.mark.usefixtures("_small_chunks")
def test_what_a_killed_run_left_goes_with_the_next(tmp_path: Path) -> None:
    assert python(KILLED, tmp_path).returncode == -signal.SIGKILL
    work = small(tmp_path)
    left = names(work)
    assert len(left) == 3
    assert all(name.startswith(".requests.parquet.") for name in left)
    theirs = work.rows_path.with_name(".requests.parquet.elsewhere.1.0")  # who knows if it lives
    theirs.touch()
    work.run()
    assert names(work) == [theirs.name, *WHOLE]
    assert_frame_equal(
        pl.read_parquet(work.rows_path), simulate(load(SMALL), "random", 3, 0).rows(), check_exact=True
    )


FULL = """
import resource, sys
from offload.cli import main
# A file cannot grow beyond this: the system refuses as it does on a full disk.
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
call = "offload compare tests/small.toml --jobs 1 --replications 1 --policy random --policy edge"
sys.argv = [*call.split(), *sys.argv[2:]]
main()
"""


def test_a_full_disk_in_mid_run_is_told_and_keeps_what_is_finished(tmp_path: Path) -> None:
    small(tmp_path).run()
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")}
    # Parts of 23 rows still fit, the file that they should become does not.
    for limit in (15_000, 2_000):
        done = python(FULL, limit, "--out", tmp_path)
        assert done.returncode == 2, done.stderr
        (said,) = [line for line in done.stderr.splitlines() if not line.startswith("simulating")]
        file = tmp_path / "edge" / "0"
        full = "File too large; what is finished is kept, and the same command goes on"
        assert said in {f"{file / name}: {full}" for name in WHOLE}
        assert [path for path in file.iterdir() if path.name != "devices.parquet"] == []
    assert {path: path.read_bytes() for path in kept} == kept


@pytest.fixture
def truncated(tmp_path: Path) -> Path:
    """Return a file of rows that lacks its end."""
    work = small(tmp_path)
    work.run()
    whole = work.rows_path.read_bytes()
    work.rows_path.write_bytes(whole[: len(whole) // 2])
    return work.rows_path


def test_a_truncated_file_is_refused(truncated: Path) -> None:
    done = CliRunner().invoke(app, ["run", str(truncated)])
    assert done.exit_code == 2
    assert done.stderr.startswith(f"{truncated}: no file of rows: ")
    assert done.stderr.count("\n") == 1


def test_a_truncated_file_is_made_anew(truncated: Path, tmp_path: Path) -> None:
    small(tmp_path).run()
    assert pl.read_parquet(truncated).height == 100


@pytest.mark.usefixtures("_small_chunks")
def test_a_file_damaged_within_is_made_anew(tmp_path: Path) -> None:
    """Its end is sound and says what it is; some of its chunks can still be read."""
    work = small(tmp_path)
    summary, whole = work.run(), work.rows_path.read_bytes()
    middle = len(whole) // 3
    work.rows_path.write_bytes(whole[:middle] + bytes(2000) + whole[middle + 2000 :])
    with pytest.raises(pl.exceptions.PolarsError):
        pl.read_parquet(work.rows_path)
    assert repr(work.run()) == repr(summary)
    assert work.rows_path.read_bytes() == whole


@pytest.mark.usefixtures("_small_chunks")
def test_a_file_is_repeated_by_chunks(tmp_path: Path) -> None:
    work = small(tmp_path)
    work.run()

    def run(*arguments: object) -> Any:
        call = ["run", str(work.rows_path), "--json", *map(str, arguments)]
        return json.loads(CliRunner().invoke(app, call).stdout)

    found = pl.read_parquet(work.rows_path)
    told = {"file": str(work.rows_path), "requests": found.height, "identical": True}
    assert run("--out", tmp_path / "again") == told
    again = tmp_path / "again" / "requests.parquet"
    assert_frame_equal(pl.read_parquet(again), found, check_exact=True)
    said = pl.read_parquet_metadata(work.rows_path)
    said.pop("ARROW:schema", None)
    for other in (found.head(-1), pl.concat([found, found.tail(1)]), found.reverse()):
        other.write_parquet(work.rows_path, metadata=said)
        assert run() == told | {"identical": False}
