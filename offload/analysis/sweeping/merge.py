"""Folders of parts of one sweep put together."""

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import polars as pl

from offload.analysis.sweeping.folder import NAME, FolderError, PointState, Told, read

# What has to be the same in all parts, and how to tell people of it.
_SAME = {
    "scenario": "another scenario", "keys": "other keys", "method": "another method",
    "design": "other points", "policies": "other policies",
    "policy_code": "another version of a policy's code", "seed": "another seed",
    "replications": "another number of replications", "digest": "another state of the scenario file",
    "code": "another version of offload",
}  # fmt: skip
_MACHINE = ("scenario_file", "python", "numpy", "simpy")  # what may differ where the same rows are made
_BEST = ("done", "failed", "waiting")


def merge(parts: Sequence[Path], whole: Path) -> tuple[int, int]:
    """Copy the points of parts into `whole`, which may hold some already.

    Return how many points there are then, and how many of them are finished. Raises FolderError with
    every fault before anything is written: a part of another sweep, or other rows of one replication.
    """
    told = {part: read(part) for part in parts}
    if (whole / NAME).exists():
        told = {whole: read(whole), **told}
    elif whole.exists() and any(each.name != ".lock" for each in whole.iterdir()):
        msg = f"--out {whole}: is not empty, and holds no sweep; give another folder"
        raise FolderError(msg)
    first, *others = told
    faults = [fault for other in others for fault in _unlike(first, told[first], other, told[other])]
    copies: dict[Path, Path] = {}
    of_parts = [(part, point) for part in told for point in told[part].points] if not faults else []
    # What tells of a point comes from where most was found.
    for part, point in sorted(of_parts, key=lambda each: _BEST.index(each[1].state)):
        for source, place in _files(part, point):
            other = copies.setdefault(place, source)
            if other != source and not _same_rows(other, source):
                faults.append(f"{source}: these are not the rows of {other}; remove one of them")
    if faults:
        raise FolderError("\n".join(faults))
    for place, source in copies.items():
        if source != whole / place:
            _copy(source, whole / place)
    points = _points(told.values())
    Told(identity=told[first].identity, points=points).save(whole)
    return len(points), sum(point.state != "waiting" for point in points)


def _unlike(first: Path, a: Told, other: Path, b: Told) -> Iterator[str]:
    one, two = a.identity.model_dump(), b.identity.model_dump()
    different = [what for key, what in _SAME.items() if one[key] != two[key]]
    if different:
        yield f"{other}: is no part of the same sweep as {first}: it has {' and '.join(different)}"


def _files(part: Path, point: PointState) -> Iterator[tuple[Path, Path]]:
    """Yield the files of a part's point and where they lie in the part; nothing half-written."""
    for path in sorted((part / point.name).rglob("*")):
        if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
            yield path, path.relative_to(part)


def _same_rows(a: Path, b: Path) -> bool:
    """Tell whether two files hold the rows of the same replication; other files may differ."""
    if a.name != "requests.parquet":
        return True
    try:
        first, second = pl.read_parquet_metadata(a), pl.read_parquet_metadata(b)
    except pl.exceptions.ComputeError:
        return False
    return all(first.get(key) == second[key] for key in second if key not in _MACHINE)


def _copy(source: Path, place: Path) -> None:
    """Copy aside and rename, so that the file is whole or absent."""
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = place.with_name(f".{place.name}.{os.getpid()}")
    shutil.copyfile(source, aside)
    aside.replace(place)


def _points(parts: Iterable[Told]) -> list[PointState]:
    """Return each point once, in the order of the design, as finished as it is anywhere."""
    found: dict[str, PointState] = {}
    for told in parts:
        for point in told.points:
            other = found.setdefault(point.name, point)
            if _BEST.index(point.state) < _BEST.index(other.state):
                found[point.name] = point
    return sorted(found.values(), key=lambda point: point.number)
