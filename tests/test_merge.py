"""Parts of a sweep, put together: the same as the whole; what does not belong together is refused."""

import importlib
import json
import shutil
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from offload.analysis.sweeping.design import Point
from offload.analysis.sweeping.folder import Identity, Told
from offload.cli import app
from offload.policies.table import choose
from offload.scenario.load import load

SMALL = Path(__file__).parent / "small.toml"
SWEEP = [
    "sweep", str(SMALL), "--vary", "nodes.cabinet.servers=1..5", "--policy", "edge", "--policy", "local",
    "--replications", "2", "--jobs", "1", "--set", 'duration="2 s"',
]  # fmt: skip


def call(*args: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, args)
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folders = tuple(tmp_path_factory.mktemp(f"part{number}") for number in (1, 2))
    for number, folder in enumerate(folders, 1):
        assert call(*SWEEP, "--part", f"{number}/2", "--out", str(folder))[0] == 0
    return folders


def merged(parts: tuple[Path, Path], out: Path) -> tuple[int, str, str]:
    return call("merge", *map(str, parts), "--out", str(out))


def rows(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("requests.parquet")}


def test_parts_make_the_whole(parts: tuple[Path, Path], tmp_path: Path) -> None:
    assert [len(rows(part)) for part in parts] == [3 * 4, 2 * 4]
    out = tmp_path / "out"
    code, told, said = merged(parts, out)
    assert (code, told) == (0, f"5 points are in {out}\n"), said
    before = {path: path.stat().st_mtime_ns for path in out.rglob("requests.parquet")}
    code, told, said = call(*SWEEP, "--out", str(out), "--json")
    assert code == 0, said
    assert {path: path.stat().st_mtime_ns for path in before} == before
    alone = tmp_path / "alone"
    assert call(*SWEEP, "--out", str(alone), "--json")[1] == told
    assert rows(out) == rows(alone)
    points = json.loads((out / "sweep.json").read_text())["points"]
    assert [(point["name"], point["state"]) for point in points] == [(n, "done") for n in "12345"]


def test_what_is_missing_is_told_and_can_come_later(parts: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, told, _ = call("merge", str(parts[0]), "--out", str(out))
    assert (code, told) == (0, f"5 points, 2 of them still to do are in {out}\n")
    assert merged(parts, out)[1] == f"5 points are in {out}\n"
    assert len(rows(out)) == 20


def test_another_sweep_is_refused(parts: tuple[Path, Path], tmp_path: Path) -> None:
    other, out = tmp_path / "other", tmp_path / "out"
    assert call(*SWEEP, "--part", "2/2", "--seed", "9", "--out", str(other))[0] == 0
    code, _, said = call("merge", str(parts[0]), str(other), "--out", str(out))
    assert code == 2
    assert said == f"{other}: is no part of the same sweep as {parts[0]}: it has another seed\n"
    assert not (out / "sweep.json").exists()


def test_a_point_is_told_of_by_the_part_that_finished_it(
    parts: tuple[Path, Path], tmp_path: Path
) -> None:
    failed, out = tmp_path / "failed", tmp_path / "out"
    shutil.copytree(parts[0], failed)
    text = (failed / "sweep.json").read_text()
    (failed / "sweep.json").write_text(text.replace('"done"', '"failed"'))
    for point in "135":
        (failed / point / "summary.json").write_text("failed")
    assert call("merge", str(failed), str(parts[0]), "--out", str(out))[0] == 0
    whole = parts[0] / "1" / "summary.json"
    assert (out / "1" / "summary.json").read_text() == whole.read_text()


def test_parts_by_two_versions_of_a_policy_are_no_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    code = "class Mine:\n    def decide(self, request, seen): ...\n"
    name = f"mine_{tmp_path.name.replace('-', '_')}"
    told = []
    for version in (1, 2):
        (tmp_path / f"{name}.py").write_text(code + f"# version {version}\n")
        sys.modules.pop(name, None)
        importlib.invalidate_caches()
        base = load(SMALL)
        choices = [choose({"name": f"{name}:Mine"})]
        told.append(Identity.of(base, choices, "grid", ["seed"], [Point("1", ("1",))], 1, 1))
        Told(identity=told[-1], points=[]).save(tmp_path / str(version))
    code, _, said = call("merge", str(tmp_path / "1"), str(tmp_path / "2"), "--out", str(tmp_path / "o"))
    assert code == 2
    assert said.endswith("it has another version of a policy's code\n")


def test_other_rows_of_the_same_replication_are_refused(
    parts: tuple[Path, Path], tmp_path: Path
) -> None:
    other, out = tmp_path / "other", tmp_path / "out"
    shutil.copytree(parts[0], other)
    changed = other / "1" / "edge" / "0" / "requests.parquet"
    shutil.copy(other / "1" / "edge" / "1" / "requests.parquet", changed)
    code, _, said = call("merge", str(parts[0]), str(other), "--out", str(out))
    assert code == 2
    assert f"{changed}: these are not the rows of" in said
    assert not rows(out)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "holds no sweep (there is no sweep.json)"),
        ("", "was not written by this version"),
        ("[" * 5000, "was not written by this version"),
        ('{"format": 2}', "was not written by this version"),
        ("../evil", "was not written by this version"),
    ],
)
def test_what_is_no_part(text: str | None, told: str, parts: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / "part"
    folder.mkdir()
    if text is not None:
        if text.startswith(".."):
            text = (parts[0] / "sweep.json").read_text().replace('"name": "3"', '"name": "../evil"')
        (folder / "sweep.json").write_text(text)
    code, _, said = call("merge", str(folder), "--out", str(tmp_path / "out"))
    assert (code, told in said) == (2, True), said


def test_a_folder_with_something_else_is_no_place(parts: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    code, _, said = merged(parts, tmp_path)
    assert (code, "is not empty" in said) == (2, True)
