"""The command that writes a page on what a comparison came to."""

import json
from pathlib import Path
from typing import Annotated

import typer

from offload.cli.common import Json, clear_errors, writable

Results = Annotated[Path, typer.Argument(help="A folder that run --out or compare wrote.")]
Out = Annotated[Path | None, typer.Option(help="Folder for the page (default: report in that folder).")]


def report(results: Results, out: Out = None, json_: Json = False) -> None:
    """Write a page on a comparison for any browser, a timeline for Perfetto, and figures for papers."""
    with clear_errors("each file that was written is whole, and the same command begins again"):
        import polars as pl

        from offload.analysis.folder import FolderError
        from offload.analysis.story import read
        from offload.views.progress import progress
        from offload.views.report import page

        try:
            story = read(results)
            folder = out or (results if results.is_dir() else story.folder) / "report"
            writable(folder)
            with progress("reporting", page.PARTS) as advance:
                written = page.write(story, folder, advance)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            msg = f"{results}: some rows cannot be read ({error!s:.80}); simulate again"
            raise FolderError(msg) from error
        if json_:
            typer.echo(json.dumps({"files": [str(path) for path in written]}))
            return
        others = ", ".join(path.name for path in written[1:])
        typer.echo(f"{written[0]}: open it in a browser; beside it lie {others}")
