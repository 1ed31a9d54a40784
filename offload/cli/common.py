"""What all commands share: their options, how they list things and how they refuse bad input."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from offload.entities import OffloadError

if TYPE_CHECKING:
    from offload.analysis.until import Until
    from offload.analysis.work.workers import Workers

BAD_INPUT, INTERRUPTED = 2, 130

KEPT = "what is finished is kept, and the same command goes on"

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Jobs = Annotated[
    int | None, typer.Option(min=1, max=256, help="Processes (default: all cores); same rows with any.")
]
OnCluster = Annotated[
    str | None,
    typer.Option("--cluster", help="tcp://HOST:PORT of a Dask scheduler whose workers do the work."),
]
Narrow = Annotated[
    list[str] | None,
    typer.Option(
        "--until",
        help="MEASURE ±WIDTH, like 'useful ±1%' or 'latency_p95_s ±2 ms': add replications until all"
        " intervals are that narrow; repeatable.",
    ),
]
Most = Annotated[
    int | None, typer.Option(min=20, max=10_000, help="Replications that --until may use (1000).")
]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class BadInputError(OffloadError):
    """What was written on the command line cannot be used."""


@contextmanager
def clear_errors(interrupted: str = KEPT) -> Iterator[None]:
    """Turn faults of the user's input into lines on standard error and exit code 2.

    Who is interrupted is told what that means for what was done so far.
    """
    try:
        yield
    except OffloadError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(BAD_INPUT) from None
    except OSError as error:  # a full disk, a file where a folder should be
        full = f"; {KEPT}" if error.errno in _FULL else ""
        typer.echo(f"{error.filename or 'file'}: {error.strerror or error}{full}", err=True)
        raise typer.Exit(BAD_INPUT) from None
    except KeyboardInterrupt:
        typer.echo(f"interrupted; {interrupted}", err=True)
        raise typer.Exit(INTERRUPTED) from None


def quantity(option: str, dimension: str, text: str) -> float:
    """Read an option with a unit. Raises BadInputError."""
    from offload.units import Quantity

    try:
        return Quantity(dimension).parse(text)
    except ValueError as error:
        msg = f"{option} {text:.40}: {error}"
        raise BadInputError(msg) from None


def writable(folder: Path) -> None:
    """Refuse a folder that nothing can be written to. Raises BadInputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial = folder / ".writable"
        trial.touch()
        trial.unlink()
    except OSError as error:
        msg = f"--out {folder}: {error.strerror}; give a folder that can be written"
        raise BadInputError(msg) from error


@contextmanager
def kept_for_this(folder: Path | None) -> Iterator[None]:
    """Let no other command write to a results folder meanwhile. Raises BadInputError, LockedError."""
    from offload.analysis.work.lock import locked

    if folder is not None:
        writable(folder)
    with locked(folder):
        yield


def show_list(rows: list[dict[str, Any]], columns: list[str], json_: bool) -> None:
    """Print rows as a table with these columns, or all of them as JSON."""
    if json_:
        from offload.analysis.files import to_json

        typer.echo(json.dumps(to_json(rows)))
        return
    from rich.console import Console

    from offload.views.table import plain

    console = Console()
    console.print(plain(columns, rows, console.width), crop=False)


@contextmanager
def workers(jobs: int | None, cluster: str | None, pieces: int) -> Iterator["Workers"]:
    """Yield who does so many pieces of work: processes, or those of a cluster. Raises ClusterError."""
    if cluster is not None and jobs is not None:
        msg = "--jobs: processes of this machine have no part in what --cluster does; leave one out"
        raise BadInputError(msg)
    if cluster is not None:
        from offload.analysis.work.cluster import Cluster

        with closing(Cluster(cluster)) as those:
            yield those
        return
    from offload.analysis.work.processes import Processes

    with closing(Processes(min(jobs or os.cpu_count() or 1, max(1, pieces)))) as those:
        yield those


def narrow(until: list[str] | None, most: int | None) -> "Until | None":
    """Read --until and --most. Raises BadInputError, UntilError."""
    from offload.analysis.until import MOST, Until, read

    if until:
        return Until(read(until), most or MOST)
    if most is not None:
        msg = "--most: says how far --until may go; give that too"
        raise BadInputError(msg)
    return None
