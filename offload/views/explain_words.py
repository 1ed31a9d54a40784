"""Why requests were late, in words."""

import math
from collections.abc import Collection, Sequence

from offload.analysis.explaining.effects import Effects
from offload.analysis.explaining.explain import Explanation, Report
from offload.analysis.explaining.legs import (
    ELSEWHERE,
    FAILED,
    LOADING,
    LUCK,
    RETRY,
    SIGNAL,
    WAITING,
    WORK,
    Kind,
)  # fmt: skip
from offload.analysis.explaining.mistakes import HOPELESS, OVERTAKEN, PREFERENCE, STALE
from offload.analysis.explaining.study import Late, Leg
from offload.analysis.statistics import Interval
from offload.simulation.stations import DOWN
from offload.units import show_seconds

TOLD = 0.1  # causes with less of the blame are left out
OF_REPORTS = 0.5  # if as few as this would be late with fresh reports, look at these first
MOST_TOLD = 3


WAITS = {
    "decide": "waiting for a decision about {}",
    "device": "waiting for the device itself ({})",
    "uplink": "waiting for others on the uplink of {}",
    "edge": "waiting for the servers of {}",
    "wan": "queues or breakdowns on {}",
    "cloud": "waiting for the servers of {}",
    "downlink": "waiting for others on the downlink of {}",
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
# Which key of a scenario has to do with it; where a radio decides a cell's rates, its bandwidth has.
MACHINE = "devices.{}.hardware (or a smaller variant)"
KEYS = {
    ("edge", WAITING): "nodes.{}.servers", ("cloud", WAITING): "nodes.{}.servers",
    ("edge", WORK): "nodes.{}.hardware", ("cloud", WORK): "nodes.{}.hardware",
    ("device", WORK): MACHINE, ("device", WAITING): MACHINE, ("device", LUCK): MACHINE,
    ("uplink", WAITING): "links.{}.up", ("uplink", WORK): "links.{}.up",
    ("downlink", WAITING): "links.{}.down", ("downlink", WORK): "links.{}.down",
    ("uplink", SIGNAL): "links.{}.range", ("downlink", SIGNAL): "links.{}.range",
    ("wan", WAITING): "links.{}", ("wan", WORK): "links.{}", ("wan", LUCK): "links.{}.jitter",
    ("edge", "node-down"): "the faults of nodes.{}, and retries or fallback of the task",
    ("cloud", "node-down"): "the faults of nodes.{}, and retries or fallback of the task",
    (RETRY, FAILED): "nodes.{}, its faults, its queue, and the links to it",
    ("edge", LOADING): "nodes.{}.memory", ("cloud", LOADING): "nodes.{}.memory",
    ("edge", "shed"): "nodes.{}.servers", ("cloud", "shed"): "nodes.{}.servers",
}  # fmt: skip


def phrase(kind: Kind, where: str) -> str:
    """Say what a cause is, at these places."""
    leg, doing = kind.leg, WORKS.get(kind.leg, "")
    words = ENDS | {
        WAITING: WAITS.get(leg, ""),
        SIGNAL: f"the {leg} of {{}}, out of reach or below its full rate where devices were",
        WORK: f"{doing}, too slow even alone",
        LUCK: f"{doing} longer than the mean",
        LOADING: "loading weights at {}",
        FAILED: "first attempts that failed (by plans for {})",
    }
    return words.get(kind.kind, kind.kind + " at {}").format(where)


def where_of(found: Explanation, kind: Kind) -> list[tuple[str, float]]:
    """Return the places of a kind of cause with their shares, the largest first."""
    return [
        (cause.place, share.mean)
        for cause, share in found.causes.items()
        if share is not None and (cause.leg, cause.kind) == kind
    ]


def verdict(found: Explanation, radio: Collection[str] = ()) -> str:
    """Say in a few sentences why a policy's requests were late; of `radio` are some of the cells."""
    if found.missed is None or found.missed.mean == 0.0:
        return f"{found.label}: every request was answered in time" + _wrong(found)
    told = [f"{found.label}: {found.missed.mean:.1%} late or unanswered" + _wrong(found)]
    kinds = [(kind, share.mean) for kind, share in found.kinds.items() if share is not None]
    named = [each for each in kinds if each[1] >= TOLD][:MOST_TOLD] or kinds[:1]
    phrases = [f"{share:.0%} is {phrase(kind, _named(found, kind))}" for kind, share in named]
    told.append("of the lateness, " + ", ".join(phrases))
    if found.never > 0.0:
        told.append(f"for {found.never:.0%} no plan is that fast even in an empty world")
    shares = {key: share.mean for key, share in (found.mistakes or {}).items() if share is not None}
    words = {
        HOPELESS: "were hopeless when asked about, even to who knew the present state and their luck",
        STALE: "could have been avoided by the same policy, had it known the present state and its luck",
        PREFERENCE: "could have been avoided by a plan that this policy would not choose knowing it",
        OVERTAKEN: "were to be on time when decided, and overtaken by what came later",
    }
    told += [f"{shares[key]:.0%} {words[key]}" for key in words if shares.get(key, 0.0) >= TOLD]
    if found.fresh is not None:
        told.append(f"with reports of no age, {found.fresh.mean:.1%} would be late or unanswered")
    if keys := _keys_of(found, [kind for kind, _ in named[:2]], radio):
        told.append(f"look at {' and '.join(keys)}")
    return ". ".join(each[0].upper() + each[1:] if n else each for n, each in enumerate(told)) + "."


def _named(found: Explanation, kind: Kind) -> str:
    """Name the places of a kind of cause, or the first of many."""
    names = [place.replace(", ", " + ") for place, _ in where_of(found, kind)]
    if len(names) > MOST_TOLD:
        names[MOST_TOLD - 1 :] = [f"{len(names) - MOST_TOLD + 1} more"]
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _keys_of(found: Explanation, kinds: Sequence[Kind], radio: Collection[str]) -> list[str]:
    """Return which keys of the scenario have to do with what was known, and with these causes."""
    keys = []
    # A node that is down reports nothing, however often it does otherwise.
    silent = kinds[0].kind in (FAILED, DOWN)
    fewer = found.fresh and found.missed and found.fresh.mean <= OF_REPORTS * found.missed.mean
    if fewer and not silent:
        keys.append("reports.every of the nodes")
    for kind in kinds:
        for places, _ in where_of(found, kind)[:2]:
            keys += [_key(kind, each, radio) for each in places.split(", ") if each not in ELSEWHERE]
    return list(dict.fromkeys(filter(None, keys)))


def _key(kind: Kind, place: str, radio: Collection[str]) -> str:
    """Return the key that has to do with a cause at a place; "" where there is none."""
    by_radio = kind.leg in ("uplink", "downlink") and kind in KEYS and place in radio
    return ("links.{}.bandwidth" if by_radio else KEYS.get(kind, "")).format(place)


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
    """Name a factor by its keys: with a * for what alone differs between them, else by the first."""
    if len(keys) == 1:
        return keys[0]
    parts = list(zip(*(key.split(".") for key in keys), strict=False))
    star = ".".join(each[0] if len(set(each)) == 1 else "*" for each in parts)
    if star.count("*") == 1 and len({key.count(".") for key in keys}) == 1:
        return f"{star} ({len(keys)} keys)"
    return f"{keys[0]} (and {len(keys) - 1} that vary with it)"


def bare(value: str) -> str:
    """Write a value without its quotes."""
    return value.strip('"')


def span(found: Interval) -> str:
    """Write an effect with its interval."""
    if math.isnan(found.low):
        return f"{found.mean:+.3g}"
    # A rounding error about zero is zero.
    mean, low, high = (round(each, 12) + 0.0 for each in (found.mean, found.low, found.high))
    return f"{mean:+.3g} [{low:+.3g}, {high:+.3g}]"


def _leg(leg: Leg) -> str:
    more_s = leg.took_s - leg.alone_s
    more = f" ({show_seconds(more_s)} beyond what it takes alone)" if more_s > 1e-6 else ""
    return f"{leg.leg} {leg.place} {show_seconds(leg.took_s)}{more}"


def worst_text(label: str, late: Late, *, of_sweep: bool = False) -> str:
    """Tell of a late request leg by leg, and of what would have been on time."""
    ended = f"{late.cause} after" if late.cause else "took"
    who = f"request {late.request} ({late.task} of {late.device}, born at {late.born_s:.3f} s)"
    took = f"{ended} {show_seconds(late.stayed_s)}, {show_seconds(late.deadline_s)} allowed"
    run = f"{label}, {late.point}" if of_sweep else label
    lines = [f"{run}, replication {late.replication}, {who}: {took}; {late.plan}"]
    lines.append("  " + "; ".join(map(_leg, late.legs)))
    for look in late.looks:
        best = f"{look.best} in {_predicted(look.best_s)}"
        what = "to be on time, but for what came later" if look.in_time else (
            f"on time would have been {best}" if look.best_s <= look.left_s
            else f"nothing was on time, the quickest {best}"
        )  # fmt: skip
        left = show_seconds(max(0.0, look.left_s))
        lines.append(
            f"  asked with {left} left, by the truth: {look.plan} in {_predicted(look.plan_s)}; {what}"
        )
    return "\n".join(lines)


def _predicted(latency_s: float) -> str:
    return show_seconds(latency_s) if math.isfinite(latency_s) else "no end"


def notes(found: Report) -> str:
    """Explain the words of the tables."""
    told = []
    if found.policies[0].replications > 1:
        told.append("± is half of the 95% interval over replications.")
    luck = "" if found.replayed else " and bad luck, without replay"
    told.append(
        "Each missed request counts for one, divided among its legs. work: its plan takes longer than"
        " the deadline even in an empty world; signal: where its device was, a cell was out of reach or"
        " below its full rate; waiting: for others (with what batches, handshakes, idleness and company"
        f" add{luck}); loading: for its own weights; retry: a first attempt failed; else the cause for"
        " which it was not answered."
    )
    if found.replayed:
        judged = sum(each.judged for each in found.policies)
        told.append(
            "luck: this run took longer than the mean. hopeless: no plan was on time by the true state"
            " and its luck when it was asked about; stale knowledge: the policy, shown the truth, would"
            " have chosen one that was; preference: it would not; overtaken: its plan was on time by the"
            " truth then (others came later, perhaps misled by old reports); missed if fresh: what all"
            " together"
            f" would miss with reports of no age. {judged} missed requests were looked at, by repeating"
            " the runs to the same rows; it is a second instance of the policy that was shown the truth."
        )
    elif found.points > 1:
        told.append("Sweeps are not replayed; explain one point's folder for the policies' mistakes.")
    return " ".join(told)
