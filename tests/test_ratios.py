"""The command that compares speeds runs, and fails where a program did not simulate the workload."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent / "benchmarks"
SIMPY = f"simpy {version('simpy')}"


@pytest.fixture
def ratios(monkeypatch):
    """Return the module of the command, imported as it imports its neighbour."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import ratios

    yield ratios
    for name in ("ratios", "workload_w"):
        del sys.modules[name]


def test_the_command_prints_a_row_for_each_program() -> None:
    call = [sys.executable, BENCHMARKS / "ratios.py", "--turns", "1", "--requests", "3000"]
    done = subprocess.run(
        [*call, "--devices", "5", "20", "--markdown"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    head, _, *rows = [
        line.strip("| ").split("|") for line in done.stdout.splitlines() if line[:1] == "|"
    ]
    assert [cell.strip() for cell in head[:2]] == ["N", "program"]
    told = [tuple(cell.strip() for cell in row[:2]) for row in rows if len(row) == len(head)]
    assert told == [(n, name) for n in ("5", "20") for name in ("offload", "heapq", SIMPY)]
    assert sum("urban-intersection, quickest" in line for line in done.stdout.splitlines()) == 1
    assert "cost of a request" in done.stdout


def test_another_wait_or_number_of_rows_is_not_the_workload(ratios) -> None:
    program = ratios.Program("simpy", "simpy")
    ran = ratios.run(program, 20, 3000)
    assert ran.right
    assert not ratios.Ran(program, 3000, ran.rows, ran.seconds, ran.wait_s / 2, ran.peak_mb).right
    assert not ratios.Ran(program, 3000, ran.rows * 0.9, ran.seconds, ran.wait_s, ran.peak_mb).right


def test_a_peer_that_does_not_run_says_why(ratios) -> None:
    with pytest.raises(ratios.LeftOutError, match="No module named"):
        ratios.run(ratios.Program("none", "none"), 20, 100)


def test_a_peer_that_cannot_be_installed_says_why(ratios, tmp_path, monkeypatch) -> None:
    file = tmp_path / "peer.py"
    file.write_text('"""A peer."""\n# /// script\n# dependencies = ["./absent"]\n# ///\n')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ratios.LeftOutError, match="not installed: ERROR"):
        ratios.peer(file, tmp_path / "kept")
    assert not list(tmp_path.glob("kept/*/whole"))


def test_every_peer_pins_what_it_needs(ratios) -> None:
    files = [
        path for path in (BENCHMARKS / "peers").glob("*.py") if path.stem not in ratios.OWN.values()
    ]
    assert len(files) >= 8
    for path in files:
        needs = ratios.said(path)["dependencies"]
        assert needs
        assert all("==" in each for each in needs)


def test_the_long_run_counts_its_rows(tmp_path) -> None:
    call = [sys.executable, BENCHMARKS / "large.py", "--requests", "2000", "--devices", "10"]
    done = subprocess.run([*call, "--out", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rows of 10 devices" in done.stdout
    assert "peak memory" in done.stdout
    assert list(tmp_path.rglob("requests.parquet"))
