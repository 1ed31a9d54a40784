"""The commands that vary keys of a scenario, and put the parts of such a sweep together."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from offload.cli.common import (
    BadInputError,
    Jobs,
    Json,
    Most,
    Narrow,
    OnCluster,
    clear_errors,
    kept_for_this,
    narrow,
    workers,
)
from offload.cli.runs import File, Out, Policies, Replications, Seed, Set, choices, same_scenario

if TYPE_CHECKING:
    from offload.analysis.sweeping.sweep import Sweep
    from offload.policies.table import Choice
    from offload.scenario.load import Scenario

SOME_FAILED = 1
MANY = 50  # points whose check takes a while

Vary = Annotated[
    list[str] | None,
    typer.Option(
        help="KEY=VALUE, VALUE, ... or KEY=LOW..HIGH; one component of KEY may be * (all there are)."
        " Repeatable; instead of what the file sweeps."
    ),
]
Measures = Annotated[
    list[str] | None, typer.Option("--measure", help="What to show, like on_time; repeatable.")
]
Design = Annotated[
    Literal["grid", "list", "latin-hypercube"] | None,
    typer.Option(help="All combinations of values; the k-th of each; or points drawn from ranges."),
]
Points = Annotated[int | None, typer.Option(min=1, max=100_000, help="Of a Latin hypercube (50).")]
Part = Annotated[str | None, typer.Option(help="K/N: of every N points the K-th; see offload merge.")]


def sweep(
    file: File,
    vary: Vary = None,
    method: Design = None,
    points: Points = None,
    part: Part = None,
    policy: Policies = None,
    measure: Measures = None,
    replications: Replications = None,
    seed: Seed = None,
    until: Narrow = None,
    most: Most = None,
    jobs: Jobs = None,
    cluster: OnCluster = None,
    out: Out = None,
    settings: Set = None,
    json_: Json = False,
) -> None:
    """Compare policies at many values of some keys, on the same births and luck; resumes."""
    with clear_errors():
        from offload.analysis.compare import silent
        from offload.analysis.sweeping import design
        from offload.analysis.sweeping import folder as sweep_folder
        from offload.analysis.sweeping import sweep as sweeping
        from offload.analysis.sweeping import table as sweep_table
        from offload.scenario.load import read
        from offload.views.progress import progress

        shown, wanted, share = _measures(measure), narrow(until, most), _part(part)
        draft, given = read(file), [each for each in vary or () if each]
        base = draft.check(settings or ())
        table = base.file.sweep
        varied = sweep_table.varied(draft, table, given)
        how = sweep_table.method(table, given, method)
        if points and how != "latin-hypercube":
            msg = f"--points: a {how} has as many as its values make; leave it out"
            raise BadInputError(msg)
        chosen, count = _chosen(base, policy), replications or _replications(base)
        first = base.file.seed if seed is None else seed
        whole = design.points(how, varied, points or (table.points if table else None), first)
        own = design.part(whole, *share)
        keys = [each.key for each in varied]
        folder = out or _default_folder(base, keys, settings)
        with (progress if len(own) > MANY else silent)("checking", len(own)) as advance:
            cases = sweeping.cases(
                draft, settings or (), varied, own, chosen, first, folder, advance,
                sampled=how == "latin-hypercube",
            )  # fmt: skip
        sweep_folder.same_keys(folder, base.file.name, keys)
        same_scenario(folder, base.file.name)
        pieces = sum(len(case.firsts) for case in cases) * (wanted.most if wanted else count)
        identity = sweep_folder.Identity.of(base, chosen(base), how, keys, whole, count, first)
        with kept_for_this(folder), workers(jobs, cluster, pieces) as those:
            record = sweep_folder.Record(folder, identity, whole)
            try:
                found = sweeping.sweep(how, keys, cases, count, those, progress, record.ended, wanted)
            finally:
                record.save()
            sweep_folder.keep(found, folder)
            _show(found, shown or (table.measures if table else None) or [found.measure], folder, json_)


def merge(
    parts: Annotated[list[Path], typer.Argument(help="Folders of the same sweep, made with --part.")],
    out: Annotated[Path, typer.Option(help="The folder to put them together in.")],
) -> None:
    """Put folders of parts of a sweep together; the sweep's own command with --out then shows all."""
    with clear_errors():
        from contextlib import ExitStack

        from offload.analysis.sweeping.merge import merge
        from offload.analysis.work.lock import locked

        with ExitStack() as held:
            for folder in dict.fromkeys((out, *(part for part in parts if part.is_dir()))):
                held.enter_context(locked(folder))
            points, ended = merge(parts, out)
        left = f", {points - ended} of them still to do" if ended < points else ""
        typer.echo(f"{points} points{left} are in {out}")


def _show(found: "Sweep", measures: list[str], folder: Path, json_: bool) -> None:
    """Print a table for each measure, or JSON; write figures. Raises typer.Exit if a point failed."""
    from offload.views import sweep as showing

    written = [path for each in measures for path in showing.keep(found, each, folder)]
    if json_:
        from offload.analysis.files import to_json

        typer.echo(json.dumps(to_json(found.as_json())))
    else:
        from rich.console import Console

        for each in measures:
            for table in showing.tables(found, each):
                Console(width=1000).print(table)
        names = ", ".join(["summary.json", "points.parquet", *(path.name for path in written)])
        typer.echo(f"rows, {names} are in {folder}")
    unmet = [each for each in found.found if each.unmet]
    if unmet:
        typer.echo(f"--until: {len(unmet)} of {len(found.points)} points are not as narrow", err=True)
    if found.failed:
        why = folder / "failed.txt"
        typer.echo(
            f"{len(found.failed)} of {len(found.points)} points failed; {why} tells why", err=True
        )
        raise typer.Exit(SOME_FAILED)


def _measures(asked: list[str] | None) -> list[str]:
    from offload.analysis.measures import MEASURES

    if wrong := [each for each in asked or () if each not in MEASURES]:
        msg = f"--measure {wrong[0]}: must be one of {', '.join(MEASURES)}"
        raise BadInputError(msg)
    return list(dict.fromkeys(asked or ()))


def _part(text: str | None) -> tuple[int, int]:
    """Read K/N. Raises BadInputError."""
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text or "1/1")
    number, of = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= of:
        msg = f"--part {text}: write K/N, like 2/4 for the second of four parts"
        raise BadInputError(msg)
    return number, of


def _chosen(base: "Scenario", names: list[str] | None) -> "Callable[[Scenario], list[Choice]]":
    """Return which policies to compare at a point, where [compare] may have other options."""

    def chosen(scenario: "Scenario") -> "list[Choice]":
        if names:
            return choices(names, scenario)
        own = [scenario.policy] if scenario.policy else []
        return list(base.swept or scenario.compared) or own

    if not chosen(base):
        msg = f"{base.path}: no [compare] table; add one or give --policy, repeatedly"
        raise BadInputError(msg)
    return chosen


def _replications(base: "Scenario") -> int:
    table, compare = base.file.sweep, base.file.compare
    own = table.replications if table else None
    return own or (compare.replications if compare else 10)


def _default_folder(base: "Scenario", keys: list[str], settings: list[str] | None) -> Path:
    """Name a folder by what is varied, and by what differs from the file."""
    from offload.analysis.sweeping.vary import folder

    parts = [base.file.name, "sweep", *(folder(key.replace("*", "all")) for key in keys)]
    if settings:
        parts.append(base.digest[:6])
    return Path("results") / "-".join(parts)[:120]
