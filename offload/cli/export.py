"""The command that writes networks for other runtimes: export."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offload.cli.common import BadInputError, clear_errors, writable
from offload.cli.completion import networks as network_names

if TYPE_CHECKING:
    from offload.dnn.network import Network
    from offload.dnn.onnx_model import Inputs
    from offload.dnn.pictures import Pictures

_SHOWN, _CALIBRATION = 8, 64  # images


def export(
    model: Annotated[
        str,
        typer.Argument(
            help="A named network, module:factory, or FILE.pt2.", autocompletion=network_names
        ),
    ],
    variant: Annotated[str, typer.Option(help="fp32, int8, ...")] = "fp32",
    form: Annotated[str, typer.Option("--format", help="onnx or pt2.")] = "onnx",
    out: Annotated[Path | None, typer.Option(help="The file (default: MODEL.VARIANT.FORMAT).")] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            help="Pictures, or Fashion-MNIST's IDX files: to set int8's ranges, and to compare."
        ),
    ] = None,
) -> None:
    """Write a variant for another runtime, load it there, and compare its answers with PyTorch's.

    onnx: ONNX Runtime; int8 is quantised anew, with pairs of QuantizeLinear and DequantizeLinear. pt2:
    torch.export.load, or `offload profile FILE.pt2`.
    """
    with clear_errors():
        from offload.dnn import export as exporting
        from offload.dnn import machine, zoo

        if form not in exporting.FORMATS:
            msg = f"--format {form}: write {' or '.join(exporting.FORMATS)}"
            raise BadInputError(msg)
        network = zoo.network(model)
        path = out or Path(f"{network.name}.{variant}.{form}")
        if path.is_dir():
            msg = f"--out {path}: a folder; give the name of a file in it"
            raise BadInputError(msg)
        writable(path.parent)
        machine.prepare(threads=1)
        shown, calibration, what = _inputs(network, images)
        found = exporting.export(path, form, network, variant, shown, calibration)
        typer.echo(
            f"{path}: {path.stat().st_size / 1e6:.2f} MB; on {found.inputs} {what} its answers differ"
            f" from PyTorch's by {found.largest:.2g} at most, where they reach {found.reach:.3g}; the"
            f" largest is the same in {found.same}"
        )
        if variant == "int8" and not calibration:
            typer.echo(
                "Its ranges come from noise: its speed is right, its answers are not; give --images"
            )


def _inputs(network: "Network", images: Path | None) -> "tuple[list[Inputs], list[Inputs], str]":
    """Return single inputs to compare on, others to set ranges by, and what the former are."""
    import torch

    from offload.dnn import pictures, small

    if images is None and network.name == small.NAME:
        return _singles(pictures.test_slice().take(slice(0, _SHOWN))), [], "test images"
    if images is None and network.draw is not None:
        return [network.example(1)], [], "inputs of --example"
    if images is None:
        generator = torch.Generator().manual_seed(1)
        noise = [tuple(each.draw(1, generator) for each in network.inputs) for _ in range(_SHOWN)]
        return noise, [], "inputs of noise"
    if any(images.glob("*-idx?-ubyte*")):
        found = pictures.fashion_mnist(images).validation
    else:
        found = pictures.unlabelled(images, network.input_shape)
    if found.raw.shape[1:] != network.input_shape or len(found) < 2:
        msg = f"--images {images}: {network.name} takes several images of {network.input_shape}"
        raise BadInputError(msg)
    shown = min(_SHOWN, len(found) // 2)
    rest = found.take(slice(shown, shown + _CALIBRATION))
    return _singles(found.take(slice(0, shown))), _singles(rest), "images"


def _singles(images: "Pictures") -> "list[Inputs]":
    return [(images.inputs(slice(number, number + 1)),) for number in range(len(images))]
