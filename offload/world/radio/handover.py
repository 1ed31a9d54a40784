"""Which cell serves a device: the strongest at first, then handovers by event A3, and link failures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from offload.world.radio.pathloss import Floats

NONE = -1  # the index of no cell


@dataclass(frozen=True, slots=True)
class Rules:
    """How a cell lets go of a device, and what it takes to be served by it.

    Event A3 (TS 38.331 5.5.4.4): a neighbour is better than the serving cell by more than `offset_db` +
    `hysteresis_db` for `time_to_trigger_s`; both are RSRP filtered with the time constant `filter_s`.
    A handover then interrupts for the `interruption_s` of the new cell. Below `out_dbm` for `failure_s`
    the link fails; a cell serves again from `in_dbm` on, after its `interruption_s`.
    """

    hysteresis_db: float
    offset_db: float
    time_to_trigger_s: float
    filter_s: float
    interruption_s: float
    out_dbm: float
    in_dbm: float
    failure_s: float

    def __post_init__(self) -> None:
        times = (self.time_to_trigger_s, self.filter_s, self.interruption_s, self.failure_s)
        if min(times) < 0 or min(self.time_to_trigger_s, self.failure_s) + self.interruption_s <= 0:
            msg = "no time may be negative, nor both an interruption and what leads to it take none"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, eq=False)
class Serving:
    """The serving cell: `cells[i]` from `times_s[i]` to the next, an index or -1 for none."""

    times_s: Floats
    cells: npt.NDArray[np.intp]

    def at(self, now: float) -> int:
        """Return the cell at a time."""
        return int(self.cells[np.searchsorted(self.times_s, now, side="right") - 1])


@dataclass(frozen=True, slots=True, eq=False)
class _Runs:
    """When a condition holds without a break: in this row from `begins_s` up to before `ends_s`."""

    rows: npt.NDArray[np.intp]
    begins_s: Floats
    ends_s: Floats

    @classmethod
    def of(cls, holds: npt.NDArray[np.bool_], times_s: Floats) -> "_Runs":
        """Find the runs of every row of an array (rows, samples)."""
        padded = np.zeros((len(holds), len(times_s) + 2), dtype=np.int8)
        padded[:, 1:-1] = holds
        steps = np.diff(padded, axis=1)
        rows, first = np.nonzero(steps == 1)
        return cls(rows, times_s[first], np.append(times_s, np.inf)[np.nonzero(steps == -1)[1]])

    def ripe(self, since_s: float, lasting_s: float) -> tuple[float, npt.NDArray[np.intp]]:
        """Tell when a run has first lasted this long since a time, and the runs that then have."""
        ripe_s = np.maximum(self.begins_s, since_s) + lasting_s
        ripe_s[ripe_s >= self.ends_s] = np.inf
        first_s = float(ripe_s.min(initial=np.inf))
        return first_s, np.flatnonzero(ripe_s == first_s)


def filtered(times_s: Floats, rsrp_dbm: Floats, until_s: float, filter_s: Sequence[float]) -> Floats:
    """Return RSRP (cells, samples) after the filter of layer 3: first order, in dB, settled at first.

    A sample holds until the next, so the filter is told as it stands at the end of that: however long a
    device then stands, it has settled. TS 38.331 5.5.3.2 with coefficient k, sampled every 200 ms, has
    the time constant 0.2 s / (k / 4 ln 2).
    """
    holds_s = np.diff(times_s, append=until_s)
    rows = []
    for row, constant_s in zip(rsrp_dbm.tolist(), filter_s, strict=True):
        if constant_s == 0:
            rows.append(row)
            continue
        level, levels = row[0], []
        for value, share in zip(row, (-np.expm1(-holds_s / constant_s)).tolist(), strict=True):
            level += share * (value - level)
            levels.append(level)
        rows.append(levels)
    return np.array(rows).reshape(rsrp_dbm.shape)


def serve(times_s: Floats, rsrp_dbm: Floats, until_s: float, rules: Sequence[Rules]) -> Serving:
    """Follow a device from cell to cell, from the first sample to `until_s`.

    `rsrp_dbm` has one row a cell and one column a sample, each of which holds until the next of the
    rising `times_s`; `rules` are those of every cell. The cell that serves decides by its own.
    """
    level = filtered(times_s, rsrp_dbm, until_s, [rule.filter_s for rule in rules])
    return _Follower(times_s, level, until_s, rules).follow()


class _Follower:
    """Steps from event to event, for conditions are runs in time, not samples."""

    def __init__(self, times_s: Floats, level: Floats, until_s: float, rules: Sequence[Rules]) -> None:
        self.times_s, self.level, self.until_s, self.rules = times_s, level, until_s, rules
        enough = np.array([rule.in_dbm for rule in rules])
        self.good = level >= enough.reshape(-1, 1)
        self.known: dict[int, tuple[_Runs, _Runs]] = {}

    def follow(self) -> Serving:
        start_s = float(self.times_s[0])
        cells = {start_s: NONE}  # by time: what lasts no time is overwritten
        now, cell = self._attach(start_s)
        if start_s < now < self.until_s:
            now += self.rules[cell].interruption_s
        while cell != NONE and now < self.until_s:
            cells[now] = cell
            ends_s, then = self._leave(cell, now)
            if ends_s >= self.until_s:
                break
            cells[ends_s] = NONE
            now, cell = (ends_s, then) if then != NONE else self._attach(ends_s)
            now += self.rules[cell].interruption_s if cell != NONE else 0.0
        served = np.array(list(cells.values()), dtype=np.intp)
        changes = np.concatenate([[True], served[1:] != served[:-1]])
        return Serving(np.array(list(cells))[changes], served[changes])

    def _index(self, now: float) -> int:
        return int(np.searchsorted(self.times_s, now, side="right")) - 1

    def _strongest(self, now: float, among: npt.NDArray[np.intp]) -> int:
        return int(among[np.argmax(self.level[among, self._index(now)])])

    def _attach(self, now: float) -> tuple[float, int]:
        """Return when some cell is first strong enough, and the strongest that is; `until_s` if none."""
        index = self._index(now)
        found = np.flatnonzero(self.good[:, index:].any(axis=0))
        if not len(found):
            return self.until_s, NONE
        at_s = max(now, float(self.times_s[index + found[0]]))
        return at_s, self._strongest(at_s, np.flatnonzero(self.good[:, index + found[0]]))

    def _leave(self, cell: int, since_s: float) -> tuple[float, int]:
        """Return until when a cell serves (infinite: to the end) and what next, -1 if the link fails."""
        rule = self.rules[cell]
        better, lost = self._runs(cell)
        handover_s, winners = better.ripe(since_s, rule.time_to_trigger_s)
        failure_s, _ = lost.ripe(since_s, rule.failure_s)
        if failure_s < handover_s or not len(winners):
            return failure_s, NONE
        return handover_s, self._strongest(handover_s, better.rows[winners])

    def _runs(self, cell: int) -> tuple[_Runs, _Runs]:
        """When each other cell is better by the margin, and when this one is too weak."""
        if cell not in self.known:
            rule, own = self.rules[cell], self.level[cell]
            better = self.level > own + (rule.offset_db + rule.hysteresis_db)
            better[cell] = False
            lost = (own < rule.out_dbm)[None]
            self.known[cell] = _Runs.of(better, self.times_s), _Runs.of(lost, self.times_s)
        return self.known[cell]
