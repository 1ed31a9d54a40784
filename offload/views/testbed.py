"""A run on a testbed beside what the simulator foresaw, on a terminal."""

import polars as pl
from rich import box
from rich.table import Table

from offload.analysis.rows import LEGS


def tables(measured: pl.DataFrame, foreseen: pl.DataFrame, warm_up_s: float) -> list[Table]:
    """Return latencies by plan, and the mean of each leg: measured, and simulated in parentheses.

    Of requests born after the warm-up that were answered.
    """
    mine, theirs = (
        frame.filter((pl.col("born_s") >= warm_up_s) & (pl.col("cause") == ""))
        for frame in (measured, foreseen)
    )
    return [_latencies(mine, theirs), _legs(mine, theirs)]


def lost_text(measured: pl.DataFrame) -> str:
    """Say what became of those that were not answered, and how many were tried again."""
    causes = measured.filter(pl.col("cause") != "").group_by("cause").len().sort("cause")
    lost = ", ".join(f"{count} {cause}" for cause, count in causes.iter_rows())
    again = measured.filter((pl.col("attempts") > 1) & (pl.col("cause") == "")).height
    told = f"{measured.height} requests; " + (f"not answered: {lost}" if lost else "all answered")
    return told + (f"; {again} only after another attempt" if again else "")


def _latencies(mine: pl.DataFrame, theirs: pl.DataFrame) -> Table:
    table = _headed("latency in ms, measured (simulated)", ("plan", "requests", "mean", "p50", "p95"))
    plans = mine["plan"].value_counts(sort=True)["plan"].to_list()
    others = [plan for plan in theirs["plan"].unique(maintain_order=True) if plan not in plans]
    for plan in (*plans, *others):
        one, other = (frame.filter(pl.col("plan") == plan) for frame in (mine, theirs))
        cells = [
            _pair(_stat(one["latency_s"], stat), _stat(other["latency_s"], stat))
            for stat in (0.0, 0.5, 0.95)
        ]
        table.add_row(plan, f"{one.height} ({other.height})", *cells)
    return table


def _legs(mine: pl.DataFrame, theirs: pl.DataFrame) -> Table:
    table = _headed("mean of each leg in ms, measured (simulated)", ("leg", "mean"))
    for leg in LEGS:
        if any((frame[leg] > 0.0).any() for frame in (mine, theirs)):
            table.add_row(leg[:-2], _pair(_stat(mine[leg], 0.0), _stat(theirs[leg], 0.0)))
    return table


def _headed(title: str, columns: tuple[str, ...]) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0),
        pad_edge=False,
    )  # fmt: skip
    for column in columns:
        words = column in {"plan", "leg"}
        table.add_column(
            column, justify="left" if words else "right", no_wrap=not words, overflow="fold"
        )
    return table


def _stat(seconds: pl.Series, quantile: float) -> float | None:
    """A quantile, or the mean for 0."""
    found = seconds.quantile(quantile, "linear") if quantile else seconds.mean()
    return None if found is None else float(found)  # type: ignore[arg-type]  # of floats


def _pair(measured_s: float | None, simulated_s: float | None) -> str:
    one, other = ("-" if each is None else f"{each * 1e3:.2f}" for each in (measured_s, simulated_s))
    return f"{one} ({other})"
