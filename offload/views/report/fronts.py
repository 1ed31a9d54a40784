"""What policies are worth against what they cost, and how they differ, as charts with intervals."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from offload.analysis.compare import Comparison
from offload.analysis.curves import front
from offload.analysis.statistics import Interval, Pair
from offload.analysis.story import Story
from offload.views.report.axes import x_axis, y_axis
from offload.views.report.chart import Chart
from offload.views.report.looks import (
    MOST_ROWS,
    WHAT,
    WORDS,
    Look,
    bounds,
    key,
    looks,
    percent,
    share,
)
from offload.views.report.scales import Scale, prefixed, rounded
from offload.views.report.svg import SMALL, WIDTH, Picture, lines, stairs, text_width

MOST_PAIRS = 30


@dataclass(frozen=True, slots=True)
class Cost:
    """Something that policies spend: a measure, what it is called, its unit and how to scale it."""

    measure: str
    title: str
    label: str
    unit: str
    times: float


def fronts(story: Story) -> list[Chart]:
    """Draw what a joule buys and, where anything has a price, what money buys."""
    found = story.found
    known = [policy.measures["energy_j"] for policy in found.policies]
    unit, times = prefixed(max((each.mean for each in known if each), default=0.0), "J")
    costs = [
        Cost("energy_j", "What a joule buys", f"device energy per request ({unit}, marginal)", unit,
             times),
        Cost("money", "What money buys", "money per 1000 requests", "of money per 1000 requests", 1e3),
    ]  # fmt: skip
    return [chart for cost in costs if (chart := _front(found, cost)) is not None]


def _front(found: Comparison, cost: Cost) -> Chart | None:
    """Draw the headline measure against a cost, with both intervals and the front of the contenders.

    None unless both are known of two policies at least.
    """
    measure = found.headline
    points = {
        policy.label: (x, _clipped(y))
        for policy in found.policies
        if (x := policy.measures[cost.measure]) is not None
        and (y := policy.measures[measure]) is not None
    }
    if len(points) < 2:
        return None
    shown = [look for look in looks(found) if look.label in points]
    contenders = {
        each.label: (points[each.label][0].mean, points[each.label][1].mean)
        for each in shown
        if not each.reference
    }
    on_front = front(contenders)
    picture = Picture("energy-front" if cost.measure == "energy_j" else "money-front")
    _draw_front(picture, cost, WORDS[measure], shown, points, [contenders[each] for each in on_front])
    says = _says_front(cost, WHAT[measure], contenders, on_front)
    columns = ["policy", cost.label, f"% {WHAT[measure]}", "on the front"]
    table = [
        [each.label, bounds(points[each.label][0], cost.times), bounds(points[each.label][1], 100.0),
         "reference" if each.reference else "yes" if each.label in on_front else "no"]
        for each in shown
    ]  # fmt: skip
    svg = picture.svg(cost.title, says)
    return Chart(picture.name, cost.title, says, svg, columns, table[:MOST_ROWS])


def _says_front(
    cost: Cost, what: str, contenders: Mapping[str, tuple[float, float]], on_front: Sequence[str]
) -> str:
    """Say between whom there is a choice: the two ends of the front."""
    if not on_front:
        return "Only references were compared."
    ends = [
        f"{label} {share(contenders[label][1])} {what} for {contenders[label][0] * cost.times:.3g}"
        f" {cost.unit}"
        for label in dict.fromkeys((on_front[0], on_front[-1]))
    ]
    few = f"{len(on_front)} of {len(contenders)} policies are worth choosing between by their means"
    if len(on_front) == 1:
        few = (
            "by their means no other is better or cheaper"
            if len(contenders) > 1
            else "all others know more"
        )
    return f"{' and '.join(ends)}: {few}."


def _draw_front(
    picture: Picture, cost: Cost, words: str, shown: Sequence[Look],
    points: Mapping[str, tuple[Interval, Interval]], on_front: Sequence[tuple[float, float]],
) -> None:  # fmt: skip
    names = min(max(text_width(each.label, SMALL) for each in shown), 150.0)
    top, left, right = 30.0, 46.0, WIDTH - names - 52
    bottom = top + max(270.0, 17.0 * len(shown))
    picture.height = bottom + 38
    ends = [_ends(each) for each in zip(*points.values(), strict=True)]
    x = Scale(0.0, rounded(0.0, ends[0][1] * cost.times)[1], left, right)
    low, high = rounded(max(0.0, ends[1][0]), min(1.0, ends[1][1]))
    y = Scale(max(0.0, low), min(1.0, high), bottom, top)
    x_axis(picture, x, bottom, top, cost.label)
    y_axis(picture, y, left, right, f"share {words}")
    if on_front:
        last = on_front[-1]
        steps = [(x(cost_ * cost.times), y(worth)) for cost_, worth in (*on_front, (math.inf, last[1]))]
        picture.path(stairs(steps), "currentColor", "the front", opacity=".55", stroke_dasharray="1 2")
    by_worth = sorted(shown, key=lambda each: -points[each.label][1].mean)
    for number, each in enumerate(by_worth):
        spent, worth = points[each.label]
        at_x, at_y = x(spent.mean * cost.times), y(worth.mean)
        says = f"{each.label}: {bounds(worth, 100.0)}% for {bounds(spent, cost.times)} {cost.unit}"
        if not math.isnan(spent.low):
            wide = [(x(spent.low * cost.times), at_y), (x(spent.high * cost.times), at_y)]
            picture.path(lines(wide), each.colour)
        if not math.isnan(worth.low):
            picture.path(lines([(at_x, y(worth.low)), (at_x, y(worth.high))]), each.colour)
        each.mark(picture, at_x, at_y, says, radius=6.0 if each.reference else 4.5)
        key(picture, each, right + 16, top + 8 + 17 * number, names + 26)


def _clipped(share: Interval) -> Interval:
    """Return an interval of a share without what no share can be."""
    if math.isnan(share.low):
        return share
    return Interval(max(0.0, share.low), share.mean, min(1.0, share.high))


def _ends(intervals: Sequence[Interval]) -> tuple[float, float]:
    """Return the least and the largest of means and bounds."""
    known = [
        value
        for each in intervals
        for value in (each.low, each.mean, each.high)
        if not math.isnan(value)
    ]
    return min(known), max(known)


def differences(story: Story) -> Chart | None:
    """Draw the paired differences in the headline measure, the better minus the worse."""
    found = story.found
    measure = found.headline
    pairs = [_within(_positive(pair)) for pair in found.pairs if pair.measure == measure]
    if not pairs:
        return None
    label, apart = story.best, sum(pair.differs for pair in pairs)
    shown = pairs
    if len(pairs) > MOST_PAIRS:
        shown = [pair for pair in pairs if label in (pair.a, pair.b)]
    shown = sorted(shown, key=lambda pair: -pair.mean)[:MOST_PAIRS]
    picture = Picture("differences")
    _draw_differences(picture, WHAT[measure], shown)
    title = f"Paired differences: {WHAT[measure]}"
    says = (
        f"{apart} of {len(pairs)} pairs of policies differ in the share {WHAT[measure]}"
        f" (simultaneous {percent(found.level)} intervals)"
    )
    says += f"; shown are those with {label}, the highest." if len(shown) < len(pairs) else "."
    columns = ["better", "worse", "difference in points", "low", "high", "differ"]
    table = [
        [pair.a, pair.b, *(f"{100 * each:+.2f}" for each in (pair.mean, pair.low, pair.high)),
         "yes" if pair.differs else "not told apart"]
        for pair in shown
    ]  # fmt: skip
    return Chart(picture.name, title, says, picture.svg(title, says), columns, table)


def _positive(pair: Pair) -> Pair:
    """Return a pair, the better first."""
    if pair.mean >= 0.0:
        return pair
    return Pair(pair.b, pair.a, pair.measure, -pair.high, -pair.mean, -pair.low, pair.differs)


def _within(pair: Pair) -> Pair:
    """Return a pair without what no difference of two shares can be."""
    return replace(pair, low=max(-1.0, pair.low), high=min(1.0, pair.high))


def _draw_differences(picture: Picture, what: str, shown: Sequence[Pair]) -> None:
    texts = [f"{pair.a} \u2212 {pair.b}" for pair in shown]
    names = min(max(map(text_width, texts)) * 1.05, 300.0)
    left, right, top, pitch = names + 16, WIDTH - 16, 8.0, 20.0
    bottom = top + pitch * len(shown)
    picture.height = bottom + 38
    low = min(0.0, *(pair.low for pair in shown))
    high = max(0.0, *(pair.high for pair in shown))
    x = Scale(*rounded(100 * low, 100 * high), left, right)
    x_axis(picture, x, bottom, top, f"difference in the share {what} (percentage points)")
    picture.rule((x(0.0), top), (x(0.0), bottom))
    for number, (pair, text) in enumerate(zip(shown, texts, strict=True)):
        y = top + pitch * (number + 0.5)
        weight, faint = ("bold", None) if pair.differs else (None, ".7")
        picture.text(left - 8, y + 4, text, room=names + 4, text_anchor="end", font_weight=weight,
                     opacity=faint)  # fmt: skip
        says = f"{text}: {100 * pair.mean:+.2f} [{100 * pair.low:+.2f}, {100 * pair.high:+.2f}] points"
        ends = [(x(100 * pair.low), y), (x(100 * pair.high), y)]
        picture.path(lines(ends), "currentColor", says, opacity=faint,
                     stroke_width="2.5" if pair.differs else "1")  # fmt: skip
        fill = "currentColor" if pair.differs else "none"
        picture.put("circle", says, cx=x(100 * pair.mean), cy=y, r=4.0, fill=fill, stroke="currentColor")
