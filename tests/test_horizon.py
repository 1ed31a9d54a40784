"""The program over the horizon: never below what is possible, by brute force, and often equal."""

import math
from itertools import permutations, product

import numpy as np
import pytest

from offload.algorithms.horizon import Horizon, Job, Leg, Station, alone_s, least_total_s, undominated


def in_order(jobs, options, order):
    """Carry out jobs one leg after the other on single servers, at each by the order of jobs given."""
    free, ends = {}, {}
    for number in order:
        now = jobs[number].born_s
        for leg in jobs[number].options[options[number]]:
            now = max(now, free.get(leg.station, 0.0)) + leg.seconds
            free[leg.station] = now
            now += leg.then_s
        ends[number] = now
    return ends


def every_schedule(jobs):
    """Yield when each job is answered, for all choices of options and all orders."""
    for options in product(*(range(len(job.options)) for job in jobs)):
        for order in permutations(range(len(jobs))):
            yield in_order(jobs, options, order)


def drawn(rng, count):
    """Draw jobs that may run at home, or be sent and run elsewhere."""
    jobs = []
    for born_s in np.sort(rng.uniform(0.0, 1.5, count)):
        home, sent, there = rng.uniform(0.3, 1.2, 3)
        away = (Leg("air", sent / 2, 0.05), Leg("node", there / 2), Leg("back", 0.02, 0.05))
        jobs.append(Job(float(born_s), [(Leg("home", home),), away]))
    return jobs


def test_never_below_what_a_schedule_achieves_and_often_equal():
    rng = np.random.default_rng(1)
    equal = close = 0
    for _ in range(25):
        jobs = drawn(rng, 4)
        born_s = np.array([job.born_s for job in jobs])
        due_s = born_s + rng.uniform(0.5, 1.2)
        schedules = list(every_schedule(jobs))
        # Who is late may stay away: the best subset in time is that of the best order, late ones last.
        most = max(sum(ends[n] <= due_s[n] for n in ends) for ends in schedules)
        found = Horizon(jobs).most(due_s)
        assert found.count >= most
        assert found.relaxed >= most - 1e-6
        equal += found.count == most
        least = min(sum(ends.values()) for ends in schedules) - born_s.sum()
        bound = least_total_s(Horizon(jobs), 1e9, 0.01, 24)
        assert bound <= least + 1e-9
        close += bound >= 0.9 * least
    assert equal >= 22
    assert close >= 18


def test_the_answer_is_known_where_all_come_at_once():
    jobs = [Job(0.0, [(Leg("server", 1.0),)]) for _ in range(6)]
    for due_s, most in ((0.99, 0), (1.0, 1), (2.5, 2), (6.0, 6)):
        assert Horizon(jobs).most(np.full(6, due_s)).count == most
    two = {"server": Station(servers=2)}
    assert Horizon(jobs, two).most(np.full(6, 2.0)).count == 4
    assert least_total_s(Horizon(jobs), 1e9, 0.0, 100) == pytest.approx(1 + 2 + 3 + 4 + 5 + 6, rel=0.01)


def test_with_nobody_else_the_bound_is_the_least_latency():
    jobs = [Job(10.0 * n, [(Leg("server", 1.0),), (Leg("other", 0.5, 0.2),)]) for n in range(5)]
    assert least_total_s(Horizon(jobs), 1e9) == pytest.approx(5 * 0.7)
    assert Horizon(jobs).most(np.array([10.0 * n + 0.7 for n in range(5)])).count == 5
    assert Horizon(jobs).most(np.array([10.0 * n + 0.69 for n in range(5)])).count == 0


def test_who_is_served_in_one_go_blocks_more_than_who_may_be_interrupted():
    """A long one due late, a short one born amid: preempted both are in time, in one go one is not."""
    jobs = [Job(0.0, [(Leg("a", 2.0),)]), Job(0.9, [(Leg("a", 0.3),)])]
    due_s = np.array([2.35, 1.25])
    assert Horizon(jobs, {"a": Station(whole=False)}).most(due_s).count == 2
    assert Horizon(jobs).most(due_s).count == 1


def test_later_legs_are_waited_for():
    """Two whose first legs fit, but not their second before they are due."""
    jobs = [Job(born_s, [(Leg("a", 0.1), Leg("b", 1.0, 0.5))]) for born_s in (0.0, 0.05)]
    assert Horizon(jobs).most(np.array([2.7, 2.7])).count == 2
    assert Horizon(jobs).most(np.array([2.5, 2.5])).count == 1


def test_any_stage_of_the_search_for_rows_is_a_bound_and_any_horizon_may_be_asked_again():
    rng = np.random.default_rng(5)
    jobs = drawn(rng, 30)
    born_s = np.array([job.born_s for job in jobs])
    linear, whole = Horizon(jobs, nodes=0), Horizon(jobs, nodes=1000)
    counts = []
    for allowed_s in (0.4, 1.0, 2.0, 4.0, 1.0):
        most = whole.most(born_s + allowed_s)
        assert most.relaxed <= linear.most(born_s + allowed_s).relaxed + 1e-4
        assert sum(choice is not None for choice in most.chosen) <= 30
        counts.append(most.count)
    assert counts[:4] == sorted(counts[:4])
    assert 0 < counts[1] < 30
    assert counts[4] == counts[1]


def test_no_jobs_and_no_options():
    assert Horizon([]).most(np.array([])).count == 0
    assert least_total_s(Horizon([]), 1.0) == 0.0
    assert Horizon([Job(0.0, [])]).most(np.array([1.0])).count == 0
    assert math.isinf(least_total_s(Horizon([Job(0.0, [])]), 1.0))


def test_dominated_options():
    local, slower = (Leg("a", 1.0),), (Leg("a", 2.0),)
    sent, costlier = (Leg("b", 0.5, 0.1),), (Leg("b", 0.5, 0.2), Leg("c", 0.1))
    assert undominated([slower, local, costlier, sent, local]) == [1, 3]
    assert undominated([(Leg("a", 0.0),), local]) == [0]
    assert alone_s(costlier) == pytest.approx(0.8)
