"""What should make a reader doubt a comparison: chance, its length, how its figures are known."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from scipy.special import stdtrit

from offload.analysis import statistics
from offload.analysis.compare import Comparison, PolicyResult
from offload.analysis.measures import BINS, Summary
from offload.analysis.statistics import Interval
from offload.analysis.story import Story
from offload.analysis.until import MOST
from offload.scenario.coverage import remarks
from offload.units import show_seconds
from offload.views.report.provenance import Known
from offload.views.report.words import listed
from offload.views.table import second_opinion_text

WIDE = {"useful": 0.02, "on_time": 0.02}  # half of an interval, in points of a share
WIDE_OF_MEAN = {"latency_mean_s": 0.1, "latency_p95_s": 0.1, "energy_j": 0.1}
FEW = 0.001  # unfinished requests below this share do not trouble anybody
FAR = 0.3  # the error of rescaling from which a figure is not to be trusted
MOST_TOLD = 6


def doubts(story: Story, known: Sequence[Known]) -> list[str]:
    """Return all warnings, a sentence or two each; `known` are the figures that the scenario uses."""
    found = story.found
    return [
        *_one_replication(found),
        *_wide(found),
        *_left_out(story),
        *_warm_up(story),
        *_unfinished(found),
        *_saturated(found),
        *_rescaled(known),
        *_second_opinion(found),
        *(f"{each}." for each in remarks(story.setting(), story.scenario.file.map)),
    ]


def _one_replication(found: Comparison) -> Iterator[str]:
    if found.replications == 1:
        yield (
            "There is one replication only: no figure has an interval, and no difference can be told"
            " from chance. Compare with --replications 10."
        )


def _left_out(story: Story) -> Iterator[str]:
    if story.left_out:
        yield f"Not all policies have these replications, which are left out: {_some(story.left_out)}."


def _wide(found: Comparison) -> Iterator[str]:
    """Tell of intervals that are wider than a reader would think, a line a measure."""
    for measure, room, of_mean in (
        *((measure, room, False) for measure, room in WIDE.items() if measure == found.headline),
        *((measure, room, True) for measure, room in WIDE_OF_MEAN.items()),
    ):
        wide = [
            (policy, half, half / (room * abs(each.mean) if of_mean else room))
            for policy in found.policies
            if (each := policy.measures[measure]) is not None
            and (half := each.high - each.mean) > (room * abs(each.mean) if of_mean else room)
        ]
        if not wide:
            continue
        enough = _enough(found, max(times for _, _, times in wide))
        asked, halves = f"{room:.0%}", [_half(policy, measure, half) for policy, half, _ in wide]
        yield (
            f"Intervals of {measure} are wide: {_some(halves)}."
            f" {enough} replications would bring all of them to ±{asked}"
            f" (compare --until '{measure} ±{asked}')."
        )


def _enough(found: Comparison, times: float) -> str:
    """Say from how many replications on Student's intervals are so many times narrower.

    As the spread is, half of an interval goes with t(n - 1) / sqrt(n).
    """
    counts = np.arange(found.replications, MOST + 1)
    halves = stdtrit(counts - 1, (1 + found.taken_at) / 2) / np.sqrt(counts)
    enough = counts[halves <= halves[:1] / times]
    return f"About {enough[0]}" if len(enough) else f"More than {MOST}"


def _half(policy: PolicyResult, measure: str, half: float) -> str:
    if measure in WIDE:
        return f"{policy.label} ±{100 * half:.1f} points"
    mean = policy.measures[measure] or Interval(math.nan, math.nan, math.nan)
    return f"{policy.label} ±{half / abs(mean.mean):.0%}" if mean.mean else policy.label


def _warm_up(story: Story) -> Iterator[str]:
    """Compare the warm-up with what `auto` would leave out, by MSER-5."""
    found, file = story.found, story.scenario.file
    if file.warm_up == "auto":
        return
    bin_s = file.duration / BINS
    begins = {
        label: statistics.warm_up_bins({label: [run.stays for run in each]}) * bin_s
        for label, each in story.runs.items()
    }
    late = {label: at_s for label, at_s in begins.items() if at_s > found.warm_up_s + bin_s}
    if not late:
        return
    most_s = max(late.values())
    left, better = (_born_before(story.runs, at_s / bin_s) for at_s in (found.warm_up_s, most_s))
    told = (
        f"The warm-up of {show_seconds(found.warm_up_s)} may be too short: it leaves out {left:,.0f}"
        f" requests a replication, where MSER-5 would leave out {better:,.0f}, the first"
        f" {show_seconds(most_s)} (for {_some(list(late))})."
    )
    if most_s >= file.duration * 0.45:  # it looks for a beginning in the first half only
        told += " That is as far as it looks: the time in the system may not settle in so short a run."
    yield told


def _born_before(runs: Mapping[str, Sequence[Summary]], bins: float) -> float:
    """Return how many requests are born in so many first bins, on average over replications."""
    first = next(iter(runs.values()))  # births are the same under every policy
    return sum(sum(run.births[: round(bins)]) for run in first) / len(first)


def _unfinished(found: Comparison) -> Iterator[str]:
    shares = [(each.label, each.unfinished / max(1, each.requests)) for each in found.policies]
    lost = sorted((each for each in shares if each[1] >= FEW), key=lambda each: -each[1])
    if lost:
        told = _some([f"{label} {share:.1%}" for label, share in lost])
        yield (
            f"Some requests were never answered: {told}. They count as infinitely late, so that no mean"
            " latency is defined, nor a quantile that they reach."
        )


def _saturated(found: Comparison) -> Iterator[str]:
    labels = [policy.label for policy in found.policies if policy.saturated]
    if labels:
        many = len(labels) > 1
        yield (
            f"{listed(labels)} {'are' if many else 'is'} saturated: what is under way keeps growing, and"
            f" a longer run would show {'their' if many else 'its'} figures to be worse."
        )


def _rescaled(known: Sequence[Known]) -> Iterator[str]:
    """Tell which latencies may be far off, and of which nobody knows how far."""
    rescaled = [each for each in known if each.known == "rescaled"]
    far: dict[tuple[str, float, float], list[str]] = {}
    for each in rescaled:
        if each.errors is not None and max(each.errors) > FAR:
            far.setdefault((each.hardware, *each.errors), []).append(each.of)
    for (hardware, mean, worst), of in far.items():
        yield (
            f"Latencies on {hardware} of {_some(of)} are rescaled, and may be far off: published"
            f" networks were missed by {mean:.0%} in the mean, by {worst:.0%} at worst."
        )
    unknown: dict[str, list[str]] = {}
    for each in rescaled:
        if "error unknown" in each.error:
            unknown.setdefault(each.hardware, []).append(each.of)
    for hardware, of in unknown.items():
        yield f"Latencies on {hardware} of {_some(of)} are rescaled with an error that nobody knows."


def _second_opinion(found: Comparison) -> Iterator[str]:
    lines = [line.strip() for line in second_opinion_text(found).splitlines()]
    told = found.second_opinion
    lost = len(told.lost) if told is not None else 0
    for line in lines[: len(lines) - lost]:
        yield f"{line[:1].upper()}{line[1:]}."
    if lost:
        yield f"Without significance, or the other way round, then: {'; '.join(lines[-lost:])}."


def _some(named: Sequence[str]) -> str:
    more = len(named) - MOST_TOLD
    return listed(list(named)) if more <= 0 else f"{', '.join(named[:MOST_TOLD])} and {more} more"
