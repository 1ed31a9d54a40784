"""The command that tells of policies: which there are, and what one does."""

import dataclasses
import inspect
import json
from typing import Annotated, Any

import typer

from offload.cli.common import BadInputError, Json, clear_errors, show_list
from offload.cli.completion import policies as policy_names

Name = Annotated[
    str | None,
    typer.Argument(help="One of them, or module:Class, in full.", autocompletion=policy_names),
]


def policies(name: Name = None, json_: Json = False) -> None:
    """List the policies, or tell of one what it does, its source, its options and what it knows."""
    with clear_errors():
        if name is None:
            _list(json_)
            return
        told = _told(name)
    if json_:
        typer.echo(json.dumps(told))
        return
    typer.echo(f"{told['name']}  ({told['class']}; knows: {told['knowledge']})\n\n{told['doc']}\n")
    if told["options"]:
        show_list(told["options"], ["option", "takes", "default"], json_=False)
    else:
        typer.echo("It has no options.")


def _list(json_: bool) -> None:
    from offload.policies import table
    from offload.policies.named import NAMED

    rows = []
    for name in (*NAMED, *table.installed()):
        try:
            told = _told(name)
        except BadInputError as error:  # a package that is broken; the others are still there
            typer.echo(str(error), err=True)
        else:
            rows.append(told | {"what": told["doc"].splitlines()[0]})
    show_list(rows, ["name", "knowledge", "what"], json_)


def _told(name: str) -> dict[str, Any]:
    from offload.policies import table

    try:
        made = table.load(name)
        taken = table.options(made)
    except table.PolicyTableError as error:
        raise BadInputError("; ".join(what for _, what in error.faults)) from None
    options = [
        {"option": key, "takes": table.takes(annotation), "default": table.said_as(annotation, default)}
        for key, (annotation, default) in taken.items()
    ]
    return {
        "name": name,
        "class": f"{made.__module__}:{made.__qualname__}",
        "knowledge": getattr(made, "knowledge", "reported"),
        "options": options,
        "doc": _doc(made),
    }


def _doc(made: Any) -> str:  # noqa: ANN401 - a class, or what makes a policy
    """The docstring of a class, and those of its parents that have options."""
    docs = []
    for each in getattr(made, "__mro__", (made,)):
        doc = each.__doc__ or ""
        # A dataclass without a docstring is given its signature.
        own = doc and not doc.startswith(f"{getattr(each, '__name__', '')}(")
        if own and (each is made or dataclasses.is_dataclass(each)):
            docs.append(inspect.cleandoc(doc))
    return "\n\n".join(docs) or "(no docstring)"
