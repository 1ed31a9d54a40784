"""A sweep: which points it has, what it keeps, what it refuses."""

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from offload.analysis import sweep
from offload.analysis.vary import read
from offload.cli import app
from offload.scenario.faults import ScenarioError

SMALL = Path(__file__).parent / "small.toml"
FEW = ["--replications", "2", "--jobs", "1", "--policy", "local", "--policy", "edge"]
POINTS = ("20-Mbit-s", "4-Mbit-s")


def call(*args: str, file: Path = SMALL) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["sweep", str(file), *args])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("kept")
    code, told, _ = call("--vary", "links.cell.up=20 Mbit/s, 4 Mbit/s", *FEW, "--out", str(out))
    assert code == 0
    return out, told


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
    points = sweep.scenarios(SMALL, read("nodes.*.servers=1, 3"), ["duration='2 s'"])
    assert [{n.servers for n in each.file.nodes.values()} for each in points] == [{1}, {3}]
    assert {each.file.duration for each in points} == {2.0}


def test_every_point_is_the_comparison_with_that_value(kept: tuple[Path, str], tmp_path: Path) -> None:
    out, _ = kept
    told = json.loads((out / "summary.json").read_text())
    assert [point["value"] for point in told["points"]] == ["20 Mbit/s", "4 Mbit/s"]
    args = ["compare", str(SMALL), *FEW, "--set", "links.cell.up=4 Mbit/s", "--no-second-opinion"]
    done = CliRunner().invoke(app, [*args, "--out", str(tmp_path), "--json"])
    alone = json.loads(done.stdout)
    assert told["points"][1] == {"value": "4 Mbit/s", **alone}
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
    assert [point["value"] for point in json.loads(told)["points"]] == [
        "20 Mbit/s",
        "4 Mbit/s",
        "1 Mbit/s",
    ]
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize(
    ("vary", "told"),
    [
        ("", "nothing to vary; write KEY=VALUE, VALUE"),
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
        sweep.scenarios(SMALL, read("nodes.*.servers=0, 1, -2"), [])
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
