"""Results as tables on a terminal."""

from collections.abc import Mapping

from rich.table import Table
from rich.text import Text

from offload.analysis.compare import Comparison
from offload.analysis.statistics import Interval
from offload.units import show_seconds

# How each kind of knowledge is marked wherever a figure stands.
MARKS: Mapping[str, str] = {"measured": "m", "rescaled": "r", "published": "p", "assumed": "a"}
LEGEND = "m measured, r rescaled, p published, a assumed"


def comparison_table(found: Comparison) -> Table:
    """Return a row a policy: means with half the width of their intervals."""
    table = Table(
        title=f"{found.scenario}: {found.replications} replications, seed {found.seed}",
        caption=f"mean ± half of the {found.level:.0%} interval over replications; - not defined",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("policy", no_wrap=True)
    for heading in ("useful", "on time", "mean ms", "p50 ms", "p95 ms", "p99 ms", "J/request", "accuracy"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("unfinished", justify="right")
    for policy in found.policies:
        name = Text(policy.label)
        if policy.knowledge != "reported":
            name.append(f" ({policy.knowledge})", style="dim")
        if policy.saturated:
            name.append(" saturated", style="bold red")
        m = policy.measures
        table.add_row(
            name,
            *(_share(m[key]) for key in ("useful", "on_time")),
            *(_seconds(m[f"latency_{key}_s"]) for key in ("mean", "p50", "p95", "p99")),
            _number(m["energy_j"]),
            _share(m["accuracy"]),
            f"{policy.unfinished / max(1, policy.requests):.1%}",
        )
    return table


def pairs_text(found: Comparison, measure: str = "useful") -> str:
    """Say which policies differ in a measure, and by how much."""
    rows = [pair for pair in found.pairs if pair.measure == measure]
    if not rows:
        return f"{measure}: not defined for every policy; no differences to tell"
    apart = [pair for pair in rows if pair.differs]
    lines = [f"{measure}: {len(apart)} of {len(rows)} pairs differ (simultaneous {found.level:.0%})"]
    lines += [
        f"  {pair.a} - {pair.b}: {pair.mean:+.3f} [{pair.low:+.3f}, {pair.high:+.3f}]"
        + ("" if pair.differs else "  not told apart")
        for pair in rows
    ]
    return "\n".join(lines)


def _share(found: Interval | None) -> str:
    return "-" if found is None else f"{found.mean:.3f} ±{found.high - found.mean:.3f}"


def _number(found: Interval | None) -> str:
    return "-" if found is None else f"{found.mean:.3g} ±{found.high - found.mean:.1g}"


def _seconds(found: Interval | None) -> str:
    return "-" if found is None else f"{found.mean * 1e3:.1f} ±{(found.high - found.mean) * 1e3:.1f}"


def plain(columns: list[str], rows: list[dict[str, object]], title: str = "") -> Table:
    """Return a table of records, a column each key."""
    table = Table(title=title or None, title_justify="left")
    for column in columns:
        numeric = all(isinstance(row[column], int | float | None) for row in rows)
        table.add_column(column.replace("_", " "), justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(_cell(column, row[column]) for column in columns))
    return table


def _cell(column: str, value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        if column.endswith("_s"):
            return show_seconds(value)
        return f"{value:+.1%}" if column == "residual" else f"{value:.4g}"
    return str(value)
