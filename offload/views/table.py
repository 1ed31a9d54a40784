"""Results as tables on a terminal."""

from rich import box
from rich.table import Table
from rich.text import Text

from offload.analysis.compare import Comparison
from offload.analysis.statistics import Interval
from offload.units import show_seconds


def comparison_tables(found: Comparison) -> list[Table]:
    """Return what users get and how long it takes: a row a policy, means ± half their intervals."""
    title = f"{found.scenario}: {found.replications} replications, seed {found.seed}"
    shares = _table(title, ("useful", "on time", "accuracy", "mJ/request", "lost"))
    times = _table(
        "latency in ms, unfinished requests counted as infinite", ("mean", "p50", "p95", "p99")
    )
    for policy in found.policies:
        name = Text(policy.label)
        if policy.saturated:
            name.append(" saturated", style="bold red")
        m = policy.measures
        lost = f"{policy.unfinished / max(1, policy.requests):.1%}"
        shares.add_row(
            name, _share(m["useful"]), _share(m["on_time"]), _share(m["accuracy"]),
            _thousandths(m["energy_j"]), lost,
        )  # fmt: skip
        times.add_row(
            name, *(_thousandths(m[f"latency_{key}_s"]) for key in ("mean", "p50", "p95", "p99"))
        )
    return [shares, times]


def footnotes(found: Comparison) -> str:
    """Explain the marks of the tables."""
    notes = [
        f"± is half of the {found.level:.0%} interval over replications; - is not defined.",
        "lost: not answered at all; mJ: the device's own marginal energy.",
    ]
    notes += [
        f"{policy.label} has {policy.knowledge} knowledge: a reference, no contender."
        for policy in found.policies
        if policy.knowledge != "reported"
    ]
    return " ".join(notes)


def _table(title: str, columns: tuple[str, ...]) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        title_style="bold",
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    table.add_column("policy", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
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


def _thousandths(found: Interval | None) -> str:
    return "-" if found is None else f"{found.mean * 1e3:.1f} ±{(found.high - found.mean) * 1e3:.1f}"


def plain(columns: list[str], rows: list[dict[str, object]]) -> Table:
    """Return a table of records, a column each key."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for number, column in enumerate(columns):
        numeric = all(isinstance(row[column], int | float | None) for row in rows)
        heading = column.removesuffix("_s").replace("_", " ")
        last = number == len(columns) - 1
        table.add_column(heading, justify="right" if numeric else "left", no_wrap=not last)
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
