"""Handovers by hand and against a second-by-second account; link failures; the filter."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.world.radio.handover import NONE, Rules, Serving, filtered, serve

# Levels in whole dB and times in whole seconds, so that all is exact.
RULES = Rules(
    hysteresis_db=3.0, offset_db=0.0, time_to_trigger_s=2.0, filter_s=0.0, interruption_s=1.0,
    out_dbm=-120.0, in_dbm=-118.0, failure_s=3.0,
)  # fmt: skip


def follow(rows: list[list[float]], rules: Rules = RULES, until_s: float | None = None) -> Serving:
    """Follow a device by RSRP sampled every second."""
    levels = np.array(rows, dtype=float)
    seconds = np.arange(levels.shape[1], dtype=float)
    return serve(seconds, levels, until_s or float(levels.shape[1]), [rules] * len(rows))


def told(serving: Serving) -> list[tuple[float, int]]:
    """Return the serving cell as pairs of a time and a cell."""
    return list(zip(serving.times_s.tolist(), serving.cells.tolist(), strict=True))


def test_the_strongest_cell_serves_at_first() -> None:
    assert told(follow([[-90], [-80], [-85]])) == [(0.0, 1)]


def test_a_handover_by_hand() -> None:
    # The neighbour is better by more than 3 dB from 4 s on; 2 s later it takes over, which takes 1 s.
    mine, other = [-80.0] * 12, [-90.0, -85, -80, -77, *[-76.9] * 8]
    assert told(follow([mine, other])) == [(0.0, 0), (6.0, NONE), (7.0, 1)]


def test_a_neighbour_that_falls_back_in_time_starts_again() -> None:
    other = [-90.0, -70, -90, -70, -70, -70, -70]
    assert told(follow([[-80.0] * 7, other])) == [(0.0, 0), (5.0, NONE), (6.0, 1)]


def test_the_best_of_the_neighbours_that_are_ripe_is_taken() -> None:
    rows = [[-80.0] * 8, [-90.0, *[-70.0] * 7], [-90.0, *[-60.0] * 7]]
    assert told(follow(rows)) == [(0.0, 0), (3.0, NONE), (4.0, 2)]


def test_an_offset_adds_to_the_hysteresis() -> None:
    rows = [[-80.0] * 9, [-90.0, *[-76.0] * 8]]
    assert len(told(follow(rows))) == 3
    assert told(follow(rows, replace(RULES, offset_db=2.0))) == [(0.0, 0)]


def test_without_an_interruption_there_is_no_gap() -> None:
    rows = [[-80.0] * 9, [-90.0, *[-70.0] * 8]]
    assert told(follow(rows, replace(RULES, interruption_s=0.0))) == [(0.0, 0), (3.0, 1)]


def test_a_weak_link_fails_and_is_taken_up_again_once_strong() -> None:
    # Too weak from 2 s on, lost at 5 s; at -119 dBm neither in nor out, at -117 dBm in.
    row = [-100.0, -100, -121, -121, -121, -121, -119, -119, -117, -117, -117]
    assert told(follow([row])) == [(0.0, 0), (5.0, NONE), (9.0, 0)]


def test_a_short_dip_is_survived() -> None:
    assert told(follow([[-100.0, -121, -121, -121, -100, -100]], until_s=6)) == [(0.0, 0)]


def test_no_cell_within_reach() -> None:
    assert told(follow([[-130.0] * 4, [-140.0] * 4])) == [(0.0, NONE)]
    assert told(follow([[-130.0, -130, -100, -100, -100]])) == [(0.0, NONE), (3.0, 0)]


def test_the_serving_cell_at_a_time() -> None:
    serving = follow([[-80.0] * 9, [-90.0, *[-70.0] * 8]])
    assert [serving.at(now) for now in (0.0, 2.9, 3.0, 3.9, 4.0, 99.0)] == [0, 0, NONE, NONE, 1, 1]


class _Account:
    """What happens second by second: the same rules, told as a state that each second changes."""

    def __init__(self, levels: np.ndarray, rules: list[Rules]) -> None:
        self.levels, self.rules = levels, rules

    def connect(self, at: int) -> int:
        """Return the strongest cell that is strong enough."""
        good = [c for c, rule in enumerate(self.rules) if self.levels[c, at] >= rule.in_dbm]
        return max(good, key=lambda c: (self.levels[c, at], -c), default=NONE)

    def lasting(self, holds, since: int, at: int) -> int:
        """Return for how many seconds a condition has held."""
        first = at
        while first > since and holds(first - 1):
            first -= 1
        return at - first if holds(at) else -1

    def run(self) -> list[int]:
        """Return the serving cell in each second."""
        cell, since, served = NONE, 0, []  # `since` lies ahead while a device changes over
        for at in range(self.levels.shape[1]):
            while True:
                if cell == NONE:
                    cell = self.connect(at)
                    since = at + (self.rules[cell].interruption_s if at else 0)
                if cell == NONE or at < since:
                    break
                then = self.next(cell, int(since), at)
                if then is None:
                    break
                cell, since = then, at + self.rules[then].interruption_s
            served.append(cell if at >= since else NONE)
        return served

    def next(self, cell: int, since: int, at: int) -> int | None:
        """Return where to go now, or None to stay."""
        rule, own = self.rules[cell], self.levels[cell]
        margin = rule.offset_db + rule.hysteresis_db
        ripe = [
            c
            for c in range(len(self.levels))
            if c != cell
            and self.lasting(lambda s, c=c: self.levels[c, s] > own[s] + margin, since, at)
            >= rule.time_to_trigger_s
        ]
        if ripe:
            return max(ripe, key=lambda c: (self.levels[c, at], -c))
        lost = self.lasting(lambda s: own[s] < rule.out_dbm, since, at) >= rule.failure_s
        return NONE if lost else None


@st.composite
def worlds(draw: st.DrawFn) -> tuple[np.ndarray, list[Rules]]:
    """Draw levels near those at which things happen, and rules in whole seconds."""
    cells, seconds = draw(st.integers(1, 3)), draw(st.integers(1, 25))
    level = st.sampled_from([-125.0, -122, -119, -117, -112, -107])
    levels = [draw(st.lists(level, min_size=seconds, max_size=seconds)) for _ in range(cells)]
    rules = [
        replace(
            RULES, time_to_trigger_s=float(draw(st.integers(0, 3))),
            interruption_s=float(draw(st.integers(1, 3))), failure_s=float(draw(st.integers(0, 4))),
            offset_db=float(draw(st.integers(-1, 1))),
        )
        for _ in range(cells)
    ]  # fmt: skip
    return np.array(levels), rules


@given(worlds())
def test_events_agree_with_a_second_by_second_account(world) -> None:
    levels, rules = world
    seconds = levels.shape[1]
    serving = serve(np.arange(float(seconds)), levels, float(seconds), rules)
    assert (np.diff(serving.times_s) > 0).all()
    assert (np.diff(serving.cells) != 0).all()
    assert [serving.at(now) for now in range(seconds)] == _Account(levels, rules).run()


def test_the_filter_is_first_order() -> None:
    times_s = np.arange(0, 3, 0.1)
    step = np.where(times_s < 1, -100.0, -90.0)[None]
    found = filtered(times_s, step, 3.0, [0.5])[0]
    # Each sample tells where the filter stands at its end.
    expected = np.where(times_s < 1, -100.0, -90 - 10 * np.exp(-(times_s + 0.1 - 1) / 0.5))
    assert found == pytest.approx(expected)


def test_a_device_that_stops_is_measured_until_the_filter_settles() -> None:
    found = filtered(np.array([0.0, 1.0]), np.array([[-100.0, -90.0]]), 60.0, [0.5])
    assert found[0, -1] == pytest.approx(-90.0, abs=1e-9)


def test_no_filter_changes_nothing() -> None:
    levels = np.array([[-100.0, -90.0, -95.0]])
    assert filtered(np.arange(3.0), levels, 3.0, [0.0]).tolist() == levels.tolist()


@pytest.mark.parametrize(
    "wrong",
    [
        {"filter_s": -1.0}, {"time_to_trigger_s": 0.0, "interruption_s": 0.0},
        {"failure_s": 0.0, "interruption_s": 0.0}, {"failure_s": -math.inf},
    ],
)  # fmt: skip
def test_rules_by_which_a_device_would_change_for_ever_are_refused(wrong) -> None:
    with pytest.raises(ValueError, match="no time may be negative"):
        replace(RULES, **wrong)
