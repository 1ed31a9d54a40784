"""Shell completion: what a shell is told, and that nothing heavy is loaded for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from offload.cli import app, completion
from offload.policies.named import NAMED

ROOT = Path(__file__).parents[1]
MAIN = "import sys; sys.argv[0] = 'offload'; from offload.cli import main; main()"


def complete(line: str, where: Path = ROOT) -> list[str]:
    """Ask as bash does: which words may stand at the end of this line?"""
    before = Path.cwd()
    os.chdir(where)
    done = CliRunner().invoke(app, [], prog_name="offload", env=asked(line))
    os.chdir(before)
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout.split()


def asked(line: str) -> dict[str, str]:
    """Return what bash adds to the environment of a command that it asks."""
    place = str(len(line.split(" ")) - 1)
    return {"_OFFLOAD_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": place}


def test_commands_and_options() -> None:
    assert {"check", "compare", "new", "schema", "explain"} <= set(complete("offload "))
    assert set(complete("offload comp")) == {"compare", "compress"}
    assert "--explain" in complete("offload check --")
    assert set(complete("offload new x.toml --kind ")) == {"minimal", "vehicles", "cameras", "wearables"}


def test_scenario_files() -> None:
    found = complete("offload run scenarios/")
    assert "scenarios/blackout.toml" in found
    assert len(found) == len(list((ROOT / "scenarios").glob("*.toml")))
    assert complete("offload check scenarios/urb") == ["scenarios/urban-intersection.toml"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells(shell: str) -> None:
    environment = os.environ | {
        "PYTHONPATH": str(ROOT), "_OFFLOAD_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": "offload compare x.toml --policy thr",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }  # fmt: skip
    command = [sys.executable, "-c", MAIN]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "thrifty" in done.stdout
    assert "quickest" not in done.stdout


def test_the_script_that_a_shell_reads_is_there() -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "_OFFLOAD_COMPLETE": "source_bash"}
    command = [sys.executable, "-c", MAIN]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "_offload_completion" in done.stdout


def test_policies_and_networks() -> None:
    assert complete("offload compare x.toml --policy qu") == ["quickest"]
    assert complete("offload policies cla") == ["clairvoyant"]
    assert complete("offload split fash") == ["fashion-cnn"]


def test_files_are_named_as_they_were_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.toml", "b.txt", "sub/c.toml", "sub/.d.toml", ".e.toml", "deep/er/f.toml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "folder.toml").mkdir()
    monkeypatch.chdir(tmp_path)
    files = completion.scenario_files
    assert files("") == ["a.toml", "sub/c.toml"]
    assert files("su") == files("sub") == files("sub/") == ["sub/c.toml"]
    assert files("./a") == ["./a.toml"]
    assert files(f"{tmp_path}/a") == [f"{tmp_path}/a.toml"]
    assert files("deep") == []
    assert files("deep/") == ["deep/er/f.toml"]
    assert files("no/such") == files("b") == []


def test_names() -> None:
    assert completion.policies("") == list(NAMED)
    assert {"mobilenetv2", "fashion-cnn"} <= set(completion.networks(""))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("offload compare x.toml --policy qu", "quickest"),
        ("offload split fash", "fashion-cnn"),
        ("offload run scenarios/urb", "scenarios/urban-intersection.toml"),
    ],
)
def test_nothing_heavy_is_loaded(line: str, said: str) -> None:
    """As a shell asks: with all commands, in a process of its own."""
    script = (
        "import atexit, sys; atexit.register(lambda: print([name for name in sys.modules if name in"
        " ('numpy', 'polars', 'scipy', 'simpy', 'torch', 'matplotlib', 'jinja2', 'starlette')],"
        " file=sys.stderr)); "
    )
    done = subprocess.run(
        [sys.executable, "-c", script + MAIN], capture_output=True, text=True, check=True, cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | asked(line),
    )  # fmt: skip
    assert (done.stdout.strip(), done.stderr.strip()) == (said, "[]")
