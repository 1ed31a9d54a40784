"""A folder of results read again: its scenario, its policies, what they came to, and their rows."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from offload.analysis import repeat
from offload.analysis.compare import Comparison, Known, conclude
from offload.analysis.folder import FolderError, Kept, find
from offload.analysis.measures import summarise
from offload.analysis.rows import SCHEMA
from offload.analysis.work.replication import rows_path
from offload.policies.table import Choice
from offload.scenario.load import Scenario
from offload.scenario.setup import Setting
from offload.streams import Streams


@dataclass(frozen=True, slots=True)
class Story:
    """What `run` or `compare` left in a folder: policies in the order in which they were compared.

    `found` rests on the replications that all of them have.
    """

    folder: Path
    scenario: Scenario
    choices: tuple[Choice, ...]
    found: Comparison

    @property
    def labels(self) -> list[str]:
        """The labels of the policies."""
        return [each.label for each in self.choices]

    def counted(self, label: str) -> pl.LazyFrame:
        """Return the rows that measures count, of all replications: roots born after the warm-up."""
        files = [rows_path(self.folder, label, each) for each in range(self.found.replications)]
        return pl.concat(map(pl.scan_parquet, files)).filter(
            pl.col("born_s") >= self.found.warm_up_s, pl.col("parent").is_null()
        )

    def rows(self, label: str, replication: int = 0) -> pl.DataFrame:
        """Return all rows of one replication, in the order of births."""
        return pl.read_parquet(rows_path(self.folder, label, replication))

    def setting(self, replication: int = 0) -> Setting:
        """Return what the world of one replication is made of."""
        return self.scenario.setting(0.0, Streams(self.found.seed, replication))


def read(where: Path) -> Story:
    """Read a folder of results. Raises FolderError, ScenarioError."""
    kept = find(where)
    folders = sorted({each.folder for each in kept})
    if len(folders) > 1:
        msg = f"{where}: holds {len(folders)} points of a sweep; give the folder of one, like {folders[0]}"
        raise FolderError(msg)
    folder = folders[0]
    by_label: dict[str, dict[int, Kept]] = {}
    for each in kept:
        by_label.setdefault(each.label, {})[each.replication] = each
    seeds = {each.told["seed"] for each in kept}
    if len(seeds) > 1:
        msg = f"{where}: holds rows of seeds {', '.join(sorted(seeds))}; delete those of all but one"
        raise FolderError(msg)
    count = _whole(where, by_label)
    labels = _in_order(folder, list(by_label))
    recipes = [repeat.read(by_label[label][0].file) for label in labels]
    scenario, seed = recipes[0].scenario, recipes[0].seed
    file = scenario.file
    warm_up_s = 0.0 if file.warm_up == "auto" else float(file.warm_up)
    runs = {}
    for label in labels:
        frames = [_scanned(by_label[label][number]) for number in range(count)]
        runs[label] = [
            summarise(frame, warm_up_s, file.duration, judged=scenario.judged) for frame in frames
        ]
    choices = tuple(recipe.choice for recipe in recipes)
    return Story(folder, scenario, choices, conclude(Known.of(scenario), choices, runs, seed, folder))


def _whole(where: Path, by_label: dict[str, dict[int, Kept]]) -> int:
    """Return how many replications all policies have, from the first on. Raises FolderError."""
    count = 0
    while all(count in there for there in by_label.values()):
        count += 1
    if not count:
        lacking = [label for label, there in by_label.items() if 0 not in there]
        msg = f"{where}: no replication 0 of {', '.join(lacking):.200}; compare again, which adds what lacks"
        raise FolderError(msg)
    return count


def _in_order(folder: Path, labels: Sequence[str]) -> list[str]:
    """Return labels as they were compared, if the folder still tells; else by their names."""
    try:
        told = json.loads((folder / "summary.json").read_text())["policies"]
        order = [str(each["label"]) for each in told]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        order = []
    known = [label for label in order if label in labels]
    return [*known, *sorted(label for label in labels if label not in known)]


def _scanned(kept: Kept) -> pl.LazyFrame:
    """Return the rows of a file. Raises FolderError where they are no rows, or cannot be read."""
    try:
        frame = pl.scan_parquet(kept.file)
        columns = dict(frame.collect_schema())
        frame.select(pl.col("latency_s").sum()).collect()
    except (OSError, pl.exceptions.PolarsError) as error:
        msg = f"{kept.file}: its rows cannot be read ({error!s:.80}); delete it and simulate again"
        raise FolderError(msg) from error
    if columns != dict(SCHEMA):
        msg = f"{kept.file}: its columns are not those of rows; it was not written by offload"
        raise FolderError(msg)
    return frame
