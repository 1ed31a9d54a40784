"""The guide works: its commands, in the order of each page, its files, and its links."""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from offload.cli import app
from offload.views.keys import anchor
from tests.test_readme import COMMANDS as IN_README

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "notebooks" / "guide"
PAGES = sorted(GUIDE.glob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"[Ii]n `([\w.-]+)`[^\n]*:\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
KNOWN = {command.name or command.callback.__name__ for command in app.registered_commands}


def commands(page: Path) -> list[str]:
    """The commands of a page, but for those of which README has the same, which are tested there."""
    blocks = [text for kind, text in BLOCK.findall(page.read_text()) if kind == "sh"]
    found = [line for block in blocks for line in block.splitlines() if line.startswith("offload ")]
    return [command for command in found if command not in IN_README]


def shortened(words: list[str]) -> list[str]:
    """The same command with less to do; scenarios are shortened as they are written."""
    if words[0] in ("compare", "sweep", "explain"):
        words += ["--jobs", "1"]  # processes that other tests have left work in another folder
    if words[0] == "compare":
        words += ["--no-second-opinion"]
    return words


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of one's own, with this repository's scenarios beside it, where modules are found."""
    from offload.dnn import machine

    (tmp_path / "scenarios").symlink_to(ROOT / "scenarios")
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(machine, "why_busy", lambda *_: "")  # what runs tests is seldom idle
    monkeypatch.setattr("offload.views.present.draw", lambda *_: [])  # figures have tests of their own
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").parent == tmp_path:
            del sys.modules[name]


def shorten(path: Path) -> None:
    """Let a scenario that a page makes last a few seconds, and be run twice."""
    text = re.sub(r'^duration = ".*"$', 'duration = "2 s"', path.read_text(), flags=re.MULTILINE)
    text = re.sub(r'^warm_up = ".*"$', 'warm_up = "500 ms"', text, flags=re.MULTILINE)
    text = re.sub(r"^replications = 10$", "replications = 2", text, flags=re.MULTILINE)
    path.write_text(re.sub(r"count 6", "count 2", text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands(page: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in FILE.findall(page.read_text()):
        (here / name).write_text(text)
    for command in commands(page):
        words = shlex.split(command)[1:]
        if "notebooks/guide" in command:
            (here / "notebooks" / "guide").mkdir(parents=True)
        done = CliRunner().invoke(app, shortened(words))
        assert done.exit_code == 0, (command, done.output)
        assert words[0] in ("schema", "init") or done.output.strip()
        if words[0] == "new":
            shorten(here / words[1])
    for name, text in FILE.findall(page.read_text()):
        if name.endswith(".py"):
            exec(compile(text, name, "exec"), {"__name__": name})
    capsys.readouterr()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_says_of_files_is_there(page: Path, here: Path) -> None:
    text = page.read_text()
    for kind, block in BLOCK.findall(text):
        if kind == "toml":
            for line in block.splitlines():
                assert line.startswith("#:schema ./") or "=" in line
    named = set(re.findall(r"`offload ([a-z]+)", text)) | {each.split()[1] for each in commands(page)}
    assert named <= KNOWN | {"testbed"}


def headings(path: Path) -> set[str]:
    text = BLOCK.sub("", path.read_text())
    return {anchor(title) for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", BLOCK.sub("", page.read_text())):
        if target.startswith("https://"):
            continue
        name, _, part = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.is_file(), target
        assert not part or part in headings(path), target


def test_every_page_is_in_the_index() -> None:
    index = (GUIDE / "README.md").read_text()
    for page in PAGES:
        assert page.name == "README.md" or f"]({page.name})" in index


def test_pages_are_short() -> None:
    for page in PAGES:
        lines = page.read_text().splitlines()
        assert page.stem == "scenario-keys" or len(lines) < 130
        assert lines[0].startswith("# ")


def test_there_are_commands() -> None:
    assert sum(len(commands(page)) for page in PAGES) > 20
