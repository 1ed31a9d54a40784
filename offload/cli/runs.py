"""The commands that simulate: check, run, compare."""

import json
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from offload.cli.common import (
    BadInputError,
    Jobs,
    Json,
    Most,
    Narrow,
    OnCluster,
    clear_errors,
    kept_for_this,
    narrow,
    workers,
)
from offload.cli.completion import policies as policy_names
from offload.cli.completion import scenario_files

if TYPE_CHECKING:
    from offload.analysis.until import Until
    from offload.analysis.work.workers import Workers
    from offload.policies.table import Choice
    from offload.scenario.load import Scenario

File = Annotated[Path, typer.Argument(help="A scenario file (TOML).", autocompletion=scenario_files)]
Policies = Annotated[
    list[str] | None,
    typer.Option(
        "--policy", help="A policy's name or module:Class; repeatable.", autocompletion=policy_names
    ),
]
Replications = Annotated[int | None, typer.Option(min=1, max=10_000, help="Independent runs.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Instead of the scenario's.")]
Out = Annotated[Path | None, typer.Option(help="Folder for rows and figures.")]
NoSecondOpinion = Annotated[
    bool, typer.Option("--no-second-opinion", help="Skip the run with other shares of rescaled layers.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="KEY=VALUE replaces a key of the file, KEY= leaves it out; repeatable."),
]


def run(
    file: Annotated[
        Path,
        typer.Argument(
            help="A scenario file, or a requests.parquet to repeat.", autocompletion=scenario_files
        ),
    ],
    policy: Policies = None,
    replications: Replications = None,
    seed: Seed = None,
    until: Narrow = None,
    most: Most = None,
    jobs: Jobs = None,
    cluster: OnCluster = None,
    out: Out = None,
    settings: Set = None,
    json_: Json = False,
) -> None:
    """Simulate a scenario under the policy that it names (or those of --policy)."""
    with clear_errors():
        if file.suffix == ".parquet":
            options = {
                "--policy": policy, "--set": settings, "--seed": seed, "--replications": replications,
                "--until": until, "--most": most, "--jobs": jobs, "--cluster": cluster,
            }  # fmt: skip
            if given := [name for name, value in options.items() if value not in (None, [])]:
                msg = f"{file} says what made it; {', '.join(given)} cannot apply"
                raise BadInputError(msg)
            _repeat(file, out, json_)
            return
        scenario = _load(file, settings)
        chosen = [scenario.policy] if scenario.policy else []
        if policy:
            chosen = choices(policy, scenario)
        if not chosen:
            msg = f"{file}: no [policy] table; add one or give --policy"
            raise BadInputError(msg)
        wanted = narrow(until, most)
        pieces = _pieces(chosen, replications or 1, wanted)
        with kept_for_this(out), workers(jobs, cluster, pieces) as those:
            _compare(
                scenario, chosen, replications or 1, seed, those, out, json_, wanted,
                second_opinion=False,
            )  # fmt: skip


def compare(
    file: File,
    policy: Policies = None,
    replications: Replications = None,
    seed: Seed = None,
    until: Narrow = None,
    most: Most = None,
    jobs: Jobs = None,
    cluster: OnCluster = None,
    out: Out = None,
    settings: Set = None,
    no_second_opinion: NoSecondOpinion = False,
    json_: Json = False,
) -> None:
    """Compare policies on the same births and the same luck; rows and figures go to --out."""
    with clear_errors():
        scenario = _load(file, settings)
        chosen = choices(policy, scenario) if policy else list(scenario.compared)
        if not chosen:
            msg = f"{file}: no [compare] table; add one or give --policy, repeatedly"
            raise BadInputError(msg)
        runs = scenario.file.compare.replications if scenario.file.compare else 10
        folder = out or _default_folder(scenario, chosen if policy else [], settings)
        wanted, count = narrow(until, most), replications or runs
        pieces = _pieces(chosen, count, wanted)
        with kept_for_this(folder), workers(jobs, cluster, pieces) as those:
            _compare(
                scenario, chosen, count, seed, those, folder, json_, wanted,
                second_opinion=not no_second_opinion,
            )  # fmt: skip


def _load(file: Path, settings: list[str] | None) -> "Scenario":
    from offload.scenario.load import load

    return load(file, settings or ())


def choices(names: list[str], scenario: "Scenario") -> "list[Choice]":
    """Find policies by the labels of the scenario, whose options then hold, or else by name."""
    from offload.policies import table

    labelled = {each.label: each for each in (scenario.policy, *scenario.compared) if each}
    found, faults = [], []
    for name in dict.fromkeys(names):
        try:
            found.append(labelled.get(name) or table.choose({"name": name}))
        except table.PolicyTableError as error:
            faults += [f"--policy {name}: {what}" for _, what in error.faults]
    if faults:
        raise BadInputError("\n".join(faults))
    return found


def _default_folder(scenario: "Scenario", chosen: "list[Choice]", settings: list[str] | None) -> Path:
    """Name a folder of its own for what differs from the file: nothing replaces another's summary."""
    from offload.policies.table import folder_name

    parts = [scenario.file.name, *(folder_name(choice.label) for choice in chosen)]
    if settings:
        parts.append(scenario.digest[:6])
    return Path("results") / "-".join(parts)[:120]


def same_scenario(folder: Path, name: str) -> None:
    """Refuse a folder that holds another scenario's results."""
    summary = folder / "summary.json"
    try:
        told = json.loads(summary.read_text())["scenario"] if summary.is_file() else name
    except (ValueError, KeyError, TypeError):
        told = "something else"
    if told != name:
        msg = f"--out {folder}: holds the results of {told}, not of {name}; give another folder"
        raise BadInputError(msg)


def _pieces(chosen: "list[Choice]", replications: int, until: "Until | None") -> int:
    """Return how many processes at most have something to do."""
    return len(chosen) * (until.most if until else replications)


def _compare(
    scenario: "Scenario", chosen: "list[Choice]", replications: int, seed: int | None,
    those: "Workers", out: Path | None, json_: bool, until: "Until | None", *, second_opinion: bool,
) -> None:  # fmt: skip
    from offload.analysis.compare import compare
    from offload.analysis.files import to_json
    from offload.views import present
    from offload.views.progress import progress

    if out is not None:
        same_scenario(out, scenario.file.name)
    found = compare(
        scenario, chosen, replications, seed, those, out, progress,
        second_opinion=second_opinion, until=until,
    )  # fmt: skip
    written = present.keep(found, out) if out is not None else []
    for line in found.unmet:
        typer.echo(f"--until {line}", err=True)
    if found.unmet and until and found.replications == until.most:
        typer.echo(f"--until: gave up after {until.most} replications; --most N allows more", err=True)
    if json_:
        typer.echo(json.dumps(to_json(found.as_json())))
        return
    present.show(found)
    if out is not None:
        figures = ", ".join(path.name for path in written if path.suffix == ".png")
        typer.echo(f"rows, summary.json and figures ({figures}) are in {out}. Next:")
        for command in ("explain", "report"):
            typer.echo(f"  offload {command} {quote(str(out))}")


def _repeat(file: Path, out: Path | None, json_: bool) -> None:
    """Simulate again what a file of rows holds, from what it says of itself."""
    from offload.analysis.repeat import read
    from offload.views.progress import progress

    if out is not None and (out / "requests.parquet").resolve() == file.resolve():
        msg = f"--out {out}: holds {file} itself, which would be replaced; give another folder"
        raise BadInputError(msg)
    recipe = read(file)
    again = None if out is None else out / "requests.parquet"
    with kept_for_this(out), progress("repeating", 1) as advance:
        tell = partial(advance.within, recipe.choice.label, recipe.scenario.file.duration)
        count, same = recipe.repeat(again, tell=tell)
    told = {"file": str(file), "requests": count, "identical": same}
    typer.echo(json.dumps(told) if json_ else f"{file}: {told['requests']} rows, identical: {same}")
    if not same:
        msg = f"{file}: this version or machine makes other rows"
        raise BadInputError(msg)
