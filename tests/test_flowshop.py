"""Johnson's rule against all orders, and mixes of cuts against all mixes."""

from itertools import combinations_with_replacement, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from offload.algorithms.flowshop import johnson, lower_left, makespan, mix_cuts, relaxed

TIMES = st.integers(0, 9).map(float)
JOBS = st.lists(st.tuples(TIMES, TIMES), min_size=1, max_size=6)
READY = st.tuples(TIMES, TIMES)


@settings(max_examples=40)
@given(JOBS, READY)
def test_no_order_beats_johnsons(jobs: list[tuple[float, float]], ready: tuple[float, float]) -> None:
    order = johnson(jobs)
    assert sorted(order) == list(range(len(jobs)))
    mine = makespan([jobs[job] for job in order], ready)
    assert mine == min(makespan(each, ready) for each in permutations(jobs))


def test_no_order_of_seven_beats_johnsons() -> None:
    chance = np.random.default_rng(5)
    for _ in range(4):
        jobs = [tuple(job) for job in chance.random((7, 2)).tolist()]
        mine = makespan([jobs[job] for job in johnson(jobs)])
        assert mine == pytest.approx(min(makespan(each) for each in permutations(jobs)), abs=1e-12)


def test_five_jobs_by_hand() -> None:
    jobs = [(4.0, 5.0), (4.0, 1.0), (30.0, 4.0), (6.0, 30.0), (2.0, 3.0)]
    order = johnson(jobs)
    assert order == [4, 0, 3, 2, 1]
    # First machine: 2, 6, 12, 42, 46; second: 5, 11, 42, 46, 47.
    assert makespan([jobs[job] for job in order]) == 47.0


@st.composite
def cuts(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Draw what each cut costs on the two machines: more on the first, mostly less on the second."""
    steps = draw(st.lists(st.tuples(TIMES, TIMES), min_size=1, max_size=4))
    first = np.cumsum([0.0, *(step for step, _ in steps)])
    second = np.array([*(payload for _, payload in steps), 0.0])
    return first, second


def by_enumeration(
    first: np.ndarray, second: np.ndarray, jobs: int, ready: tuple[float, float]
) -> float:
    """Return the best makespan of all multisets of cuts, each in Johnson's order."""
    best = np.inf
    for chosen in combinations_with_replacement(range(len(first)), jobs):
        each = [(float(first[cut]), float(second[cut])) for cut in chosen]
        best = min(best, makespan([each[job] for job in johnson(each)], ready))
    return best


@settings(max_examples=150)
@given(cuts(), st.integers(1, 5), READY)
def test_a_mix_of_two_cuts_is_within_a_job_of_the_best_of_all_mixes(
    table: tuple[np.ndarray, np.ndarray], jobs: int, ready: tuple[float, float]
) -> None:
    first, second = table
    mix = mix_cuts(first, second, jobs, *ready)
    order = [mix.early] * mix.early_jobs + [mix.late] * (jobs - mix.early_jobs)
    done_s = makespan([(float(first[cut]), float(second[cut])) for cut in order], ready)
    assert mix.makespan_s == done_s
    best = by_enumeration(first, second, jobs, ready)
    assert best <= done_s
    if jobs == 1:
        assert done_s == best
    if ready == (0.0, 0.0):
        one, other, share = relaxed(first, second)
        value = max(share * x[one] + (1 - share) * x[other] for x in (first, second))
        assert best >= jobs * value - 1e-9
        # Rounded up or down, one machine has less than a job more to do, and one end of a job is left.
        up = max(first[one] + second[one] - second[other], second[other])
        down = max(first[one], first[other] - first[one] + second[other])
        assert done_s <= jobs * value + min(up, down) + 1e-9


@given(cuts())
def test_two_cuts_solve_the_relaxed_problem(table: tuple[np.ndarray, np.ndarray]) -> None:
    first, second = table
    one, other, share = relaxed(first, second)
    assert 0.0 <= share <= 1.0
    value = max(share * x[one] + (1 - share) * x[other] for x in (first, second))
    # Least t such that both means are at most t, over all mixes.
    exact = linprog(
        [0.0] * len(first) + [1.0],
        A_ub=[[*first, -1.0], [*second, -1.0]],
        b_ub=[0.0, 0.0],
        A_eq=[[1.0] * len(first) + [0.0]],
        b_eq=[1.0],
    )
    assert value == pytest.approx(exact.fun, abs=1e-9)


@given(cuts(), st.floats(0.01, 100))
def test_the_hull_does_not_change_with_the_rate(
    table: tuple[np.ndarray, np.ndarray], rate: float
) -> None:
    first, second = table
    # Powers of two scale to the bit.
    scale = 2.0 ** round(np.log2(rate))
    assert lower_left(first, second).tolist() == lower_left(first, scale * second).tolist()


def test_half_of_the_jobs_compute_while_the_others_send() -> None:
    # Sending at once takes 4, computing all 4: two of each are done after 8, all of one kind after 16.
    mix = mix_cuts(np.array([0.0, 4.0]), np.array([4.0, 0.0]), 4)
    assert mix == (0, 2, 1, 8.0)


def test_who_computes_nothing_first_does_not_wait_for_the_first_machine() -> None:
    # The first machine is free after 10. One job is sent at once, until 4; one computes until 11.
    first, second = np.array([0.0, 1.0]), np.array([4.0, 0.0])
    assert mix_cuts(first, second, 1, np.array([0.0, 10.0])) == (0, 1, 0, 4.0)
    assert mix_cuts(first, second, 3, np.array([0.0, 10.0])) == (0, 2, 1, 11.0)
    assert mix_cuts(first, second, 3, 10.0) == (1, 3, 1, 13.0)
