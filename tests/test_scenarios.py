"""The shipped scenarios: each loads, and runs shortened under each of its policies."""

from functools import cache
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from typer.testing import CliRunner

from offload.analysis.result import simulate
from offload.analysis.rows import LEGS
from offload.cli import app
from offload.policies.table import Choice
from offload.scenario.load import Scenario, load
from offload.streams import Streams
from tests.whole import expected_births

FILES = sorted((Path(__file__).parents[1] / "scenarios").glob("*.toml"))
SHIPPED = {
    "urban-intersection", "camera-corridor", "robotaxi", "city-grid", "smart-factory", "highway-platoon",
    "tele-operation", "clinic-wearables", "ar-headset", "smart-home-voice", "blackout",
    "staleness", "small-cell", "split-camera",
}  # fmt: skip


@cache
def shortened(path: Path) -> Scenario:
    return load(path, ['duration="2 s"', 'warm_up="500 ms"'])


@cache
def born(path: Path) -> list[tuple[float, str, str]]:
    scenario = shortened(path)
    streams = Streams(scenario.file.seed, 0)
    return expected_births(SimpleNamespace(setting=scenario.setting(0.0, streams), streams=streams))


CHOICES = [
    pytest.param(path, choice, id=f"{path.stem}-{choice.label}")
    for path in FILES
    for choice in load(path).compared
]


def test_all_are_there() -> None:
    assert {path.stem for path in FILES} >= SHIPPED


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_loads_and_says_what_it_compares(path: Path) -> None:
    scenario = load(path)
    assert scenario.file.name == path.stem
    assert scenario.file.description
    assert scenario.policy is not None
    assert len({choice.label for choice in scenario.compared}) >= 6
    assert {"reported", "fresh", "clairvoyant"} == {choice.knowledge for choice in scenario.compared}
    assert scenario.known.startswith("latency ")


def test_the_main_one_compares_eight_policies() -> None:
    scenario = load(next(path for path in FILES if path.stem == "urban-intersection"))
    assert len({choice.name for choice in scenario.compared}) >= 8


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_check_command(path: Path) -> None:
    done = CliRunner().invoke(app, ["check", str(path)])
    assert (done.exit_code, done.stderr) == (0, "")
    assert f"{path}: " in done.stdout.replace("\n", "")
    scenario = load(path)
    assert all(name in done.stdout for name in (*scenario.file.devices, *scenario.file.nodes))


@pytest.mark.parametrize(("path", "choice"), CHOICES)
def test_runs(path: Path, choice: Choice) -> None:
    scenario = shortened(path)
    result = simulate(scenario, choice)
    rows = result.rows()
    roots = rows.filter(pl.col("parent").is_null())
    assert sorted(roots.select("born_s", "device", "task").rows()) == born(path)
    assert rows["request"].is_unique().all()
    assert set(rows["group"]) == set(scenario.file.devices)
    finished = rows.filter(pl.col("cause") == "")
    assert finished.height > 0
    assert finished["latency_s"].null_count() == 0
    legs = finished.select(pl.sum_horizontal(*LEGS) - pl.col("latency_s")).to_series()
    assert legs.abs().max() < 1e-9
    assert rows["energy_j"].min() >= 0
    assert result.measures()["on_time"] == pytest.approx(
        roots.filter(pl.col("born_s") >= 0.5)["on_time"].mean()
    )


@pytest.mark.parametrize(
    ("place", "uses"),
    [("local", pl.col("uplink").is_null()), ("edge", pl.col("edge").is_not_null()),
     ("cloud", pl.col("cloud").is_not_null())],
)  # fmt: skip
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_fixed_policies_stay_where_they_belong(path: Path, place: str, uses: pl.Expr) -> None:
    scenario = shortened(path)
    if place == "cloud" and all(node.kind != "cloud" for node in scenario.file.nodes.values()):
        pytest.skip("it has no cloud")
    rows = simulate(scenario, place).rows()
    assert rows.filter(pl.col("plan").is_not_null()).select(uses.all()).item()
    private = [
        name
        for group in scenario.file.devices.values()
        for name, task in group.tasks.items()
        if task.private
    ]  # raw input of these stays, and so does a part of the network
    assert not rows.filter(~pl.col("task").is_in(private))["split"].any()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_rows_repeat_themselves(path: Path, tmp_path: Path) -> None:
    """Also where the order of tables in the file decides which request comes first."""
    shorten = ["--set", 'duration="2 s"', "--set", 'warm_up="0 s"', "--out", str(tmp_path)]
    assert CliRunner().invoke(app, ["run", str(path), *shorten]).exit_code == 0
    (rows,) = tmp_path.rglob("requests.parquet")
    done = CliRunner().invoke(app, ["run", str(rows)])
    assert done.exit_code == 0, done.output
    assert "identical: True" in done.output.replace("\n", " ")
