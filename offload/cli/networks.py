"""The commands about networks and machines: models, hardware, profile."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from offload.cli.common import BadInputError, Json, clear_errors, quantity, show_list, writable
from offload.cli.completion import networks as network_names
from offload.cli.split import Example, Inputs
from offload.views.progress import progress

if TYPE_CHECKING:
    from offload.dnn.methods import Judgement


def models(json_: Json = False) -> None:
    """List the networks that have profiles, by variant and hardware."""
    from offload.scenario.catalogue import Catalogue

    with clear_errors():
        catalogue = Catalogue()
        rows = [
            {
                "name": model,
                "variant": variant.name,
                "hardware": name,
                "known": profile.known,
                "latency_s": sum(profile.layers_s[1]),
                "residual": profile.residual,
                "error": profile.error,
                "layers": len(variant.layers),
                "accuracy": variant.accuracy and variant.accuracy.value,
                "accuracy_known": variant.accuracy and variant.accuracy.known,
                "source": profile.source,
            }
            for model in catalogue.models
            for variant in catalogue.variants(model)
            for name in catalogue.hardware_names
            if (profile := catalogue.profile(variant, name)) is not None
        ]
    if json_:
        show_list(rows, [], json_)
        return
    for row in rows:
        known = f"residual {row['residual']:+.1%}" if row["residual"] is not None else row["error"]
        row["network"], row["error"] = f"{row['name']}:{row['variant']}", known
        row["top-1"] = f"{row['accuracy']:.3f} {row['accuracy_known']}" if row["accuracy"] else None
    show_list(rows, ["network", "hardware", "known", "latency_s", "top-1", "error"], json_=False)


def hardware(
    errors: Annotated[
        bool, typer.Option("--errors", help="How far off each method is, leaving networks out.")
    ] = False,
    json_: Json = False,
) -> None:
    """List the hardware: its power, how networks are rescaled to it, and the error of that."""
    from offload.scenario.catalogue import Catalogue

    with clear_errors():
        catalogue = Catalogue()
        judged = {name: catalogue.judgements(name) for name in catalogue.hardware_names}
        if errors:
            told = [row for name, found in judged.items() for row in _errors(name, found)]
            if not json_:
                for row in told:
                    known = [row[key] for key in ("mean", "median", "max") if row[key] is not None]
                    row["mean, median, max"] = ", ".join(f"{e:.0%}" for e in known) or "error unknown"
            show_list(told, ["hardware", "method", "mean, median, max", "note"], json_)
            return
        rows = [
            {
                "name": name,
                "kind": found.kind,
                "idle_w": found.idle_w.value,
                "busy_w": found.busy_w.value,
                "power_known": found.busy_w.known,
                "anchors": len(found.anchors),
                "method": "; ".join(f"{p}: {j.told}" for p, j in judged[name].items()),
                "error": "; ".join(f"{p}: {j.error}" for p, j in judged[name].items()),
                "source": found.busy_w.source,
            }
            for name in catalogue.hardware_names
            for found in (catalogue.hardware(name),)
        ]
    if not json_:
        for row in rows:
            row["idle to busy"] = f"{row['idle_w']:g} to {row['busy_w']:g} W {row['power_known']}"
            methods = [f"{p}: {j.told}: {j.error}" for p, j in judged[str(row["name"])].items()]
            row["rescaled by"] = "; ".join(methods) or "nothing: what is measured counts"
    show_list(rows, ["name", "kind", "idle to busy", "rescaled by"], json_)


def _errors(name: str, found: "dict[str, Judgement]") -> list[dict[str, Any]]:
    """Tell how far off every method is, and what that comes to if the choice is left out too."""
    return [
        {
            "hardware": name,
            "precision": precision,
            "method": method,
            "networks": len(judged.networks),
            "mean": error and error.mean,
            "median": error and error.median,
            "max": error and error.largest,
            "note": note,
        }
        for precision, judged in found.items()
        for method, error, note in judged.table()
    ]


def profile(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Named networks, module:factory, or FILE.pt2.", autocompletion=network_names
        ),
    ],
    variant: Annotated[list[str], typer.Option(help="fp32, bf16, int8, ...; repeatable.")] = ["fp32"],  # noqa: B006
    batch: Annotated[str, typer.Option(help="Batch sizes, with commas; 1 is always one.")] = "1",
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Accepted rounds to measure.")] = 5,
    pause: Annotated[str, typer.Option(help="From one round's start to the next.")] = "60 s",
    runtime: Annotated[
        Literal["eager", "onnxruntime", "compile"], typer.Option(help="What runs the network.")
    ] = "eager",
    threads: Annotated[int, typer.Option(min=1, max=1024, help="Of torch, for one operator.")] = 1,
    hardware: Annotated[str, typer.Option(help="What to call this machine.")] = "this-machine",
    inputs: Inputs = [],  # noqa: B006
    example: Example = "",
    device: Annotated[str, typer.Option(help="cpu.")] = "cpu",
    out: Annotated[Path, typer.Option(help="Folder for the profiles.")] = Path("profiles"),
    compare: Annotated[
        bool, typer.Option("--compare", help="Measure nothing: show two profile files side by side.")
    ] = False,
) -> None:
    """Time networks layer by layer on this machine with PyTorch.

    Five rounds, a minute apart, for a profile to trust; --rounds 1 --pause "0 s" for a quick look.
    Stopped, the same command goes on where it was.
    """
    with clear_errors():
        if compare:
            _show_side_by_side(models)
            return
        if device != "cpu":
            msg = (
                f"--device {device}: only cpu; what runs on an accelerator goes on after the call"
                " returns, and is not timed right without the device's own events"
            )
            raise BadInputError(msg)
        pause_s = quantity("--pause", "time", pause)
        batches = tuple(sorted({1, *_whole_numbers("--batch", batch)}))
        writable(out)
        from offload.dnn import profiler, profiles, zoo
        from offload.dnn.network import parse_input

        taken = tuple(parse_input(text) for text in inputs)
        networks = [zoo.network(name, taken, example) for name in models]
        targets = [(network, form) for network in networks for form in variant]
        session = profiler.Session(hardware, batches, out, threads, runtime)
        with progress("profiling", len(targets) * len(batches) * rounds, 0.0) as advance:
            for each in session.measure(targets, rounds, pause_s, advance):
                path = out / f"{each.model}.{each.variant}.{each.hardware}.json"
                profiles.write(path, each)
                typer.echo(f"{path}: residual {profiles.residual(each.rounds):+.1%} at batch 1")
        names = ", ".join(f'"{network.name}"' for network in networks)
        typer.echo(
            f'In a scenario: profiles = "{out}" (a folder beside it), models = [{names}],'
            f' hardware = "{hardware}" (to be described in [hardware.{hardware}] if it is new)'
        )


def _show_side_by_side(paths: list[str]) -> None:
    from rich.console import Console

    from offload.dnn import profiles
    from offload.views.profile import side_by_side

    if len(paths) != 2:
        msg = "--compare takes two profile files"
        raise BadInputError(msg)
    one, other = (profiles.read(Path(path)) for path in paths)
    for part in side_by_side(one, other):
        Console().print(part)


def _whole_numbers(option: str, text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.strip().isdigit() and 0 < int(part) <= 4096 for part in parts):
        msg = f'{option} {text}: write whole numbers from 1 to 4096 with commas, like "1,2,4"'
        raise BadInputError(msg)
    return tuple(int(part) for part in parts)
