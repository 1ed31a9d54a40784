"""The commands of the testbed, which runs plans for real."""

from pathlib import Path
from typing import Annotated

import typer

from offload.cli.common import BadInputError, clear_errors, show_list
from offload.views.progress import progress

app = typer.Typer(help="Run plans for real, on this machine.", no_args_is_help=True)


@app.command()
def costs(
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("costs.json"),
    network: Annotated[list[str], typer.Option(help="What is run after idle gaps; repeatable.")] = [  # noqa: B006
        "mobilenetv2"
    ],
    cores: Annotated[str, typer.Option(help="Two, with a comma (default: the first two).")] = "",
    quick: Annotated[
        bool, typer.Option("--quick", help="A few runs of each, in seconds; nothing to trust.")
    ] = False,
) -> None:
    """Measure what hops, TLS, idle gaps and company cost here, for the simulator to charge.

    About four minutes, in which nothing else should run.
    """
    with clear_errors("nothing was written"):
        chosen = _cores(cores)
        if out.is_dir() or not out.absolute().parent.is_dir():
            msg = f"--out {out}: give a file in a folder that exists"
            raise BadInputError(msg)
        from offload.testbed.costs import file, measuring

        effort = measuring.QUICK if quick else measuring.Effort()
        used = measuring.two_cores(chosen)
        with progress("measuring", effort.pieces(network)) as advance:
            found = measuring.measure(network, used, effort, advance)
        file.write(out, found)
        rows = file.table(found)
        show_list(rows, list(rows[0]), json_=False)
        typer.echo(f"{out}: written")


def _cores(text: str) -> list[int] | None:
    """Read two cores. Raises BadInputError."""
    parts = text.split(",")
    if not text:
        return None
    if len(parts) != 2 or not all(part.strip().isdigit() and len(part) < 5 for part in parts):
        msg = f'--cores {text:.20}: write two with a comma, like "0,1"'
        raise BadInputError(msg)
    return [int(part) for part in parts]
