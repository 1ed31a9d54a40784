"""Files of measured answers: what is written reads back, and each kind of damage is told by name."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from offload.dnn import answers
from offload.dnn.profiles import ProfileError
from tests import hand_made

FILE = "pictures.answers.parquet"


def told(record: answers.Record) -> tuple[Any, ...]:
    """Return all that a record says."""
    each = record.answers
    coded = record.coded and dataclasses.astuple(record.coded)
    return record.variant, record.codec, record.cut, coded, each.data, each.right, each.confidence


def test_a_written_file_reads_back(tmp_path: Path) -> None:
    records = hand_made.pictures_records()
    path = tmp_path / "deeper" / FILE
    answers.write(path, records)
    found = answers.read(path)
    assert [told(r) for each in found.values() for r in each] == [told(r) for r in records]
    assert [each.name for each in path.parent.iterdir()] == [FILE]  # nothing left aside
    assert found["exits"][0].answers.images == hand_made.IMAGES


def damaged(**changes: Callable[[Any], Any]) -> Callable[[Path], None]:
    """Return what changes columns of the last row, which is of a codec."""

    def change(path: Path) -> None:
        frame = pl.read_parquet(path)
        rows = frame.to_dicts()
        for column, new in changes.items():
            rows[-1][column] = new(rows[-1][column])
        pl.DataFrame(rows, schema=frame.schema).write_parquet(path)

    return change


DAMAGE = {
    "nothing in it": (lambda path: path.write_bytes(b""), "no file of answers: "),
    "no parquet": (lambda path: path.write_text("right"), "no file of answers: "),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-100]), "no file of answers: "),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "no file of answers: "),
    "other columns": (
        lambda path: pl.read_parquet(path).drop("cut").write_parquet(path),
        "its columns are not those of a file of answers; measure again",
    ),
    "no cut": (damaged(cut=lambda _: None), "exits: cut missing; measure again"),
    "no bytes": (
        damaged(payload_bytes=lambda _: None, known=lambda _: None),
        "exits: payload_bytes, known missing; measure again",
    ),
    "an exit too few": (
        damaged(right=lambda right: right[1:]),
        "exits: right and confidence must tell of the same exits, one at least; measure again",
    ),
    "an empty exit": (damaged(confidence=lambda sure: [None, *sure[1:]]), "must tell of the same exits"),
    "no exits": (damaged(right=lambda _: [], confidence=lambda _: []), "one at least"),
    "an image too few": (
        damaged(right=lambda right: [right[0][1:], *right[1:]]),
        "exits: its exits did not answer the same images; measure again",
    ),
    "no images": (
        damaged(right=lambda _: [b""] * 3, confidence=lambda _: [b""] * 3),
        "did not answer the same images",
    ),
    "half right": (
        damaged(right=lambda right: [b"\2" * len(right[0]), *right[1:]]),
        "exits: right must hold zeros and ones; measure again",
    ),
    "bytes below nothing": (damaged(payload_bytes=lambda _: -1.0), "must be finite and not negative"),
    "time that is no number": (damaged(encode_share=lambda _: float("nan")), "must be finite"),
    "time without end": (damaged(decode_share=lambda _: float("inf")), "must be finite"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_each_kind_of_damage_is_refused_by_name(damage: str, tmp_path: Path) -> None:
    change, why = DAMAGE[damage]
    path = tmp_path / FILE
    answers.write(path, hand_made.pictures_records())
    change(path)
    with pytest.raises(ProfileError) as refused:
        answers.read(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


def test_too_much_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / FILE
    answers.write(path, hand_made.pictures_records())
    monkeypatch.setattr(answers, "MAX_BYTES", 100)
    with pytest.raises(ProfileError, match="larger than"):
        answers.read(path)
