"""Jobs with due times against all orders of them."""

from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from offload.planning.lateness import Job, all_on_time, fewest_late

JOBS = st.lists(st.tuples(st.integers(0, 6).map(float), st.integers(0, 16).map(float)), max_size=6)
START = st.integers(0, 3).map(float)


def on_time(order: tuple[Job, ...] | list[Job], start_s: float) -> int:
    """Return how many jobs are on time in this order."""
    number = 0
    for work_s, due_s in order:
        start_s += work_s
        number += start_s <= due_s
    return number


@settings(max_examples=60)
@given(JOBS, START)
def test_no_order_has_fewer_late_jobs(jobs: list[Job], start_s: float) -> None:
    most = max(on_time(order, start_s) for order in permutations(jobs))
    taken = fewest_late(jobs, start_s)
    assert len(set(taken)) == len(taken) == most
    assert on_time([jobs[job] for job in taken], start_s) == most  # in the order in which they are told
    assert all_on_time(jobs, start_s) == (most == len(jobs))


def test_seven_jobs() -> None:
    # All but the longest fit: 6, 9, 14, 16, 23 and 27 are within 15, 17, 21, 26, 27 and 30.
    jobs = [(10.0, 12.0), (6.0, 15.0), (3.0, 17.0), (5.0, 21.0), (2.0, 26.0), (7.0, 27.0), (4.0, 30.0)]
    assert max(on_time(order, 0.0) for order in permutations(jobs)) == 6
    assert fewest_late(jobs) == [1, 2, 3, 4, 5, 6]
