"""What README shows works: its commands, its scenario, its policy, its Python."""

import re
import shlex
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import offload
from offload.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", README, re.DOTALL)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("offload ")]
# What is done with a network that is in no list; each command needs what the one before it made.
OWN = [command for command in COMMANDS if "ghostnet" in command]


def shortened(words: list[str], tmp_path: Path) -> list[str]:
    """The same command on a few seconds of the scenario; what it says is not what is tested here."""
    if words[0] == "compare":
        # Later options win, so these replace what README gives.
        words += ["--replications", "2", "--jobs", "1", "--out", str(tmp_path / "out")]
        words += ["--no-second-opinion"]
    if words[0] in ("bound", "sweep"):
        words += ["--replications", "1"]
    if words[0] == "sweep":
        words = [re.sub(r"=([^,]*),.*", r"=\1", each) for each in words]  # the first value alone
        words += ["--jobs", "1", "--out", str(tmp_path / "out")]
    if words[0] == "size":
        words = [each.replace("99%", "50%") for each in words]  # what a few seconds can show
        words += ["--replications", "10", "--jobs", "1", "--out", str(tmp_path / "out")]
    if words[0] in ("explain", "report", "timeline"):  # what a command before it has left
        made = ["compare", "scenarios/urban-intersection.toml", "--policy", "thrifty"]
        assert CliRunner().invoke(app, shortened(made, tmp_path)).exit_code == 0
        words[1] = str(tmp_path / "out")
    if words[0] in ("compare", "run", "sweep", "size"):
        words += ["--set", 'duration="3 s"', "--set", 'warm_up="1 s"']
    if words[0] == "testbed":
        short = ["--set", 'duration="1 s"', "--set", 'warm_up="0 s"']
        words += ["--out", str(tmp_path / "out"), *(short if words[1] == "run" else [])]
    if words[0] == "profile":
        words += ["--rounds", "1", "--pause", "0 s", "--out", str(tmp_path / "profiles")]
    return [word.replace("../profiles", str(tmp_path / "profiles")) for word in words]


@pytest.fixture
def careful(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """README's policies, as files where the command is called."""
    for name in ("Careful", "Together"):
        (policy,) = [block for block in blocks("python") if f"class {name}" in block]
        (tmp_path / f"{name.lower()}.py").write_text(policy)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("careful", None)
    sys.modules.pop("together", None)


@pytest.mark.usefixtures("careful")
@pytest.mark.parametrize("command", [command for command in COMMANDS if command not in OWN])
def test_commands(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    done = CliRunner().invoke(app, shortened(shlex.split(command)[1:], tmp_path))
    assert done.exit_code == 0, done.output
    assert done.output.strip()


def test_a_network_in_no_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from offload.dnn import machine

    monkeypatch.setattr(machine, "why_busy", lambda *_: "")  # what runs tests is seldom idle
    monkeypatch.chdir(ROOT)
    assert [command.split()[1] for command in OWN] == ["profile", "split", "compare"]
    for command in OWN:
        done = CliRunner().invoke(app, shortened(shlex.split(command)[1:], tmp_path))
        assert done.exit_code == 0, done.output


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 8


def test_scenario(tmp_path: Path) -> None:
    _, text, entry_points = blocks("toml")
    assert entry_points.strip() in (ROOT / "tests" / "plugin" / "pyproject.toml").read_text()
    path = tmp_path / "doorbells.toml"
    path.write_text(text)
    scenario = offload.load(path, ['duration="12 s"'])
    assert offload.simulate(scenario).rows().height > 50


@pytest.mark.usefixtures("careful")
def test_policies_are_sound() -> None:
    import careful
    import together

    assert offload.check_policy(careful.Careful) == []
    assert offload.check_policy(together.Together) == []


def test_python(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    (script,) = [block for block in blocks("python") if "offload.simulate" in block]
    exec(compile(script, "README.md", "exec"), {})
    assert "mobilenetv2" in capsys.readouterr().out


def test_learning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (script,) = [block for block in blocks("python") if "gymnasium" in block]
    names: dict[str, object] = {}
    exec(compile(script, "README.md", "exec"), names)
    assert names["over"] is False
    assert names["reward"] >= 0.0
    assert names["reward"].is_integer()  # how many useful rows ended since the last decision


def test_first_command_line_is_whole() -> None:
    first = blocks("sh")[0].strip()
    assert first.startswith("python3 -m venv .venv && ")
    assert first.endswith(".venv/bin/offload compare scenarios/urban-intersection.toml")


def test_prices(tmp_path: Path) -> None:
    (prices,) = [text for text in blocks("toml") if "[hardware." in text]
    path = tmp_path / "own.toml"
    path.write_text((ROOT / "scenarios" / "staleness.toml").read_text() + prices)
    scenario = offload.load(path)
    assert scenario.catalogue.price("x86-core").value == 600
    assert scenario.file.costs.electricity.per_kwh == 0.31
