"""The commands of the testbed: run a scenario for real, and hold the simulator against that."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from offload.cli.common import BadInputError, Json, clear_errors, kept_for_this, show_list
from offload.cli.completion import policies as policy_names
from offload.cli.runs import File, Seed, Set, choices
from offload.cli.validate import validate
from offload.views.progress import progress

if TYPE_CHECKING:
    from offload.entities import Outcome
    from offload.policies.table import Choice
    from offload.scenario.load import Scenario
    from offload.testbed.run import Measured
    from offload.testbed.timing import Timing

app = typer.Typer(no_args_is_help=True, help="Run the real thing on this machine, and compare with it.")
app.command()(validate)

Policy = Annotated[
    str | None,
    typer.Option("--policy", help="A policy's name or module:Class.", autocompletion=policy_names),
]
Folder = Annotated[
    Path | None,
    typer.Option("--certificates", help="A folder of `offload testbed init` (else made for the run)."),
]
Pin = Annotated[
    list[str] | None,
    typer.Option(
        "--core", help="NAME=CORE pins a process: device, edge, cloud, or by name; repeatable."
    ),
]
Kernel = Annotated[
    bool,
    typer.Option("--kernel", help="Links are shaped by the kernel (namespaces and tc; as root)."),
]
Weights = Annotated[
    list[str] | None,
    typer.Option("--weights", help="MODEL=FILE.safetensors, trained weights; repeatable."),
]


@app.command()
def run(
    file: File,
    policy: Policy = None,
    frames: Annotated[
        str, typer.Option(help="A folder of images, a video, camera, or fashion-mnist (else drawn).")
    ] = "",
    show: Annotated[
        bool, typer.Option("--show", help="Print the five likeliest classes a frame.")
    ] = False,
    labels: Annotated[Path | None, typer.Option(help="A text file with a class a line.")] = None,
    weights: Weights = None,
    certificates: Folder = None,
    cores: Pin = None,
    kernel: Kernel = False,
    seed: Seed = None,
    out: Annotated[Path | None, typer.Option(help="Folder for rows, timings and the log.")] = None,
    settings: Set = None,
    json_: Json = False,
) -> None:
    """Run a scenario with real processes, networks and sockets, and simulate it with the same births."""
    with clear_errors("the rows that were there are kept"):
        from offload.scenario.load import load
        from offload.testbed.run import run as measure

        if labels is not None and not show:
            msg = f"--labels {labels}: nothing is shown without --show; add it, or leave them out"
            raise BadInputError(msg)
        if labels is not None and not labels.is_file():
            msg = f"--labels {labels}: no such file; give a text file with a class a line"
            raise BadInputError(msg)
        scenario = load(file, settings or ())
        chosen = choices([policy], scenario)[0] if policy else scenario.policy
        if chosen is None:
            msg = f"{file}: no [policy] table; add one or give --policy"
            raise BadInputError(msg)
        with kept_for_this(out):
            found = measure(
                scenario, chosen, scenario.file.seed if seed is None else seed, out, certificates,
                frames=frames, take=_shown(labels, err=json_) if show else None,
                cores=_cores(cores or ()), weights=_weights(weights or ()), kernel=kernel,
                say=lambda text: typer.echo(text, err=True),
                showing=(lambda _: nullcontext(lambda _: None)) if show else partial(progress, "ended"),
            )  # fmt: skip
        _tell(found, scenario, chosen, json_=json_)
        if out is not None and not json_:
            typer.echo(f"requests.parquet, timings.parquet and log.txt are in {out}")


def _tell(found: "Measured", scenario: "Scenario", chosen: "Choice", *, json_: bool) -> None:
    """Print what was measured beside what was simulated."""
    from offload.analysis.files import to_json
    from offload.views.testbed import lost_text, tables

    if json_:
        told = {"scenario": scenario.file.name, "policy": chosen.label, "requests": found.frame.height}
        told |= {"measured": dict(found.values), "simulated": dict(found.foreseen_values)}
        typer.echo(json.dumps(to_json(told)))
        return
    from rich.console import Console

    console, warm_up = Console(), scenario.file.warm_up
    for table in tables(found.frame, found.foreseen, 0.0 if warm_up == "auto" else float(warm_up)):
        console.print(table)
    typer.echo(lost_text(found.frame))
    typer.echo(f"simulated with: {scenario.known}")


@app.command()
def costs(
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("costs.json"),
    network: Annotated[list[str], typer.Option(help="What is run after idle gaps; repeatable.")] = [  # noqa: B006
        "mobilenetv2"
    ],
    cores: Annotated[str, typer.Option(help="Two, with a comma (default: the first two).")] = "",
    quick: Annotated[
        bool, typer.Option("--quick", help="A few runs of each, in seconds: nothing to trust.")
    ] = False,
) -> None:
    """Measure what hops, TLS, idle gaps and company cost on this machine, for the simulator to charge.

    It takes about four minutes, in which nothing else should run.
    """
    with clear_errors("nothing was written"):
        chosen = _two_cores(cores)
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


def _two_cores(text: str) -> list[int] | None:
    """Read two cores; None if none are given. Raises BadInputError."""
    parts = text.split(",")
    if not text:
        return None
    if len(parts) != 2 or not all(part.strip().isdigit() and len(part) < 5 for part in parts):
        msg = f'--cores {text:.20}: write two with a comma, like "0,1"'
        raise BadInputError(msg)
    return [int(part) for part in parts]


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where to make them; nobody else may read the keys.")],
    scenario: Annotated[
        Path | None, typer.Option(help="A scenario file, for its nodes and its devices (car-0, ...).")
    ] = None,
    node: Annotated[list[str] | None, typer.Option(help="A node's name; repeatable.")] = None,
    device: Annotated[list[str] | None, typer.Option(help="A device's name; repeatable.")] = None,
    days: Annotated[int, typer.Option(help="Until they expire, 1 to 3650.")] = 365,
    force: Annotated[bool, typer.Option("--force", help="Replace those that are there.")] = False,
) -> None:
    """Make an authority, certificates and keys for mutual TLS, and say who may connect to whom.

    All devices and all other nodes may connect to a node: its line in allow.json. Another key signs the
    files of networks.
    """
    with clear_errors("nothing was written"):
        from offload.scenario.load import load
        from offload.testbed import certificates

        nodes, devices = list(node or ()), list(device or ())
        if scenario is not None:
            setting = load(scenario, ()).setting(0.0)
            nodes += [each for each in setting.nodes if each not in nodes]
            devices += [each.name for each in setting.devices if each.name not in devices]
        made = certificates.init(folder, nodes, devices, days, force=force)
        typer.echo(f"{made[0].parent}: {len(made)} files for {_few(nodes)} and {_few(devices)}")
        typer.echo(f"valid for {days} days; who may connect to whom is in allow.json")
        typer.echo("Keep secret: signing.key, and members/NAME.key from all but NAME.")
        typer.echo("The authority's key was not kept: for other names make all anew (--force).")


def _few(names: list[str]) -> str:
    """Name the first of them."""
    shown = ", ".join(names[:4])
    return f"{shown}, ... ({len(names)})" if len(names) > 4 else shown or "no device"


def _shown(
    labels: Path | None, *, err: bool
) -> "Callable[[Outcome, Timing, tuple[str, list[float]]], None]":
    """Return what prints a line for each request: what a classifier answered, or what became of it."""
    import torch

    from offload.testbed.classes import labels as named
    from offload.testbed.classes import line, other_line, top

    names_of = cache(partial(named, labels))

    def show(outcome: "Outcome", _timing: "Timing", seen: tuple[str, list[float]]) -> None:
        name, logits = seen
        plan = outcome.plan
        if outcome.cause or not logits or plan is None:
            told = outcome.cause or "answered; no classifier"
            typer.echo(other_line(outcome.request.id, name, told), err=err)
            return
        names = names_of(plan.variant.model, len(logits))
        latency_s = outcome.ended_s - outcome.request.born_s
        found = top(torch.tensor(logits), names)
        typer.echo(line(outcome.request.id, name, plan, latency_s, found), err=err)

    return show


def _cores(given: Any) -> dict[str, int]:  # noqa: ANN401 - texts
    import os

    usable = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0)
    there, found = [str(core) for core in sorted(usable)], {}
    for text in given:
        name, _, number = text.partition("=")
        if not name or number not in there:
            msg = f"--core {text}: write NAME=CORE, like edge=1; there are {', '.join(there)}"
            raise BadInputError(msg)
        found[name] = int(number)
    return found


def _weights(given: Any) -> dict[str, Path]:  # noqa: ANN401 - texts
    found = {}
    for text in given:
        model, _, path = text.partition("=")
        if not model or not path:
            msg = f"--weights {text}: write MODEL=FILE.safetensors"
            raise BadInputError(msg)
        found[model] = Path(path)
    return found
