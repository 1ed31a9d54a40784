"""Rates drawn from chance: one that jumps between states, and one that wanders about its mean."""

import math
from collections.abc import Sequence

import numpy as np

from offload.world.rate import Rate

_BLOCK = 64  # draws at a time, so that a longer run begins as a shorter one does


def markov(
    states: Sequence[float], dwell_s: Sequence[float], until_s: float, generator: np.random.Generator
) -> Rate:
    """Draw a Markov-modulated rate: exponential times of these means in each state, up to `until_s`.

    After a state comes any of the others, equally likely. So a state holds for a share of the time that
    is proportional to its dwell time, and the first is drawn by these shares. (Two states, one of them
    bad, are a Gilbert-Elliott channel.) After `until_s` the last state stays. Raises ValueError.
    """
    count = len(states)
    if (
        count < 2
        or count != len(dwell_s)
        or not all(0.0 < time < math.inf for time in (*dwell_s, until_s))
    ):
        msg = "needs two states at least, for each a dwell time, and times above 0 and finite"
        raise ValueError(msg)
    shares = np.cumsum(dwell_s) / np.sum(dwell_s)
    state = min(int(np.searchsorted(shares, generator.random(), side="right")), count - 1)
    times, values, now = [0.0], [float(states[state])], 0.0
    while True:
        lengths, steps = generator.exponential(1.0, _BLOCK), generator.integers(1, count, _BLOCK)
        for length, step in zip(lengths.tolist(), steps.tolist(), strict=True):
            now += length * dwell_s[state]
            if now >= until_s:
                return Rate(tuple(times), tuple(values))
            state = (state + step) % count
            if now > times[-1]:
                times.append(now)
                values.append(float(states[state]))


def gauss_ar1(
    mean: float,
    sd: float,
    correlation_s: float,
    until_s: float,
    generator: np.random.Generator,
    floor: float = 0.0,
    step_s: float = 0.1,
) -> Rate:
    """Draw a rate that is normal about its mean at every step, and forgets as exp(-t / correlation_s).

    x[k + 1] = mean + phi (x[k] - mean) + sd sqrt(1 - phi^2) z with phi = exp(-step_s / correlation_s),
    from a first value that is drawn like any other; what falls below `floor` is raised to it, which
    raises the mean. After `until_s` the last value stays. Raises ValueError.
    """
    if not (min(mean, sd, floor) >= 0.0 and min(correlation_s, step_s) > 0.0 and until_s < math.inf):
        msg = "mean, sd and floor must not be negative; times must be above 0 and finite"
        raise ValueError(msg)
    phi = math.exp(-step_s / correlation_s)
    fresh = sd * math.sqrt(1.0 - phi * phi)
    count = max(1, math.ceil(until_s / step_s))
    away = sd * float(generator.standard_normal())
    values: list[float] = []
    while len(values) < count:
        for z in generator.standard_normal(_BLOCK).tolist():
            values.append(max(floor, mean + away))
            away = phi * away + fresh * z
    return Rate(tuple(k * step_s for k in range(count)), tuple(values[:count]))
