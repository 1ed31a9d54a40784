"""Why requests were late, as tables and as a figure."""

from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from offload.analysis.explaining.effects import Effects
from offload.analysis.explaining.explain import Explanation, Report
from offload.analysis.explaining.legs import LOADING, LUCK, NAMES, RETRY, SIGNAL, WAITING, Kind
from offload.analysis.explaining.mistakes import MISTAKES, NOT_ASKED
from offload.analysis.statistics import Interval
from offload.views.explain_words import (
    bare,
    effects_verdict,
    keys_told,
    notes,
    span,
    verdict,
    where_of,
    worst_text,
)
from offload.views.table import headed, mean_and_half

SHOWN = 0.02  # causes with less of the blame are left out
MOST_SHOWN = 6
MOST_PLACES = 3
HARDLY_SEEN = 0.2  # per cent


def show(found: Report, worst: int) -> None:
    """Print the verdicts, the tables, and the worst requests leg by leg."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, 120))
    for each in found.policies:
        console.print(verdict(each, found.radio), highlight=False, markup=False)
    for effects in found.effects:
        console.print(effects_verdict(effects), highlight=False)
    untold = {each.label for each in found.policies} - {each.label for each in found.effects}
    for label in sorted(untold) if found.points > 1 else ():
        what = found.measure or "on_time"
        why = "is not defined at every point, no key varies, or too few points for so many keys"
        console.print(f"{label}: {what} {why}", highlight=False)
    for table in tables(found):
        console.print()
        console.print(table)
    for policy in found.policies:
        for late in policy.worst[:worst]:
            told = worst_text(policy.label, late, of_sweep=found.points > 1)
            console.print(told, highlight=False, markup=False)
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
        made.append(_mistakes(some))
    return [*made, *(_effects(each) for each in found.effects)]


def _left(title: str, *columns: str) -> Table:
    """Return an empty table of words, which wrap where there is little room."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
                  padding=(0, 1, 0, 0), pad_edge=False)  # fmt: skip
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=number == 0)
    return table


def _causes(policies: list[Explanation]) -> Table:
    table = _left("what is to blame, share of missed requests", "policy", "leg", "what")
    table.add_column("share", justify="right", no_wrap=True)
    table.add_column("where", overflow="fold")
    for each in policies:
        label, rest = each.label, 1.0
        for kind, share in list(each.kinds.items())[:MOST_SHOWN]:
            if share is not None and share.mean >= SHOWN:
                table.add_row(label, *kind, _percent(share), _where(each, kind))
                label, rest = "", rest - share.mean
        if rest >= 0.001:
            table.add_row(label, "others", "", f"{rest:.1%}", "")
    return table


def _where(found: Explanation, kind: Kind) -> str:
    """Name the places of a kind of cause, with their shares if there are several."""
    places = where_of(found, kind)
    if len(places) == 1:
        return places[0][0]
    told = [f"{place} {share:.1%}" for place, share in places[:MOST_PLACES]]
    return ", ".join([*told, f"{len(places) - MOST_PLACES} more"][: len(places)])


def _tasks(policies: list[Explanation]) -> Table:
    table = _left("the first cause by task", "policy", "task", "leg", "where", "what")
    table.add_column("share", justify="right", no_wrap=True)
    for each in policies:
        label = each.label
        for task, causes in each.tasks.items():
            cause, share = next(iter(causes.items()))
            table.add_row(label, task, *cause, _percent(share))
            label = ""
    return table


def _mistakes(policies: list[Explanation]) -> Table:
    """Return the shares of mistakes; nobody is troubled with a column of zeros."""
    made = [each.mistakes or {} for each in policies]
    nobody = all((share := each.get(NOT_ASKED)) is None or share.mean == 0.0 for each in made)
    keys = [key for key in MISTAKES if key != NOT_ASKED or not nobody]
    table = _left("what knowing more would have done, share of the missed requests looked at", "policy")
    for column in (*keys, "missed if fresh"):
        table.add_column(column, justify="right", min_width=max(map(len, column.split())))
    for each, shares in zip(policies, made, strict=True):
        told = (_percent(shares.get(key), ".0f") for key in keys)
        table.add_row(each.label, *told, _percent(each.fresh))
    return table


def _effects(found: Effects) -> Table:
    ranks = found.fit is not None
    title = f"{found.label}: what moves {found.measure}, by {found.method} over {found.points} points"
    if found.fit is not None:
        title += f", R² {found.fit:.2f}"
    table = _left(title, "key", "values", "largest at", "smallest at")
    table.columns[0].no_wrap = False  # keys are long, and the only column that can give way
    table.add_column("SRRC" if ranks else "effect", justify="right", no_wrap=True)
    for each in found.effects:
        table.add_row(
            keys_told(each.keys), str(each.values), bare(each.best), bare(each.worst), span(each.effect)
        )
    return table


def _percent(share: Interval | None, digits: str = ".1f") -> str:
    return mean_and_half(share, 100.0, digits) + ("" if share is None else "%")


def keep(found: Report, out: Path) -> list[Path]:
    """Draw what is to blame as a bar a policy, one colour a leg; return the paths."""
    from offload.views.figures import canvas, legend, save
    from offload.views.palette import LEG_COLOURS

    policies = [each for each in found.policies if each.missed is not None]
    height = min(4.2, 1.6 + 0.45 * len(policies))
    title = f"{found.scenario}: where requests missed their deadlines"
    figure, axes = canvas(title, width=7.2, height=height)
    labels = [each.label for each in policies]
    left = np.zeros(len(labels))
    colours = dict(zip(NAMES, LEG_COLOURS, strict=True)) | {RETRY: "#D55E00"}
    for leg in colours:
        for waits in (True, False):
            shares = np.array([_of_leg(each, leg, waits=waits) for each in policies])
            if shares.max(initial=0.0) < HARDLY_SEEN:
                continue
            chance = "signal" if leg in ("uplink", "downlink") else "luck"
            name = f"{leg}: waiting, {chance}" if waits else f"{leg}: its work, or ended there"
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
        if share and cause.leg == leg and (cause.kind in (WAITING, SIGNAL, LOADING, LUCK)) == waits
    )  # fmt: skip
