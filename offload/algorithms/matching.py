"""Jobs matched to places in queues when those who leave share one cell."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


IMPOSSIBLE = 1e9  # a cost that no choice that is possible comes near


class Matching(NamedTuple):
    """Where each job goes: a column of those at home, or beyond them, counted on, of those away."""

    columns: tuple[int, ...]
    leaving: int  # for how many the air was reckoned: no more leave
    cost: float


def match(home: Floats, away: Sequence[Floats]) -> Matching | None:
    """Return the cheapest matching of jobs to positions; None if none is possible.

    `home[job, h]` is the cost at a position at home, `away[n - 1][job, a]` at one elsewhere if n jobs
    leave, for n = 1, 2, ...; no position is taken twice. IMPOSSIBLE or more is never chosen. Costs must
    not fall as n grows: more share the air.

    What leaves shares the air, so costs depend on how many do, which no matching can say. But if n is
    given and at most n may leave, they are fixed numbers, and no less than the true ones. So the least
    over all n is the true least: for n = the number that leave in the best matching it is met, and for
    any other it is not undercut. At most n leave if all positions away but n are taken by others: by
    that many more jobs, which cost nothing, and may go nowhere else. Each n is then a linear assignment
    (`scipy.optimize.linear_sum_assignment`), O(jobs^3) in the worst case.
    """
    best: Matching | None = None
    for leaving in range(len(away) + 1):
        costs = _padded(home, away[leaving - 1] if leaving else None, leaving)
        columns, cost = _assigned(costs, len(home))
        if cost < IMPOSSIBLE and (best is None or cost < best.cost):
            best = Matching(columns, leaving, cost)
    return best


def _padded(home: Floats, away: Floats | None, leaving: int) -> Floats:
    """The costs of one assignment, with jobs that fill all positions away but `leaving`."""
    if away is None:
        return home
    filled = max(0, away.shape[1] - leaving)
    fill = np.zeros((filled, home.shape[1] + away.shape[1]))
    fill[:, : home.shape[1]] = IMPOSSIBLE
    return np.concatenate((np.concatenate((home, away), axis=1), fill))


def _assigned(costs: Floats, jobs: int) -> tuple[tuple[int, ...], float]:
    from scipy.optimize import linear_sum_assignment

    if costs.shape[0] > costs.shape[1]:
        return (), IMPOSSIBLE
    columns = linear_sum_assignment(costs)[1]
    return tuple(columns[:jobs].tolist()), float(costs[np.arange(len(costs)), columns].sum())
