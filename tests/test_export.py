"""Exported files: loaded by their runtimes, compared, never half there."""

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from offload.cli import app
from offload.dnn import export, pt2
from offload.dnn.export import difference
from offload.dnn.network import Input, Network
from offload.dnn.onnx_model import ExportError, Session


def built() -> nn.Module:
    """Weights are others each time, as those of networks that nobody trained."""
    layers = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5)
    return nn.Sequential(*layers).eval()


TINY = Network("tiny", built, (Input((3, 8, 8)),), "guessing", "random")


def inputs(count: int) -> list[tuple[Tensor, ...]]:
    generator = torch.Generator().manual_seed(4)
    return [(torch.randn(1, 3, 8, 8, generator=generator),) for _ in range(count)]


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("form", export.FORMATS)
def test_what_is_written_answers_as_the_network_does(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"tiny.{form}"
    found = export.export(path, form, TINY, "fp32", inputs(3))
    assert found.largest < 1e-5 < found.reach
    assert (found.same, found.inputs) == (3, 3)
    assert files(tmp_path) == [path.name]
    loaded = Session("tiny", path) if form == "onnx" else pt2.read(path).module
    assert len(torch.as_tensor(loaded(*inputs(1)[0])[0]).view(-1)) == 5


def test_int8_is_compared_with_int8_of_the_same_weights(tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    with torch.random.fork_rng():
        torch.manual_seed(0)  # rounding did 2 to 15 % of reach over 60 seeds
        found = export.export(path, "onnx", TINY, "int8", inputs(6), inputs(30)[6:])
    assert 0 < found.largest < 0.2 * found.reach
    assert found.same >= 5


def test_pt2_of_int8_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"^tiny:int8: torch.export takes no .*; write --format onnx$"):
        export.export(tmp_path / "tiny.pt2", "pt2", TINY, "int8", inputs(1))
    assert files(tmp_path) == []


def test_what_the_runtime_does_not_load_replaces_nothing(tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_text("what was there before")
    with pytest.raises(ExportError, match=r"^tiny:bf16: ONNX Runtime does not load it: .*bfloat16"):
        export.export(path, "onnx", TINY, "bf16", inputs(1))
    assert path.read_text() == "what was there before"
    assert files(tmp_path) == ["tiny.onnx"]


def test_an_unknown_format_is_told(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"^tflite: no such format; known are onnx, pt2$"):
        export.export(tmp_path / "x", "tflite", TINY, "fp32", inputs(1))


def test_differences_by_hand() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x, 2 * x

    def other(x: Tensor) -> tuple[Tensor, Tensor]:
        return x + torch.tensor([0.0, 0.5]), 2 * x

    near, far = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.75]])
    found = difference(other, Two(), [(near,), (far,)])
    assert (found.largest, found.reach, found.same, found.inputs) == (0.5, 2.0, 1, 2)
    with pytest.raises(ExportError, match="tensors of other shapes"):
        difference(lambda x: (x,), Two(), [(near,)])


# The command


def call(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["export", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


def test_the_command_tells_the_difference(tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    code, said, _ = call("fashion-cnn", "--variant", "student", "--out", path)
    assert code == 0
    told = re.search(
        r"on 8 test images .* differ from PyTorch's by (\S+) at most, .* same in 8$", said.strip()
    )
    assert told
    assert float(told[1]) < 1e-4
    assert Session("small", path).names


def test_the_command_says_that_ranges_are_of_noise(tmp_path: Path) -> None:
    code, said, _ = call("fashion-cnn", "--variant", "int8", "--out", tmp_path / "small.onnx")
    assert code == 0
    assert "Its ranges come from noise" in said


def test_pictures_set_the_ranges_of_int8(tmp_path: Path) -> None:
    from PIL import Image

    from offload.dnn import pictures

    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, raw in enumerate(pictures.test_slice().raw[:40]):
        Image.fromarray(raw[0].numpy()).save(folder / f"{number:02}.png")
    path = tmp_path / "small.onnx"
    code, said, _ = call("fashion-cnn", "--variant", "int8", "--images", folder, "--out", path)
    assert code == 0
    assert "noise" not in said
    assert "on 8 images" in said
    told = re.search(r"by (\S+) at most, where they reach (\S+);", said)
    assert told
    assert float(told[1]) < 0.1 * float(told[2])


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["fashion-cnn", "--format", "tflite"], "--format tflite: write onnx or pt2"),
        (["fashion-cnn", "--out", "."], "--out .: a folder; give the name of a file in it"),
        (["fashion-cnn", "--out", "/proc/no/such.onnx"], "give a folder that can be written"),
        (["fashion-cnn", "--variant", "int9"], "fashion-cnn:int9: no such variant"),
        (["fashion-cnn", "--variant", "int8", "--format", "pt2"], "there is no pt2 of it"),
        (["no-such"], "no-such: no network of that name"),
        (["fashion-cnn", "--images", "empty"], "empty: no images in it"),
        (["bert-base", "--images", "empty"], "for networks that take 1 or 3 channels"),
    ],
)
def test_bad_input_is_told(
    arguments: list[str], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    code, _, said = call(*arguments)
    assert code == 2
    assert why in said
    assert len(said.splitlines()) == 1
    assert files(tmp_path) == ["empty"]
