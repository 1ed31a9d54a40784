"""A folder of results read again: its scenario, its policies, what they came to, and their rows."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from offload.analysis import repeat
from offload.analysis.compare import LEVEL, Comparison, Known, conclude
from offload.analysis.folder import UNREADABLE, FolderError, Kept, find
from offload.analysis.measures import Summary, summarise
from offload.analysis.rows import SCHEMA
from offload.analysis.survival import Survival
from offload.analysis.until import LEVEL as UNTIL_LEVEL
from offload.analysis.work.replication import rows_path
from offload.policies.table import Choice
from offload.scenario.load import Scenario
from offload.scenario.setup import Setting
from offload.streams import Streams


@dataclass(frozen=True, slots=True)
class Story:
    """What `run` or `compare` left in a folder: policies in the order in which they were compared.

    `found` rests on the replications that all of them have, from 0 on, and `runs` are their summaries by
    label (of a warm-up that is to be found: before it was); `left_out` names the others, as
    "label/number".
    """

    folder: Path
    scenario: Scenario
    choices: tuple[Choice, ...]
    found: Comparison
    runs: Mapping[str, Sequence[Summary]]
    left_out: tuple[str, ...] = ()

    @property
    def labels(self) -> list[str]:
        """The labels of the policies."""
        return [each.label for each in self.choices]

    @property
    def best(self) -> str:
        """The label of the best contender by the headline measure; the first where it has no value."""
        return self.found.best(self.found.headline) or self.labels[0]

    def counted(self, label: str) -> pl.LazyFrame:
        """Return the rows that measures count, of all replications: roots born after the warm-up."""
        files = [rows_path(self.folder, label, each) for each in range(self.found.replications)]
        return pl.concat(map(pl.scan_parquet, files)).filter(
            pl.col("born_s") >= self.found.warm_up_s, pl.col("parent").is_null()
        )

    def rows(self, label: str, replication: int = 0) -> pl.DataFrame:
        """Return all rows of one replication, in the order of births. Raises FolderError."""
        self._check(label, replication)
        file = rows_path(self.folder, label, replication)
        try:
            return pl.read_parquet(file)
        except UNREADABLE as error:
            raise _unreadable(file, error) from error

    def setting(self, replication: int = 0) -> Setting:
        """Return what the world of one replication is made of."""
        return self.scenario.setting(0.0, Streams(self.found.seed, replication))

    def _check(self, label: str, replication: int) -> None:
        if label not in self.labels:
            msg = f"{self.folder}: no policy {label:.100}; there is {', '.join(self.labels):.200}"
            raise FolderError(msg)
        if not 0 <= replication < self.found.replications:
            last = self.found.replications - 1
            msg = f"{self.folder}: no replication {replication} of all policies; give 0 to {last}"
            raise FolderError(msg)


def read(where: Path) -> Story:
    """Read a folder of results, or one file of rows, of replication 0.

    What only the summary of the comparison tells (the order of policies, the level of intervals, a
    second opinion) is taken from there, if it is of these rows. Raises FolderError, ScenarioError.
    """
    kept = find(where)
    folder = _only_folder(where, kept)
    by_label: dict[str, dict[int, Kept]] = {}
    for each in kept:
        by_label.setdefault(each.label, {})[each.replication] = each
    count, summary = _in_common(where, by_label), _summary(folder)
    labels = _in_order(summary, list(by_label))
    recipes = [repeat.read(by_label[label][0].file) for label in labels]
    scenario, seed = recipes[0].scenario, recipes[0].seed
    choices = tuple(recipe.choice for recipe in recipes)
    if [choice.label for choice in choices] != labels:
        msg = f"{where}: its files name their policies in two ways; compare again in another folder"
        raise FolderError(msg)
    runs = {
        label: [_measured(by_label[label][number].file, scenario) for number in range(count)]
        for label in labels
    }
    level, second_opinion = _only_told(summary, labels, count, seed)
    found = conclude(Known.of(scenario), choices, runs, seed, folder, level)
    left_out = [
        f"{label}/{number}" for label in labels for number in sorted(by_label[label]) if number >= count
    ]
    found = replace(found, second_opinion=second_opinion)
    return Story(folder, scenario, choices, found, runs, tuple(left_out))


def _only_folder(where: Path, kept: Iterable[Kept]) -> Path:
    """Return the folder in which all lies, of one seed, where `compare` put it. Raises FolderError."""
    folders = sorted({each.folder for each in kept})
    if len(folders) > 1:
        msg = (
            f"{where}: holds {len(folders)} points of a sweep; give the folder of one, like {folders[0]}"
        )
        raise FolderError(msg)
    seeds = sorted({each.told["seed"] for each in kept}, key=int)
    if len(seeds) > 1:
        msg = f"{where}: holds rows of seeds {', '.join(seeds):.100}; delete those of all but one"
        raise FolderError(msg)
    (folder,) = folders
    for each in kept:
        path = rows_path(folder, each.label, each.replication)
        if each.file.absolute() != path:
            there = path.relative_to(folder)
            msg = f"{each.file}: is {each.label}, replication {each.replication}; move it to {there}"
            msg += " in a folder of its own, or delete it"
            raise FolderError(msg)
    return folder


def _in_common(where: Path, by_label: dict[str, dict[int, Kept]]) -> int:
    """Return how many replications all policies have, from the first on. Raises FolderError."""
    count = 0
    while all(count in there for there in by_label.values()):
        count += 1
    if not count and where.is_file():
        msg = f"{where}: is not of replication 0; give that one, or the folder of all"
        raise FolderError(msg)
    if not count:
        lacking = [label for label, there in by_label.items() if 0 not in there]
        told = ", ".join(lacking)
        msg = f"{where}: no replication 0 of {told:.200}; compare again, which adds what lacks"
        raise FolderError(msg)
    return count


def _summary(folder: Path) -> dict[str, Any]:
    """Return what a comparison said of itself, if the folder still tells."""
    try:
        told = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        order = [str(each["label"]) for each in told["policies"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {"order": []}
    return {**told, "order": order}


def _in_order(summary: Mapping[str, Any], labels: Sequence[str]) -> list[str]:
    """Return labels as they were compared, and others by their names."""
    known = [label for label in dict.fromkeys(summary["order"]) if label in labels]
    return [*known, *sorted(label for label in labels if label not in known)]


def _only_told(
    summary: Mapping[str, Any], labels: Sequence[str], count: int, seed: int
) -> tuple[float, Survival | None]:
    """Return the level of intervals and the second opinion, if the summary is of these rows."""
    told = summary.get("order"), summary.get("replications"), summary.get("seed")
    level, second = summary.get("taken_at"), summary.get("second_opinion")
    if told != (labels, count, seed) or level not in (LEVEL, UNTIL_LEVEL):
        return LEVEL, None
    try:
        return level, msgspec.convert(second, Survival | None)
    except msgspec.ValidationError:
        return level, None


def _measured(file: Path, scenario: Scenario) -> Summary:
    """Measure a file of rows. Raises FolderError where they are no rows, or cannot be read."""
    said = scenario.file
    warm_up_s = 0.0 if said.warm_up == "auto" else float(said.warm_up)
    try:
        rows = pl.scan_parquet(file)
        columns = dict(rows.collect_schema())
        if columns == dict(SCHEMA):
            return summarise(rows, warm_up_s, said.duration, judged=scenario.judged)
    except UNREADABLE as error:
        raise _unreadable(file, error) from error
    msg = f"{file}: its columns are not those of rows; it was not written by offload, so delete it"
    raise FolderError(msg)


def _unreadable(file: Path, error: BaseException) -> FolderError:
    reason = str(error).partition("\n")[0]
    return FolderError(f"{file}: its rows cannot be read ({reason:.80}); delete it and simulate again")
