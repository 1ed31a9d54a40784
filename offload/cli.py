"""The command line: every command a thin wrapper around what a program could call."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from offload.entities import OffloadError

if TYPE_CHECKING:
    from offload.policies.table import Choice
    from offload.scenario.load import Scenario

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

BAD_INPUT, INTERRUPTED = 2, 130

File = Annotated[Path, typer.Argument(help="A scenario file (TOML).")]
Policies = Annotated[
    list[str] | None, typer.Option("--policy", help="A policy's name or module:Class; repeatable.")
]
Replications = Annotated[int | None, typer.Option(min=1, max=10_000, help="Independent runs.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Instead of the scenario's.")]
Jobs = Annotated[
    int | None, typer.Option(min=1, max=256, help="Processes (default: all cores); same rows with any.")
]
Out = Annotated[Path | None, typer.Option(help="Folder for rows and figures.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="KEY=VALUE replaces a key of the file; repeatable.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


@app.callback()
def _offload() -> None:
    """Simulate where neural networks run: on the device, at the edge, in the cloud, or split."""


@app.command()
def models(json_: Json = False) -> None:
    """List the networks that have profiles, by variant and hardware."""
    from offload.scenario.catalogue import Catalogue

    with _clear_errors():
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
        _list(rows, [], json_)
        return
    for row in rows:
        known = f"residual {row['residual']:+.1%}" if row["residual"] is not None else row["error"]
        row["network"], row["error"] = f"{row['name']}:{row['variant']}", known
        row["top-1"] = f"{row['accuracy']:.3f} {row['accuracy_known']}" if row["accuracy"] else None
    _list(rows, ["network", "hardware", "known", "latency_s", "top-1", "error"], json_=False)


@app.command()
def hardware(json_: Json = False) -> None:
    """List the hardware, its power, and how that is known."""
    from offload.scenario.catalogue import Catalogue

    with _clear_errors():
        catalogue = Catalogue()
        rows = [
            {
                "name": name,
                "kind": found.kind,
                "idle_w": found.idle_w.value,
                "busy_w": found.busy_w.value,
                "power_known": found.busy_w.known,
                "anchors": len(found.anchors),
                "source": found.busy_w.source,
            }
            for name in catalogue.hardware_names
            for found in (catalogue.hardware(name),)
        ]
    _list(rows, ["name", "kind", "idle_w", "busy_w", "power_known", "anchors", "source"], json_)


@app.command()
def policies(json_: Json = False) -> None:
    """List the policies and their options."""
    from offload.policies import table

    rows = [
        {
            "name": name,
            "knowledge": getattr(made, "knowledge", "reported"),
            "options": ", ".join(
                f"{key} = {default}" for key, (_, default) in table.options(made).items()
            ),
            "what": (made.__doc__ or "").splitlines()[0],
        }
        for name in table.NAMED
        for made in (table.load(name),)
    ]
    _list(rows, ["name", "knowledge", "options", "what"], json_)


@app.command()
def check(file: File, settings: Set = None, json_: Json = False) -> None:
    """Check a scenario; show which variant can run where, and how each latency is known."""
    from offload.scenario.load import load

    with _clear_errors():
        scenario = load(file, settings or ())
        found = scenario.setting(0.0)
        rows: dict[tuple[str, str, str], dict[str, Any]] = {}
        for facts in found.facts:
            for place, profiles in facts.profiles.items():
                name = facts.hardware.name if place == "device" else facts.nodes[place].hardware.name
                for variant in facts.variants:
                    profile = profiles.get(variant)
                    where = facts.group if place == "device" else place
                    rows[variant.label, where, name] = {
                        "variant": variant.label,
                        "place": where,
                        "hardware": name,
                        "known": profile.known if profile else "none",
                        "latency_s": sum(profile.layers_s[1]) if profile else None,
                        "error": profile.error if profile else "no profile: cannot run here",
                    }
    table = list(rows.values())
    if json_:
        told = {"scenario": scenario.file.name, "devices": len(found.devices), "profiles": table}
        typer.echo(json.dumps(told))
        return
    typer.echo(f"{file}: {len(found.devices)} devices, {len(found.sources)} sources of requests")
    _list(table, ["variant", "place", "hardware", "known", "latency_s", "error"], json_=False)


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="A scenario file, or a requests.parquet to repeat.")],
    policy: Policies = None,
    replications: Replications = None,
    seed: Seed = None,
    jobs: Jobs = None,
    out: Out = None,
    settings: Set = None,
    json_: Json = False,
) -> None:
    """Simulate a scenario under the policy that it names (or those of --policy)."""
    with _clear_errors():
        if file.suffix == ".parquet":
            if policy or settings or seed is not None or (replications or 1) > 1:
                msg = (
                    f"{file} says what made it; --policy, --set, --seed and --replications do not apply"
                )
                raise _BadInputError(msg)
            _repeat(file, out, json_)
            return
        scenario = _load(file, settings)
        chosen = [scenario.policy] if scenario.policy else []
        if policy:
            chosen = _choices(policy, scenario)
        if not chosen:
            msg = f"{file}: no [policy] table; add one or give --policy"
            raise _BadInputError(msg)
        _compare(scenario, chosen, replications or 1, seed, jobs, out, json_)


@app.command()
def compare(
    file: File,
    policy: Policies = None,
    replications: Replications = None,
    seed: Seed = None,
    jobs: Jobs = None,
    out: Out = None,
    settings: Set = None,
    json_: Json = False,
) -> None:
    """Compare policies on the same births and the same luck; rows and figures go to --out."""
    with _clear_errors():
        scenario = _load(file, settings)
        chosen = _choices(policy, scenario) if policy else list(scenario.compared)
        if not chosen:
            msg = f"{file}: no [compare] table; add one or give --policy, repeatedly"
            raise _BadInputError(msg)
        runs = scenario.file.compare.replications if scenario.file.compare else 10
        folder = out or _default_folder(scenario, chosen if policy else [], settings)
        _compare(scenario, chosen, replications or runs, seed, jobs, folder, json_)


@app.command()
def profile(
    models: Annotated[list[str], typer.Argument(help="Named networks, or module:factory.")],
    variant: Annotated[list[str], typer.Option(help="fp32 or int8; repeatable.")] = ["fp32"],  # noqa: B006
    batch: Annotated[str, typer.Option(help="Batch sizes, with commas; 1 is always one.")] = "1",
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Accepted rounds to measure.")] = 5,
    pause: Annotated[str, typer.Option(help="From one round's start to the next.")] = "60 s",
    hardware: Annotated[str, typer.Option(help="What to call this machine.")] = "this-machine",
    shape: Annotated[str, typer.Option("--input", help='Shape of one input, "3,224,224".')] = "",
    out: Annotated[Path, typer.Option(help="Folder for the profiles.")] = Path("profiles"),
) -> None:
    """Time networks layer by layer on this machine with PyTorch, one thread.

    Five rounds, a minute apart, for a profile to trust; --rounds 1 --pause "0 s" for a quick look.
    """
    from offload.units import Quantity

    with _clear_errors():
        try:
            pause_s = Quantity("time").parse(pause)
        except ValueError as error:
            msg = f"--pause {pause}: {error}"
            raise _BadInputError(msg) from error
        batches = tuple(sorted({1, *_whole_numbers("--batch", batch)}))
        input_shape = _whole_numbers("--input", shape) if shape else None
        _writable(out)
        from offload.dnn import profiler, profiles, zoo

        networks = [zoo.network(name, input_shape) for name in models]
        targets = [(network, form) for network in networks for form in variant]
        session = profiler.Session(hardware, batches)
        for found in session.measure(targets, rounds, pause_s, typer.echo):
            path = out / f"{found.model}.{found.variant}.{found.hardware}.json"
            profiles.write(path, found)
            typer.echo(f"{path}: residual {profiles.residual(found.rounds):+.1%} at batch 1")
            typer.echo(
                f'In a scenario: profiles = "{out}" (a folder beside it), models = ["{found.model}"],'
                f' hardware = "{found.hardware}" (to be described in [hardware.{found.hardware}]'
                " if it is new)"
            )


def main() -> None:
    """Run the command line."""
    sys.path.insert(0, "")  # a user's own policies and networks lie where the command is called
    app()


class _BadInputError(OffloadError):
    """What was written on the command line cannot be used."""


@contextmanager
def _clear_errors() -> Iterator[None]:
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


def _load(file: Path, settings: list[str] | None) -> "Scenario":
    from offload.scenario.load import load

    return load(file, settings or ())


def _choices(names: list[str], scenario: "Scenario") -> "list[Choice]":
    """Find policies by the labels of the scenario, whose options then hold, or else by name."""
    from offload.policies import table

    labelled = {each.label: each for each in (scenario.policy, *scenario.compared) if each}
    found, faults = [], []
    for name in dict.fromkeys(names):
        try:
            found.append(labelled.get(name) or table.choose({"name": name}))
        except table.PolicyTableError as error:
            faults += [f"--policy {name}: {what}" for _, what in error.faults]
    if faults:
        raise _BadInputError("\n".join(faults))
    return found


def _default_folder(scenario: "Scenario", chosen: "list[Choice]", settings: list[str] | None) -> Path:
    """Name a folder of its own for what differs from the file: nothing replaces another's summary."""
    from offload.policies.table import folder_name

    parts = [scenario.file.name, *(folder_name(choice.label) for choice in chosen)]
    if settings:
        parts.append(scenario.digest[:6])
    return Path("results") / "-".join(parts)[:120]


