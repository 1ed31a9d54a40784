"""The command that makes networks smaller: compress."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offload.cli.common import BadInputError, Json, clear_errors, show_list, writable
from offload.cli.completion import networks as network_names
from offload.entities import OffloadError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from offload.dnn.pictures import Split
    from offload.dnn.trials import Trial
    from offload.dnn.variants import Subject


def compress(
    model: Annotated[
        str,
        typer.Argument(
            help="fashion-cnn, a named network, or module:factory.", autocompletion=network_names
        ),
    ],
    data: Annotated[
        Path | None, typer.Option(help="Fashion-MNIST's IDX files, or a subfolder of images a class.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="How often each variant is made.")] = 3,
    epochs: Annotated[int, typer.Option(min=1, max=1000, help="Of the first training.")] = 4,
    variant: Annotated[
        list[str] | None, typer.Option(help="Which to make (default: all); repeatable.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="Start from this safetensors file.")] = None,
    tune: Annotated[
        str, typer.Option(help="With --weights: the last layer learns, or the whole.")
    ] = "whole",
    out: Annotated[Path | None, typer.Option(help="Folder for networks and table.")] = None,
    json_: Json = False,
) -> None:
    """Train smaller forms of a classifier and measure each on test images, over seeds.

    What is finished is kept in --out, and the same command goes on from there.
    """
    with clear_errors():
        from offload.dnn import trials, variant_table
        from offload.views.progress import progress

        subject = _subject(model, data, epochs, weights, tune)
        names = _variants(variant, subject)
        folder = out or Path("compressed") / subject.name
        writable(folder)
        with progress(f"compressing {subject.name}", seeds * len(names)) as advance:

            def say(trial: "Trial") -> None:
                advance(trial.variant)
                if not json_:
                    typer.echo(
                        f"{trial.variant}, seed {trial.seed}: {trial.outcomes[0].accuracy:.2%}"
                        f" of {trial.task}, {trial.size_bytes / 1e3:.0f} kB; {trial.seconds:.0f} s",
                        err=True,
                    )

            found = trials.run(subject, range(seeds), names, folder, say)
        networks = trials.networks(subject, names, folder)
        table = variant_table.rows(subject, found, trials.times(networks, subject.example))
        variant_table.write(folder / f"{subject.name}.csv", table)
        written = _answers(subject, networks, folder)
    if json_:
        show_list([dict(row) for row in table], [], json_)
    elif sys.stdout.isatty():
        columns = ["variant", "leaves at", "accuracy %", "F1", "kB", "MMAC", "CPU ms", "how"]
        show_list(variant_table.shown(table), columns, json_)
    else:
        typer.echo(variant_table.markdown(table))
    if not json_:
        for line in variant_table.differences(found):
            typer.echo(line)
        typer.echo(f"{folder}: {subject.name}.csv{written}, and the networks of each seed", err=True)


def _subject(model: str, data: Path | None, epochs: int, weights: Path | None, tune: str) -> "Subject":
    """Find the network and its images. Raises OffloadError."""
    from offload.dnn import zoo
    from offload.dnn.variants import Subject

    if tune not in ("whole", "last"):
        msg = f'--tune {tune}: write "last" or "whole"'
        raise BadInputError(msg)
    if tune == "last" and weights is None:
        msg = "--tune last: give the weights that it starts from with --weights"
        raise BadInputError(msg)
    network = zoo.network(model)
    if network.build is None:
        msg = f"{model}: a saved program cannot be trained; give a network's name or module:factory"
        raise BadInputError(msg)
    name, shape = network.name, network.input_shape
    images = _images(model, data, shape)
    subject = Subject(name, network.build, shape, images, epochs, weights, tune)  # type: ignore[arg-type]  # checked
    try:
        subject.fresh()
        _ = subject.steps
    except OffloadError:
        raise
    except Exception as error:  # a user's factory may raise anything
        msg = f"{model}: building and running it raised {type(error).__name__}: {error}"
        raise BadInputError(msg) from error
    return subject


def _images(model: str, data: Path | None, shape: tuple[int, ...]) -> "Split":
    from offload.dnn import pictures, small

    if data is None and model == small.NAME and pictures.DEBIAN.is_dir():
        data = pictures.DEBIAN
    if data is None:
        msg = "--data: give a folder of Fashion-MNIST's IDX files or with a subfolder of images a class"
        if model == small.NAME:
            msg += " (Debian's package dataset-fashion-mnist has the former)"
        raise BadInputError(msg)
    if not any(data.glob("*-idx?-ubyte*")):
        return pictures.folder(data, shape)
    if shape != small.INPUT_SHAPE:
        msg = f"--data {data}: its images are 28x28 and gray, {model} takes {shape}; give a folder"
        raise BadInputError(msg)
    return pictures.fashion_mnist(data)


def _variants(asked: list[str] | None, subject: "Subject") -> list[str]:
    from offload.dnn.variants import RECIPES, possible

    for name in asked or ():
        if name not in RECIPES:
            msg = f"--variant {name}: no such variant; known are {', '.join(RECIPES)}"
            raise BadInputError(msg)
    return list(dict.fromkeys(("fp32", *(asked or possible(subject)))))


def _answers(subject: "Subject", networks: "Mapping[str, nn.Module]", folder: Path) -> str:
    """Keep who is right on the shipped images, where the network learnt on their like."""
    from offload.dnn import answers, pictures, trials

    if subject.images.test.name != pictures.FASHION:
        return ""
    name = f"{subject.name}.answers.parquet"
    answers.write(folder / name, trials.answers_to(pictures.test_slice(), networks))
    return f", {name}"
