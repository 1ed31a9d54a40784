"""The command that tells why requests were late."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from offload.cli.common import BadInputError, Jobs, Json, clear_errors, writable

Results = Annotated[
    Path, typer.Argument(help="A folder that run, compare or sweep wrote, or one requests.parquet.")
]
Labels = Annotated[
    list[str] | None, typer.Option("--policy", help="A policy's label among the results; repeatable.")
]
Worst = Annotated[
    int | None,
    typer.Option(min=0, max=1000, help="Late requests to show of each policy (5, or 1 of many)."),
]
Some = Annotated[
    int | None,
    typer.Option("--replications", min=1, help="How many to explain (3; all without replay)."),
]
Measure = Annotated[
    str | None, typer.Option(help="Of a sweep: what its keys move, like on_time or latency_p95_s.")
]
NoReplay = Annotated[
    bool, typer.Option("--no-replay", help="Do not simulate again: quick, but nothing on mistakes.")
]
WithFigure = Annotated[bool, typer.Option("--figure", help="Write explain.png and .pdf to the folder.")]
FEW = 3  # policies of which several late requests are shown


def explain(
    results: Results,
    policy: Labels = None,
    worst: Worst = None,
    replications: Some = None,
    measure: Measure = None,
    jobs: Jobs = None,
    no_replay: NoReplay = False,
    figure: WithFigure = False,
    json_: Json = False,
) -> None:
    """Say why requests were late: which leg, where, and what the policy could have done instead."""
    with clear_errors("the results are as they were, and the same command begins again"):
        from offload.analysis.explaining.explain import explain as explained
        from offload.analysis.measures import MEASURES
        from offload.views import explain as showing
        from offload.views.progress import progress

        if measure not in (None, *MEASURES):
            msg = f"--measure {measure}: must be one of {', '.join(MEASURES)}"
            raise BadInputError(msg)
        folder = results if results.is_dir() else results.parent
        if figure and folder.exists():
            writable(folder)
        found = explained(
            results, policy or (), 5 if worst is None else worst, replications,
            jobs or os.cpu_count() or 1, measure, progress, replay=not no_replay,
        )  # fmt: skip
        if figure:
            written = showing.keep(found, folder)
        if json_:
            from offload.analysis.files import to_json

            typer.echo(json.dumps(to_json(found.as_json())))
            return
        showing.show(found, (5 if len(found.policies) <= FEW else 1) if worst is None else worst)
        if figure:
            typer.echo(f"{' and '.join(path.name for path in written)} are in {folder}")
