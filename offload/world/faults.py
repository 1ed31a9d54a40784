"""What breaks, stalls or slows down, and when: each thing's speed over time, as a rate.

One noun is enough. A thing out of order has speed 0, one that straggles 1/k, a sound one 1: `Rate.at`
tells whether it is up, `changes_after` when that ends, `ends` when work is done that pauses meanwhile.
Faults that meet multiply (`rate.product`), with each other and with the rate of a link that blacks out.
"""

from collections.abc import Iterable

import numpy as np

from offload.world.rate import INFINITE, Rate

Window = tuple[float, float]  # from, in seconds, until, which is no more part of it

_BLOCK = 32  # draws at a time, so that a longer run begins as a shorter one does


def merged(windows: Iterable[Window]) -> tuple[Window, ...]:
    """Return the union of windows, in order and apart; those of no length vanish.

    >>> merged([(5, 6), (1, 3), (2, 4), (6, 7), (8, 8)])
    ((1, 4), (5, 7))
    """
    found: list[Window] = []
    for begin_s, end_s in sorted(windows):
        if end_s <= begin_s:
            continue
        if found and begin_s <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end_s))
        else:
            found.append((begin_s, end_s))
    return tuple(found)


def during(windows: Iterable[Window], speed: float) -> Rate:
    """Return the rate that is `speed` within windows and 1 outside.

    Speed 0 is an outage or a blackout; a straggler for which all takes k times longer has 1 / k. Windows
    begin at 0 or later and may end at infinity.
    """
    times, values = [0.0], [1.0]
    for begin_s, end_s in merged(windows):
        for time_s, value in ((begin_s, speed), (end_s, 1.0)):
            if time_s == times[-1]:
                values[-1] = value
            elif time_s < INFINITE:
                times.append(time_s)
                values.append(value)
    return Rate(tuple(times), tuple(values))


def breakdowns(
    mtbf_s: float, mttr_s: float, until_s: float, generator: np.random.Generator
) -> tuple[Window, ...]:
    """Draw the windows in which a thing is down: exponential times between failures and to repair.

    It is down at first with its steady probability MTTR / (MTBF + MTTR), where MTBF is the mean time up.
    Windows begin before `until_s`; the last may end later. For stragglers and blackouts, likewise.
    Raises ValueError.
    """
    if not (0.0 < mtbf_s < INFINITE and 0.0 < mttr_s < INFINITE and until_s < INFINITE):
        msg = "mean times between failures and to repair must be above 0, and all times finite"
        raise ValueError(msg)
    down = generator.random() < mttr_s / (mtbf_s + mttr_s)
    windows: list[Window] = []
    now = 0.0
    while True:
        for length in generator.exponential(1.0, _BLOCK).tolist():
            if now >= until_s:
                return tuple(windows)
            begin_s, now = now, now + length * (mttr_s if down else mtbf_s)
            if down:
                windows.append((begin_s, now))
            down = not down
