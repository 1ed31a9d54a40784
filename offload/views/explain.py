"""Why requests were late, in words, in tables and as a figure."""

import math
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from offload.analysis.explain import Explanation, Report
from offload.analysis.explain_effects import Effects
from offload.analysis.explain_legs import FAILED, LUCK, NAMES, RETRY, WAITING, WORK, Cause
from offload.analysis.explain_mistakes import HOPELESS, MISTAKES, OVERTAKEN, PREFERENCE, STALE
from offload.analysis.explain_study import Late
from offload.analysis.statistics import Interval
from offload.units import show_seconds
from offload.views.table import headed, mean_and_half

TOLD, SHOWN = 0.1, 0.02  # causes with less of the blame are left out: of the verdict, of the table
OF_REPORTS = 0.5  # if as few as this would be late with fresh reports, look at these first
MOST_TOLD, MOST_SHOWN = 3, 6

HARDLY_SEEN = 0.2  # per cent

WAITS = {
    "decide": "waiting for a decision about {}",
    "device": "waiting for the device itself ({})",
    "uplink": "the uplink of {}, shared or below its rate",
    "edge": "waiting for the servers of {}",
    "wan": "queues or breakdowns on {}",
    "cloud": "waiting for the servers of {}",
    "downlink": "the downlink of {}, shared or below its rate",
}
WORKS = {
    "decide": "deciding about {}",
    "device": "computing on {} itself",
    "uplink": "sending over {}",
    "edge": "computing at {}",
    "wan": "crossing {}",
    "cloud": "computing at {}",
    "downlink": "sending back over {}",
}
ENDS = {
    "node-down": "{} being down",
    "shed": "{} turning requests away",
    "late": "{}, where they were dropped for being late",
    "no-route": "no way into {}",
    "out-of-range": "{} being out of range",
    "left": "devices leaving ({})",
    "no-power": "no power ({})",
    "unfinished": "the end of the run, while at {}",
}
# Which key of a scenario has to do with it.
KEYS = {
    ("edge", WAITING): "nodes.{}.servers", ("cloud", WAITING): "nodes.{}.servers",
    ("edge", WORK): "nodes.{}.hardware", ("cloud", WORK): "nodes.{}.hardware",
    ("device", WORK): "devices.{}.hardware or a smaller variant",
    ("device", WAITING): "devices.{}.hardware or a smaller variant",
    ("device", LUCK): "devices.{}.hardware or a smaller variant",
    ("uplink", WAITING): "links.{}.up", ("uplink", WORK): "links.{}.up",
    ("downlink", WAITING): "links.{}.down", ("downlink", WORK): "links.{}.down",
    ("wan", WAITING): "links.{}", ("wan", WORK): "links.{}", ("wan", LUCK): "links.{}.jitter",
    ("edge", "node-down"): "nodes.{}, its faults, and retries or fallback of the task",
    ("cloud", "node-down"): "nodes.{}, its faults, and retries or fallback of the task",
    (RETRY, FAILED): "nodes.{}, its faults, its queue, and the links to it",
    ("edge", "shed"): "nodes.{}.servers", ("cloud", "shed"): "nodes.{}.servers",
}  # fmt: skip


def phrase(cause: Cause) -> str:
    """Say what a cause is."""
    if cause.kind == WAITING:
        return WAITS[cause.leg].format(cause.place)
    if cause.kind == WORK:
        return f"{WORKS[cause.leg].format(cause.place)}, too slow even alone"
    if cause.kind == LUCK:
        return f"{WORKS[cause.leg].format(cause.place)} longer than the mean"
    if cause.kind == FAILED:
        return f"first attempts that failed (by plans for {cause.place})"
    return ENDS.get(cause.kind, cause.kind + " at {}").format(cause.place)


def verdict(found: Explanation) -> str:
    """Say in a few sentences why a policy's requests were late."""
    if found.missed is None or found.missed.mean == 0.0:
        return f"{found.label}: every request was answered in time" + _wrong(found)
    told = [f"{found.label}: {found.missed.mean:.1%} late or unanswered" + _wrong(found)]
    causes = [(cause, share.mean) for cause, share in found.causes.items() if share is not None]
    named = [each for each in causes if each[1] >= TOLD][:MOST_TOLD] or causes[:1]
    told.append("of the lateness, " + ", ".join(f"{share:.0%} is {phrase(c)}" for c, share in named))
    if found.never > 0.0:
        told.append(f"of {found.never:.0%} no plan is that fast in an empty world")
    shares = {key: share.mean for key, share in (found.mistakes or {}).items() if share is not None}
    words = {
        HOPELESS: "were hopeless when asked about, even to who knew the present state",
        STALE: "could have been avoided by the same policy, had it known the present state",
        PREFERENCE: "could have been avoided by a plan that this policy does not choose, knowing all",
        OVERTAKEN: "were to be on time when decided, and overtaken by what came later",
    }
    told += [f"{shares[key]:.0%} {words[key]}" for key in words if shares.get(key, 0.0) >= TOLD]
    if found.fresh is not None:
        told.append(f"with reports of no age, {found.fresh.mean:.1%} would be late or unanswered")
    told += [f"look at {' and '.join(keys)}"] if (keys := _keys_of(found, named[0][0])) else []
    return ". ".join(each[0].upper() + each[1:] if n else each for n, each in enumerate(told)) + "."


