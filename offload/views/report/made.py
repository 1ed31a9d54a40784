"""How a comparison was made: digest, seed, replications, versions, and the commands that repeat it."""

import os
import shlex
from pathlib import Path

import polars as pl

from offload.analysis.story import Story
from offload.analysis.work.replication import rows_path
from offload.entities import OffloadError
from offload.policies import table
from offload.policies.table import Choice, PolicyTableError
from offload.scenario.load import load
from offload.units import show_seconds

PACKAGES = {"offload": "offload", "python": "Python", "numpy": "numpy", "simpy": "SimPy"}


def made(story: Story) -> list[tuple[str, str]]:
    """Return what decides the rows, and what made them, as terms and what they are."""
    found, file = story.found, story.scenario.file
    told = pl.read_parquet_metadata(rows_path(story.folder, story.labels[0], 0))
    versions = [f"{name} {told.get(key, 'unknown'):.40}" for key, name in PACKAGES.items()]
    how = "found by MSER-5" if file.warm_up == "auto" else "given"
    times = f"{show_seconds(file.duration)} each, the first {show_seconds(found.warm_up_s)} not counted"
    return [
        ("scenario", f"{file.name}, from {story.scenario.path}"),
        ("digest of the scenario and the files it names", story.scenario.digest),
        ("seed", str(found.seed)),
        ("replications", str(found.replications)),
        ("births simulated", f"{times} ({how})"),
        ("policies", "; ".join(map(_policy, story.choices))),
        ("versions", ", ".join(versions)),
        ("digest of the code", f"{told.get('code', 'unknown'):.40}"),
    ]


def _policy(choice: Choice) -> str:
    options = [f"{key} = {value}" for key, value in choice.said if key not in ("name", "label")]
    name = "" if choice.name == choice.label else f" = {choice.name}"
    return f"{choice.label}{name}" + (f" ({', '.join(options)})" if options else "")


def commands(story: Story) -> list[tuple[str, str]]:
    """Return what to type, and what that repeats; the first does all, if the file still says it."""
    one = _short(rows_path(story.folder, story.labels[0], 0))
    again = (
        shlex.join(["offload", "run", one]),
        f"repeats one replication of {story.labels[0]}, to the same rows, from what these tell",
    )
    whole = _whole(story)
    return [again] if whole is None else [(whole, "simulates all of it again"), again]


def _whole(story: Story) -> str | None:
    """Return the command that compares all again; None if the scenario's file says something else."""
    scenario, found = story.scenario, story.found
    try:
        file = load(scenario.path)
        if file.digest != scenario.digest:
            return None
    except OffloadError:
        return None
    labelled = {each.label: each for each in (file.policy, *file.compared) if each}
    if any((labelled.get(each.label) or _named(each.label)) != each for each in story.choices):
        return None
    named = [] if story.choices == file.compared else story.labels
    policies = [part for label in named for part in ("--policy", label)]
    numbers = ["--replications", str(found.replications), "--seed", str(found.seed)]
    return shlex.join(["offload", "compare", str(scenario.path), *policies, *numbers])


def _named(label: str) -> Choice | None:
    try:
        return table.choose({"name": label})
    except PolicyTableError:
        return None


def _short(path: Path) -> str:
    """Write a path from here, if it leads down from here."""
    below = os.path.relpath(path)
    return str(path) if below.startswith("..") else below
