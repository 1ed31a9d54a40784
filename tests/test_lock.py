"""One command at a time writes to a results folder."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from offload.analysis.work.lock import LockedError, locked
from offload.cli import app

SMALL = Path(__file__).parent / "small.toml"
HOLD = """
import sys, time
from pathlib import Path
from offload.analysis.work.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize(
    "args",
    [
        ["run", str(SMALL)],
        ["compare", str(SMALL), "--no-second-opinion"],
        ["sweep", str(SMALL), "--vary", "nodes.cabinet.servers=1, 2"],
    ],
)
def test_commands_leave_a_folder_that_another_writes_to(args: list[str], tmp_path: Path) -> None:
    short = ["--set", 'duration="2 s"', "--jobs", "1", "--out", str(tmp_path)]
    with locked(tmp_path):
        done = CliRunner().invoke(app, [*args, *short])
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"--out {tmp_path}: another command is writing there" in done.stderr
    assert not list(tmp_path.rglob("*.parquet"))
    assert CliRunner().invoke(app, [*args, *short]).exit_code == 0


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(LockedError), locked(tmp_path):
            pass
        os.kill(other.pid, signal.SIGKILL)
    with locked(tmp_path):
        assert tmp_path.is_dir()
