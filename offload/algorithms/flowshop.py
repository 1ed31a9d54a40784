"""Two machines one after the other: the order of jobs, and the mix of cuts for jobs that are alike."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


Job = tuple[float, float]  # seconds on the first machine, and on the second


def johnson(jobs: Sequence[Job]) -> list[int]:
    """Return the order, as indices, in which the last of these jobs is done the earliest.

    Johnson (1954): jobs that are shorter on the first machine go first, in increasing order of that
    time; then the others, in decreasing order of their time on the second. O(n log n).

    >>> johnson([(3, 2), (1, 4), (2, 2)])
    [1, 0, 2]
    """
    first = [job for job, (one, other) in enumerate(jobs) if one < other]
    last = [job for job, (one, other) in enumerate(jobs) if one >= other]
    first.sort(key=lambda job: jobs[job][0])
    last.sort(key=lambda job: -jobs[job][1])
    return first + last


def makespan(jobs: Sequence[Job], ready: Job = (0.0, 0.0)) -> float:
    """Return when the last of jobs that come in this order is done; machines are free when `ready`."""
    one_s, other_s = ready
    for first, second in jobs:
        one_s += first
        other_s = max(one_s, other_s) + second
    return other_s


class Mix(NamedTuple):
    """How many of n equal jobs are cut one way, and then the others another; when all is done."""

    early: int
    early_jobs: int
    late: int
    makespan_s: float


def relaxed(first_s: Floats, second_s: Floats) -> tuple[int, int, float]:
    """Return the two cuts, and the share of the first, that make the busier machine least busy a job.

    The relaxation of many jobs: minimise max(mean of `first_s`, mean of `second_s`) over all mixes of
    cuts. The points (first, second) of a mix fill the convex hull of those of the cuts, so the best lies
    on an edge of its lower left side: where that crosses first = second, or else at its nearest end.
    Two cuts of the same index: one alone is best.
    """
    hull = lower_left(first_s, second_s)
    gap = (first_s - second_s)[hull]  # increases along the hull
    after = int(np.searchsorted(gap, 0.0))
    if after == 0 or after == len(hull):
        end = int(hull[min(after, len(hull) - 1)])
        return end, end, 1.0
    share = gap[after] / (gap[after] - gap[after - 1])
    return int(hull[after - 1]), int(hull[after]), float(share)


def lower_left(first_s: Floats, second_s: Floats) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return the corners of the convex hull that no other point beats in both, by increasing first.

    It does not change when either column is scaled.
    """
    kept: list[int] = []
    for each in np.lexsort((second_s, first_s)).tolist():
        if kept and second_s[each] >= second_s[kept[-1]]:
            continue  # no better in either
        while len(kept) > 1:
            one, two = kept[-2], kept[-1]
            rise = (second_s[two] - second_s[one]) * (first_s[each] - first_s[one])
            if rise < (second_s[each] - second_s[one]) * (first_s[two] - first_s[one]):
                break
            kept.pop()
        kept.append(each)
    return np.array(kept, dtype=np.intp)


def mix_cuts(
    first_s: Floats,
    second_s: Floats,
    jobs: int,
    first_free_s: Floats | float = 0.0,
    second_free_s: float = 0.0,
) -> Mix:
    """Return how many of n equal jobs to cut where: entry c of a column is a job's time if cut at c.

    Joint partition and scheduling after Duan and Wu (ICPP 2021): two cuts are enough for the relaxed
    problem, next to each other where computing no longer takes less time than sending. They are rounded
    here by trying every number of jobs of the first; and all jobs alike are tried at every cut, which
    for a single job is exact. Machines are free from some time on; the first one's may be a column,
    since a job that computes nothing there need not wait for it. In Johnson's order, in which jobs whose
    first part is the shorter go first, the last job is then done at

        max(second_free + G, first_free + f_early + G, first_free + F + g_late)

    with totals F and G. If both are free at once, that is less than a job more than the best of any mix.
    """
    one, other, _ = relaxed(first_s, second_s)
    alike = np.arange(len(first_s))
    numbers = np.arange(1, jobs)
    early = np.concatenate((alike, np.full(len(numbers), one)))
    late = np.concatenate((alike, np.full(len(numbers), other)))
    early_jobs = np.concatenate((np.full(len(alike), jobs), numbers))
    first = early_jobs * first_s[early] + (jobs - early_jobs) * first_s[late]
    second = early_jobs * second_s[early] + (jobs - early_jobs) * second_s[late]
    free_s = np.broadcast_to(first_free_s, first_s.shape)
    ends_s = np.maximum(second_free_s + second, free_s[early] + first_s[early] + second)
    ends_s = np.maximum(ends_s, free_s[late] + first + second_s[late])
    best = int(ends_s.argmin())
    return Mix(int(early[best]), int(early_jobs[best]), int(late[best]), float(ends_s[best]))
