"""How far long work is, as a bar and as lines."""

import io
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from offload.cli import app
from offload.simulation import flow
from offload.views import progress as views
from offload.views.progress import progress

SMALL = Path(__file__).parent / "small.toml"


def test_lines_tell_of_pieces_and_of_simulated_time(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("simulating", 2, 0.0) as advance:
        advance.within("local", 60.0, 12.34)
        advance("local")
        advance.within("edge", 3600.0, 3601.0)  # what is under way at the end goes on after it
        advance("edge")
    assert capsys.readouterr().err.splitlines() == [
        "simulating: 0 of 2: local, 12.3 of 60 s simulated",
        "simulating: 1 of 2: local",
        "simulating: 1 of 2: edge, 3600 of 3600 s simulated",
        "simulating: 2 of 2: edge",
    ]


def test_lines_are_few(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0
    monkeypatch.setattr(views.time, "monotonic", lambda: now_s)
    with progress("simulating", 1) as advance:
        for tenth in range(120):
            now_s = tenth / 10
            advance.within("local", 60.0, tenth / 2)
        advance("local")
    told = [line.split(", ")[-1] for line in capsys.readouterr().err.splitlines()]
    assert told == ["25.0 of 60 s simulated", "50.0 of 60 s simulated", "simulating: 1 of 1: local"]


@pytest.mark.parametrize("total", [1, 2])
def test_a_bar_on_a_terminal(total: int, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with progress("simulating", total) as advance:
        advance.within("local", 60.0, 30.0)
        shown = advance._shown
        shown.refresh()
        assert shown.tasks[0].completed == 0.5
        advance("local")
        assert shown.tasks[0].completed == 1
        advance.within("edge", 60.0, 90.0)
        assert shown.tasks[0].completed == 2
    assert "simulating local, 30.0 of 60 s simulated" in screen.getvalue()
    assert ("0/2" in screen.getvalue()) == (total == 2)


@pytest.mark.parametrize("jobs", [[], ["--jobs", "1"]])
def test_one_long_run_tells_how_far_it_is(
    jobs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "TELL_EVERY_S", 0.0)
    monkeypatch.setattr(views.progress.__wrapped__, "__defaults__", (0.0,))
    run = CliRunner().invoke(app, ["run", str(SMALL), *jobs, "--out", str(tmp_path)])
    rows = tmp_path / "quickest" / "0" / "requests.parquet"
    again = CliRunner().invoke(app, ["run", str(rows)])
    for done, what in ((run, "simulating"), (again, "repeating")):
        *lines, last = done.stderr.splitlines()
        assert last.startswith(f"{what}: ")
        start = f"{what}: 0 of 1: quickest, "
        told_s = [float(line.removeprefix(start).split()[0]) for line in lines]
        assert len(told_s) > 50
        assert told_s == sorted(told_s)
        assert 0 <= told_s[0] < 1 < 9 < told_s[-1] <= 10
