"""What codecs gain and cost at each cut: the records that simulating reads, and a table for people."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from torch import Tensor

from offload.dnn import answers
from offload.dnn.answers import Record
from offload.dnn.crossing import Course, Crossing, CrossingError, Said
from offload.networks import Answers, Coded

Row = dict[str, str | int | float]
Score = Literal["accuracy", "agreement"]

COLUMNS = (
    "network", "variant", "cut", "layers_before", "last_layer", "tensors", "values_bytes", "codec",
    "bytes", "encode_ms", "decode_ms", "encode_share", "decode_share", "score",
    "uncoded_score", "score_is", "source", "date",
)  # fmt: skip
TEXTS = {"network", "variant", "last_layer", "codec", "score_is", "source", "date"}
MAX_BYTES = 64_000_000


def records(variant: str, course: Course, crossings: Iterable[Crossing], source: str) -> list[Record]:
    """Return answers to labelled images as a file holds them, those to uncoded values first."""
    found = [Record(variant, None, 0, None, _answers(course, course.said))]
    for each in crossings:
        shares = each.encode_s / each.whole_s, each.decode_s / each.whole_s
        coded = Coded(each.payload_bytes, *shares, "measured", source)
        found.append(Record(variant, each.codec, each.cut, coded, _answers(course, each.said)))
    return found


def _answers(course: Course, said: Said) -> Answers:
    right = (said.classes == course.images.labels).numpy().astype(np.uint8)
    sure = said.confidence.numpy()
    return Answers(
        course.images.name, tuple(e.tobytes() for e in right), tuple(e.tobytes() for e in sure)
    )


def merge_answers(path: Path, found: Sequence[Record]) -> None:
    """Put records of one variant into a file of answers, in the place of those of the same crossing.

    If the variant now says something else to uncoded values, all of its old records go. Raises
    ProfileError for a broken file and CrossingError for one of answers to other images.
    """
    first = found[0]
    mine = {(record.codec, record.cut) for record in found}
    kept = answers.read(path) if path.is_file() else {}
    others = [record for each in kept.values() for record in each if record.variant != first.variant]
    old = kept.get(first.variant, ())
    if any(each.codec is None and _say_the_same(each.answers, first.answers) for each in old):
        others += [each for each in old if (each.codec, each.cut) not in mine]
    data = {record.answers.data for record in others} - {first.answers.data}
    if data:
        msg = f"{path}: holds answers to other images ({data.pop()}); give another folder"
        raise CrossingError(msg)
    names = list(dict.fromkeys([*kept, first.variant]))

    def order(record: Record) -> tuple[int, int]:
        return names.index(record.variant), -1 if record.codec is None else record.cut

    answers.write(path, sorted([*others, *found], key=order))


def _say_the_same(one: Answers, other: Answers) -> bool:
    return (one.right, one.confidence) == (other.right, other.confidence)


def rows(
    network: str, variant: str, course: Course, crossings: Iterable[Crossing], score: Score,
    source: str, date: str,
) -> list[Row]:  # fmt: skip
    """Return a row a codec and cut.

    `values_bytes` are what crosses in the variant's own type. The score is the accuracy of the last
    answer, or the share of images at which it agrees with that to uncoded values.
    """
    truth = course.images.labels if score == "accuracy" else course.said.classes[-1]
    uncoded = _share(course.said.classes[-1] == truth)
    found: list[Row] = []
    for each in crossings:
        cut = course.graph.cuts[each.cut]
        last = course.graph.layers[cut.after - 1].name if cut.after else "input"
        values = (
            network, variant, each.cut, cut.after, last, cut.tensors, cut.payload_bytes, each.codec,
            round(each.payload_bytes, 1), round(1e3 * each.encode_s, 4), round(1e3 * each.decode_s, 4),
            round(each.encode_s / each.whole_s, 5), round(each.decode_s / each.whole_s, 5),
            _share(each.said.classes[-1] == truth), uncoded, score, source, date,
        )  # fmt: skip
        found.append(dict(zip(COLUMNS, values, strict=True)))
    return found


def _share(right: Tensor) -> float:
    return round(float(right.double().mean()), 5)


def smallest(found: Iterable[Row], loss: float = 0.005) -> list[Row]:
    """Return of each variant and cut the row of fewest bytes that costs at most `loss` of the score."""
    best: dict[tuple[object, object], Row] = {}
    for row in found:
        key = row["variant"], row["cut"]
        if float(row["score"]) < float(row["uncoded_score"]) - loss:
            continue
        if key not in best or float(row["bytes"]) < float(best[key]["bytes"]):
            best[key] = row
    return list(best.values())


def merge_rows(path: Path, found: Sequence[Row]) -> None:
    """Put rows of one variant into a table; of what it had of it, only rows of the same source stay.

    Raises CrossingError for a file that is no such table.
    """
    first = found[0]
    mine = {(row["cut"], row["codec"]) for row in found}
    others: list[Row] = []
    kept: list[Row] = []
    for row in read(path):
        if (row["network"], row["variant"]) != (first["network"], first["variant"]):
            others.append(row)
        elif row["source"] == first["source"] and (row["cut"], row["codec"]) not in mine:
            kept.append(row)
    whole = sorted([*kept, *found], key=lambda row: int(row["cut"]))
    aside = path.with_suffix(".partial")
    with aside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*others, *whole])
    aside.replace(path)


def of(path: Path, network: str, variant: str, source: str) -> list[Row]:
    """Return the rows of one variant that come from this source. Raises CrossingError."""
    wanted = network, variant, source
    return [row for row in read(path) if (row["network"], row["variant"], row["source"]) == wanted]


def read(path: Path) -> list[Row]:
    """Read a table, empty if there is none. Raises CrossingError for a file that is no such table."""
    if not path.is_file():
        return []
    try:
        if path.stat().st_size > MAX_BYTES:
            msg = f"larger than {MAX_BYTES // 10**6} MB"
            raise ValueError(msg)  # noqa: TRY301 - told with the path, like what else is wrong
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                msg = "other columns"
                raise ValueError(msg)  # noqa: TRY301 - as above
            return [{name: _number(name, text) for name, text in row.items()} for row in reader]
    except (ValueError, csv.Error) as error:
        msg = f"{path}: no table of codecs ({error}); move it away or give another folder"
        raise CrossingError(msg) from error


def _number(name: str, text: str) -> str | int | float:
    if name in TEXTS:
        return text
    return int(text) if text.isdigit() else float(text)
