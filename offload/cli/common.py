"""What all commands share: their options, how they list things and how they refuse bad input."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from offload.entities import OffloadError

BAD_INPUT, INTERRUPTED = 2, 130

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


class BadInputError(OffloadError):
    """What was written on the command line cannot be used."""


@contextmanager
def clear_errors() -> Iterator[None]:
    """Turn faults of the user's input into lines on standard error and exit code 2."""
    try:
        yield
    except OffloadError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(BAD_INPUT) from None
    except OSError as error:  # a full disk, a file where a folder should be
        typer.echo(f"{error.filename or 'file'}: {error.strerror}", err=True)
        raise typer.Exit(BAD_INPUT) from None
    except KeyboardInterrupt:
        typer.echo("interrupted; what is finished is kept, and the same command goes on", err=True)
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


def show_list(rows: list[dict[str, Any]], columns: list[str], json_: bool) -> None:
    """Print rows as a table with these columns, or all of them as JSON."""
    if json_:
        from offload.analysis.compare import to_json

        typer.echo(json.dumps(to_json(rows)))
        return
    from rich.console import Console

    from offload.views.table import plain

    console = Console()
    console.print(plain(columns, rows, console.width), crop=False)
