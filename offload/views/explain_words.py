"""Why requests were late, in words."""

import math

from offload.analysis.explain import Explanation, Report
from offload.analysis.explain_effects import Effects
from offload.analysis.explain_legs import FAILED, LOADING, LUCK, RETRY, WAITING, WORK, Cause
from offload.analysis.explain_mistakes import HOPELESS, OVERTAKEN, PREFERENCE, STALE
from offload.analysis.explain_study import Late, Leg
from offload.analysis.statistics import Interval
from offload.units import show_seconds

TOLD = 0.1  # causes with less of the blame are left out
OF_REPORTS = 0.5  # if as few as this would be late with fresh reports, look at these first
MOST_TOLD = 3


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
    ("edge", LOADING): "nodes.{}.memory", ("cloud", LOADING): "nodes.{}.memory",
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
    if cause.kind == LOADING:
        return f"loading weights at {cause.place}"
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
        told.append(f"for {found.never:.0%} no plan is that fast even in an empty world")
    shares = {key: share.mean for key, share in (found.mistakes or {}).items() if share is not None}
    words = {
        HOPELESS: "were hopeless when asked about, even to who knew the present state",
        STALE: "could have been avoided by the same policy, had it known the present state",
        PREFERENCE: "could have been avoided by a plan that this policy would not choose knowing it",
        OVERTAKEN: "were to be on time when decided, and overtaken by what came later",
    }
    told += [f"{shares[key]:.0%} {words[key]}" for key in words if shares.get(key, 0.0) >= TOLD]
    if found.fresh is not None:
        told.append(f"with reports of no age, {found.fresh.mean:.1%} would be late or unanswered")
    told += (
        [f"look at {' and '.join(keys)}"]
        if (keys := _keys_of(found, [cause for cause, _ in named[:2]]))
        else []
    )
    return ". ".join(each[0].upper() + each[1:] if n else each for n, each in enumerate(told)) + "."


def _keys_of(found: Explanation, causes: list[Cause]) -> list[str]:
    """Return which keys of the scenario have to do with what was known, and with these causes."""
    keys = []
    if found.fresh and found.missed and found.fresh.mean <= OF_REPORTS * found.missed.mean:
        keys.append("reports.every of the nodes")
    keys += [KEYS[c.leg, c.kind].format(c.place) for c in causes if (c.leg, c.kind) in KEYS]
    return list(dict.fromkeys(keys))


def _wrong(found: Explanation) -> str:
    return f" (another {found.wrong:.1%} in time but wrong)" if found.wrong else ""


def effects_verdict(found: Effects) -> str:
    """Say which key moves a measure most, and whether that is told apart from nothing."""
    first = found.effects[0]
    if first.effect.mean == 0.0:
        return f"{found.label}: no key that varies moves {found.measure}"
    sure = "" if math.isnan(first.effect.low) or first.effect.low * first.effect.high > 0 else (
        ", though not told apart from nothing"
    )  # fmt: skip
    what = "" if found.fit is None else "SRRC "
    by = f"{what}{span(first.effect)} from {bare(first.worst)} to {bare(first.best)}"
    return f"{found.label}: {keys_told(first.keys)} moves {found.measure} most: {by}{sure}"


def keys_told(keys: tuple[str, ...]) -> str:
    """Name a factor by the first of its keys."""
    more = f" (and {len(keys) - 1} that vary with it)" if len(keys) > 1 else ""
    return keys[0] + more


def bare(value: str) -> str:
    """Write a value without its quotes."""
    return value.strip('"')


def span(found: Interval) -> str:
    """Write an effect with its interval."""
    if math.isnan(found.low):
        return f"{found.mean:+.3g}"
    return f"{found.mean:+.3g} [{found.low:+.3g}, {found.high:+.3g}]"


def _leg(leg: Leg) -> str:
    more_s = leg.took_s - leg.alone_s
    more = f" ({show_seconds(more_s)} beyond what it takes alone)" if more_s > 1e-6 else ""
    return f"{leg.leg} {leg.place} {show_seconds(leg.took_s)}{more}"


def worst_text(label: str, late: Late) -> str:
    """Tell of a late request leg by leg, and of what would have been on time."""
    ended = f"{late.cause} after" if late.cause else "took"
    who = f"request {late.request} ({late.task} of {late.device}, born at {late.born_s:.3f} s)"
    took = f"{ended} {show_seconds(late.stayed_s)}, {show_seconds(late.deadline_s)} allowed"
    lines = [f"{label}, replication {late.replication}, {who}: {took}; {late.plan}"]
    lines.append("  " + "; ".join(map(_leg, late.legs)))
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
    luck = "(with what batches add)" if found.replayed else "(bad luck included, without replay)"
    told.append(
        "Each missed request counts for one, divided among its legs. work: its plan takes longer than"
        " the deadline even in an empty world; waiting: for others, or at less than a cell's full rate"
        f" {luck}; loading: for its own weights; retry: a first attempt failed; else the cause for which"
        " it was not answered."
    )
    if found.replayed:
        judged = sum(each.judged for each in found.policies)
        told.append(
            "luck: this run took longer than the mean. hopeless: no plan was on time by the true state"
            " when it was asked about; stale knowledge: the policy, shown the truth, would have chosen"
            " one that was; preference: it would not; overtaken: its plan was on time by the truth then"
            " (others came later, perhaps misled by old reports: so the last column counts for all"
            f" together). {judged} missed requests were looked at, by repeating the runs to the same"
            " rows; it is a second instance of the policy that was shown the truth."
        )
    elif found.points > 1:
        told.append("Sweeps are not replayed; explain one point's folder for the policies' mistakes.")
    return " ".join(told)
