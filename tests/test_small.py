"""The shipped network loads in every form and answers as the shipped file says."""

import csv
import re
from pathlib import Path

import pytest
import torch

from offload.dnn import answers, pictures, small, stored, training
from offload.shipped import DATA

FORMS = small.forms()
RECORDS = answers.read(DATA / "profiles" / "fashion-cnn.answers.parquet")
NAME = pictures.test_slice().name


def table() -> list[dict[str, str]]:
    with (DATA / "fashion-cnn.csv").open() as file:
        return list(csv.DictReader(file))


def test_all_forms_are_shipped_with_answers_and_a_row() -> None:
    assert next(iter(FORMS)) == "fp32"
    assert {"bf16", "int8", "int4", "pruned-50", "sparse-80", "student", "exits", "bottleneck-4"} <= set(
        FORMS
    )
    assert set(FORMS) == set(RECORDS)
    assert set(FORMS) == {row["variant"] for row in table() if row["task"] == "10 classes"}
    assert all(int(row["seeds"]) >= 2 for row in table())


@pytest.mark.parametrize("name", FORMS)
def test_a_shipped_form_answers_as_the_file_of_answers_says(name: str) -> None:
    images = pictures.test_slice().take(slice(300))
    found = training.answers(FORMS[name](), images)
    (record,) = [each for each in RECORDS[name] if each.codec is None]
    assert record.answers.data == NAME
    assert record.answers.images == 2000
    assert len(record.answers.right) == len(found.right)
    for exit_, right in enumerate(found.right):
        # Kernels of another processor may round a close call otherwise.
        same = sum(a == b for a, b in zip(record.answers.right[exit_], right.tolist(), strict=False))
        assert same >= 297


@pytest.mark.parametrize("name", FORMS)
def test_the_slice_stands_for_the_test_set(name: str) -> None:
    (record,) = [each for each in RECORDS[name] if each.codec is None]
    row = next(row for row in table() if row["variant"] == name and not row["leave_at"])
    share = sum(record.answers.right[-1]) / 2000
    assert share == pytest.approx(float(row["accuracy"]), abs=0.02)  # two deviations at 90 % of 2 000


def test_accuracies_are_measured_means() -> None:
    found = small.accuracies()
    assert set(found) == set(FORMS)
    assert found["fp32"].known == "measured"
    assert 0.9 < found["fp32"].value < 0.95
    assert re.match(r"mean of [23] seeds \(standard deviation 0\.0", found["fp32"].source)
    assert found["student"].value < found["fp32"].value


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(stored.StoredError, match=r"fashion-cnn\.int2\.safetensors: no safetensors file"):
        small.load("int2")


def test_what_crosses_shrinks_from_stage_to_stage() -> None:
    x, sizes = torch.zeros(1, *small.INPUT_SHAPE), []
    for stage in small.build().eval().features:
        x = stage(x)
        sizes.append(x.numel())
    assert sizes == [12544, 12544, 6272, 3136]


def test_the_licence_of_the_images_lies_beside_them() -> None:
    text = (Path(pictures.SLICE) / "LICENSE").read_text()
    assert "MIT License" in text
    assert "Zalando" in text
