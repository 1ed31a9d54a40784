"""How long requests take, as charts: how many are answered within a time, and where the time goes."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from offload.analysis.compare import PolicyResult
from offload.analysis.curves import answered_within, collected, leg_means, shares_within
from offload.analysis.rows import LEGS
from offload.analysis.story import Story
from offload.units import show_seconds
from offload.views.palette import LEG_COLOURS
from offload.views.report.axes import Swatch, legend, x_axis, y_axis
from offload.views.report.chart import Chart
from offload.views.report.looks import MOST_ROWS, Look, key, looks, share
from offload.views.report.scales import Scale, prefixed, rounded, spread
from offload.views.report.svg import SMALL, WIDTH, Picture, stairs, text_width

Floats = npt.NDArray[np.float64]
Curve = tuple[Floats, Floats]  # latencies in ms, and shares answered within them

FINE = 2.0  # points of a curve stand at least so far apart
MOST_DEADLINES = 4
ON_THE_WAY = ("uplink_s", "wan_s", "downlink_s")  # these legs are striped


def latency_cdf(story: Story) -> Chart | None:
    """Draw the share of requests answered within a time; what is never answered leaves a gap above."""
    found = story.found
    rows = {label: story.counted(label) for label in story.labels}
    curves = {label: answered_within(each) for label, each in rows.items()}
    if not any(len(latency) for latency, _ in curves.values()):
        return None
    deadlines_s = _deadlines(rows[story.labels[0]])
    within = {label: shares_within(each, deadlines_s) for label, each in rows.items()}
    picture = Picture("latency-cdf")
    _draw_cdf(picture, looks(found), curves, sorted(deadlines_s))
    title = "Share of requests answered within a time"
    says = _says_within(story.best, within, deadlines_s[0])
    columns = ["policy", *(f"within {show_seconds(each)}" for each in deadlines_s)]
    columns += ["half within", "95% within", "99% within", "ever answered"]
    table = [
        [label, *map(share, within[label]), *_times(curves[label], (0.5, 0.95, 0.99)),
         share(curves[label][1][-1] if len(curves[label][1]) else 0.0)]
        for label in story.labels
    ]  # fmt: skip
    return Chart(picture.name, title, says, picture.svg(title, says), columns, table[:MOST_ROWS])


def _deadlines(rows: pl.LazyFrame) -> list[float]:
    """Return the deadlines of most requests, that of most first."""
    counts = collected(rows.group_by("deadline_s").len())
    return counts.sort("len", "deadline_s", descending=[True, False])["deadline_s"].to_list()[
        :MOST_DEADLINES
    ]


def _says_within(label: str, within: Mapping[str, Sequence[float]], deadline_s: float) -> str:
    """Say how many of the best policy, and of the worst, are answered within the usual deadline."""
    time = show_seconds(deadline_s)
    says = f"{label} answers {share(within[label][0])} of requests within {time}"
    least = min(within, key=lambda each: within[each][0])
    others = f"; {least}, the least, {share(within[least][0])}" if least != label else ""
    return f"{says}{others}."


def _times(curve: Curve, shares: Sequence[float]) -> list[str]:
    """Return by when these shares of all requests are answered; - for never."""
    latency_ms, reached = curve
    places = [int(np.searchsorted(reached, each - 1e-12)) for each in shares]
    return [show_seconds(latency_ms[at] / 1e3) if at < len(reached) else "-" for at in places]


def _draw_cdf(
    picture: Picture, policies: Sequence[Look], curves: Mapping[str, Curve], deadlines_s: Sequence[float]
) -> None:
    longest_s = max(
        latency[int(np.searchsorted(shares, 0.995 * shares[-1]))] / 1e3
        for latency, shares in curves.values()
        if len(latency)
    )
    # Far beyond the deadlines the rest of a long tail tells little; a deadline nearby is shown.
    end_s = min(1.05 * longest_s, max(2.5 * deadlines_s[-1], 1e-3))
    if deadlines_s[0] < 3 * longest_s:
        end_s = max(end_s, 1.05 * deadlines_s[0])
    unit, times = prefixed(end_s, "s")
    names = min(max(text_width(each.label, SMALL) for each in policies), 150.0)
    top, left, right = 46.0, 46.0, WIDTH - names - 52
    bottom = top + max(270.0, 15.0 * len(policies))
    picture.height = bottom + 38
    x, y = Scale(0.0, end_s * times, left, right), Scale(0.0, 1.0, bottom, top)
    x_axis(picture, x, bottom, top, f"latency ({unit})")
    y_axis(picture, y, left, right)
    picture.text(8, 12, "share of all requests", size=SMALL)  # above the deadlines
    _draw_deadlines(picture, x, [each * times for each in deadlines_s], unit, (top, bottom))
    ends = []
    for number, each in enumerate(policies):
        latency_ms, shares = curves[each.label]
        points = _points(latency_ms * times / 1e3, shares, x, y)
        picture.path(stairs(points), each.colour, each.label,
                     stroke_dasharray=each.dashes, stroke_width="1.6")  # fmt: skip
        for part in range(3):
            at = left + (right - left) * (part + (number + 0.5) / len(policies)) / 3
            height = max((point for point in points if point[0] <= at), key=lambda point: point[0])[1]
            each.mark(picture, at, height, radius=3.0)
        ends.append(points[-1][1])
    for each, end, place in zip(policies, ends, spread(ends, 15.0, top, bottom - 4), strict=True):
        picture.path(f"M{right:.0f} {end:.0f}L{right + 14:.0f} {place:.0f}", each.colour, opacity=".6")
        key(picture, each, right + 16, place, names + 26)


def _points(latency: Floats, shares: Floats, x: Scale, y: Scale) -> list[tuple[float, float]]:
    """Return a curve's points in the picture: of those that nobody could tell apart the last."""
    seen = latency <= x.high
    across = np.array([x(value) for value in latency[seen]])
    up = [y(value) for value in shares[seen]]
    if not len(across):
        return [(x.begin, y.begin), (x.end, y.begin)]
    last = np.append(np.diff(np.floor(across / FINE)) > 0, True)
    return [
        (x.begin, y.begin),
        *((across[index], up[index]) for index in np.flatnonzero(last)),
        (x.end, up[-1]),
    ]


