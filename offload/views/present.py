"""A comparison kept in a folder and shown on a terminal."""

from pathlib import Path

import polars as pl
from rich.console import Console

from offload.analysis.compare import Comparison
from offload.analysis.files import write_json
from offload.analysis.survival import headline
from offload.analysis.work.replication import rows_path
from offload.views.table import comparison_tables, footnotes, pairs_text, second_opinion_text

MOST_LINES = 8
ROOM = 140  # characters that fit below a figure


def keep(found: Comparison, out: Path) -> list[Path]:
    """Write figures and summary.json beside the rows; return the figures' paths."""
    written = draw(found, out, out)
    write_json(out / "summary.json", found.as_json())
    return written


def draw(found: Comparison, rows: Path, out: Path) -> list[Path]:
    """Write figures of a comparison whose rows lie in a folder; return their paths."""
    from offload.views.figures import write_figures

    counted = {
        policy.label: pl.concat(
            pl.scan_parquet(rows_path(rows, policy.label, r)) for r in range(found.replications)
        ).filter(pl.col("born_s") >= found.warm_up_s, pl.col("parent").is_null())
        for policy in found.policies
    }
    known, told = found.known, found.second_opinion
    if told is not None and told.differing:
        more = f"; second opinion: {told.surviving} of {told.differing} pairs hold"
        known += more if len(known + more) <= ROOM else ""
    return write_figures(found, counted, known, out)


def show(found: Comparison) -> None:
    """Print what users get, how long it takes, what differs, and how the figures are known."""
    console = Console()
    if not console.is_terminal:  # a file has no edge at which figures would have to be cut
        console = Console(width=max(console.width, 120))
    for table in comparison_tables(found):
        console.print(table)
    console.print(footnotes(found), highlight=False)
    if len(found.policies) > 1 and found.replications > 1:
        console.print(pairs_text(found, headline(found.pairs)), highlight=False)
        if told := second_opinion_text(found):
            console.print(told, highlight=False)
    console.print(found.known, style="dim", highlight=False)
    for line in found.rescaled[:MOST_LINES]:
        console.print(f"rescaled to {line}", style="dim", highlight=False)
    if len(found.rescaled) > MOST_LINES:
        console.print("and more, as offload check tells", style="dim", highlight=False)
