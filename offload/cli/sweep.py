"""The command that varies a key of a scenario."""

import json
from pathlib import Path
from typing import Annotated

import typer

from offload.cli.common import BadInputError, Jobs, Json, OnCluster, clear_errors, workers, writable
from offload.cli.runs import File, Out, Policies, Replications, Seed, Set, choices, same_scenario

Vary = Annotated[
    str, typer.Option(help="KEY=VALUE, VALUE, ...; one component of KEY may be * (all there are).")
]
Measure = Annotated[str | None, typer.Option(help="What to show, like on_time or latency_p95_s.")]


def sweep(
    file: File,
    vary: Vary = "",
    policy: Policies = None,
    measure: Measure = None,
    replications: Replications = None,
    seed: Seed = None,
    jobs: Jobs = None,
    cluster: OnCluster = None,
    out: Out = None,
    settings: Set = None,
    json_: Json = False,
) -> None:
    """Compare policies at several values of one key, on the same births and luck; resumes."""
    with clear_errors():
        from offload.analysis import sweep as sweeping
        from offload.analysis.measures import MEASURES
        from offload.views import sweep as showing
        from offload.views.progress import progress

        if measure not in (None, *MEASURES):
            msg = f"--measure {measure}: must be one of {', '.join(MEASURES)}"
            raise BadInputError(msg)
        varied = sweeping.read(vary)
        scenarios = sweeping.scenarios(file, varied, settings or ())
        cases = [(each, choices(policy, each) if policy else each.compared) for each in scenarios]
        if not cases[0][1]:
            msg = f"{file}: no [compare] table; add one or give --policy, repeatedly"
            raise BadInputError(msg)
        first = scenarios[0].file
        folder = (
            out
            or Path("results") / f"{first.name}-sweep-{sweeping.folder(varied.key.replace('*', 'all'))}"
        )
        writable(folder)
        same_scenario(folder, first.name)
        runs = replications or (first.compare.replications if first.compare else 10)
        with workers(jobs, cluster, len(cases[0][1]) * runs) as those:
            found = sweeping.sweep(varied, cases, runs, seed, those, folder, progress)
        shown = measure or found.measure
        written = showing.keep(found, shown, folder)
        if json_:
            from offload.analysis.compare import to_json

            typer.echo(json.dumps(to_json(found.as_json())))
            return
        from rich.console import Console

        Console(width=1000).print(showing.table(found, shown))
        typer.echo(
            f"rows, summary.json and {' and '.join(path.name for path in written)} are in {folder}"
        )
