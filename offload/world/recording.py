"""A recording of traffic, step by step, turned into tracks without the points that say nothing new."""

from array import array
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from offload.entities import OffloadError
from offload.world.mobility import FOREVER, Floats, Track

MOST_POINTS = 10_000_000  # kept, of all vehicles; 28 bytes each while reading
MOST_VEHICLES = 100_000
FARTHEST_M = 1e7
TOLERANCE_M = 0.01  # positions are usually written with two decimals
TOP_SPEED_MPS = 100.0

# What is known of each vehicle: the last point kept (x, y and time) and the last point seen, and between
# which speeds along x and y a straight line from the former passes all since within the tolerance.
KEPT, SEEN, LOW, HIGH = slice(0, 2), slice(2, 4), slice(4, 6), slice(6, 8)
KEPT_T, SEEN_T = 8, 9


class TraceError(OffloadError):
    """A trace that cannot be used; the message names the file, the line and what to write instead."""


class Recording:
    """Takes in where vehicles are at each step of a clock, and keeps the points where they turn.

    A point is kept where no straight line at constant speed from the last one kept passes within
    `tolerance_m`, along x and y, of every point since (the swing door of Bristol 1990). So no position
    between the kept points is off by more.
    """

    def __init__(self, tolerance_m: float = TOLERANCE_M, top_speed_mps: float = TOP_SPEED_MPS) -> None:
        self.tolerance_m = tolerance_m
        self.top_speed_mps = top_speed_mps
        self.codes: dict[str, int] = {}
        self.ends_s = -FOREVER  # the last step's time
        self.starts_s = FOREVER
        self.rows = 0
        self._known = 0
        self._state = np.empty((10, 1024))
        self._points = array("d"), array("d"), array("d")
        self._of = array("i")

    def code(self, name: str) -> int:
        """Return the number that stands for a vehicle in `step`."""
        return self.codes.setdefault(name, len(self.codes))

    def step(self, time_s: float, codes: Sequence[int], x: Sequence[float], y: Sequence[float]) -> None:
        """Take in where vehicles are at a time later than any before.

        Raises TraceError, without the place, if that cannot be.
        """
        if not time_s > self.ends_s or time_s == FOREVER:
            msg = f"time {time_s:g} does not follow {self.ends_s:g}; sort by time"
            raise TraceError(msg if np.isfinite(time_s) else f"time {time_s:g} is not finite")
        self.ends_s, self.starts_s = time_s, min(self.starts_s, time_s)
        if len(codes):
            self.rows += len(codes)
            self._move(time_s, np.asarray(codes, dtype=np.int64), np.array([x, y], dtype=float))

    def _move(self, time_s: float, codes: npt.NDArray[np.int64], at: Floats) -> None:
        """Take in vehicles at these places, of shape (2, vehicles)."""
        self._check(time_s, codes, at)
        self._make_room()
        fresh = codes >= self._known
        self._known = max(self._known, int(codes.max()) + 1)
        self._keep(codes[fresh], np.full(fresh.sum(), time_s, dtype=float), at[:, fresh])
        codes, at = codes[~fresh], at[:, ~fresh]
        state = self._state[:, codes]
        self._check_speed(time_s, codes, at, state)
        speeds = (at - state[KEPT]) / (time_s - state[KEPT_T])
        turns = ~((state[LOW] <= speeds) & (speeds <= state[HIGH])).all(axis=0)
        self._keep(codes[turns], state[SEEN_T, turns], state[SEEN, turns])
        state = self._state[:, codes]
        since_s = time_s - state[KEPT_T]
        speeds, slack = (at - state[KEPT]) / since_s, self.tolerance_m / since_s
        state[SEEN], state[SEEN_T] = at, time_s
        state[LOW] = np.maximum(state[LOW], speeds - slack)
        state[HIGH] = np.minimum(state[HIGH], speeds + slack)
        self._state[:, codes] = state

    def _check(self, time_s: float, codes: npt.NDArray[np.int64], at: Floats) -> None:
        wrong = ~(np.abs(at) <= FARTHEST_M).all(axis=0)  # or not a number
        if wrong.any():
            x, y = at[:, wrong][:, 0]
            self._blame(codes[wrong][0], time_s, f"lies at {x:g}, {y:g}")
        ordered = np.sort(codes)
        twice = ordered[1:][ordered[1:] == ordered[:-1]]
        if len(twice):
            self._blame(twice[0], time_s, "is at two places")

    def _check_speed(
        self, time_s: float, codes: npt.NDArray[np.int64], at: Floats, state: Floats
    ) -> None:
        moved_m, took_s = np.hypot(*(at - state[SEEN])), time_s - state[SEEN_T]
        # Two positions that were rounded may seem two centimetres farther apart than they are.
        jump = moved_m > self.top_speed_mps * took_s + 0.02
        if jump.any():
            speed = (moved_m[jump] / took_s[jump])[0]
            bound = f"top_speed, {self.top_speed_mps:g} m/s"
            self._blame(codes[jump][0], time_s, f"jumps: {speed:.4g} m/s is more than {bound}")

    def _make_room(self) -> None:
        if len(self.codes) > MOST_VEHICLES:
            msg = f"more than {MOST_VEHICLES} vehicles"
            raise TraceError(msg)
        if len(self.codes) > self._state.shape[1]:
            more = np.empty((10, 2 * len(self.codes)))
            more[:, : self._known] = self._state[:, : self._known]
            self._state = more

    def _keep(self, codes: npt.NDArray[np.int64], times_s: Floats, at: Floats) -> None:
        """Keep a point of each of these vehicles; lines to later ones start there."""
        if len(self._of) + len(codes) > MOST_POINTS:
            msg = f"more than {MOST_POINTS} points where vehicles turn; use a shorter recording"
            raise TraceError(msg)
        for column, values in zip(self._points, (times_s, *at), strict=True):
            column.frombytes(values.tobytes())
        self._of.frombytes(codes.astype(np.int32).tobytes())
        state = np.empty((10, len(codes)))
        # What was seen last is kept now; of those that turn, the newest is not taken in yet.
        state[KEPT] = state[SEEN] = at
        state[KEPT_T] = state[SEEN_T] = times_s
        state[LOW], state[HIGH] = -FOREVER, FOREVER
        self._state[:, codes] = state

    def _blame(self, code: int, time_s: float, what: str) -> None:
        name = next(name for name, each in self.codes.items() if each == code)
        msg = f"vehicle {name:.80} {what} at time {time_s:g}"
        raise TraceError(msg)

    def tracks(self, from_s: float = 0.0) -> dict[str, Track]:
        """Return the track of each vehicle in the order in which they came, `from_s` being time 0.

        Each exists from its first point to its last. One that is there when the recording ends has not
        left: it stands.
        """
        state = self._state[:, : self._known]
        codes = np.flatnonzero(state[SEEN_T] > state[KEPT_T])
        self._keep(codes, state[SEEN_T, codes], state[SEEN, codes])
        of = np.frombuffer(self._of, dtype=np.int32)
        order = np.argsort(of, kind="stable")
        times_s, x, y = (np.frombuffer(column)[order] for column in self._points)
        times_s -= from_s
        lengths = np.bincount(of, minlength=self._known)
        ends = np.cumsum(lengths)
        begins = ends - lengths
        last_s = self.ends_s - from_s
        return {
            name: Track(
                times_s[i:k], x[i:k], y[i:k], float(times_s[i]),
                float(times_s[k - 1]) if times_s[k - 1] < last_s else FOREVER,
            )
            for (name, i, k) in zip(self.codes, begins.tolist(), ends.tolist(), strict=True)
        }  # fmt: skip
