"""Jobs with due times on one machine: can all be on time, and if not, the fewest late ones."""

from collections.abc import Sequence
from heapq import heappop, heappush

Job = tuple[float, float]  # seconds of work, and the time at which it is due


def all_on_time(jobs: Sequence[Job], start_s: float = 0.0) -> bool:
    """Tell whether one machine, free from `start_s`, can do all these jobs in time.

    If any order does, that of due times does (Jackson 1955): earliest deadline first.

    >>> all_on_time([(2, 5), (1, 1), (2, 3)])
    True
    """
    for work_s, due_s in sorted(jobs, key=lambda job: job[1]):
        start_s += work_s
        if start_s > due_s:
            return False
    return True


def fewest_late(jobs: Sequence[Job], start_s: float = 0.0) -> list[int]:
    """Return which jobs, as indices in order of due times, to do on time so that the fewest are late.

    Moore (1968), after Hodgson: take jobs by due time; whenever one ends late, give up the longest that
    was taken. O(n log n). Of equal due times the first comes first.

    >>> fewest_late([(2, 2), (1, 3), (1, 3)])
    [1, 2]
    """
    taken: list[tuple[float, int]] = []  # a heap, the longest at its top
    for job in sorted(range(len(jobs)), key=lambda job: jobs[job][1]):
        work_s, due_s = jobs[job]
        heappush(taken, (-work_s, job))
        start_s += work_s
        if start_s > due_s:
            start_s += heappop(taken)[0]
    return sorted((job for _, job in taken), key=lambda job: (jobs[job][1], job))
