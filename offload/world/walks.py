"""Ways that devices take by a rule: given points, random waypoints, a grid of streets, a motorway.

Each function makes the track of one device from a generator of its own, so that its way does not depend
on how many others there are. Devices do not see each other: for vehicles that queue, use a recording.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import asinh, ceil, dist, hypot, log

import numpy as np

from offload.world.mobility import Floats, Track

Point = tuple[float, float]
Span = tuple[float, float]  # the least and the most

BLOCK = 64
LANE_M = 3.75
RUN_IN_CYCLES = 10
WRAP_S = 1e-6  # what a vehicle takes from the end of the motorway to its beginning


def waypoints(
    points: Sequence[Point], speed_mps: float, behind_s: float, until_s: float, *, loop: bool
) -> Track:
    """Drive from point to point at one speed, `behind_s` seconds after the first device.

    In a loop it goes on from the last point to the first until `until_s`, and is on its way at time 0
    already: as far behind the first device as it will stay. Else it waits at the first point, and
    stands at the last.
    """
    way = [*points, points[0]] if loop else [*points]
    steps_s = [0.0, *(dist(a, b) / speed_mps for a, b in pairwise(way))]
    times_s = list(accumulate(steps_s))
    if loop:
        behind_s -= ceil(behind_s / times_s[-1]) * times_s[-1]
    track = _track([(time_s + behind_s, *at) for time_s, at in zip(times_s, way, strict=True)])
    return track.looped(until_s) if loop else track


def random_waypoint(
    area: tuple[Point, Point], speed_mps: Span, pause_s: Span, until_s: float, rng: np.random.Generator
) -> Track:
    """Go straight to a random point of a rectangle, pause, go to the next; speeds uniform in a span.

    It starts in the stationary state, so that neither the mean speed nor the density of devices drifts
    while a run goes on (Navidi and Camp 2004, IEEE Trans. Mobile Computing 3(1)): the way on which time
    0 falls is chosen with a probability as its length, its speed as 1/v, a pause as its duration.
    """
    (left_m, low_m), (right_m, high_m) = area
    width_m, height_m = right_m - left_m, high_m - low_m
    ways_s = mean_distance_m(width_m, height_m) * _mean_inverse(*speed_mps)
    if rng.random() * (ways_s + sum(pause_s) / 2) < sum(pause_s) / 2:
        x, y = rng.random() * width_m, rng.random() * height_m
        whole_s = (pause_s[0] ** 2 + rng.random() * (pause_s[1] ** 2 - pause_s[0] ** 2)) ** 0.5
        points = [(0.0, x, y)]
        now = rng.random() * whole_s
    else:
        (from_x, from_y), (x, y) = _long_way(width_m, height_m, rng)
        speed = speed_mps[0] * (speed_mps[1] / speed_mps[0]) ** rng.random()
        left = rng.random()  # of that way
        points = [(0.0, x + left * (from_x - x), y + left * (from_y - y))]
        now = left * hypot(x - from_x, y - from_y) / speed
        points.append((now, x, y))
        now += _uniform(pause_s, rng.random())
    while now < until_s:
        for share_x, share_y, share_v, share_p in rng.random((BLOCK, 4)).tolist():
            points.append((now, x, y))
            from_x, from_y, x, y = x, y, share_x * width_m, share_y * height_m
            now += hypot(x - from_x, y - from_y) / _uniform(speed_mps, share_v)
            points.append((now, x, y))
            now += _uniform(pause_s, share_p)
            if now >= until_s:
                break
    return _track(points, left_m, low_m)


def _track(
    points: Sequence[tuple[float, float, float]], left_m: float = 0.0, low_m: float = 0.0
) -> Track:
    """Return the track through points (time, x, y), of which some may be there twice."""
    times_s, x, y = np.array(points).T
    times_s, first = np.unique(times_s, return_index=True)
    return Track(times_s, x[first] + left_m, y[first] + low_m)


def mean_distance_m(width_m: float, height_m: float) -> float:
    """Return the mean distance of two random points of a rectangle (Ghosh 1951).

    >>> round(mean_distance_m(1.0, 1.0), 6)
    0.521405
    """
    a, b = width_m, height_m
    d = hypot(a, b)
    logs = b * b / a * asinh(a / b) + a * a / b * asinh(b / a)
    return (a**3 / b**2 + b**3 / a**2 + d * (3 - (a / b) ** 2 - (b / a) ** 2) + 2.5 * logs) / 15


def _mean_inverse(low: float, high: float) -> float:
    """The mean of 1/v for v uniform in a span."""
    return 1 / low if high == low else log(high / low) / (high - low)


def _uniform(span: Span, share: float) -> float:
    return span[0] + share * (span[1] - span[0])


def _long_way(width_m: float, height_m: float, rng: np.random.Generator) -> tuple[Point, Point]:
    """Draw both ends of a way with a probability as its length, by rejection."""
    while True:
        for x0, y0, x1, y1, share in rng.random((8, 5)).tolist():
            ends = (x0 * width_m, y0 * height_m), (x1 * width_m, y1 * height_m)
            if share * hypot(width_m, height_m) < dist(*ends):
                return ends


def manhattan(
    streets: tuple[int, int], spacing_m: float, speed_mps: float, cycle_s: float,
    offsets_s: Floats, until_s: float, rng: np.random.Generator,
) -> Track:  # fmt: skip
    """Drive in a grid of streets whose crossings have signals.

    The streets lie at multiples of the spacing from the origin. At a crossing it goes straight on with
    probability 1/2, left or right with 1/4 (UMTS 30.03, B.1.6.4.1), at the edge of the grid with equal
    probability; so every street is as busy as any, in both directions. Half of a cycle is green along x,
    then half along y, `offsets_s[i, j]` later than at an offset of 0; it stops and starts in no time.

    It starts after a run-in of ten cycles: near its stationary state, which a random place on the
    streets would not be, since nobody would wait at a signal.
    """
    i, j, heading = _random_street(streets, rng.random())
    step_s, now = spacing_m / speed_mps, -RUN_IN_CYCLES * cycle_s
    along = rng.random()  # of the street on which it starts
    points = [(now, i - (1 - along) * EAST[heading], j - (1 - along) * NORTH[heading])]
    now += (1 - along) * step_s
    while True:
        for share in rng.random(BLOCK).tolist():
            points.append((now, i, j))
            if now >= until_s:
                times_s, x, y = np.array(points).T.copy()
                return Track(times_s, x * spacing_m, y * spacing_m)
            wait_s = red_s(now - float(offsets_s[i, j]), cycle_s, heading % 2)
            if wait_s:
                now += wait_s
                points.append((now, i, j))
            heading = _turn(i, j, heading, streets, share)
            i, j = i + EAST[heading], j + NORTH[heading]
            now += step_s


# Headings: along x, along y, against x, against y.
EAST, NORTH = (1, 0, -1, 0), (0, 1, 0, -1)


def red_s(time_s: float, cycle_s: float, axis: int) -> float:
    """Return how long a signal still shows red to who drives along x (axis 0) or y (axis 1)."""
    if not cycle_s:
        return 0.0
    phase_s, half_s = time_s % cycle_s, cycle_s / 2
    if (phase_s >= half_s) == (axis == 1):
        return 0.0
    return half_s - phase_s if axis == 1 else cycle_s - phase_s


def _random_street(streets: tuple[int, int], share: float) -> tuple[int, int, int]:
    """Choose the crossing at the end of a street and the heading there; all equally likely."""
    i, j = streets
    along_x, along_y = (i - 1) * j, i * (j - 1)
    number = int(share * 2 * (along_x + along_y))
    back, number = divmod(number, along_x + along_y)
    if number < along_x:
        row, column = divmod(number, i - 1)
        return (column, row, 2) if back else (column + 1, row, 0)
    row, column = divmod(number - along_x, i)
    return (column, row, 3) if back else (column, row + 1, 1)


def _turn(i: int, j: int, heading: int, streets: tuple[int, int], share: float) -> int:
    """Choose the next heading: straight on, left or right; back only where the street ends."""
    ways = [
        way
        for way in (heading, (heading + 1) % 4, (heading + 3) % 4)
        if 0 <= i + EAST[way] < streets[0] and 0 <= j + NORTH[way] < streets[1]
    ]
    if len(ways) == 3:
        ways = [heading, *ways]
    return ways[int(share * len(ways))] if ways else (heading + 2) % 4


def motorway(
    length_m: float, lanes_mps: Sequence[float], until_s: float, rng: np.random.Generator, *, wrap: bool
) -> Track:
    """Drive along x from 0 to the length, or back beside it: each lane has a speed of its own.

    With `wrap` a vehicle that comes to the end is at the beginning a microsecond later, and starts
    anywhere. Else it passes once, and enters at a random time between so early that it is just about
    to leave at time 0 and `until_s`. Both are stationary; lanes are equally likely.
    """
    lane = int(rng.random() * 2 * len(lanes_mps))
    back, number = divmod(lane, len(lanes_mps))
    pass_s = length_m / lanes_mps[number]
    y_m = (number + 0.5) * LANE_M * (1 if back else -1)  # on the right
    begin_m, end_m = (length_m, 0.0) if back else (0.0, length_m)
    first_s = -pass_s + rng.random() * (pass_s if wrap else pass_s + until_s)
    passes = max(1, ceil((until_s - first_s) / (pass_s + WRAP_S))) if wrap else 1
    begins_s = first_s + np.arange(passes) * (pass_s + WRAP_S)
    times_s = np.stack([begins_s, begins_s + pass_s], axis=1).ravel()
    x, y = np.tile([begin_m, end_m], passes), np.full(2 * passes, y_m)
    return Track(times_s, x, y) if wrap else Track(times_s, x, y, first_s, first_s + pass_s)
