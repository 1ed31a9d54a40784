"""The command that finds the cheapest configuration that meets a target."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offload.cli.common import BadInputError, Jobs, Json, OnCluster, clear_errors, kept_for_this, workers
from offload.cli.runs import File, Out, Policies, Seed, Set, choices

if TYPE_CHECKING:
    from offload.analysis.sizing.grid import Axis, Case

NOT_MET = 1

Targets = Annotated[
    list[str] | None,
    typer.Option("--target", help="MEASURE >= VALUE or <= VALUE, like 'on_time >= 99%'; repeatable."),
]
Varied = Annotated[
    list[str] | None,
    typer.Option(
        "--vary", help="KEY=1..8 or KEY=VALUE, VALUE, ...; repeatable, all combinations are possible."
    ),
]
Most = Annotated[
    int, typer.Option("--replications", min=2, max=10_000, help="At most, of each configuration.")
]


def size(
    file: File,
    target: Targets = None,
    vary: Varied = None,
    policy: Policies = None,
    replications: Most = 40,
    seed: Seed = None,
    jobs: Jobs = None,
    cluster: OnCluster = None,
    out: Out = None,
    settings: Set = None,
    json_: Json = False,
) -> None:
    """Find the cheapest configuration that meets targets, with 95 % confidence; resumes."""
    with clear_errors():
        from offload.analysis.sizing import grid as sizing
        from offload.analysis.sizing import target as sizing_target
        from offload.analysis.sizing.result import result
        from offload.analysis.sweeping import vary as varying
        from offload.views import size as showing
        from offload.views.progress import progress

        if not target or not vary:
            missing = "--vary 'nodes.cabinet.servers=1..8'" if target else "--target 'on_time >= 99%'"
            msg = f"nothing to {'vary' if target else 'reach'}; give {missing}"
            raise BadInputError(msg)
        targets = list(dict.fromkeys(map(sizing_target.read, target)))
        axes, scenarios = sizing.grid(
            file, [varying.read(each) for each in vary], settings or (), progress
        )
        cases = []
        for values, scenario in scenarios:
            own = [scenario.policy] if scenario.policy else []
            chosen = choices(policy, scenario) if policy else own
            if not chosen:
                msg = f"{file}: no [policy] table; add one or give --policy"
                raise BadInputError(msg)
            cases += [sizing.Case(values, scenario, choice) for choice in chosen]
        first = scenarios[0][1].file
        folder = out or _folder(first.name, axes, cases, settings)
        search = sizing.Sizing(
            axes, cases, targets, replications, first.seed if seed is None else seed, folder, progress
        )
        with kept_for_this(folder), workers(jobs, cluster, replications * len(cases)) as those:
            _same_scenario(folder, first.name)
            search.run(those)
        found = result(search)
        written = showing.keep(found, folder)
        if json_:
            from offload.analysis.files import to_json

            typer.echo(json.dumps(to_json(found.as_json())))
        else:
            showing.show(found)
            names = " and ".join(path.name for path in written)
            typer.echo(f"rows, size.json and {names} are in {folder}")
        if found.chosen is None:
            raise typer.Exit(NOT_MET)


def _folder(
    name: str, axes: "list[Axis]", cases: "list[Case]", settings: list[str] | None
) -> Path:  # fmt: skip
    """Name a folder for what is varied; other settings than the file's have another."""
    from offload.analysis.sweeping.vary import folder

    parts = [name, "size", *(folder(axis.key.replace("*", "all")) for axis in axes)]
    digest = f"-{cases[0].scenario.digest[:6]}" if settings else ""
    return Path("results") / f"{'-'.join(parts)[:110]}{digest}"


def _same_scenario(out: Path, name: str) -> None:
    """Refuse a folder that holds another scenario's results."""
    for kept in (out / "size.json", out / "summary.json"):
        try:
            told = json.loads(kept.read_text())["scenario"] if kept.is_file() else name
        except (ValueError, KeyError, TypeError):
            told = "something else"
        if told != name:
            msg = f"--out {out}: holds the results of {told}, not of {name}; give another folder"
            raise BadInputError(msg)
