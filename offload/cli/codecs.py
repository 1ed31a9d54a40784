"""The command that measures what codecs gain and cost: codecs."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offload.cli.common import BadInputError, Json, clear_errors, show_list, writable
from offload.cli.completion import networks as network_names

if TYPE_CHECKING:
    from offload.dnn.codec import Codec
    from offload.dnn.crossing import Course, Crossing
    from offload.dnn.crossing_table import Row
    from offload.dnn.network import Network
    from offload.dnn.pictures import Pictures

KEEP_EVERY_S = 20.0


def codecs(
    model: Annotated[
        str,
        typer.Argument(
            help="fashion-cnn, a named network, or module:factory.", autocompletion=network_names
        ),
    ],
    variant: Annotated[list[str], typer.Option(help="fp32, int8, ...; repeatable.")] = ["fp32"],  # noqa: B006
    images: Annotated[
        Path | None, typer.Option(help="A folder of pictures (fashion-cnn has its own).")
    ] = None,
    codec: Annotated[
        list[str] | None, typer.Option(help="uint8+zstd, jpeg-75, ... (default: many); repeatable.")
    ] = None,
    timed: Annotated[int, typer.Option(min=1, max=100_000, help="Images to time on.")] = 100,
    out: Annotated[Path, typer.Option(help="Folder for the table and the answers.")] = Path("codecs"),
    json_: Json = False,
) -> None:
    """Measure codecs at every cut of a classifier: bytes, seconds, and what it then answers.

    With labels (fashion-cnn) that is its accuracy, which simulations can use; pictures without labels
    only tell how often it still answers the same. Stopped, the same command goes on where it was.
    """
    with clear_errors():
        from offload.dnn import crossing, crossing_table, pictures, zoo
        from offload.dnn.codec import named
        from offload.dnn.pixels import Pixels

        writable(out)
        network = zoo.network(model)
        shown, labelled = _images(network, images)
        pixels = Pixels(*pictures.NORMAL[network.input_shape[0]])
        chosen = [named(name, pixels) for name in codec or crossing.NAMES]
        crossing_table.read(out / "codecs.csv")  # before measuring for long
        rows: list[crossing_table.Row] = []
        for form in variant:
            course = crossing.Course(f"{network.name}:{form}", zoo.variant(network, form), shown, timed)
            rows += _measure(network, form, course, chosen, out, labelled=labelled)
    if json_:
        show_list(rows, [], json_)
        return
    shown_rows = [
        {
            "variant": row["variant"],
            "cut after": row["last_layer"],
            "kB": f"{float(row['values_bytes']) / 1e3:.1f}",
            "codec": row["codec"],
            "coded": f"{float(row['bytes']) / 1e3:.1f}",
            "ms in": f"{float(row['encode_ms']):.2f}",
            "ms out": f"{float(row['decode_ms']):.2f}",
            str(row["score_is"]): f"{float(row['score']):.2%}",
        }
        for row in crossing_table.smallest(rows)
    ]
    typer.echo("At each cut the fewest bytes that cost at most half a percent of the images:")
    show_list(shown_rows, list(shown_rows[0]), json_)
    typer.echo(f"{out}: codecs.csv has all {len(rows)} rows")


def _measure(
    network: "Network", form: str, course: "Course", codecs: "list[Codec]", out: Path, *, labelled: bool
) -> "list[Row]":
    """Measure what the table does not yet hold of this very network, and return what it holds then."""
    from offload.dnn import crossing_table, machine
    from offload.views.progress import progress

    computer = machine.prepare(threads=1)
    source = (
        f"{computer.processor}, 1 thread, torch {computer.torch}; times over {course.timed} images of"
        f" {course.images.name}; weights: {network.weights}; says {course.digest}"
    )
    table = out / "codecs.csv"
    score: crossing_table.Score = "accuracy" if labelled else "agreement"
    found: list[Crossing] = []

    def keep() -> None:
        if not found:
            return
        if labelled:  # first, since the table tells what is done
            records = crossing_table.records(form, course, found, source)
            crossing_table.merge_answers(out / f"{network.name}.answers.parquet", records)
        date = str(datetime.now(UTC).date())
        rows = crossing_table.rows(network.name, form, course, found, score, source, date)
        crossing_table.merge_rows(table, rows)
        found.clear()

    done = {
        (int(row["cut"]), row["codec"]) for row in crossing_table.of(table, network.name, form, source)
    }
    kept_s = time.monotonic()
    try:
        with progress(f"coding {course.name}", len(course.cuts)) as advance:
            for cut in course.cuts:
                left = [each for each in course.suited(cut, codecs) if (cut, each.name) not in done]
                found += course.at(cut, left) if left else []
                if time.monotonic() > kept_s + KEEP_EVERY_S:
                    keep()
                    kept_s = time.monotonic()
                advance(f"cut {cut}")
    finally:
        keep()
    names = {each.name for each in codecs}
    return [row for row in crossing_table.of(table, network.name, form, source) if row["codec"] in names]


def _images(network: "Network", images: Path | None) -> "tuple[Pictures, bool]":
    """Find images for a network, and tell whether these have labels. Raises OffloadError."""
    from offload.dnn import pictures, small

    if network.name == small.NAME:
        if images is not None:
            msg = f"--images {images}: {small.NAME} is measured on its own test images; leave it out"
            raise BadInputError(msg)
        return pictures.test_slice(), True
    if images is None:
        msg = f"{network.name}: give a folder of pictures to code with --images"
        raise BadInputError(msg)
    return pictures.unlabelled(images, network.input_shape), False
