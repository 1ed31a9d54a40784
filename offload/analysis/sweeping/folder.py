"""What a sweep's folder holds besides rows: which points there are, how far each is, what was found."""

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from offload.analysis.files import write_json, writing
from offload.analysis.measures import MEASURES
from offload.analysis.rows import code_digest, policy_code
from offload.analysis.sweeping.design import MOST_POINTS, Method, Point
from offload.analysis.sweeping.sweep import PointResult, Sweep
from offload.entities import OffloadError
from offload.policies.table import Choice
from offload.scenario.load import Scenario

NAME, TABLE, FAILED = "sweep.json", "points.parquet", "failed.txt"
EVERY_S = 1.0  # how often sweep.json is written at most: with 100 000 points it takes a while
MOST_BYTES = 500_000_000


class FolderError(OffloadError):
    """A folder that holds no sweep, or another one."""


class Identity(BaseModel):
    """What makes two sweeps the same: their points can lie in one folder."""

    model_config = ConfigDict(frozen=True)

    scenario: str
    method: str
    keys: list[str]
    design: str
    policies: list[dict[str, Any]]
    policy_code: list[str] = []  # of users' own
    seed: int
    replications: int
    digest: str
    code: str

    @classmethod
    def of(
        cls, base: Scenario, choices: Sequence[Choice], method: Method, keys: Sequence[str],
        points: Sequence[Point], count: int, seed: int,
    ) -> "Identity":  # fmt: skip
        """Return the identity of a sweep of all `points`; `base` is the scenario without values."""
        design = hashlib.blake2b(digest_size=12)
        for point in points:
            design.update("\0".join((point.name, *point.values, "")).encode())
        return cls(
            scenario=base.file.name, method=method, keys=list(keys), design=design.hexdigest(),
            policies=[{"name": c.name, "label": c.label, **dict(c.said)} for c in choices],
            policy_code=[policy_code(base, choice) for choice in choices],
            seed=seed, replications=count, digest=base.digest, code=code_digest(),
        )  # fmt: skip


class PointState(BaseModel):
    """A point, how far it is, and the error of each policy that failed ("" stands for all of them)."""

    name: Annotated[str, Field(pattern=r"^[\w+-][\w.+-]*$")]  # a folder in the sweep's, no path
    number: int
    values: dict[str, str]
    state: Literal["waiting", "done", "failed"] = "waiting"
    errors: dict[str, str] = {}


class Told(BaseModel):
    """What sweep.json says: which sweep it is, and of each point how far it is."""

    format: Literal[1] = 1
    identity: Identity
    points: Annotated[list[PointState], Field(max_length=MOST_POINTS)]

    def save(self, folder: Path) -> None:
        """Write it."""
        write_json(folder / NAME, self.model_dump())


class Record:
    """Keeps sweep.json up to date while points end."""

    def __init__(self, folder: Path, identity: Identity, whole: Sequence[Point]) -> None:
        self.folder = folder
        before = read(folder) if (folder / NAME).exists() else None
        same = before is not None and before.identity == identity
        known = {each.name: each for each in before.points} if before and same else {}
        self.points = {
            point.name: known.get(point.name) or PointState(
                name=point.name, number=number,
                values=dict(zip(identity.keys, point.values, strict=True)),
            )
            for number, point in enumerate(whole)
        }  # fmt: skip
        self.identity = identity
        self.save()

    def ended(self, result: PointResult) -> None:
        """Tell that a point has ended; its summary.json lies with its rows."""
        if result.found is not None:
            write_json(self.folder / result.point.name / "summary.json", result.found.as_json())
        told = self.points[result.point.name]
        told.state, told.errors = "failed" if result.errors else "done", dict(result.errors)
        if time.monotonic() - self._saved_s > EVERY_S:
            self.save()

    def save(self) -> None:
        """Write all that is known."""
        Told(identity=self.identity, points=list(self.points.values())).save(self.folder)
        self._saved_s = time.monotonic()


def read(folder: Path) -> Told:
    """Read the sweep.json of a folder. Raises FolderError."""
    path = folder / NAME
    try:
        if path.stat().st_size > MOST_BYTES:
            msg = f"{path}: has more than {MOST_BYTES / 1e6:.0f} MB; it was not written by offload sweep"
            raise FolderError(msg)
        return Told.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        msg = f"{folder}: holds no sweep (there is no {NAME})"
        raise FolderError(msg) from error
    except ValueError as error:  # pydantic's are
        msg = f"{path}: was not written by this version of offload sweep; give another folder"
        raise FolderError(msg) from error


def same_keys(folder: Path, scenario: str, keys: Sequence[str]) -> None:
    """Refuse a folder that holds a sweep of another scenario, or over other keys. Raises FolderError."""
    if not (folder / NAME).exists():
        return
    told = read(folder).identity
    if told.scenario != scenario:
        msg = f"--out {folder}: holds the results of {told.scenario}, not of {scenario}"
    elif told.keys != list(keys):
        msg = f"--out {folder}: holds a sweep over {', '.join(told.keys)}, not {', '.join(keys)}"
    else:
        return
    raise FolderError(msg + "; give another folder")


def keep(found: Sweep, folder: Path) -> None:
    """Write summary.json, the table of points, and what failed."""
    write_json(folder / "summary.json", found.as_json())
    with writing(folder / TABLE) as aside:
        table(found).write_parquet(aside)
        aside.replace(folder / TABLE)
    lines = []
    for each in found.failed:
        values = zip(found.keys, each.point.values, strict=True)
        lines.append(f"{each.point.name}: {', '.join(f'{key} = {value}' for key, value in values)}")
        lines += [
            f"  {label}: {error}" if label else f"  {error}" for label, error in each.errors.items()
        ]
    if lines:
        (folder / FAILED).write_text("\n".join(lines) + "\n")
    else:
        (folder / FAILED).unlink(missing_ok=True)


def table(found: Sweep) -> pl.DataFrame:
    """Return a row for each point and policy: the values of the keys, and low, mean, high of measures.

    Keys whose values are numbers of one kind hold them in SI units, the others as text. What is not
    known is null.
    """
    columns: dict[str, list[Any]] = {"point": [], "policy": []}
    columns |= {key: [] for key in found.keys}
    ends = ("low", "mean", "high")
    measured = {f"{measure}_{end}": (measure, end) for measure in MEASURES for end in ends}
    columns |= {
        name: [] for name in (*measured, "requests", "unfinished", "saturated", "known", "error")
    }
    numbers = [found.column(number).numbers for number in range(len(found.keys))]
    for index, each in enumerate(found.points):
        policies = {policy.label: policy for policy in (each.found.policies if each.found else ())}
        for label in found.labels:
            policy = policies.get(label)
            columns["point"].append(each.point.name)
            columns["policy"].append(label)
            for key, said, si in zip(found.keys, each.point.values, numbers, strict=True):
                columns[key].append(said if si is None else si[index])
            for name, (measure, end) in measured.items():
                interval = policy.measures[measure] if policy else None
                value = None if interval is None else getattr(interval, end)
                columns[name].append(None if value is None or value != value else value)  # noqa: PLR0124
            for name in ("requests", "unfinished", "saturated"):
                columns[name].append(getattr(policy, name, None))
            columns["known"].append(each.found.known if each.found else None)
            columns["error"].append(each.errors.get(label, each.errors.get("")))
    types: dict[str, Any] = {"error": pl.String, "known": pl.String, "saturated": pl.Boolean}
    types |= dict.fromkeys(measured, pl.Float64) | dict.fromkeys(("requests", "unfinished"), pl.Int64)
    return pl.DataFrame(columns, schema_overrides=types)
