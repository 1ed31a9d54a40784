"""Traffic made by SUMO, where it is installed; without it, a clear refusal."""

import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from offload.cli import app
from offload.world import sumo, traces
from tests import hand_made


def has_sumo() -> bool:
    try:
        distribution("eclipse-sumo")
    except PackageNotFoundError:
        return False
    return True


needs_sumo = pytest.mark.skipif(
    not has_sumo(), reason="SUMO is not installed: half a gigabyte; pip install -e '.[sumo]'"
)
GRID = ["--grid", "3x3", "--spacing", "100 m", "--vehicles", "20", "--duration", "60 s"]


def traffic(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["traffic", *map(str, arguments)])


def test_without_sumo_the_remedy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(sumo, "distribution", missing)
    done = traffic(*GRID, "--out", tmp_path / "trace.parquet")
    assert done.exit_code == 2
    assert done.stderr == 'SUMO is not installed; try: pip install "eclipse-sumo>=1.28,<2"\n'
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either a SUMO configuration or --grid, like --grid 10x10"),
        (["a.sumocfg", "--grid", "3x3"], "give either a SUMO configuration or --grid"),
        (["--grid", "3"], "--grid 3: write how many streets along x and along y, like 10x10"),
        (["--grid", "1x9"], "--grid 1x9: write how many streets"),
        (["--grid", "3x3", "--spacing", "100"], "--spacing 100: the unit is missing; use one of m, km"),
        (["--grid", "3x3", "--spacing", "1 m"], "--spacing 1 m: must lie between 20 m and 10 km"),
        (["--grid", "3x3", "--duration", "9 h 5"], "--duration 9 h 5: not a time"),
        (["--grid", "3x3", "--duration", "0 s"], "--duration 0 s: must lie between 1 s and 24 h"),
        (["--grid", "3x3", "--tolerance", "-1 m"], "--tolerance -1 m: must lie between 0 m and 100 m"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sumo, "package", lambda: pytest.fail("it ran"))
    done = traffic(*arguments, "--out", tmp_path / "trace.parquet")
    assert done.exit_code == 2
    assert done.stderr.startswith(message)


@needs_sumo
def test_the_same_seed_makes_the_same_bytes(tmp_path: Path) -> None:
    one, two, other = (tmp_path / name for name in ("1.parquet", "2.parquet", "3.parquet"))
    done = traffic(*GRID, "--seed", "7", "--out", one, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["vehicles"] > 15
    assert (told["starts_s"], told["ends_s"]) == (0.0, 60.0)
    assert told["bytes"] == one.stat().st_size
    assert traffic(*GRID, "--seed", "7", "--out", two).exit_code == 0
    assert traffic(*GRID, "--seed", "8", "--out", other).exit_code == 0
    assert one.read_bytes() == two.read_bytes() != other.read_bytes()
    trace = traces.read_trace(one)
    assert trace.recording
    assert len(trace.tracks) == told["vehicles"]
    made = pl.read_parquet_metadata(one)
    assert made["sumo"] == distribution("eclipse-sumo").version
    assert made["from"].endswith("--grid 3x3 --spacing 100 m --vehicles 20 --duration 60 s")


@needs_sumo
def test_a_configuration_is_run(tmp_path: Path) -> None:
    config = sumo.make_grid(tmp_path, (2, 3), 80.0, 30.0, 10, 1)
    out = tmp_path / "trace.parquet"
    done = traffic(config, "--out", out, "--tolerance", "0 m")
    assert done.exit_code == 0, done.output
    assert "vehicles from 0 s to 30 s" in done.stdout
    config.write_text("<configuration><net-file value='nowhere.xml'/></configuration>")
    done = traffic(config, "--out", tmp_path / "other.parquet")
    assert done.exit_code == 2
    assert done.stderr.startswith("sumo failed:\n")
    assert "nowhere.xml" in done.stderr
    assert not (tmp_path / "other.parquet").exists()
    done = traffic(tmp_path / "no.sumocfg", "--out", out)
    assert "no.sumocfg: no such file" in done.stderr


@pytest.mark.parametrize("name", ["fcd.xml.gz", "fcd.csv.gz", "fcd.parquet"])
def test_what_sumo_wrote_is_read(name: str) -> None:
    folder = hand_made.ROOT / "tests" / "recorded"
    found = traces.read_trace(folder / name)
    assert found.recording
    expected = traces.read_trace(folder / "fcd.xml.gz")
    assert list(found.tracks) == list(expected.tracks)
    assert found.ends_s == expected.ends_s
    for name, track in expected.tracks.items():
        same = found.tracks[name]
        assert (same.enters_s, same.leaves_s) == (track.enters_s, track.leaves_s)
        for now in track.times_s:
            assert same.position(now) == pytest.approx(track.position(now), abs=0.03)
