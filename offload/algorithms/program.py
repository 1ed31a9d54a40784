"""Which parts of a program run elsewhere: the 0-1 program of MAUI."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np


class Call(NamedTuple):
    """One part hands over to another: seconds and joules if it goes up, or comes back, in between.

    An `onward` call may go up, but not come back.
    """

    caller: int
    callee: int
    up_s: float
    up_j: float
    back_s: float
    back_j: float
    onward: bool = False


@dataclass(frozen=True)
class Program:
    """Parts that call each other: what each costs here and there, and which may run there.

    Columns have one entry a part: `here_s` and `here_j` on the device, `there_s` on the server, where
    the device spends nothing on it.
    """

    here_s: Sequence[float]
    there_s: Sequence[float]
    here_j: Sequence[float]
    movable: Sequence[bool]
    calls: Sequence[Call] = field(repr=False)


class Placement(NamedTuple):
    """Which parts run there, what that saves the device, and how long all takes."""

    there: tuple[bool, ...]
    saved_j: float
    latency_s: float


def value(program: Program, there: Sequence[bool]) -> Placement:
    """Return what a placement saves and how long it takes."""
    saved_j = latency_s = 0.0
    for here_s, there_s, here_j, moved in zip(
        program.here_s, program.there_s, program.here_j, there, strict=True
    ):
        saved_j += here_j if moved else 0.0
        latency_s += there_s if moved else here_s
    for call in program.calls:
        if there[call.callee] and not there[call.caller]:
            saved_j, latency_s = saved_j - call.up_j, latency_s + call.up_s
        elif there[call.caller] and not there[call.callee]:
            saved_j, latency_s = saved_j - call.back_j, latency_s + call.back_s
    return Placement(tuple(map(bool, there)), saved_j, latency_s)


def solve(program: Program, limit_s: float) -> Placement | None:
    """Return the placement that saves most within a latency; None if there is none.

    MAUI (Cuervo et al., MobiSys 2010) maximises sum_v I_v E_v - sum_uv |I_u - I_v| C_uv subject to
    sum_v ((1 - I_v) T_v + I_v T'_v) + sum_uv |I_u - I_v| B_uv <= L and I_v <= r_v, where I_v is 1 for a
    part v that runs on the server. Made linear here with U_uv >= I_v - I_u (it goes up) and D_uv >=
    I_u - I_v (it comes back), which may cost unlike amounts; for an onward call I_u <= I_v. Solved by
    HiGHS through `scipy.optimize.milp`.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    parts, calls = len(program.here_s), program.calls
    differences = csr_array(_differences(parts, calls))
    here_s, there_s = np.array(program.here_s), np.array(program.there_s)
    crossing_s = [seconds for call in calls for seconds in (call.up_s, call.back_s)]
    crossing_j = [joules for call in calls for joules in (call.up_j, call.back_j)]
    most = [*map(float, program.movable)]
    most += [high for call in calls for high in (1.0, 0.0 if call.onward else 1.0)]
    found = milp(
        np.concatenate((-np.array(program.here_j), crossing_j)),
        integrality=np.concatenate((np.ones(parts), np.zeros(2 * len(calls)))),
        bounds=Bounds(0.0, np.array(most)),
        constraints=[
            LinearConstraint(differences, ub=0.0),
            LinearConstraint(np.concatenate((there_s - here_s, crossing_s)), ub=limit_s - here_s.sum()),
        ],
        options={"mip_rel_gap": 0.0},
    )
    if found.x is None:
        return None
    return value(program, (found.x[:parts] > 0.5).tolist())


def _differences(parts: int, calls: Sequence[Call]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Rows that are at most 0: I_v - I_u - U and I_u - I_v - D of each call; columns I, then U and D."""
    rows = np.zeros((2 * len(calls), parts + 2 * len(calls)))
    for number, call in enumerate(calls):
        up, back = 2 * number, 2 * number + 1
        rows[up, [call.callee, call.caller, parts + up]] = 1.0, -1.0, -1.0
        rows[back, [call.caller, call.callee, parts + back]] = 1.0, -1.0, -1.0
    return rows
