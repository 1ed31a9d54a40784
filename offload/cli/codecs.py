"""The command that measures what codecs gain and cost: codecs."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offload.cli.common import BadInputError, Json, clear_errors, show_list, writable

if TYPE_CHECKING:
    from offload.dnn.network import Network
    from offload.dnn.pictures import Pictures


def codecs(
    model: Annotated[str, typer.Argument(help="fashion-cnn, a named network, or module:factory.")],
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
    only tell how often it still answers the same.
    """
    with clear_errors():
        from offload.dnn import crossing, crossing_table, machine, pictures, zoo
        from offload.dnn.codec import named
        from offload.dnn.pixels import Pixels
        from offload.views.progress import progress

        writable(out)
        network = zoo.network(model)
        shown, labelled = _images(network, images)
        pixels = Pixels(*pictures.NORMAL[network.input_shape[0]])
        chosen = [named(name, pixels) for name in codec or crossing.NAMES]
        crossing_table.read(out / "codecs.csv")  # before measuring for long
        computer = machine.prepare(threads=1)
        score: crossing_table.Score = "accuracy" if labelled else "agreement"
        rows: list[crossing_table.Row] = []
        for form in variant:
            course = crossing.Course(f"{network.name}:{form}", zoo.variant(network, form), shown, timed)
            source = (
                f"{computer.processor}, 1 thread, torch {computer.torch}, {datetime.now(UTC).date()};"
                f" times over {course.timed} images of {shown.name}; weights: {network.weights}"
            )
            found: list[crossing.Crossing] = []
            with progress(f"coding {course.name}", len(course.cuts)) as advance:
                for cut in course.cuts:
                    found += course.at(cut, chosen)
                    advance(f"cut {cut}")
            rows += crossing_table.rows(network.name, form, course, found, score, source)
            if labelled:
                measured = crossing_table.records(form, course, found, source)
                crossing_table.merge_answers(out / f"{network.name}.answers.parquet", measured)
            crossing_table.merge_rows(out / "codecs.csv", rows)
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
            "ms in": f"{row['encode_ms']:.2f}",
            "ms out": f"{row['decode_ms']:.2f}",
            score: f"{float(row['score']):.2%}",
        }
        for row in crossing_table.smallest(rows)
    ]
    typer.echo("At each cut the fewest bytes that cost at most half a percent of the images:")
    show_list(shown_rows, list(shown_rows[0]), json_)
    typer.echo(f"{out}: codecs.csv has all {len(rows)} rows")


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
