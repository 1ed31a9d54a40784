"""Why requests were late, as tables and as a figure."""

from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from offload.analysis.explain import Explanation, Report
from offload.analysis.explain_effects import Effects
from offload.analysis.explain_legs import LOADING, LUCK, NAMES, RETRY, WAITING
from offload.analysis.explain_mistakes import MISTAKES
from offload.analysis.statistics import Interval
from offload.views.explain_words import (
    bare,
    effects_verdict,
    keys_told,
    notes,
    span,
    verdict,
    worst_text,
)
from offload.views.table import headed, mean_and_half

SHOWN = 0.02  # causes with less of the blame are left out
MOST_SHOWN = 6
HARDLY_SEEN = 0.2  # per cent


def show(found: Report, worst: int) -> None:
    """Print the verdicts, the tables, and the worst requests leg by leg."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, 120))
    for each in found.policies:
        console.print(verdict(each), highlight=False)
    for effects in found.effects:
        console.print(effects_verdict(effects), highlight=False)
    untold = {each.label for each in found.policies} - {each.label for each in found.effects}
    for label in sorted(untold) if found.points > 1 else ():
        what = found.measure or "on_time"
        console.print(
            f"{label}: {what} is not defined at every point, or no key varies", highlight=False
        )
    for table in tables(found):
        console.print()
        console.print(table)
    for policy in found.policies:
        for late in policy.worst[:worst]:
            console.print(worst_text(policy.label, late), highlight=False)
    console.print(notes(found), highlight=False)
    console.print(found.known, style="dim", highlight=False)


def tables(found: Report) -> list[Table]:
    """Return what became of requests, what is to blame, mistakes, and a sweep's effects."""
    some = [each for each in found.policies if each.missed is not None and each.missed.mean > 0.0]
    title = f"{found.scenario}: {found.policies[0].replications} of {found.replications} replications"
    if found.points > 1:
        title += f", {found.points} points together"
    became = headed(title, ("missed", "late", "unanswered", "wrong"))
    for each in found.policies:
        wrong = "-" if each.wrong is None else f"{each.wrong:.1%}"
        became.add_row(
            each.label, _percent(each.missed), f"{each.late:.1%}", f"{each.unanswered:.1%}", wrong
        )
    made = [became]
    if some:
        made.append(_causes(some))
    if any(len(each.tasks) > 1 for each in some):
        made.append(_tasks(some))
    if found.replayed and some:
        mistakes = headed(
            "what knowing more would have done, share of the missed requests looked at",
            (*MISTAKES, "missed if reports were fresh"),
        )
        for each in some:
            shares = [(each.mistakes or {}).get(key) for key in MISTAKES]
            mistakes.add_row(each.label, *map(_percent, shares), _percent(each.fresh))
        made.append(mistakes)
    return [*made, *(_effects(each) for each in found.effects)]


def _left(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
                  padding=(0, 1, 0, 0), pad_edge=False)  # fmt: skip
    for column in columns:
        table.add_column(column, no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    return table


def _causes(policies: list[Explanation]) -> Table:
    table = _left("what is to blame, share of missed requests", "policy", "leg", "where", "what")
    for each in policies:
        label, rest = each.label, 1.0
        for cause, share in list(each.causes.items())[:MOST_SHOWN]:
            if share is not None and share.mean >= SHOWN:
                table.add_row(label, *cause, _percent(share))
                label, rest = "", rest - share.mean
        if rest >= 0.001:
            table.add_row(label, "others", "", "", f"{rest:.1%}")
    return table


def _tasks(policies: list[Explanation]) -> Table:
    table = _left("the first cause by task", "policy", "task", "leg", "where", "what")
    for each in policies:
        label = each.label
        for task, causes in each.tasks.items():
            cause, share = next(iter(causes.items()))
            table.add_row(label, task, *cause, _percent(share))
            label = ""
    return table


def _effects(found: Effects) -> Table:
    ranks = found.fit is not None
    title = f"{found.label}: what moves {found.measure}, by {found.method} over {found.points} points"
    if found.fit is not None:
        title += f", R² {found.fit:.2f}"
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
                  padding=(0, 1, 0, 0), pad_edge=False)  # fmt: skip
    for column in ("key", "values", "largest at", "smallest at"):
        table.add_column(column, no_wrap=True)
    table.add_column("SRRC" if ranks else "effect", justify="right", no_wrap=True)
    for each in found.effects:
        table.add_row(
            keys_told(each.keys), str(each.values), bare(each.best), bare(each.worst), span(each.effect)
        )
    return table


def _percent(share: Interval | None) -> str:
    return mean_and_half(share, 100.0, ".1f") + ("" if share is None else "%")


def keep(found: Report, out: Path) -> list[Path]:
    """Draw what is to blame as a bar a policy, one colour a leg; return the paths."""
    from offload.views.figures import LEG_COLOURS, canvas, legend, save

    policies = [each for each in found.policies if each.missed is not None]
    figure, axes = canvas(f"{found.scenario}: where requests missed their deadlines", width=7.2)
    labels = [each.label for each in policies]
    left = np.zeros(len(labels))
    colours = dict(zip(NAMES, LEG_COLOURS, strict=True)) | {RETRY: "#D55E00"}
    for leg in colours:
        for waits in (True, False):
            shares = np.array([_of_leg(each, leg, waits=waits) for each in policies])
            if shares.max(initial=0.0) < HARDLY_SEEN:
                continue
            name = f"{leg}: waiting, luck" if waits else f"{leg}: its work, or ended there"
            axes.barh(labels, shares, left=left, color=colours[leg], label=name,
                      hatch=None if waits else "///", edgecolor="white", linewidth=0.4)  # fmt: skip
            left += shares
    axes.invert_yaxis()
    axes.set(xlabel="share of requests (%)", xlim=(0, max(1.0, 1.05 * left.max(initial=0.0))))
    legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return save(figure, out / "explain", found.known)


def _of_leg(found: Explanation, leg: str, *, waits: bool) -> float:
    missed = found.missed.mean if found.missed else 0.0
    return 100 * missed * sum(
        share.mean
        for cause, share in found.causes.items()
        if share and cause.leg == leg and (cause.kind in (WAITING, LOADING, LUCK)) == waits
    )  # fmt: skip
