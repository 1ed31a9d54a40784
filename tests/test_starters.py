"""Scenarios to start from: each is sound as written, and so is each key that is only shown."""

import json
import re
import shlex
from pathlib import Path
from typing import get_args

import pytest
from typer.testing import CliRunner, Result

import offload
from offload.cli import app
from offload.cli.new import BESIDE, Kind
from offload.scenario.keys import NEEDED, at
from offload.scenario.starters import starter
from offload.shipped import DATA

KINDS = get_args(Kind)
SHOWN = re.compile(r"#(\w+) = .*")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_the_command_knows_all_that_ship() -> None:
    assert set(KINDS) == {path.stem for path in (DATA / "starters").glob("*.toml")}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_checked_and_runs(kind: str, here: Path) -> None:
    """And shows something: some policy is better than another."""
    done = call("new", "mine.toml", "--kind", kind)
    assert done.exit_code == 0
    assert "offload check mine.toml" in done.stdout
    checked = call("check", "mine.toml")
    assert (checked.exit_code, checked.stderr) == (0, "")
    assert "note:" not in checked.stdout
    short = ["--set", 'duration="3 s"', "--set", 'warm_up="1 s"', "--jobs", "1", "--replications", "2"]
    ran = call("compare", "mine.toml", *short, "--no-second-opinion", "--out", "out")
    assert ran.exit_code == 0, ran.output
    assert "mine: 2 replications" in ran.stdout
    told = json.loads((here / "out" / "summary.json").read_text())
    useful = [policy["useful"]["mean"] for policy in told["policies"]]
    assert max(useful) > min(useful) + 0.02
    assert max(useful) > 0.3


@pytest.mark.parametrize("kind", KINDS)
def test_each_key_that_is_shown_may_be_given(kind: str, tmp_path: Path) -> None:
    lines = starter(kind, "mine").splitlines()
    shown = [number for number, line in enumerate(lines) if SHOWN.fullmatch(line)]
    assert len(shown) > 8
    for number in shown:
        path = tmp_path / "mine.toml"
        path.write_text("\n".join([*lines[:number], lines[number][1:], *lines[number + 1 :]]))
        offload.load(path)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_shown_is_the_default(kind: str) -> None:
    table: tuple[str, ...] = ()
    compared = 0
    template = (DATA / "starters" / f"{kind}.toml").read_text()
    for line in starter(kind, "mine").splitlines():
        if line.startswith("["):
            table = tuple(line.strip("[]").split("."))
        if match := SHOWN.fullmatch(line):
            key = at((*table, match[1]))
            if f"#? {match[1]}\n" in template and key.default not in ("", NEEDED):
                assert line == f"#{match[1]} = {key.default}"
                compared += 1
    assert compared


def test_what_holds_without_a_key_is_what_a_starter_says_of_it() -> None:
    """Where a template writes the value that holds: `give_up`, `shared`, `knowledge`."""
    for kind in KINDS:
        text = starter(kind, "mine")
        assert text.count("#give_up = ") == text.count('#give_up = "1 s"')
        assert text.count("#shared = ") == text.count("#shared = true")


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_is_explained_once(kind: str) -> None:
    text = starter(kind, "mine")
    deadline = at(("devices", "x", "tasks", "y", "deadline")).meaning.split(".")[0]
    assert text.count(deadline) == 1
    assert "#? " not in text
    assert max(map(len, text.splitlines())) < 160


def test_the_next_commands_can_be_pasted(here: Path) -> None:
    done = call("new", "my city.toml")
    for line in done.stdout.splitlines()[1:]:
        assert shlex.split(line)[2:] == ["my city.toml"]


def test_the_name_is_that_of_the_file(here: Path) -> None:
    (here / "a").mkdir()
    name = 'my "city" ü.toml'
    assert call("new", f"a/{name}").exit_code == 0
    assert offload.load(here / "a" / name).file.name == 'my "city" ü'


def test_editors_are_told_of_the_schema(here: Path) -> None:
    assert call("new", "a.toml", "--with-schema").exit_code == 0
    assert call("new", "b.toml", "--with-schema").exit_code == 0  # the same schema serves both
    assert Path("b.toml").read_text().splitlines()[0] == f"#:schema ./{BESIDE}"
    assert Path(BESIDE).read_text() == call("schema").stdout
    offload.load("b.toml")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("there.toml", "there.toml: is there already; give another name"),
        ("gone.toml", "gone.toml: is there already"),
        ("city", "city: give it a name that ends in .toml"),
        (".toml", ".toml: give it a name that ends in .toml"),
        ("x\ny.toml", "give it a name that ends in .toml"),
        ("no/city.toml", "no/city.toml: No such file or directory"),
        ("there.toml/city.toml", "there.toml/city.toml: Not a directory"),
    ],
)
def test_refuses(name: str, said: str, here: Path) -> None:
    Path("there.toml").write_text("mine")
    Path("gone.toml").symlink_to("nowhere")
    before = sorted(Path().iterdir())
    done = call("new", name)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(Path().iterdir()) == before
    assert Path("there.toml").read_text() == "mine"


def test_refuses_to_replace_what_is_no_schema_of_ours(here: Path) -> None:
    Path(BESIDE).write_text("{}")
    done = call("new", "a.toml", "--with-schema")
    assert done.exit_code == 2
    assert f"{BESIDE}: is there already and says something else" in done.stderr
    assert list(Path().iterdir()) == [Path(BESIDE)]
