"""Two profiles side by side."""

from io import StringIO
from pathlib import Path

from rich.console import Console
from typer.testing import CliRunner

from offload.cli import app
from offload.dnn import profiles
from offload.scenario.catalogue import DATA
from offload.views.profile import MOST_ROWS, side_by_side


def shown(one: str, other: str) -> str:
    """Return what a wide terminal shows."""
    console = Console(width=200, record=True, file=StringIO())
    found = [profiles.read(DATA / "profiles" / f"{name}.x86-core.json") for name in (one, other)]
    for part in side_by_side(*found):
        console.print(part)
    return console.export_text()


def test_the_same_layers_are_compared_one_by_one() -> None:
    text = shown("resnet18.fp32", "resnet18.fp32")
    assert text.count("1.00") >= MOST_ROWS
    assert f"The {MOST_ROWS} longest of 69 layers, batch 1." in text


def test_other_layers_are_compared_by_kind() -> None:
    text = shown("resnet18.fp32", "resnet18.int8")
    assert "quantize" in text
    assert "layer1" not in text


def test_profiles_are_compared_and_nothing_is_measured(tmp_path: Path) -> None:
    files = [str(DATA / "profiles" / f"resnet18.{form}.x86-core.json") for form in ("fp32", "int8")]
    done = CliRunner().invoke(app, ["profile", "--compare", *files, "--out", str(tmp_path / "none")])
    assert done.exit_code == 0, done.output
    assert "B / A" in done.output
    assert not (tmp_path / "none").exists()
    done = CliRunner().invoke(app, ["profile", "--compare", files[0]])
    assert (done.exit_code, done.stderr) == (2, "--compare takes two profile files\n")


def test_an_accelerator_is_refused_with_the_reason() -> None:
    done = CliRunner().invoke(app, ["profile", "resnet18", "--device", "cuda"])
    assert done.exit_code == 2
    assert done.stderr.startswith("--device cuda: only cpu; what runs on an accelerator goes on")
