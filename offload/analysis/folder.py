"""Which files of rows lie in a folder of results, and what each says of itself."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from offload.analysis.rows import FORMAT
from offload.entities import OffloadError

MOST_FILES = 100_000
# What reading a damaged file may raise: the last is a check of polars' own that failed.
UNREADABLE = (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException)
NEEDED = (
    "format", "resolved", "scenario_file", "scenario", "digest", "policy_table", "label", "seed",
    "replication",
)  # fmt: skip


class FolderError(OffloadError):
    """Results that cannot be read, or explained: which file or folder, and what to do instead."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of rows: of one policy in one replication of a scenario."""

    file: Path
    told: Mapping[str, str]

    @property
    def label(self) -> str:
        """The label of the policy."""
        return self.told["label"]

    @property
    def replication(self) -> int:
        """Which replication it is."""
        return int(self.told["replication"])

    @property
    def folder(self) -> Path:
        """The folder of its comparison, or of its point of a sweep."""
        return self.file.absolute().parent.parent.parent

    @property
    def point(self) -> tuple[str, str]:
        """What its scenario and its policy's options are: a policy has one in a comparison."""
        return self.told["digest"], self.told["policy_table"]


def find(where: Path) -> list[Kept]:
    """Return the files of rows in a folder of results, in the order of their paths, or the one given.

    Those of a second opinion are left out. Raises FolderError with every fault.
    """
    found, faults = [], []
    for file in _files(where):
        try:
            found.append(_kept(file))
        except FolderError as error:
            faults.append(str(error))
    if faults:
        raise FolderError("\n".join(faults))
    names = sorted({each.told["scenario"] for each in found})
    if len(names) > 1:
        msg = f"{where}: holds results of {', '.join(names):.200}; give the folder of one of them"
        raise FolderError(msg)
    by_folder: dict[Path, list[Kept]] = defaultdict(list)
    for each in found:
        by_folder[each.folder].append(each)
    faults = [msg for folder, there in by_folder.items() if (msg := _leftovers(folder, there))]
    if faults:
        raise FolderError("\n".join(faults))
    return found


def _files(where: Path) -> list[Path]:
    if where.is_file():
        if where.suffix != ".parquet":
            msg = f"{where}: no rows; give a folder that run, compare or sweep wrote"
            msg += ", or its requests.parquet"
            raise FolderError(msg)
        files = [where]
    elif where.is_dir():
        files = sorted(
            file
            for file in where.rglob("requests.parquet")
            if "second-opinion" not in file.relative_to(where).parts
        )
    else:
        msg = f"{where}: no such folder; give one that run, compare or sweep has written"
        raise FolderError(msg)
    if not files:
        msg = f"{where}: no requests.parquet lies in it; give a folder that run, compare or sweep wrote"
        raise FolderError(msg)
    if len(files) > MOST_FILES:
        msg = f"{where}: {len(files)} files of rows; at most {MOST_FILES} can be read at once"
        raise FolderError(msg)
    return files


def _leftovers(folder: Path, there: Sequence[Kept]) -> str:
    """Say which rows in a folder an earlier comparison than the last has left; "" if none did."""
    there = sorted(there, key=lambda each: each.file.stat().st_mtime)
    last = {each.label: each.point for each in there}
    digest = there[-1].told["digest"]
    old = [
        f"{each.label}/{each.replication}"
        for each in there
        if each.told["digest"] != digest or each.point != last[each.label]
    ]
    if not old:
        return ""
    which = old[0] + (f" (and {len(old) - 1} more)" if len(old) > 1 else "")
    return (
        f"{folder}: {which} was left by another scenario, or other options, than what was written last;"
        " delete it, or compare again with an --out of its own"
    )


def _kept(file: Path) -> Kept:
    try:
        told = pl.read_parquet_metadata(file)
    except UNREADABLE as error:
        reason = str(error).partition("\n")[0]
        msg = f"{file}: no whole file of rows ({reason:.200}); delete it and simulate again"
        raise FolderError(msg) from error
    missing = [key for key in NEEDED if key not in told]
    if missing:
        msg = f"{file}: its metadata lacks {', '.join(missing)}; it was not written by offload"
        raise FolderError(msg)
    if told["format"] != str(FORMAT):
        msg = f"{file}: rows of format {told['format']:.20}; this version reads {FORMAT}; use the one"
        msg += f" that wrote them ({told.get('offload', 'unknown'):.20})"
        raise FolderError(msg)
    try:
        tables = json.loads(told["resolved"]), json.loads(told["policy_table"])
        numbers = int(told["seed"]), int(told["replication"])
    except (ValueError, RecursionError) as error:
        msg = f"{file}: its metadata cannot be read ({error!s:.60}); it was not written by offload"
        raise FolderError(msg) from error
    if not all(isinstance(table, dict) for table in tables) or min(numbers) < 0:
        msg = f"{file}: its metadata hold no scenario and policy; it was not written by offload"
        raise FolderError(msg)
    return Kept(file, told)