def _same_scenario(folder: Path, name: str) -> None:
    """Refuse a folder that holds another scenario's results."""
    summary = folder / "summary.json"
    try:
        told = json.loads(summary.read_text())["scenario"] if summary.is_file() else name
    except (ValueError, KeyError, TypeError):
        told = "something else"
    if told != name:
        msg = f"--out {folder}: holds the results of {told}, not of {name}; give another folder"
        raise _BadInputError(msg)


def _writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial = folder / ".writable"
        trial.touch()
        trial.unlink()
    except OSError as error:
        msg = f"--out {folder}: {error.strerror}; give a folder that can be written"
        raise _BadInputError(msg) from error


def _whole_numbers(option: str, text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.strip().isdigit() and 0 < int(part) <= 4096 for part in parts):
        msg = f'{option} {text}: write whole numbers from 1 to 4096 with commas, like "1,2,4"'
        raise _BadInputError(msg)
    return tuple(int(part) for part in parts)


def _compare(
    scenario: "Scenario", chosen: "list[Choice]", replications: int, seed: int | None, jobs: int | None,
    out: Path | None, json_: bool,
) -> None:  # fmt: skip
    from offload.analysis.compare import compare, to_json
    from offload.views.progress import progress

    if out is not None:
        _writable(out)
        _same_scenario(out, scenario.file.name)
    total = len(chosen) * replications
    with progress("simulating", total) as advance:
        workers = min(jobs or os.cpu_count() or 1, total)
        found = compare(scenario, chosen, replications, seed, workers, out, advance)
    from offload.views import present

    written = present.keep(scenario, found, out) if out is not None else []
    if json_:
        typer.echo(json.dumps(to_json(found.as_json())))
        return
    present.show(scenario, found)
    if out is not None:
        figures = ", ".join(path.name for path in written if path.suffix == ".png")
        typer.echo(f"rows, summary.json and figures ({figures}) are in {out}")


def _repeat(file: Path, out: Path | None, json_: bool) -> None:
    """Simulate again what a file of rows holds, from what it says of itself."""
    from offload.analysis import rows
    from offload.analysis.repeat import read

    recipe = read(file)
    if out is not None:
        _writable(out)
    result, same = recipe.repeat()
    if out is not None:
        rows.write(result.rows(), out / "requests.parquet", result.metadata)
    told = {"file": str(file), "requests": result.rows().height, "identical": same}
    typer.echo(json.dumps(told) if json_ else f"{file}: {told['requests']} rows, identical: {same}")
    if not same:
        msg = f"{file}: this version or machine makes other rows"
        raise _BadInputError(msg)


def _list(rows: list[dict[str, Any]], columns: list[str], json_: bool) -> None:
    if json_:
        from offload.analysis.compare import to_json

        typer.echo(json.dumps(to_json(rows)))
        return
    from rich.console import Console

    from offload.views.table import plain

    Console().print(plain(columns, rows))