def _draw_deadlines(
    picture: Picture, x: Scale, deadlines: Sequence[float], unit: str, ends: tuple[float, float]
) -> None:
    """Draw deadlines as dotted lines, their labels side by side above."""
    top, bottom = ends
    shown = [each for each in deadlines if each <= x.high]
    texts = [f"deadline {each:.4g} {unit}" for each in shown]
    gap = max((text_width(text, SMALL) for text in texts), default=0.0) + 8
    places = spread([x(each) for each in shown], gap, x.begin + gap, x.end - gap / 2)
    for value, text, place in zip(shown, texts, places, strict=True):
        picture.rule((x(value), bottom), (x(value), top), stroke_dasharray="2 3")
        picture.rule((x(value), top), (place, top - 8), stroke_dasharray="2 3")
        picture.text(place, top - 11, text, size=SMALL, text_anchor="middle")


def legs(story: Story) -> Chart | None:
    """Draw where the time of finished requests goes, waiting included, as a bar a policy."""
    found = story.found
    means = {label: leg_means(story.counted(label)) for label in story.labels}
    longest_s = max(sum(each.values()) for each in means.values())
    if not longest_s:
        return None
    picture = Picture("legs")
    _draw_legs(picture, found.policies, means, longest_s)
    title = "Where a finished request's time goes"
    label = story.best
    most = max(means[label], key=lambda leg: means[label][leg])
    total_s = sum(means[label].values())
    says = f"Under {label} no request finishes."
    if total_s:
        says = (
            f"Under {label} a finished request takes {show_seconds(total_s)} on average, of which"
            f" {share(means[label][most] / total_s)} is {_name(most)}, waiting included."
        )
    used = [leg for leg in LEGS if any(each[leg] for each in means.values())]
    columns = ["policy", *map(_name, used), "in all", "unfinished"]
    table = [
        [policy.label, *(_time(means[policy.label][leg]) for leg in used),
         _time(sum(means[policy.label].values())), share(_unfinished(policy))]
        for policy in found.policies
    ]  # fmt: skip
    return Chart(picture.name, title, says, picture.svg(title, says), columns, table[:MOST_ROWS])


def _draw_legs(
    picture: Picture, policies: Sequence[PolicyResult], means: Mapping[str, Mapping[str, float]],
    longest_s: float,
) -> None:  # fmt: skip
    unit, times = prefixed(longest_s, "s")
    names = min(max(text_width(policy.label) for policy in policies), 150.0)
    left, top, pitch = names + 10, 8.0, 27.0
    bottom = top + pitch * len(policies)
    x = Scale(*rounded(0.0, longest_s * times), left, WIDTH - 150)
    x_axis(picture, x, bottom, top, f"mean time ({unit})")
    for number, policy in enumerate(policies):
        begin, y = 0.0, top + pitch * number + 3
        picture.text(left - 6, y + 14, policy.label, room=names + 1, text_anchor="end")
        for leg, seconds in means[policy.label].items():
            end = begin + seconds * times
            wide, name = x(end) - x(begin), _name(leg)
            if wide > 0.05:
                says = f"{policy.label}: {name} {show_seconds(seconds)}"
                picture.box((x(begin), y), wide, 20.0, _paint(picture, leg), says)
            if wide > text_width(name, SMALL) + 4:
                picture.text(
                    x(begin) + wide / 2, y + 14, name, size=SMALL, text_anchor="middle", fill="#000",
                    stroke="#fff", stroke_width="2", stroke_opacity=".6", paint_order="stroke",
                )  # fmt: skip
            begin = end
        lost = _unfinished(policy)
        told = show_seconds(begin / times) if begin else "none finished"
        told += f", {share(lost)} unfinished" if lost >= 0.001 and begin else ""
        picture.text(x(begin) + 6, y + 14, told, size=SMALL)
    used = [leg for leg in LEGS if any(each[leg] for each in means.values())]
    entries = [(_swatch(picture, leg), _name(leg)) for leg in used]
    picture.height = legend(picture, left, bottom + 38, WIDTH - left, entries)


def _swatch(picture: Picture, leg: str) -> Swatch:
    return lambda x, y: picture.box((x - 6, y - 5), 12, 10, _paint(picture, leg))


def _paint(picture: Picture, leg: str) -> str:
    """Return a leg's colour, striped if it is on the way between places."""
    colour = LEG_COLOURS[LEGS.index(leg)]
    return picture.stripes(colour, "#FFFFFF") if leg in ON_THE_WAY else colour


def _time(seconds: float) -> str:
    return show_seconds(seconds) if seconds else "-"


def _name(leg: str) -> str:
    return leg.removesuffix("_s")


def _unfinished(policy: PolicyResult) -> float:
    return policy.unfinished / max(1, policy.requests)
