"""The command that writes a replication as a timeline."""

from pathlib import Path
from typing import Annotated

import typer

from offload.cli.common import clear_errors

Results = Annotated[
    Path, typer.Argument(help="A folder that run or compare wrote, or a requests.parquet.")
]
Label = Annotated[str | None, typer.Option(help="The label of a policy (the best contender).")]
Number = Annotated[int, typer.Option(min=0, help="Which replication.")]
Out = Annotated[Path | None, typer.Option(help="The file to write (RESULTS/timeline.json).")]
Most = Annotated[
    int | None, typer.Option(min=1, max=1_000_000, help="Requests to hold at most (30000).")
]


def timeline(
    results: Results, policy: Label = None, replication: Number = 0, out: Out = None, most: Most = None
) -> None:
    """Write who was where and when, for Perfetto: open the file at https://ui.perfetto.dev."""
    with clear_errors("the file is as it was"):
        from offload.analysis.story import read
        from offload.views.timeline import MOST_REQUESTS, write

        story = read(results)
        path = out or story.folder / "timeline.json"
        count = write(story, path, policy, replication, most or MOST_REQUESTS)
        label = policy or story.best
        typer.echo(
            f"{path}: {count} events of {label}, replication {replication}; open it at"
            " https://ui.perfetto.dev (it stays in the browser)"
        )
