"""Files of measured answers: who was right, image by image, under each variant and codec."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from offload.dnn.profiles import ProfileError
from offload.networks import Answers, Coded

MAX_BYTES = 64_000_000
MOST_EXITS = 100

_COLUMNS: dict[str, Any] = {
    "variant": pl.String, "codec": pl.String, "cut": pl.Int32, "data": pl.String,
    "right": pl.List(pl.Binary), "confidence": pl.List(pl.Binary), "payload_bytes": pl.Float64,
    "encode_share": pl.Float64, "decode_share": pl.Float64, "known": pl.String, "source": pl.String,
}  # fmt: skip
_CODING = ("payload_bytes", "encode_share", "decode_share")
_SCHEMA = pl.Schema(_COLUMNS)


@dataclass(frozen=True, slots=True)
class Record:
    """What was measured of one variant with one codec at one cut; with none, at any cut (0 here)."""

    variant: str
    codec: str | None
    cut: int
    coded: Coded | None
    answers: Answers


def write(path: Path, records: Sequence[Record]) -> None:
    """Write a file of answers whole or not at all."""
    rows = [
        {
            "variant": record.variant,
            "codec": record.codec,
            "cut": record.cut,
            "data": record.answers.data,
            "right": list(record.answers.right),
            "confidence": list(record.answers.confidence),
            "payload_bytes": record.coded and record.coded.payload_bytes,
            "encode_share": record.coded and record.coded.encode_share,
            "decode_share": record.coded and record.coded.decode_share,
            "known": record.coded and record.coded.known,
            "source": record.coded and record.coded.source,
        }
        for record in records
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".partial")
    pl.DataFrame(rows, schema=_SCHEMA).write_parquet(aside, compression="zstd", compression_level=19)
    aside.replace(path)


def read(path: Path) -> dict[str, list[Record]]:
    """Read a file of answers, by variant. Raises ProfileError."""
    try:
        if path.stat().st_size > MAX_BYTES:
            msg = f"{path}: larger than {MAX_BYTES // 10**6} MB, which no file of answers is"
            raise ProfileError(msg)
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        msg = f"{path}: no file of answers: {str(error).splitlines()[0]}"
        raise ProfileError(msg) from error
    if frame.schema != _SCHEMA:
        msg = f"{path}: its columns are not those of a file of answers; measure again"
        raise ProfileError(msg)
    found: dict[str, list[Record]] = {}
    for row in frame.iter_rows(named=True):
        why = _damage(row)
        if why is not None:
            msg = f"{path}: {row['variant']}: {why}; measure again"
            raise ProfileError(msg)
        found.setdefault(row["variant"], []).append(_record(row))
    return found


def _damage(row: dict[str, Any]) -> str | None:
    """Say what no measurement can have written; None if nothing."""
    needed = ["variant", "cut", "data", "right", "confidence"]
    if row["codec"] is not None:
        needed += [*_CODING, "known", "source"]
    missing = [key for key in needed if row[key] is None]
    if missing:
        return f"{', '.join(missing)} missing"
    exits = (*row["right"], *row["confidence"])
    if not 0 < len(row["right"]) == len(row["confidence"]) <= MOST_EXITS or None in exits:
        return "right and confidence must tell of the same exits, one at least"
    if len({len(each) for each in exits}) != 1 or not exits[0]:
        return "its exits did not answer the same images"
    if any(each.translate(None, b"\0\1") for each in row["right"]):
        return "right must hold zeros and ones"
    sizes = [row[key] for key in _CODING if row["codec"] is not None]
    if not all(0 <= size < math.inf for size in sizes):
        return f"{', '.join(_CODING)} must be finite and not negative"
    return None


def _record(row: dict[str, Any]) -> Record:
    told = ("payload_bytes", "encode_share", "decode_share", "known", "source")
    coded = Coded(*(row[key] for key in told)) if row["codec"] is not None else None
    answers = Answers(str(row["data"]), tuple(row["right"]), tuple(row["confidence"]))
    return Record(str(row["variant"]), row["codec"], row["cut"], coded, answers)
