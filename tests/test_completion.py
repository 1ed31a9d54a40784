"""Shell completion: what a shell is told, and that nothing heavy is loaded for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from offload.cli import completion
from offload.policies.named import NAMED

ROOT = Path(__file__).parents[1]
MAIN = "import sys; sys.argv[0] = 'offload'; from offload.cli import main; main()"


def complete(line: str, where: Path = ROOT) -> list[str]:
    """Ask as bash does: which words may stand at the end of this line?"""
    words = line.split(" ")
    environment = os.environ | {
        "PYTHONPATH": str(ROOT), "_OFFLOAD_COMPLETE": "complete_bash", "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", MAIN],
        cwd=where,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.split()


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


def test_nothing_heavy_is_loaded() -> None:
    script = (
        "import sys; from offload.cli import completion as c; c.policies(''); c.networks('');"
        " c.scenario_files('');"
        " print([name for name in sys.modules if name.partition('.')[0] in"
        " ('pydantic', 'numpy', 'polars', 'scipy', 'torch', 'matplotlib', 'jinja2', 'starlette')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
