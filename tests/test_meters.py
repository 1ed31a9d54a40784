"""Radios between messages against a clock that ticks; batteries that empty, by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offload.energy import Line, Radio
from offload.policies.table import choose
from offload.scenario.load import load
from offload.simulation.clock import Clock
from offload.simulation.meters import Meter
from offload.simulation.run import drive, run
from offload.simulation.world import World
from offload.streams import Streams

TICKING = Radio(Line(1.0, 0.0), Line(1.0, 0.0), "assumed", "a test", tail_s=4.0, tail_w=0.5,
                promotion_s=2.0, promotion_w=0.75)  # fmt: skip


def metered(transfers: list[tuple[int, int]], until: float) -> tuple[float, float]:
    """Let messages begin and end at these times; return joules of tails and of waking."""
    clock = Clock()
    meter = Meter(clock, TICKING)
    for number, (begin, end) in enumerate(transfers):
        clock.at(begin, lambda _, n=number: meter.begins(n))
        clock.at(end, lambda _, n=number: meter.ended(n, clock.now))
    clock.run_while_empty([], until)
    meter.stop(until)
    return meter.tail_j, meter.promotion_j


def test_a_tail_is_cut_short_by_the_next_message() -> None:
    # Awake from 2 to 3, from 4 to 8, from 11 to 12; woken at 1 and at 10.
    assert metered([(1, 2), (3, 4), (10, 11)], 12) == (0.5 * 6, 2 * 1.5)
    assert metered([], 10) == (0, 0)
    assert metered([(1, 20)], 10) == (0, 1.5)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 12)), max_size=12), st.integers(72, 90))
def test_tails_agree_with_a_clock_that_ticks(drawn: list[tuple[int, int]], until: int) -> None:
    transfers = sorted((begin, begin + length) for begin, length in drawn)
    busy = [any(begin <= tick < end for begin, end in transfers) for tick in range(until)]
    since, tail_j, promotions = 10**9, 0.0, 0
    for tick in range(until):
        if busy[tick]:
            promotions += since > TICKING.tail_s
            since = 0
        else:
            tail_j += TICKING.tail_w if since < TICKING.tail_s else 0.0
            since += 1
    assert metered(transfers, until) == (tail_j, promotions * 1.5)


# A second of computing at 3 W above 2 W of idling; births come from a file.
SMALL = """
format = 1
name = "small"
duration = "12 s"
[hardware.core]
kind = "cpu"
memory = "1 GB"
idle_power = { value = "2 W", known = "assumed", source = "a test" }
busy_power = { value = "5 W", known = "assumed", source = "a test" }
[models.work.variants.only]
layers = [{ name = "all", output = "1 kB" }]
costs.core = { known = "assumed", source = "a test", seconds = ["1 s"] }
[devices.one]
hardware = "core"
battery = { capacity = "10 J", low = 0.1, harvest = "HARVEST" }
[devices.one.tasks.work]
models = ["work"]
arrivals = "trace"
births = "births.csv"
deadline = "10 s"
input = "125 kB"
"""

CELL = """
[nodes.site]
kind = "edge"
hardware = "core"
[links.cell]
from = "*"
to = "site"
up = "1 Mbit/s"
down = "1 Mbit/s"
"""


class Watching:
    """Answers as another policy does, and keeps what it saw of the battery."""

    def __init__(self, policy):
        self.policy = policy
        self.seen = {}

    def decide(self, request, seen):
        """Take note and pass on."""
        self.seen[request.born_s] = seen.battery_j
        return self.policy.decide(request, seen)


def play(tmp_path, births, policy="local", harvest="0 W", tables=SMALL):
    """Run births at these times; return the rows in their order, the account, and charges seen."""
    path = tmp_path / "small.toml"
    path.write_text(tables.replace("HARVEST", harvest))
    (tmp_path / "births.csv").write_text("time,device\n" + "".join(f"{at},one-0\n" for at in births))
    choice = choose({"name": policy})
    scenario = load(path)
    watching = Watching(choice.make())
    world = World(scenario.setting(0.0), Streams(1, 0))
    drive(world, watching, choice)
    (account,) = run(scenario, choice, 1, 0).devices
    return sorted(world.outcomes, key=lambda o: o.request.born_s), account, watching.seen


def test_it_empties_at_the_exact_time(tmp_path):
    rows, account, seen = play(tmp_path, [1, 3, 5])
    # 8 J at 1 s, 3 J at 2 s, 1 J at 3 s: a fifth of a second of computing.
    assert seen == pytest.approx({1: 8, 3: 1})  # at 5 s nobody is asked
    assert [row.cause for row in rows] == ["", "no-power", "no-power"]
    assert [row.ended_s for row in rows] == pytest.approx([2, 3.2, 5], rel=1e-12)
    assert [row.energy_j for row in rows] == pytest.approx([3, 0.6, 0], rel=1e-12)
    assert [row.device_s for row in rows] == pytest.approx([1, 0.2, 0], rel=1e-12)
    assert rows[2].plan is None
    assert account.off_s == pytest.approx(12 - 3.2)
    assert account.busy_s == pytest.approx(1.2)
    assert account.idle_j == pytest.approx(2 * 3.2)
    assert account.drawn_j == pytest.approx(10)
    assert (account.battery_j, account.short_j) == (0, 0)


def test_it_comes_back_once_it_is_charged(tmp_path):
    rows, account, seen = play(tmp_path, [1, 3, 5, 5.6], harvest="0.5 W")
    # 8.5 J at 1 s, 4 at 2 s, 2.5 at 3 s; empty 2.5 / 4.5 s later; 1 J, which is `low`, 2 s after that.
    empty_s = 3 + 2.5 / 4.5
    left_j = 1 - 1.5 * (5.6 - empty_s - 2)
    again_s = 5.6 + left_j / 4.5
    assert seen == pytest.approx({1: 8.5, 3: 2.5, 5.6: left_j})
    assert [row.cause for row in rows] == ["", "no-power", "no-power", "no-power"]
    assert [row.ended_s for row in rows] == pytest.approx([2, empty_s, 5, again_s])
    # Off for 2 s, then on with 1 J, which lasts for 2/3 s of idling, and so on to the end.
    offs, now, on = [(empty_s, empty_s + 2), (again_s, again_s + 2)], again_s + 2, 1 / 1.5
    while now + on < 12:
        offs.append((now + on, now + on + 2))
        now += on + 2
    off_s = math.fsum(min(12, end) - begin for begin, end in offs)
    assert account.off_s == pytest.approx(off_s)
    assert account.harvest_j == pytest.approx(0.5 * 12)
    assert account.spilled_j == account.short_j == 0
    assert 10 + account.harvest_j - account.drawn_j == pytest.approx(account.battery_j)


def test_work_that_waits_is_not_paid_for(tmp_path):
    rows, account, _ = play(tmp_path, [3, 3.1, 3.2])
    # 4 J at 3 s: 0.8 s at 5 W.
    assert [row.ended_s for row in rows] == pytest.approx([3.8] * 3)
    assert [row.energy_j for row in rows] == pytest.approx([2.4, 0, 0], abs=1e-12)
    assert {row.cause for row in rows} == {"no-power"}
    assert account.busy_s == pytest.approx(0.8)


def test_what_others_compute_is_not_heard_of(tmp_path):
    tables = SMALL.replace("[devices.one.tasks", 'radio_power = "0.5 W"\n[devices.one.tasks') + CELL
    rows, account, seen = play(tmp_path, [1, 3.4], "edge", tables=tables)
    # A second on air, one at the site, 8 ms back. The second is on air until 4.4 s.
    assert [row.cause for row in rows] == ["", "no-power"]
    assert seen == pytest.approx({1: 8, 3.4: 10 - 2 * 3.4 - 0.5 * 1.008})
    # What is left then lasts for 98 ms of idling; the result would be back after 1.008 s.
    assert rows[1].ended_s == pytest.approx((10 - 0.5 * 2.008) / 2)
    assert rows[1].energy_j == pytest.approx(0.5)
    assert rows[1].up_bytes == 125_000
    assert rows[1].down_bytes == 0
    assert account.short_j == 0
    assert account.drawn_j == pytest.approx(10)


def test_it_is_off_while_a_message_is_on_air(tmp_path):
    tables = SMALL.replace("[devices.one.tasks", 'radio_power = "0.5 W"\n[devices.one.tasks') + CELL
    rows, account, _ = play(tmp_path, [4.5], "edge", tables=tables)
    # Idling alone empties it at 5 s. What half a message took is told only then, and lacks.
    assert rows[0].cause == "no-power"
    assert rows[0].ended_s == pytest.approx(5)
    assert rows[0].up_bytes == pytest.approx(62_500)
    assert rows[0].energy_j == pytest.approx(0.25)
    assert account.short_j == pytest.approx(0.25)
    assert account.drawn_j == pytest.approx(10.25)


def test_an_empty_battery_is_off_from_the_start(tmp_path):
    tables = SMALL.replace("low = 0.1", "low = 0.1, start = 0")
    rows, account, seen = play(tmp_path, [0, 1.9, 2.1], harvest="0.5 W", tables=tables)
    assert [row.cause for row in rows][:2] == ["no-power"] * 2
    assert list(seen) == [2.1]
    assert account.idle_j == pytest.approx(2 * (12 - account.off_s))


def test_it_holds_no_more_than_its_capacity(tmp_path):
    rows, account, seen = play(tmp_path, [1, 3], harvest="4 W")
    # Full until 1 s; 1 W less while it computes; full again half a second later.
    assert seen == pytest.approx({1: 10, 3: 10})
    assert [row.cause for row in rows] == ["", ""]
    assert account.spilled_j == pytest.approx(2 * 12 - 2 * 3)
    assert account.battery_j == pytest.approx(10)