def _keys_of(found: Explanation, cause: Cause) -> list[str]:
    """Return which keys of the scenario have to do with the first cause, and with what was known."""
    keys = [KEYS[cause.leg, cause.kind].format(cause.place)] if (cause.leg, cause.kind) in KEYS else []
    if found.fresh and found.missed and found.fresh.mean <= OF_REPORTS * found.missed.mean:
        keys.insert(0, "reports.every of the nodes")
    return keys


def _wrong(found: Explanation) -> str:
    return f" (another {found.wrong:.1%} in time but wrong)" if found.wrong else ""


def show(found: Report, worst: int) -> None:
    """Print the verdicts, the tables, and the worst requests leg by leg."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, 120))
    for each in found.policies:
        console.print(verdict(each), highlight=False)
    for effects in found.effects:
        console.print(effects_verdict(effects), highlight=False)
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
        table.add_row(_keys(each.keys), str(each.values), each.best, each.worst, _span(each.effect))
    return table


def _keys(keys: tuple[str, ...]) -> str:
    more = f" (and {len(keys) - 1} that vary with it)" if len(keys) > 1 else ""
    return keys[0] + more


def _span(found: Interval) -> str:
    if math.isnan(found.low):
        return f"{found.mean:+.3g}"
    return f"{found.mean:+.3g} [{found.low:+.3g}, {found.high:+.3g}]"


def effects_verdict(found: Effects) -> str:
    """Say which key moves a measure most, and whether that is told apart from nothing."""
    first = found.effects[0]
    sure = "" if math.isnan(first.effect.low) or first.effect.low * first.effect.high > 0 else (
        ", though not told apart from nothing"
    )  # fmt: skip
    by = f"{_span(first.effect)} from {first.worst} to {first.best}"
    return f"{found.label}: {_keys(first.keys)} moves {found.measure} most: {by}{sure}"


def worst_text(label: str, late: Late) -> str:
    """Tell of a late request leg by leg, and of what would have been on time."""
    ended = f"{late.cause} after" if late.cause else "took"
    lines = [
        f"{label}, replication {late.replication}, request {late.request} ({late.task} of {late.device},"
        f" born at {late.born_s:.3f} s): {ended} {show_seconds(late.stayed_s)},"
        f" {show_seconds(late.deadline_s)} allowed; {late.plan}",
        "  " + "; ".join(
            f"{leg.leg} {leg.place} {show_seconds(leg.took_s)}"
            + (f" ({show_seconds(more)} beyond what it takes alone)" if more > 1e-6 else "")
            for leg in late.legs
            if (more := leg.took_s - leg.alone_s) is not None
        ),
    ]  # fmt: skip
    for look in late.looks:
        best = f"{look.best} in {show_seconds(look.best_s)}"
        what = "to be on time, but for what came later" if look.in_time else (
            f"on time would have been {best}" if look.best_s <= look.left_s
            else f"nothing was on time, the quickest {best}"
        )  # fmt: skip
        chosen = show_seconds(look.plan_s) if math.isfinite(look.plan_s) else "no end"
        lines.append(f"  asked, with the truth: {look.plan} in {chosen}; {what}")
    return "\n".join(lines)


def notes(found: Report) -> str:
    """Explain the words of the tables."""
    told = []
    if found.policies[0].replications > 1:
        told.append("± is half of the 95% interval over replications.")
    told += [
        "Each missed request counts for one, divided among its legs. work: its plan takes longer than the",
        "deadline even in an empty world; waiting: for others, or at less than a cell's full rate",
        "(with what bursts and batches add);" if found.replayed else "(bad luck included, without replay);",
        "retry: a first attempt failed; else the cause for which it was not answered.",
    ]
    if found.replayed:
        judged = sum(each.judged for each in found.policies)
        told += [
            "luck: this run took longer than the mean. hopeless: no plan was on time by the true state",
            "when it was asked about; stale knowledge: the policy, shown the truth, would have chosen one",
            "that was; preference: it would not; overtaken: its plan was on time by the truth then (others",
            "came later, perhaps misled by old reports: so the last column counts for all together).",
            f"{judged} missed requests were looked at, by repeating the runs to the same rows; it is a",
            "second instance of the policy that was shown the truth.",
        ]
    elif found.points > 1:
        told.append("Sweeps are not replayed; explain one point's folder for the policies' mistakes.")
    return " ".join(told)


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
        if share and cause.leg == leg and (cause.kind in (WAITING, LUCK)) == waits
    )  # fmt: skip
