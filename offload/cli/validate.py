"""The command that holds the simulator against reality, over a matrix of cells."""

import json
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from offload.cli.common import BadInputError, Json, clear_errors, kept_for_this

if TYPE_CHECKING:
    from offload.policies.table import Choice
    from offload.scenario.load import Scenario
    from offload.scenario.measured_costs import MeasuredCosts
    from offload.testbed.bed import Testbed
    from offload.testbed.validate.matrix import Cell
    from offload.testbed.validate.protocol import Rules

USUAL_OUT = Path("results/validate")


def validate(
    short: Annotated[
        bool,
        typer.Option("--short", help="Three small cells in half a minute; only whether all is sane."),
    ] = False,
    cells: Annotated[
        list[str] | None,
        typer.Option("--cells", help="Only cells of a name like 'resnet18*idle'; repeatable."),
    ] = None,
    costs: Annotated[
        Path | None,
        typer.Option(help="What offload testbed costs wrote (else the shipped file, if any)."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Judge what lies in this folder again, and measure nothing.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for what is measured, and the figures.")] = USUAL_OUT,
    protocol: Annotated[
        bool, typer.Option("--protocol", help="Print how it is done, and do nothing.")
    ] = False,
    json_: Json = False,
) -> None:
    """Run some 40 cells for real, simulate the same, and tell how far the simulator is off."""
    with clear_errors("the cells that are done are kept, and the same command goes on"):
        from offload.testbed.validate import charges, matrix, results
        from offload.testbed.validate import protocol as rules

        if protocol:
            typer.echo(rules.TEXT, nl=False)
            return
        charged = charges.measured(costs)
        if report is not None:
            there, used = results.rules_in(report)
            with kept_for_this(report):
                # Of some of its cells nothing is written: what tells of all stays.
                _judge(_chosen(there, cells), report, used, charged, json_, keep=not cells)
            return
        used = rules.QUICK if short else rules.USUAL
        chosen = _chosen(matrix.SHORT if short else matrix.MATRIX, cells)
        folder = out / "short" if short and out == USUAL_OUT else out
        with kept_for_this(folder):
            _measure(chosen, folder, used)
            _judge(chosen, folder, used, charged, json_, keep=True)


def _chosen(cells: "Sequence[Cell]", patterns: list[str] | None) -> "list[Cell]":
    found = [
        cell for cell in cells if not patterns or any(fnmatch(cell.name, each) for each in patterns)
    ]
    if not found:
        names = "\n".join(cell.name for cell in cells)
        msg = f"--cells {' '.join(patterns or ())}: no such cell; there are\n{names}"
        raise BadInputError(msg)
    return found


def _measure(cells: "list[Cell]", out: Path, rules: "Rules") -> None:
    """Measure the cells that have not been measured yet."""
    from offload.testbed.validate import results
    from offload.views.progress import progress

    left = results.missing(cells, out, rules)
    if not left:
        typer.echo(f"all {len(cells)} cells have been measured", err=True)
        return
    minutes = results.minutes(left, rules)
    typer.echo(
        f"{len(left)} of {len(cells)} cells to measure, about {minutes:.0f} minutes; leave the machine"
        " alone",
        err=True,
    )
    plays = sum(len(results.plan_of(cell, rules).blocks) + 1 for cell in left)
    with progress("measured", plays) as advance:
        for cell in left:

            def tell(told: str, name: str = cell.name) -> None:
                advance(f"{name}, {told}")

            results.measure_cell(cell, out, rules, _start, tell)


def _start(scenario: "Scenario", choice: "Choice") -> "Testbed":
    """Return a testbed whose device has a core of its own, where there are two."""
    import os

    from offload.testbed.bed import Testbed

    # Of those it may run on: a container may be fenced into cores 4 and 5.
    may = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    first, second = may[0], may[min(1, len(may) - 1)]
    return Testbed(scenario, choice, cores={"device": first, "edge": second, "cloud": second})


def _judge(
    cells: "list[Cell]", out: Path, rules: "Rules", costs: "MeasuredCosts | None", json_: bool, *,
    keep: bool,
) -> None:  # fmt: skip
    """Judge, show, and keep what can be read later; exit code 1 if not even the size is right."""
    from textwrap import fill

    import polars as pl
    from rich.console import Console

    from offload.analysis.files import to_json
    from offload.testbed.validate import results
    from offload.views import validate as views
    from offload.views.figures import save
    from offload.views.progress import progress
    from offload.views.validate_figures import scatter

    with progress("simulated", len(cells)) as advance:
        judged, told = results.judge_all(cells, out, rules, costs, advance)
    table = pl.DataFrame([each.row for each in judged])
    known = f"costs measured: {costs.source}" if costs else "no costs of messages and decisions charged"
    if keep:
        results.keep(judged, told, out)
        save(scatter(table), out / "scatter", known)
    faults = [*told["unfit"], *results.insane(judged, rules)]
    if json_:
        rows = table.to_dicts()
        typer.echo(json.dumps(to_json({"summary": told, "cells": rows, "faults": faults})))
    else:
        usual = Console()
        console = usual if usual.width >= views.WIDTH else Console(width=views.WIDTH)
        for each in views.tables(table):
            console.print(each, crop=False)
        typer.echo(f"{views.NOTES}\n\n{views.summary_text(told)}\n{fill(known, views.WIDTH)}")
        if keep:
            typer.echo(f"cells.csv, summary.json, scatter.png and a folder for each cell are in {out}")
    for line in (*told["few"], *faults):
        typer.echo(line, err=True)
    if faults:
        raise typer.Exit(1)
