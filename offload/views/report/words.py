"""What a comparison asked, what it came to, and what that does not say, in words."""

import math
from collections import Counter
from collections.abc import Sequence

from offload.analysis.compare import Comparison, PolicyResult
from offload.analysis.statistics import Interval, Pair
from offload.analysis.story import Story
from offload.scenario.load import Scenario
from offload.units import show_seconds

SHARES = {
    "useful": "answered correctly before their deadline",
    "on_time": "answered before their deadline",
}
MOST_NAMED = 4


def contenders(found: Comparison, measure: str) -> list[PolicyResult]:
    """Return the policies that know no more than devices can, the highest mean first.

    All policies, if there are no such; those for which the measure is not defined are left out.
    """
    known = [policy for policy in found.policies if policy.measures[measure] is not None]
    fair = [policy for policy in known if policy.knowledge == "reported"] or known
    return sorted(fair, key=lambda policy: -of(policy, measure).mean)


def references(found: Comparison, measure: str) -> list[PolicyResult]:
    """Return the policies that know more than devices can, if others compete, the highest first."""
    fair = {policy.label for policy in contenders(found, measure)}
    rest = [p for p in found.policies if p.label not in fair and p.measures[measure] is not None]
    more = [policy for policy in rest if policy.knowledge != "reported"]
    return sorted(more, key=lambda policy: -of(policy, measure).mean)


def of(policy: PolicyResult, measure: str) -> Interval:
    """Return the interval of a measure that is defined."""
    found = policy.measures[measure]
    return Interval(math.nan, math.nan, math.nan) if found is None else found


def gap(found: Comparison, measure: str, a: str, b: str) -> Pair | None:
    """Return the paired difference a - b, whichever way round it was taken; None if there is none."""
    for pair in found.pairs:
        if pair.measure == measure and (pair.a, pair.b) == (a, b):
            return pair
        if pair.measure == measure and (pair.a, pair.b) == (b, a):
            return Pair(a, b, measure, -pair.high, -pair.mean, -pair.low, pair.differs)
    return None


def question(story: Story) -> str:
    """Return the question that the comparison asks, in a sentence."""
    file, labels = story.scenario.file, story.labels
    counts = Counter(device.group for device in story.setting().devices)
    who = listed([f"{counts[group]} x {group}" for group in file.devices])
    asked = dict.fromkeys(
        f"{name} within {show_seconds(task.deadline)}"
        for group in file.devices.values()
        for name, task in group.tasks.items()
    )
    judged = " correctly" if story.found.headline == "useful" else ""
    if len(labels) == 1:
        what = f"How many requests does {labels[0]} answer{judged} in time"
    else:
        what = f"Which of {len(labels)} policies answers most requests{judged} in time"
    return f"{what}, when {who} ask for {listed(list(asked))}, and {_where(story.scenario)}?"


def _where(scenario: Scenario) -> str:
    """Say where requests may be answered."""
    nodes = scenario.file.nodes
    places = []
    for kind, one, many in (("edge", "at", "edge servers"), ("cloud", "in", "clouds")):
        names = [name for name, node in nodes.items() if node.kind == kind]
        if names:
            few = " or ".join(names) if len(names) <= MOST_NAMED else f"one of {len(names)} {many}"
            places.append(f"{one} {few}")
    if not places:
        return "each is answered on the device itself"
    return f"each may be answered on the device, {', '.join(places)}, or by several of them in turn"


def answer(found: Comparison) -> str:
    """Return what the comparison came to, in a sentence with its interval."""
    measure = found.headline
    order = contenders(found, measure)
    if not order:
        return "Nothing can be said: no request was born after the warm-up."
    best = order[0]
    told = f"Under {best.label} {_share(of(best, measure), found)} of all requests are {SHARES[measure]}"
    if len(order) == 1:
        return f"{told}."
    if found.replications == 1:
        told += f", the most of {len(order)} policies"
        return f"{told}; whether that is more than chance, one replication cannot tell."
    gaps = [(other.label, gap(found, measure, best.label, other.label)) for other in order[1:]]
    ties = [(label, pair) for label, pair in gaps if pair is None or not pair.differs]
    ahead = [label for label, pair in gaps if pair is not None and pair.differs]
    if not ties:
        label, pair = gaps[0]
        return f"{told}, {_ahead(pair)} more than under {label}, the next best{_at(found)}."
    few = len(ties) <= 2
    names = [f"{label} ({_behind(pair)})" if few else label for label, pair in ties]
    how = _at(found) if few and not all(_same(pair) for _, pair in ties) else ""
    tie = f"{told}, the highest share, but a tie with {listed(names)}{how}"
    return f"{tie}; it is ahead of {listed(ahead)}." if ahead else f"{tie}."


