"""A device's way, sampled often enough for its radio channel."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from offload.entities import OffloadError
from offload.world.mobility import Track
from offload.world.radio.pathloss import Floats

MAX_SAMPLES = 2_000_000  # of one device, over the whole horizon
STILL_M = 1e-6  # a piece of a track no longer than this stands


class RadioError(OffloadError):
    """A device moves so far that its channel cannot be followed; the message says what to change."""


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """Where a device is at rising times, from 0, and how far it has travelled since.

    `length_m` is travelled in all. It and the places depend on the track and the horizon only, never
    on how often they are sampled.
    """

    times_s: Floats
    x_m: Floats
    y_m: Floats
    travelled_m: Floats
    length_m: float


def sampled(
    track: Track, until_s: float, step_m: float, step_s: float, every_s: Collection[float] = ()
) -> Way:
    """Sample a track from 0 to before `until_s`: where a piece of it begins, and often enough within it.

    While it moves, no further apart than `step_m` and `step_s`; standing takes one sample. With
    `every_s` also at all multiples of each. Raises ValueError for a horizon that is not above 0 or not
    finite, RadioError where there would be more than MAX_SAMPLES.
    """
    if not 0 < until_s < np.inf:
        msg = "a horizon lies above 0 s and is finite"
        raise ValueError(msg)
    within = track.times_s[(track.times_s > 0) & (track.times_s < until_s)]
    edges_s = np.concatenate([[0.0], within, [until_s]])
    lasting_s = np.diff(edges_s)
    x_m, y_m = (np.interp(edges_s, track.times_s, axis) for axis in (track.x_m, track.y_m))
    lengths_m = np.hypot(np.diff(x_m), np.diff(y_m))
    counts = np.maximum(1.0, np.ceil(np.maximum(lengths_m / step_m, lasting_s / step_s)))
    counts[lengths_m <= STILL_M] = 1.0
    total = counts.sum() + sum(until_s / each for each in every_s)
    if not total <= MAX_SAMPLES:
        msg = (
            f"a device on a way of {lengths_m.sum():.3g} m in {until_s:.3g} s needs {total:.3g} samples"
            f" of its radio channel, more than {MAX_SAMPLES}; let it move less, or make the run shorter"
        )
        raise RadioError(msg)
    pieces = counts.astype(np.intp)
    first = np.concatenate([[0], pieces.cumsum()[:-1]])
    number = np.arange(pieces.sum()) - np.repeat(first, pieces)
    times_s: Floats = np.repeat(edges_s[:-1], pieces) + number * np.repeat(lasting_s / pieces, pieces)
    for each in every_s:
        times_s = np.union1d(times_s, np.arange(0.0, until_s, each))
    travelled_m = np.concatenate([[0.0], lengths_m.cumsum()])
    x_m, y_m, passed_m = (np.interp(times_s, edges_s, axis) for axis in (x_m, y_m, travelled_m))
    return Way(times_s, x_m, y_m, passed_m, float(travelled_m[-1]))
