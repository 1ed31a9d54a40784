"""The commands that help to write scenarios: one to start from, and what editors need to know."""

import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from offload.cli.common import BadInputError, clear_errors

BESIDE = "scenario.schema.json"
NOTHING_WRITTEN = "nothing was written"

Kind = Literal["minimal", "vehicles", "cameras", "wearables"]


def new(
    file: Annotated[Path, typer.Argument(help="The scenario to write, like city.toml.")],
    kind: Annotated[Kind, typer.Option(help="What it is about.")] = "minimal",
    with_schema: Annotated[
        bool, typer.Option("--with-schema", help=f"Write {BESIDE} beside it, for editors.")
    ] = False,
) -> None:
    """Write a scenario to start from, in which every key is explained."""
    with clear_errors(NOTHING_WRITTEN):
        from offload.entities import NAME_RULE, is_name
        from offload.scenario.starters import starter

        if file.exists() or file.is_symlink():
            msg = f"{file}: is there already; give another name, or remove it first"
            raise BadInputError(msg)
        if file.suffix != ".toml" or not is_name(file.stem):
            msg = f"{file}: give it a name that ends in .toml ({NAME_RULE})"
            raise BadInputError(msg)
        text = starter(kind, file.stem, f"./{BESIDE}" if with_schema else "")
        if with_schema:
            _write_schema(file.with_name(BESIDE))
        _write(file, text)
        typer.echo(f"{file}: written. Next:")
        for command in ("check", "compare"):
            typer.echo(f"  offload {command} {shlex.quote(str(file))}")


def schema(
    out: Annotated[Path | None, typer.Option(help="The file to write (default: print it).")] = None,
    form: Annotated[
        Literal["json", "markdown"],
        typer.Option("--format", help="JSON Schema for editors, or a page of all keys."),
    ] = "json",
) -> None:
    """Write what a scenario file may say, for editors or for readers."""
    with clear_errors(NOTHING_WRITTEN):
        from offload.scenario.json_schema import json_schema
        from offload.views.keys import page, to_json

        text = page() if form == "markdown" else to_json(json_schema())
        if out is None:
            typer.echo(text, nl=False)
        else:
            _write(out, text)


def _write(path: Path, text: str) -> None:
    """Write a file that is whole or absent."""
    from offload.analysis.files import writing

    with writing(path) as aside:
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)


def _write_schema(path: Path) -> None:
    """Write the schema, unless another file has its name. Raises BadInputError."""
    from offload.scenario.json_schema import json_schema
    from offload.views.keys import to_json

    text = to_json(json_schema())
    if path.exists() and path.read_text(encoding="utf-8", errors="replace") != text:
        msg = f"{path}: is there already and says something else; remove it first"
        raise BadInputError(msg)
    _write(path, text)
