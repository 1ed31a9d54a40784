"""A reality check as tables and a figure: what was predicted against what was measured."""

import math
from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import Any

import polars as pl
from rich import box
from rich.table import Table
from rich.text import Text

WIDTH = 80  # columns that tables and text need
Row = Mapping[str, Any]

TITLES = {
    "latency in ms: measured, and predicted after calibration": (
        "requests", "mean", "", "p50", "", "p95", "",
    ),
    "predicted minus measured, in % of measured [95 % interval]": ("mean", "p95", "noise", "ok"),
    "the same, and what else was looked at": (
        "p50", "work", "offline", "its work", "all blocks", "excl.",
    ),
}  # fmt: skip

NOTES = """\
noise: mean and p95 of the first half of the blocks against the second, the
same requests; up to twice that of all blocks. ok: within 5 % of the mean and
10 % of the p95, of enough requests, none of them lost. work: compute alone, all
places together. offline: mean and p95 by the shipped profiles, and work alone.
all blocks: mean and p95 without exclusion. excl.: % of plays, by the sentinel."""


def tables(cells: pl.DataFrame) -> list[Table]:
    """Return latencies, measured and predicted, and how far the one is from the other; a row a cell."""
    found = [_headed(title, columns) for title, columns in TITLES.items()]
    setting = ""
    for row in cells.iter_rows(named=True):
        if row["setting"] != setting:
            setting = row["setting"]
            for table in found:
                table.add_row(Text(setting, style="bold"))
        for table, shown in zip(found, _shown(row), strict=True):
            table.add_row(f" {row['form']} {row['plan']}", *shown)
    return found


def _shown(row: Row) -> Iterator[tuple[str | Text, ...]]:
    """Yield what each table says of a cell."""
    yield (
        f"{row['requests']}{_lost(row)}",
        *(
            f"{1e3 * row[f'{side}_{of}_s']:.2f}"
            for of in ("mean", "p50", "p95")
            for side in ("measured", "calibrated")
        ),
    )
    yield _bounded(row, "mean"), _bounded(row, "p95"), _two(row, "half_"), _close(row)
    yield (
        _percent(row["calibrated_error_p50"]), _percent(row["calibrated_error_work"]),
        _two(row, "offline_error_"), _percent(row["offline_error_work"]),
        _two(row, "unexcluded_error_"), f"{100 * row['excluded']:.0f}",
    )  # fmt: skip


def summary_text(told: Mapping[str, Any]) -> str:
    """Say what holds over all cells, and where it is worst."""
    cells = f"over {told['cells']} cells"
    lines = [f"{cells:26} median |error| of mean, p95   within 5 and 10 %"]
    names = {
        "calibrated": "calibrated",
        "foretold": "  without local, idle ones",
        "unexcluded": "  without exclusion",
        "offline": "offline",
        "noise": "half against half",
    }
    for kind, name in names.items():
        of = told[kind]
        shares = (_share(of[key]) for key in ("median_mean", "median_p95"))
        lines.append(f"{name:26} {'{:>12} {:>12}'.format(*shares)} {of['close']:>11.0%} of cells")
    lines += [
        f"work alone, {kind}: off by {_share(told[kind]['median_work'])} (median)"
        for kind in ("calibrated", "offline")
    ]
    for kind in ("calibrated", "offline"):
        rank = told[kind]["ranking"]
        share = f" ({rank['agree'] / rank['differ']:.0%})" if rank["differ"] else ""
        lines.append(
            f"ranking, {kind}: right in {rank['agree']} of {rank['differ']} pairs that differ"
            f" beyond noise{share}"
        )
    lost = f"{told['lost']} of {told['requests']} requests were not answered; " if told["lost"] else ""
    lines += [
        f"{lost}{told['excluded']:.1%} of plays were excluded by the sentinel"
        + (f", {told['missing']} blocks are missing" if told["missing"] else ""),
        f"worst: {told['worst']['cell']}:",
        *wrap(told["worst"]["why"], WIDTH, initial_indent="  ", subsequent_indent="  "),
        *(f"aim {'reached' if met else 'NOT reached'}: {aim}" for aim, met in told["aims"].items()),
    ]
    return "\n".join(lines)


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1%}"


def _headed(title: str, columns: tuple[str, ...]) -> Table:
    table = Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold", padding=(0, 1, 0, 0),
        pad_edge=False,
    )  # fmt: skip
    table.add_column("plan", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _percent(value: float | None) -> str:
    """Write a share in per cent, with two digits that count."""
    if value is None or math.isnan(value):
        return "-"
    return f"{100 * value:+.0f}" if abs(value) >= 0.0995 else f"{100 * value:+.1f}"


def _bounded(row: Row, of: str) -> str:
    key = f"calibrated_error_{of}"
    return f"{_percent(row[key])} [{_percent(row[f'{key}_low'])}, {_percent(row[f'{key}_high'])}]"


def _two(row: Row, prefix: str) -> str:
    return f"{_percent(row[f'{prefix}mean'])} {_percent(row[f'{prefix}p95']):>5}"


def _lost(row: Row) -> str:
    return f" ({row['lost']} lost)" if row["lost"] else ""


def _close(row: Row) -> Text:
    return Text("yes") if row["calibrated_close"] else Text("no", style="bold red")
