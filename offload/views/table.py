"""Results as tables: in words, and on a terminal."""

import math
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from offload.analysis.compare import Comparison, PolicyResult
from offload.analysis.statistics import Interval
from offload.units import show_seconds

LEAST_WIDTH = 20
NARROW = 80  # columns of a narrow terminal


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table in words: its title, its columns, and for each policy, in their order, a cell of each."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def sheets(found: Comparison) -> list[Sheet]:
    """Return what users get, how long it takes and, where anything has a price, what it costs.

    Means ± half their intervals.
    """
    policies = found.policies
    count = f"{found.replications} replication{'s' * (found.replications > 1)}"
    made = [
        Sheet(
            f"{found.scenario}: {count}, seed {found.seed}",
            ("useful", "on time", "accuracy", "mJ/request", "lost"),
            tuple(map(_shares, policies)),
        ),
        Sheet(
            "latency in ms, unfinished requests counted as infinite",
            ("mean", "p50", "p95", "p99"),
            tuple(map(_times, policies)),
        ),
    ]
    if any(policy.measures["money"] is not None for policy in policies):
        costs = tuple((mean_and_half(policy.measures["money"], 1e3, ".3g"),) for policy in policies)
        made.append(Sheet("money, in the scenario's currency", ("per 1000 requests",), costs))
    return made


def _shares(policy: PolicyResult) -> tuple[str, ...]:
    m = policy.measures
    lost = f"{policy.unfinished / max(1, policy.requests):.1%}"
    shares = (mean_and_half(m[key], 1.0, ".3f") for key in ("useful", "on_time", "accuracy"))
    return (*shares, mean_and_half(m["energy_j"], 1e3, ".1f"), lost)


def _times(policy: PolicyResult) -> tuple[str, ...]:
    keys = (f"latency_{key}_s" for key in ("mean", "p50", "p95", "p99"))
    return tuple(mean_and_half(policy.measures[key], 1e3, ".1f") for key in keys)


def comparison_tables(found: Comparison) -> list[Table]:
    """Return the same for a terminal, a row a policy."""
    made = []
    for sheet in sheets(found):
        table = headed(sheet.title, sheet.columns)
        for policy, cells in zip(found.policies, sheet.rows, strict=True):
            name = Text(policy.label)
            if policy.saturated:
                name.append(" saturated", style="bold red")
            table.add_row(name, *cells)
        made.append(table)
    return made


def footnotes(found: Comparison) -> str:
    """Explain the marks of the tables."""
    notes = []
    if found.replications > 1:
        notes.append(f"± is half of the {found.level:.0%} interval over replications.")
    else:
        notes.append("One replication has no interval.")
    notes += [
        "accuracy: right among what was answered; mJ: the device's own marginal energy;",
        "lost: never answered; - not defined: too few or unanswered requests, or nobody can say",
        "what is right.",
    ]
    notes += [
        f"{policy.label} knows more than devices can ({policy.knowledge}): a reference, no contender."
        for policy in found.policies
        if policy.knowledge != "reported"
    ]
    return " ".join(notes)


def headed(title: str, columns: tuple[str, ...]) -> Table:
    """Return an empty table with a title and a row a policy.

    A title may be wider than its table, but for one that would not fit on most screens.
    """
    table = Table(
        title=Text(title, overflow="ignore" if len(title) < NARROW else None),
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
    """Say how the best contender in a measure differs from each other one, and how many pairs differ."""
    rows = [pair for pair in found.pairs if pair.measure == measure]
    best = found.best(measure)
    if not rows or best is None:
        return f"{measure}: not defined for every policy; no differences to tell"
    apart = sum(pair.differs for pair in rows)
    width = max(len(policy.label) for policy in found.policies)
    lines = [
        f"{measure}: {apart} of {len(rows)} pairs differ (simultaneous {found.level:.0%}); {best} minus"
    ]
    for pair in rows:
        if best in (pair.a, pair.b):
            sign, other = (1, pair.b) if pair.a == best else (-1, pair.a)
            low, high = sorted((sign * pair.low, sign * pair.high))
            told = "" if pair.differs else "  not told apart"
            lines.append(f"  {other:<{width}} {sign * pair.mean:+.3f} [{low:+.3f}, {high:+.3f}]{told}")
    return "\n".join(lines)


def second_opinion_text(found: Comparison) -> str:
    """Say how much hangs on shares of layers that nobody measured, and what became of the ranking."""
    doubtful = [
        f"{p.label} {_rounded(p.doubtful)} of requests, ±{show_seconds(p.share_gap_s)} a part"
        for p in found.policies
        if p.share_gap_s is not None
    ]
    if not doubtful:
        return ""
    lines = [f"cut on rescaled hardware: {'; '.join(doubtful)} (two opinions on the layers' shares)"]
    told = found.second_opinion
    if told is None:
        return "\n".join([*lines, "second opinion: not simulated, so nobody knows what it would change"])
    what = f"{told.surviving} of {told.differing} differing pairs of {told.measure}"
    more = f"; {told.appeared} more differ then" if told.appeared else ""
    verdict = "the ranking survives" if not told.lost else "not all of the ranking survives"
    if not told.differing:
        verdict = "there is no ranking to survive"
    lines.append(f"second opinion: {verdict}: {what} keep sign and significance{more}")
    lines += [
        f"  {pair.first.a} minus {pair.first.b}: {pair.first.mean:+.3f} becomes {pair.second.mean:+.3f}"
        f" [{pair.second.low:+.3f}, {pair.second.high:+.3f}]"
        for pair in told.lost
    ]
    return "\n".join(lines)


def _rounded(share: float) -> str:
    """Write a share that is not 0 so that it does not look like it."""
    return "under 1%" if share < 0.005 else f"{share:.0%}"


def mean_and_half(found: Interval | None, times: float, digits: str) -> str:
    """Write a mean and half its interval, or - for what is not defined."""
    if found is None:
        return "-"
    half = "" if math.isnan(found.high) else f" ±{(found.high - found.mean) * times:{digits}}"
    return f"{found.mean * times:{digits}}{half}"


def plain(columns: list[str], rows: list[dict[str, object]], room: int = 80) -> Table:
    """Return a table of records, a column each key.

    The last column wraps; where little of the `room` is left for it, the table is wider instead.
    """
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    texts = [[_cell(column, row[column]) for column in columns] for row in rows]
    headings = [column.removesuffix("_s").replace("_", " ") for column in columns]
    widths = [max(map(len, cells)) for cells in zip(headings, *texts, strict=True)]
    others = sum(widths[:-1]) + 2 * len(columns)
    if others + min(widths[-1], LEAST_WIDTH) > room:
        table.width = others + min(widths[-1], LEAST_WIDTH)
    for number, (column, heading) in enumerate(zip(columns, headings, strict=True)):
        numeric = all(isinstance(row[column], int | float | None) for row in rows)
        last = number == len(columns) - 1
        table.add_column(heading, justify="right" if numeric else "left", no_wrap=not last)
    for cells in texts:
        table.add_row(*cells)
    return table


def _cell(column: str, value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        if column.endswith("_s"):
            return show_seconds(value)
        return f"{value:+.1%}" if column == "residual" else f"{value:.4g}"
    return str(value)
