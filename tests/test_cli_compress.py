"""The command `compress`: what it prints and writes, that it goes on, and what it refuses."""

import csv
import json
import struct
from pathlib import Path

import pytest
from PIL import Image
from torch import nn
from typer.testing import CliRunner, Result

from offload.cli import app
from offload.dnn import answers, pictures

HERE = Path(__file__).parent
NO_LUCK = "no such luck"


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["compress", *map(str, arguments)])


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like Fashion-MNIST's, of few images of the slice."""
    folder = tmp_path_factory.mktemp("mini")
    found = pictures.test_slice()
    for part, which in (("train", slice(120)), ("t10k", slice(120, 160))):
        raw, labels = found.raw[which].numpy(), found.labels[which].numpy().astype("u1")
        head = struct.pack(">4I", 0x803, len(raw), 28, 28)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(head + raw.tobytes())
        head = struct.pack(">2I", 0x801, len(raw))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(head + labels.tobytes())
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three images of each of two classes."""
    folder = tmp_path_factory.mktemp("images")
    for label, name in enumerate(("dark", "light")):
        (folder / name).mkdir()
        for number in range(5):
            Image.new("RGB", (16, 16), (200 * label + number,) * 3).save(folder / name / f"{number}.png")
    return folder


def plain() -> nn.Module:
    """A user's own network, of another number of classes than the images have."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 7),
    )


def broken() -> nn.Module:
    raise RuntimeError(NO_LUCK)


def test_it_makes_measures_keeps_and_goes_on(mini: Path, tmp_path: Path) -> None:
    asked = [
        "fashion-cnn",
        "--data",
        mini,
        "--epochs",
        1,
        "--seeds",
        2,
        "--variant",
        "int8",
        "--out",
        tmp_path,
    ]
    first = call(*asked)
    assert first.exit_code == 0, (first.stderr, first.exception)
    lines = first.stdout.splitlines()
    assert lines[0].startswith("| variant | leaves at | accuracy % |")
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| fp32", "| int8"]
    with (tmp_path / "fashion-cnn.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["variant"], row["seeds"], row["epochs"], row["images"]) for row in rows] == [
        ("fp32", "2", "1", "110"), ("int8", "2", "1", "110"),
    ]  # fmt: skip
    assert all(row["machine"] and row["torch"] and row["date"] and row["data"] for row in rows)
    found = answers.read(tmp_path / "fashion-cnn.answers.parquet")
    assert {name: [record.answers.data for record in records] for name, records in found.items()} == {
        "fp32": [pictures.test_slice().name], "int8": [pictures.test_slice().name],
    }  # fmt: skip
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("seed-*/*")}
    assert len(kept) == 2 * 2 * 2
    again = call(*asked, "--json")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("seed-*/*")} == kept
    told = json.loads(again.stdout)
    assert [row["accuracy"] for row in told] == [float(row["accuracy"]) for row in rows]


def test_a_network_and_a_folder_of_ones_own(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(HERE)
    asked = ["test_cli_compress:plain", "--data", images, "--epochs", 1, "--seeds", 1, "--out", tmp_path]
    done = call(*asked, "--variant", "pruned-50")
    assert done.exit_code == 0, (done.stderr, done.exception)
    assert "| pruned-50 |" in done.stdout
    weights = tmp_path / "seed-0" / "plain.fp32.safetensors"
    tuned = call(
        *asked[:-1], tmp_path / "tuned", "--variant", "fp32", "--weights", weights, "--tune", "last"
    )
    assert tuned.exit_code == 0, (tuned.stderr, tuned.exception)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["fashion-cnn", "--data", "MINI", "--variant", "int3"], "no such variant; known are fp32"),
        (["fashion-cnn", "--data", "MINI", "--tune", "first"], '--tune first: write "last" or "whole"'),
        (["fashion-cnn", "--data", "MINI", "--tune", "last"], "--tune last: give the weights"),
        (["fashion-cnn", "--data", "MINI", "--weights", "EMPTY/none"], "none: no safetensors file"),
        (["fashion-cnn", "--data", "EMPTY"], "needs a subfolder of images for each of two or more"),
        (["fashion-cnn", "--data", "EMPTY/none"], "has 0"),
        (["builtins:dict", "--data", "IMAGES"], "builtins:dict"),
        (["test_cli_compress:broken", "--data", "IMAGES"], "raised RuntimeError: no such luck"),
        (["torch.nn:Identity", "--data", "MINI"], "its images are 28x28 and gray"),
        (["torch.nn:Identity", "--data", "IMAGES"], "no classifier"),
        (["torch.nn:Identity"], "--data: give a folder"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_leaves_nothing(
    arguments: list[str],
    told: str,
    mini: Path,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(HERE)
    places = {"MINI": mini, "IMAGES": images, "EMPTY": tmp_path}
    real = [
        str(places[each]) if each in places else each.replace("EMPTY", str(tmp_path))
        for each in arguments
    ]
    done = call(*real, "--out", tmp_path / "out")
    assert done.exit_code == 2, (done.stderr, done.exception)
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