def _ahead(pair: Pair | None) -> str:
    """Write a difference with its interval, in points of a share: beyond 100 there is none."""
    if pair is None:
        return "nobody knows how much"
    low, mean, high = (100 * each for each in (max(-1.0, pair.low), pair.mean, min(1.0, pair.high)))
    return f"{mean:.1f} points [{low:+.1f}, {high:+.1f}]"


def _behind(pair: Pair | None) -> str:
    return "the same in each replication" if _same(pair) else f"{_ahead(pair)} less"


def _same(pair: Pair | None) -> bool:
    """Whether two policies came to the same in each replication, as those do that choose alike."""
    return pair is not None and pair.low == pair.mean == pair.high == 0.0


def _at(found: Comparison) -> str:
    """Say of which kind the intervals of differences are."""
    return f" (paired differences, {found.level:.0%} intervals for all pairs at once)"


def limits(found: Comparison, *, measured_answers: bool) -> list[str]:
    """Return what the answer does not say, a sentence each."""
    measure = found.headline
    order = contenders(found, measure)
    told = []
    if more := references(found, measure):
        names, knows = listed([p.label for p in more]), "knows" if len(more) == 1 else "know"
        best = more[0]
        told.append(
            f"{names} {knows} more than devices can and so {'is' if len(more) == 1 else 'are'} no"
            f" contender{'s' * (len(more) > 1)}:"
            f" {best.label} comes to {_share(of(best, measure), found)}."
        )
    told += [*_not_ranked(found, measure), *_not_equal(found, measure, order)]
    if measure == "useful" and not measured_answers:
        told.append(
            "Which answers are right is drawn by each network's accuracy on its own benchmark, not on"
            " pictures of this place."
        )
    if measure == "on_time":
        told.append("Nobody can say here which answers are right: only time counts.")
    chance = "Intervals tell of chance in this simulated world, which differs between replications"
    if found.replications == 1:
        chance = "Chance in this simulated world differs between replications"
    told += [
        "It is about that share alone; what it takes in energy and money, the tables tell.",
        (
            f"{chance}; how far its figures are from a real one's, the provenance below tells as far as"
            " it is known."
        ),
        "It holds for this load, these places and these networks; for others, compare again or sweep.",
    ]
    return told


def _not_ranked(found: Comparison, measure: str) -> list[str]:
    """Say who competes but cannot be ranked."""
    names = [
        policy.label
        for policy in found.policies
        if policy.knowledge == "reported" and policy.measures[measure] is None
    ]
    ranked = any(policy.measures[measure] is not None for policy in found.policies)
    if not names or not ranked:
        return []
    why = "nobody can say which of its answers are right, or it was asked nothing"
    return [f"{listed(names)} {'is' if len(names) == 1 else 'are'} not ranked: {why}."]


def _not_equal(found: Comparison, measure: str, order: Sequence[PolicyResult]) -> list[str]:
    """Say how large a difference between those that tie may still be."""
    pairs = [gap(found, measure, order[0].label, other.label) for other in order[1:]] if order else []
    ties = [pair for pair in pairs if pair is not None and not pair.differs and not _same(pair)]
    if not ties:
        return []
    most = min(100.0, 100 * max(max(abs(pair.low), abs(pair.high)) for pair in ties))
    return [f"A tie is no proof that they are equal: they may differ by up to {most:.1f} points."]


def listed(names: Sequence[str]) -> str:
    """Write names one after the other: a, b and c."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _share(share: Interval, found: Comparison) -> str:
    """Write a share with its interval: 67.2% (95% interval 66.4% to 68.0%)."""
    if math.isnan(share.low):
        return f"{share.mean:.1%}"
    low, high = (
        max(0.0, share.low),
        min(1.0, share.high),
    )  # Student's may reach beyond what shares can be
    return f"{share.mean:.1%} ({found.level:.0%} interval {low:.1%} to {high:.1%})"
