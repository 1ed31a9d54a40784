"""Matchings against all assignments of jobs to positions."""

from itertools import permutations

import numpy as np
import pytest

from offload.algorithms.matching import IMPOSSIBLE, match


def by_enumeration(home: np.ndarray, away: list[np.ndarray]) -> float:
    """Return the least cost of all matchings, each at the air that its own number of leavers share."""
    jobs, at_home = home.shape
    positions = at_home + (away[0].shape[1] if away else 0)
    best = np.inf
    for chosen in permutations(range(positions), jobs):
        leaving = sum(column >= at_home for column in chosen)
        if leaving > len(away):
            continue
        best = min(best, sum(
            home[job, column] if column < at_home else away[leaving - 1][job, column - at_home]
            for job, column in enumerate(chosen)
        ))  # fmt: skip
    return best


def test_no_matching_is_cheaper() -> None:
    chance = np.random.default_rng(4)
    leaving, impossible = set(), 0
    for _ in range(150):
        jobs, at_home, elsewhere = (int(chance.integers(1, most)) for most in (5, 4, 4))
        home = chance.random((jobs, at_home))
        home[chance.random(home.shape) < 0.2] = IMPOSSIBLE
        most = int(chance.integers(1, jobs + 1))
        rises = chance.random((most, jobs, elsewhere)) * chance.choice([0.1, 1.0])
        away = list(chance.random((jobs, elsewhere)) + np.cumsum(rises, axis=0))
        found, best = match(home, away), by_enumeration(home, away)
        if found is None:
            assert best >= IMPOSSIBLE
            impossible += 1
            continue
        assert found.cost == pytest.approx(best, abs=1e-9)
        assert len(set(found.columns)) == jobs
        left = sum(column >= at_home for column in found.columns)
        assert left <= found.leaving
        leaving.add(left)
    assert len(leaving) > 3
    assert impossible > 3


def test_air_that_is_shared_keeps_some_at_home() -> None:
    # Alone each would gain by leaving; one more in the air costs both more than that.
    home = np.full((3, 3), 5.0)
    away = [np.full((3, 3), cost) for cost in (2.0, 4.5, 9.0)]
    found = match(home, away)
    assert found is not None
    assert (found.leaving, found.cost) == (1, 12.0)
    assert sorted(column >= 3 for column in found.columns) == [False, False, True]


def test_nobody_can_leave() -> None:
    found = match(np.array([[1.0, 2.0], [1.0, 4.0]]), [])
    assert found == ((1, 0), 0, 3.0)
    assert match(np.array([[1.0], [2.0]]), []) is None
