"""A comparison kept in a folder and shown on a terminal."""

import json
from pathlib import Path

import polars as pl
from rich.console import Console

from offload.analysis.compare import Comparison, rows_path, to_json
from offload.scenario.load import Scenario
from offload.views.table import comparison_tables, footnotes, pairs_text


def keep(scenario: Scenario, found: Comparison, out: Path) -> list[Path]:
    """Write figures and summary.json beside the rows; return the figures' paths."""
    from offload.views.figures import write_figures

    rows = {
        policy.label: pl.concat(
            pl.scan_parquet(rows_path(out, policy.label, r)) for r in range(found.replications)
        ).filter(pl.col("born_s") >= found.warm_up_s)
        for policy in found.policies
    }
    written = write_figures(found, rows, scenario.known, out)
    aside = out / ".summary.json"
    aside.write_text(json.dumps(to_json(found.as_json()), indent=1) + "\n")
    aside.replace(out / "summary.json")
    return written


def show(scenario: Scenario, found: Comparison) -> None:
    """Print what users get, how long it takes, what differs, and how the figures are known."""
    console = Console()
    for table in comparison_tables(found):
        console.print(table)
    console.print(footnotes(found), highlight=False)
    if len(found.policies) > 1 and found.replications > 1:
        useful = any(pair.measure == "useful" for pair in found.pairs)
        console.print(pairs_text(found, "useful" if useful else "on_time"), highlight=False)
    console.print(scenario.known, style="dim", highlight=False)
