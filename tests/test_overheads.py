"""What messages and work cost beyond rates, delays and profiles: by hand, and as it is foreseen."""

import json
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from offload.analysis.explaining.legs import alone_s
from offload.analysis.result import simulate
from offload.analysis.rows import LEGS, metadata
from offload.cli import app
from offload.entities import Observation, Outcome, Plan, Request
from offload.planning.price import price
from offload.policies import table
from offload.policies.table import choose
from offload.scenario import measured_costs
from offload.scenario.load import Scenario, ScenarioError, load
from offload.simulation.instance import NotCoveredError, instance
from offload.simulation.run import Run, drive, run
from offload.simulation.world import World
from offload.streams import Streams
from tests.test_roaming import DOWN, TABLES, UP

SMALL = Path(__file__).parent / "small.toml"

# Plausible figures, not measured ones: tests need some.
COSTS = {
    "format": 1,
    "hardware": "x86-core",
    "known": "measured",
    "source": "made up for a test",
    "hop": {"message_s": 80e-6, "per_byte_s": 0.4e-9},
    "security": {
        "mutual-tls": {
            "handshake_s": 3e-3,
            "message_s": 20e-6,
            "per_byte_s": 1e-9,
            "message_bytes": 22.0,
            "bytes_per_byte": 0.00134,
        }
    },
    "after_idle": {"slower": 0.08, "within_s": 0.5},
    "co_location": {"slower": 0.07},
    "decide_s": 30e-6,
    "details": {},
}

ALL = """
format = 1
name = "all"
duration = "20 s"
[models.net.variants.only]
layers = [
    { name = "a", output = "20 kB" }, { name = "b", output = "10 kB" }, { name = "c", output = "1 kB" }
]
costs.x86-core = { known = "assumed", source = "a test", seconds = ["4 ms", "3 ms", "2 ms"] }
[devices.car]
hardware = "x86-core"
radio_power = "2 W"
after_idle = "measured"
[devices.car.tasks.look]
models = ["net"]
every = "700 ms"
deadline = "1 s"
input = "50 kB"
[nodes.site]
kind = "edge"
hardware = "x86-core"
after_idle = { slower = 0.2, within = "2 s" }
[nodes.hub]
kind = "cloud"
hardware = "x86-core"
servers = 2
[links.air]
from = "*"
to = "site"
up = "100 Mbit/s"
down = "50 Mbit/s"
delay = "1 ms"
hop_cost = "measured"
security = "mutual-tls"
[links.fibre]
from = "site"
to = "hub"
rate = "1 Gbit/s"
delay = "2 ms"
hop_cost = { message = "0.3 ms", per_MB = "2 ms" }
security = { handshake = "7 ms", message = "0.1 ms", per_MB = "5 ms", bytes = 30, bytes_per_MB = 1000 }
[machines.bench]
of = ["car", "site"]
co_location = "measured"
[policy]
name = "quickest"
"""


@pytest.fixture(autouse=True)
def costs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let "measured" stand for the figures above."""
    file = tmp_path / "costs.json"
    file.write_text(json.dumps(COSTS))
    monkeypatch.setattr(measured_costs, "FILE", file)
    return file


def loaded(tmp_path: Path, text: str, *settings: str) -> Scenario:
    """Return a scenario of this text with other settings."""
    path = tmp_path / "overheads.toml"
    path.write_text(text)
    return load(path, settings)


class Chooses:
    """Has every request served by plans of these cuts and places in turn; keeps what it predicted."""

    def __init__(self, *cuts: tuple[int, int, str | None, str | None]) -> None:
        self.cuts = cuts
        self.asked: list[Observation] = []
        self.predicted: dict[int, float] = {}

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return the next."""
        first, second, edge, cloud = self.cuts[len(self.asked) % len(self.cuts)]
        self.asked.append(seen)
        prices = price(request, seen)
        for plan, latency_s in zip(prices.plans, prices.latency_s, strict=True):
            if (plan.device_cut, plan.edge_cut, plan.edge, plan.cloud) == (first, second, edge, cloud):
                self.predicted[request.id] = float(latency_s)
                return plan
        raise AssertionError(self.cuts)


HOME, SITE, THREE = (3, 3, None, None), (0, 3, "site", None), (1, 2, "site", "hub")


def play(scenario: Scenario, policy: Chooses, knowledge: str = "reported") -> list[Outcome]:
    """Return what becomes of requests, in the order of their births."""
    world = World(scenario.setting(0.0), Streams(1, 0), knowledge)
    drive(world, policy, choose({"name": "quickest"}))
    return sorted(world.outcomes, key=lambda row: row.request.born_s)


def test_all_at_once_by_hand(tmp_path: Path) -> None:
    """Device, uplink, edge, wire, cloud, wire and downlink, the first request and those that follow."""
    scenario = loaded(tmp_path, ALL)
    marginal_w = scenario.setting(0.0).facts[0].hardware.marginal_w
    rows = play(scenario, Chooses(THREE))
    assert len(rows) > 25
    idle_since = {"car": 0.0, "site": 0.0}
    for number, row in enumerate(rows):
        now = row.request.born_s
        work_s = 4e-3 * (1 + 0.08 * (1 - math.exp(-(now - idle_since["car"]) / 0.5)))
        now = idle_since["car"] = now + work_s
        sent_bytes = 20e3 + 22 + 20e3 * 0.00134
        uplink_s = 3e-3 * (number == 0) + sent_bytes * 8 / 100e6 + 1e-3 + 100e-6 + 20e3 * 1.4e-9
        now += uplink_s
        edge_s = 3e-3 * (1 + 0.2 * (1 - math.exp(-(now - idle_since["site"]) / 2)))
        now = idle_since["site"] = now + edge_s
        wan_s = 7e-3 * (number == 0)
        for payload in (10e3, 1e3):
            wan_s += (payload + 30 + payload * 1e-3) * 8 / 1e9 + 2e-3 + 0.4e-3 + payload * 7e-9
        received_bytes = 1e3 + 22 + 1e3 * 0.00134
        downlink_s = received_bytes * 8 / 50e6 + 1e-3 + 100e-6 + 1e3 * 1.4e-9
        legs = row.device_s, row.uplink_s, row.edge_s, row.wan_s, row.cloud_s, row.downlink_s
        by_hand = work_s, uplink_s, edge_s, wan_s, 2e-3, downlink_s
        assert legs == pytest.approx(by_hand, rel=0, abs=1e-9)
        assert row.ended_s == pytest.approx(now + wan_s + 2e-3 + downlink_s, rel=0, abs=1e-9)
        assert (row.up_bytes, row.down_bytes) == pytest.approx((sent_bytes, received_bytes))
        air_j = 2.0 * 8 * (sent_bytes / 100e6 + received_bytes / 50e6)
        assert row.energy_j == pytest.approx(marginal_w * work_s + air_j, rel=1e-9)
        assert row.edge_j == pytest.approx(marginal_w * edge_s, rel=1e-9)


TOLLS = ALL.replace('after_idle = "measured"\n', "").replace(
    'after_idle = { slower = 0.2, within = "2 s" }\n', ""
)
BENCH = '[machines.bench]\nof = ["car", "site"]\nco_location = "measured"\n'
TOLLS = TOLLS.replace(BENCH, "")


def foreseen(scenario: Scenario, knowledge: str) -> float:
    """Return by how much the prices of plans differ from what becomes of them, at most."""
    policy = Chooses(HOME, SITE, (0, 0, None, "hub"), (1, 1, None, "hub"), THREE)
    rows = play(scenario, policy, knowledge)
    for before, after in pairwise(rows):
        assert before.ended_s < after.request.born_s
    took_s = [row.ended_s - row.request.born_s for row in rows]
    return max(abs(took_s[n] - policy.predicted[row.request.id]) for n, row in enumerate(rows))


@pytest.mark.parametrize("knowledge", ["reported", "fresh", "clairvoyant"])
@pytest.mark.parametrize("shared", ["true", "false"])
@pytest.mark.parametrize(
    "sizes", ['"50 kB"', '{ distribution = "uniform", min = "1 kB", max = "90 kB" }']
)
def test_prices_are_what_happens_where_nobody_waits(
    tmp_path: Path, knowledge: str, shared: str, sizes: str
) -> None:
    text = TOLLS.replace(
        'security = "mutual-tls"\n', 'security = { per_MB = "1 ms", bytes = 9, bytes_per_MB = 50000 }\n'
    )
    text = text.replace('handshake = "7 ms", ', "").replace('input = "50 kB"', f"input = {sizes}")
    scenario = loaded(tmp_path, text, f"links.air.shared={shared}")
    assert foreseen(scenario, knowledge) < 1e-9
    if shared == "true":  # what its own messages got is what the cell gives
        policy = Chooses(SITE)
        play(scenario, policy)
        rates = [seen.uplinks["air"].own_rate_bps for seen in policy.asked[1:]]
        assert rates == pytest.approx([100e6] * len(rates))
    # Without tolls the same plans take less: what is foreseen is something.
    (priced,) = loaded(tmp_path, text).setting(0.0).facts
    assert priced.cells["air"].toll.s_per_byte == pytest.approx(1.4e-9)


@pytest.mark.parametrize("name", table.NAMED)
def test_every_policy_decides_where_links_take_tolls(tmp_path: Path, name: str) -> None:
    scenario = loaded(tmp_path, TOLLS, "devices.car.count=3", 'duration="3 s"')
    rows = run(scenario, choose({"name": name}), 1, 0).outcomes
    assert len(rows) > 10
    assert {row.cause for row in rows} == {""}


def test_legs_alone_are_those_of_who_is_alone(tmp_path: Path) -> None:
    scenario = loaded(tmp_path, TOLLS, "links.air.security=", "links.fibre.security.handshake=")
    (facts,) = scenario.setting(0.0).facts
    for row in play(scenario, Chooses(HOME, SITE, (1, 1, None, "hub"), THREE)):
        took = [getattr(row, leg) for leg in LEGS]
        assert took == pytest.approx(alone_s(facts, row.plan, 50e3), rel=0, abs=1e-9)


def test_word_of_a_refusal_is_a_message(tmp_path: Path) -> None:
    late = 'deadline = "1 ms"\nlate = "finish"\nfallback = "device"'
    text = TOLLS.replace('deadline = "1 s"', late)
    rows = play(loaded(tmp_path, text, "nodes.site.admit=deadline"), Chooses(SITE))
    for row in rows:
        assert (row.cause, row.plan.device_cut, row.attempts) == ("", 3, 2)
        assert row.down_bytes == 22.0
        assert row.downlink_s == pytest.approx(22 * 8 / 50e6 + 1.1e-3, rel=0, abs=1e-9)


def test_the_delay_of_the_medium_stays_known(tmp_path: Path) -> None:
    setting = loaded(tmp_path, TOLLS).setting(0.0)
    for link, medium_s, all_s in (
        (setting.cells["air"], 1e-3, 1.1e-3),
        (setting.wires["fibre"], 2e-3, 2.4e-3),
    ):
        assert link.delay_s - link.toll.message_s == pytest.approx(medium_s, rel=1e-12)
        assert link.delay_s == pytest.approx(all_s, rel=1e-12)
    assert setting.delays["air", "hub"] == pytest.approx(3.5e-3)  # reports are messages, too


def test_nobody_foresees_a_handshake(tmp_path: Path) -> None:
    scenario = loaded(tmp_path, TOLLS)
    assert foreseen(scenario, "clairvoyant") == pytest.approx(7e-3, abs=1e-9)  # the wire's
    policy = Chooses(SITE)
    play(scenario, policy)
    rates = [seen.uplinks["air"].own_rate_bps for seen in policy.asked[1:]]
    assert rates == pytest.approx([100e6] * len(rates))  # nor is it taken for a slow cell


def test_what_needs_no_account_pays_too(tmp_path: Path) -> None:
    """A hop of its own without a price, for the radio or in money: the world's short way."""
    text = TOLLS.replace('radio_power = "2 W"\n', "")
    scenario = loaded(tmp_path, text, "links.air.shared=false", "links.air.security=")
    policy = Chooses(SITE)
    for row in play(scenario, policy):
        took_s = row.ended_s - row.request.born_s
        assert took_s == pytest.approx(policy.predicted[row.request.id], rel=0, abs=1e-9)


def test_nor_is_a_handshake_forgotten_where_nothing_else_costs(tmp_path: Path) -> None:
    text = TOLLS.replace('radio_power = "2 W"\n', "")
    more = "links.air.hop_cost=", 'links.air.security={ handshake = "3 ms" }'
    rows = play(loaded(tmp_path, text, "links.air.shared=false", *more), Chooses(SITE))
    more_s = [row.uplink_s - 50e3 * 8 / 100e6 - 1e-3 for row in rows]
    assert more_s == pytest.approx([3e-3] + [0.0] * (len(rows) - 1), rel=0, abs=1e-9)


def test_of_what_is_unfinished_counts_what_has_crossed(tmp_path: Path) -> None:
    more = "links.air.security={ bytes_per_MB = 500000 }", 'links.air.up="100 kbit/s"'
    scenario = loaded(tmp_path, TOLLS, *more, 'duration="0.7 s"', 'drain="0 s"')
    (row,) = play(scenario, Chooses(SITE))
    assert row.cause == "unfinished"
    assert row.up_bytes == pytest.approx((0.7 - row.request.born_s) * 100e3 / 8)


def test_who_meets_a_handshake_waits_for_its_end(tmp_path: Path) -> None:
    """Two cameras of one device begin together; another device has a channel of its own."""
    text = TOLLS.replace(
        '[devices.car]\nhardware = "x86-core"\n', '[devices.car]\ncount = 2\nhardware = "x86-core"\n'
    )
    text = text.replace('models = ["net"]\n', 'models = ["net"]\nstreams = 2\n')
    text = text.replace('every = "700 ms"', 'every = "2 ms"').replace('"20 s"', '"20 ms"')
    text = text.replace('deadline = "1 s"', 'deadline = "1 s"\nlate = "finish"')
    scenario = loaded(
        tmp_path, text, "links.air.shared=false", 'links.air.security={ handshake = "30 ms" }'
    )
    rows = play(scenario, Chooses(SITE))
    for device in ("car-0", "car-1"):
        mine = [row for row in rows if row.request.device == device]
        first_s = mine[0].request.born_s
        arrived_s = [row.request.born_s + row.uplink_s for row in mine]
        after_s = 1e-3 + 80e-6 + 50e3 * 0.4e-9
        expected_s = [first_s + 0.03 + 4e-3 * (n + 1) + after_s for n in range(len(mine))]
        assert sorted(arrived_s) == pytest.approx(expected_s, rel=0, abs=1e-9)
        assert len(mine) > 10


@pytest.mark.parametrize("of", ["site", "air"])
def test_who_comes_after_a_failure_shakes_hands_again(tmp_path: Path, of: str) -> None:
    born_s = [row.request.born_s for row in play(loaded(tmp_path, TOLLS), Chooses(HOME))]
    dark = f'windows = [["{born_s[4] + 0.3} s", "{born_s[4] + 0.4} s"]]'  # between two of them
    text = TOLLS + f'[faults.dark]\nof = ["{of}"]\n{dark}\n'
    rows = play(loaded(tmp_path, text), Chooses(SITE))
    plain_s = 8 * (50e3 + 22 + 50e3 * 0.00134) / 100e6 + 1.1e-3 + 50e3 * 1.4e-9
    more_s = [3e-3 if number in (0, 5) else 0.0 for number in range(len(rows))]
    assert [row.uplink_s - plain_s for row in rows] == pytest.approx(more_s, rel=0, abs=1e-9)


def test_who_comes_into_a_failure_shakes_hands_for_those_behind(tmp_path: Path) -> None:
    rows = play(loaded(tmp_path, TOLLS + DARK), Chooses(SITE))
    lost = [number for number, row in enumerate(rows) if row.cause == "node-down"]
    assert len(lost) > 1
    shaken = [number for number, row in enumerate(rows) if row.uplink_s > rows[-1].uplink_s + 1e-9]
    assert shaken == [0, lost[0]]


@pytest.mark.parametrize("of", ["air", ""])
@pytest.mark.parametrize("refused", [True, False])
def test_what_comes_back_shakes_hands_if_need_be(tmp_path: Path, of: str, *, refused: bool) -> None:
    """The cell breaks down while a request is on the wire, and works when an answer or no comes back."""
    late = 'deadline = "1 ms"\nlate = "finish"\nfallback = "device"'
    text = TOLLS.replace('deadline = "1 s"', late).replace('delay = "2 ms"', 'delay = "100 ms"')
    text = text.replace("[nodes.hub]", '[nodes.hub]\nadmit = "deadline"' if refused else "[nodes.hub]")
    hub = 0, 0, None, "hub"
    born_s = [row.request.born_s for row in play(loaded(tmp_path, text), Chooses(hub))]
    dark = f'windows = [["{born_s[4] + 0.05} s", "{born_s[4] + 0.06} s"]]'
    text += f'[faults.dark]\nof = ["{of}"]\n{dark}\n' if of else ""
    rows = play(loaded(tmp_path, text), Chooses(hub))
    payload = 0.0 if refused else 1e3
    plain_s = 8 * (payload + 22 + payload * 0.00134) / 50e6 + 1.1e-3 + payload * 1.4e-9
    more_s = [3e-3 if of and number == 4 else 0.0 for number in range(len(rows))]
    assert [row.downlink_s - plain_s for row in rows] == pytest.approx(more_s, rel=0, abs=1e-9)


DARK = '[faults.dark]\nof = ["site"]\nwindows = [["5 s", "7 s"]]\n'
BESIDE = """
format = 1
name = "beside"
duration = "3 s"
[models.net.variants.only]
layers = [{ name = "a", output = "0 B" }]
costs.x86-core = { known = "assumed", source = "a test", seconds = ["40 ms"] }
[devices.car]
count = COUNT
hardware = "x86-core"
[devices.car.tasks.look]
models = ["net"]
arrivals = "poisson"
every = "60 ms"
deadline = "9 s"
late = "finish"
input = "0 B"
[nodes.site]
kind = "edge"
hardware = "x86-core"
MORE
[links.air]
from = "*"
to = "site"
up = "100 Mbit/s"
down = "100 Mbit/s"
shared = false
[machines.bench]
of = ["car", "site"]
co_location = { slower = 0.5 }
[policy]
name = "random"
"""


def beside_by_hand(rows: Sequence[Outcome]) -> dict[int, float]:
    """Return when requests end that arrive at two stations of a machine, each in order, as born."""
    waiting = {"device": [], "site": []}
    for row in rows:
        waiting["device" if row.plan.device_cut else "site"].append(row.request)
    free_s, ends_s, now = {"device": 0.0, "site": 0.0}, {}, 0.0
    while any(waiting.values()):
        begins = {
            place: max(free_s[place], queue[0].born_s) for place, queue in waiting.items() if queue
        }
        place = min(begins, key=lambda each: begins[each])
        now = begins[place]
        other = "site" if place == "device" else "device"
        free_s[place] = now + 0.04 * (1.5 if free_s[other] > now else 1.0)
        ends_s[waiting[place].pop(0).id] = free_s[place]
    return ends_s


@pytest.mark.parametrize("more", ["", 'queue = "edf"', 'batch = { max = 2, wait = "0 s" }'])
def test_neighbours_slow_each_other_down_by_hand(tmp_path: Path, more: str) -> None:
    text = BESIDE.replace("MORE", more).replace("COUNT", "1")
    if "batch" in more:  # what never finds company is never a batch
        text = text.replace('arrivals = "poisson"\nevery = "60 ms"', 'every = "35 ms"\njitter = "3 ms"')
    rows = play(loaded(tmp_path, text), Chooses((1, 1, None, None), (0, 1, "site", None)))
    by_hand = beside_by_hand(rows)
    assert {row.request.id: row.ended_s for row in rows} == pytest.approx(by_hand, rel=0, abs=1e-9)
    assert sum(row.edge_s > 0.05 for row in rows) > 3
    assert sum(row.device_s > 0.05 for row in rows) > 3


def test_servers_of_one_node_do_not_slow_each_other_down(tmp_path: Path) -> None:
    text = BESIDE.replace("MORE", "servers = 20").replace("COUNT", "4")
    rows = play(loaded(tmp_path, text), Chooses((0, 1, "site", None)))
    ends_s = [row.ended_s for row in rows]
    assert sum(end_s > row.request.born_s for end_s, row in zip(ends_s, rows[1:], strict=False)) > 9
    assert [row.edge_s for row in rows] == pytest.approx([0.04] * len(rows))


def test_devices_of_a_group_on_one_machine_slow_each_other_down(tmp_path: Path) -> None:
    text = BESIDE.replace("MORE", "").replace("COUNT", "3").replace("60 ms", "300 ms")
    rows = play(loaded(tmp_path, text), Chooses((1, 1, None, None)))
    free_s = dict.fromkeys(["car-0", "car-1", "car-2"], 0.0)
    for row in rows:
        request = row.request
        if free_s[request.device] <= request.born_s:  # it need not wait for its own core
            met = any(free > request.born_s for name, free in free_s.items() if name != request.device)
            assert row.device_s == pytest.approx(0.06 if met else 0.04, abs=1e-9)
        free_s[request.device] = row.ended_s
    assert {round(row.device_s, 9) for row in rows} >= {0.04, 0.06}


def test_batches_are_slower_after_idleness(tmp_path: Path) -> None:
    text = TOLLS.replace(
        "[nodes.hub]", 'batch = { max = 4, wait = "5 ms" }\nafter_idle = "measured"\n[nodes.hub]'
    )
    rows = play(loaded(tmp_path, text), Chooses(SITE))
    free_s = 0.0
    for row in rows:
        begins_s = row.request.born_s + row.uplink_s + 5e-3
        work_s = 9e-3 * (1 + 0.08 * (1 - math.exp(-(begins_s - free_s) / 0.5)))
        assert row.edge_s == pytest.approx(5e-3 + work_s, rel=0, abs=1e-9)
        free_s = begins_s + work_s


def test_a_message_handed_over_pays_at_each_cell(tmp_path: Path) -> None:
    """Each part is a message: it is larger by as many bytes; seconds are those of where it ends."""
    (tmp_path / "way.csv").write_text("time,id,x,y\n0,car,0,0\n10,car,100,0\n")
    secured = 'security = { message = "4 ms", per_MB = "30 ms", bytes = 20000, bytes_per_MB = 100000 }'
    text = TABLES.replace("RANGE", "200 m")
    lines = [
        f"{line[:-1].rstrip()}, {secured} }}" if line.startswith("cell-") else line
        for line in text.splitlines()
    ]
    scenario = loaded(tmp_path, "\n".join(lines))
    over = {"up": 0, "down": 0}
    for seed in range(25):
        world = World(scenario.setting(0.0), Streams(seed, 0))
        drive(world, Edge(), choose({"name": "edge"}))
        for row in world.outcomes:
            moved, uplink_s, up_bytes = message(UP, 1e6, row.request.born_s)
            over["up"] += moved
            assert row.uplink_s == pytest.approx(uplink_s, abs=1e-9)
            assert row.up_bytes == pytest.approx(up_bytes)
            if row.request.born_s > 5.1:  # the answer stays in its cell, too
                _, downlink_s, _ = message(DOWN, 250e3, row.ended_s - row.downlink_s)
                assert row.downlink_s == pytest.approx(downlink_s, abs=1e-9)
            over["down"] += row.down_bytes > 1.1 * 250e3 + 20e3 + 1
    assert min(over.values()) > 3


@pytest.mark.parametrize("every", ["4 s", "9 s"])
def test_a_handshake_at_each_cell_on_the_way(tmp_path: Path, every: str) -> None:
    """While hands are shaken at one cell, the device may come to another, and does so there."""
    (tmp_path / "way.csv").write_text("time,id,x,y\n0,car,0,0\n10,car,100,0\n")
    lines = [
        f"{line[:-1].rstrip()}, security = {{ handshake = '700 ms' }} }}"
        if line.startswith("cell-")
        else line
        for line in TABLES.replace("RANGE", "200 m").replace("2.9 s", every).splitlines()
    ]
    scenario = loaded(tmp_path, "\n".join(lines))
    seen = set()
    for seed in range(40):
        world, shaken = World(scenario.setting(0.0), Streams(seed, 0)), []
        drive(world, Edge(), choose({"name": "edge"}))
        for row in sorted(world.outcomes, key=lambda each: each.request.born_s):
            now, left_bits, cell = row.request.born_s, 8e6, ""
            while left_bits:
                cell = "a" if now < 5 else "b"
                if cell not in shaken:
                    shaken.append(cell)
                    now += 0.7
                elif cell == "a" and UP.ends(now, left_bits) > 5:
                    left_bits, now = left_bits - UP.amount(now, 5.0), 5.0
                else:
                    now, left_bits = UP.ends(now, left_bits), 0.0
            now += {"a": 0.001, "b": 0.002}[cell]
            assert row.cause == ""
            assert row.uplink_s == pytest.approx(now - row.request.born_s, abs=1e-9)
            seen.add((len(shaken), row.request.born_s < 5 < now))
            if row.ended_s > 5 and "b" not in shaken:  # then its answer has met b first
                shaken.append("b")
    # Of those that shake hands from 4.3 s on, the device has left the first cell when they are done.
    assert seen >= ({(1, False), (2, True), (2, False)} if every == "4 s" else {(1, False), (2, True)})


def test_a_handshake_on_the_way_is_no_slow_cell(tmp_path: Path) -> None:
    (tmp_path / "way.csv").write_text("time,id,x,y\n0,car,0,0\n10,car,100,0\n")
    text = TABLES.replace("RANGE", "200 m").replace(
        '8 Mbit/s", down', "8 Mbit/s\", security = { handshake = '700 ms' }, down"
    )
    scenario, found = loaded(tmp_path, text), 0
    for seed in range(9):
        policy = Edge()
        drive(World(scenario.setting(0.0), Streams(seed, 0)), policy, choose({"name": "edge"}))
        rates = [each.uplinks["cell-a"].own_rate_bps for each in policy.asked if each.now_s < 5]
        assert rates[1:] == pytest.approx([8e6] * len(rates[1:]))
        found += len(rates[1:])
    assert found > 3


class Edge:
    """The edge node of the cell that serves, whatever it costs."""

    def __init__(self) -> None:
        self.asked: list[Observation] = []

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Return its plan."""
        self.asked.append(seen)
        (variant,) = seen.facts.variants
        site = seen.facts.cells[seen.serving or ""].node
        return Plan(variant, 0, variant.last, site, None, (seen.serving,))


def message(rate: Callable[..., float], payload: float, begin_s: float) -> tuple[bool, float, float]:
    """Follow a message over a handover at 5 s; tell if it met one, its seconds, bytes in the air."""
    bits = 8 * (1.1 * payload + 20e3)
    delay_s = 0.002 if begin_s >= 5 else 0.001
    ends_s = rate.ends(begin_s, bits)
    moved = begin_s < 5 < ends_s
    if moved:
        share = rate.amount(begin_s, 5.0) / bits
        more = 8 * (1.1 * payload * (1 - share) + 20e3)
        ends_s, delay_s = rate.ends(5.0, more), 0.002
        bits = share * bits + more
    return moved, ends_s + delay_s + 4e-3 + payload * 30e-9 - begin_s, bits / 8


# What is off changes nothing


@pytest.mark.parametrize("name", ["quickest", "random", "cloud", "clairvoyant"])
def test_costs_of_nothing_change_no_row(tmp_path: Path, name: str) -> None:
    nothing = ["links.cell.hop_cost={}", 'links.backhaul.security={ message = "0 s" }']
    plain = simulate(load(SMALL, [f'policy={{name="{name}"}}'])).rows()
    assert simulate(load(SMALL, [f'policy={{name="{name}"}}', *nothing])).rows().equals(plain)
    nothing += [
        'devices.car.after_idle={ slower = 0, within = "1 s" }',
        'nodes.cabinet.after_idle={ slower = 0, within = "1 s" }',
        'machines.all={ of = ["car", "cabinet", "region"], co_location = { slower = 0 } }',
    ]
    simulated = simulate(load(SMALL, [f'policy={{name="{name}"}}', *nothing])).rows()
    assert simulated.sort("request").equals(plain.sort("request"))


def test_bounds_cover_what_is_the_same_whenever_it_happens(tmp_path: Path) -> None:
    text = TOLLS.replace('handshake = "7 ms", ', "").replace(
        'security = "mutual-tls"', 'security = { per_MB = "9 ms", bytes = 40 }'
    )
    scenario = loaded(tmp_path, text)
    found = instance(scenario.setting(0.0), Streams(1, 0), most=100)
    policy = Chooses(THREE)
    rows = {row.request.id: row for row in play(scenario, policy)}
    for asked in found.asked:
        least_s = {
            plan: sum(leg.seconds + leg.then_s for leg in legs)
            for plan, legs in zip(asked.plans, asked.options, strict=True)
        }
        row = rows[asked.request.id]
        took_s = row.ended_s - row.request.born_s
        assert least_s[row.plan] == pytest.approx(took_s, rel=0, abs=1e-9)


def test_bounds_refuse_what_depends_on_when_it_happens(tmp_path: Path) -> None:
    with pytest.raises(NotCoveredError) as caught:
        instance(loaded(tmp_path, ALL).setting(0.0), Streams(1, 0))
    told = str(caught.value)
    for part in (
        "links.air.security",
        "links.fibre.security",
        "devices.car.after_idle",
        "nodes.site.after_idle",
        "machines",
    ):
        assert part in told


# How it is known


def test_figures_say_how_they_are_known(tmp_path: Path) -> None:
    scenario = loaded(tmp_path, ALL)
    told = scenario.known
    assert "hop_cost assumed, measured; security assumed, measured" in told
    assert "after_idle assumed, measured; co_location measured" in told
    given = loaded(
        tmp_path, ALL, 'links.fibre.hop_cost={ message = "1 ms", known = "published", source = "S" }'
    )
    assert "hop_cost measured, published" in given.known
    known = json.loads(metadata(Run(given, choose({"name": "edge"}), 1, 0, [], []))["profiles"])
    assert known["links.air/security"] == "measured: made up for a test"
    assert known["links.fibre/hop_cost"] == "published: S"
    assert known["nodes.site/after_idle"] == "assumed: the scenario"


def test_check_tells_them(tmp_path: Path) -> None:
    loaded(tmp_path, ALL)
    file = str(tmp_path / "overheads.toml")
    shown = CliRunner().invoke(app, ["check", file]).stdout.splitlines()
    assert "links.air.hop_cost: message 80 us, per_MB 400 us; measured: made up for a test" in shown
    assert "nodes.site.after_idle: slower 0.2, within 2 s; assumed: the scenario" in shown
    told = json.loads(CliRunner().invoke(app, ["check", file, "--json"]).stdout)["overheads"]
    assert [each["key"] for each in told] == [
        "links.air.hop_cost",
        "links.air.security",
        "links.fibre.hop_cost",
        "links.fibre.security",
        "devices.car.after_idle",
        "nodes.site.after_idle",
        "machines.bench.co_location",
    ]
    assert told[1] == {
        "key": "links.air.security",
        "known": "measured",
        "source": "made up for a test",
        "handshake": 0.003,
        "message": 20e-6,
        "per_MB": pytest.approx(1e-3),
        "bytes": 22.0,
        "bytes_per_MB": pytest.approx(1340),
    }


def test_the_digest_changes_with_the_figures(tmp_path: Path, costs: Path) -> None:
    before = loaded(tmp_path, ALL).digest
    assert loaded(tmp_path, ALL).digest == before
    assert loaded(tmp_path, ALL, "nodes.site.after_idle.slower=0.3").digest != before
    costs.write_text(json.dumps(COSTS | {"co_location": {"slower": 0.08}}))
    measured_costs.read.cache_clear()
    assert loaded(tmp_path, ALL).digest != before


# What is refused


INSTEAD = " is not a name of what was measured; write"
REFUSED = [
    (
        "links.air.hop_cost",
        '"cheap"',
        f"'cheap'{INSTEAD} \"measured\", or what it is, like {{ message = ",
    ),
    ("links.air.security", '"tls"', f"'tls'{INSTEAD} \"mutual-tls\", or what it is, like {{ handshake"),
    ("links.air.hop_cost", "{ message = 3 }", "hop_cost.message: 3 is a bare number"),
    ("links.air.hop_cost", '{ per_mb = "1 ms" }', 'per_mb: no such key; did you mean "per_MB"?'),
    ("links.air.security", "{ bytes = -1 }", "bytes: input should be greater than or equal to 0"),
    ("links.air.security", "7", "must be a table of known, source, message, per_MB, handshake, bytes"),
    ("devices.car.after_idle", "{ slower = 0.1 }", "within: missing; it must be given"),
    ("nodes.site.after_idle", '{ slower = 0.1, within = "0 s" }', "within: input should be greater"),
    ("machines.bench.of", '["car", "sight"]', 'of.1: no device group or node "sight"; did you mean'),
    ("machines.bench.of", "[]", "of: give at least one"),
    (
        "machines.other",
        '{ of = ["site"], co_location = { slower = 1 } }',
        'of.0: "site" is on the machine "bench"; a place is on one machine',
    ),
    ("nodes.car", '{ kind = "edge", hardware = "x86-core" }', '"car" is a device group and a node'),
    ("devices.car.battery", '{ capacity = "9 J" }', "a device with a battery must know what its work"),
]


@pytest.mark.parametrize(("key", "value", "what"), REFUSED)
def test_what_is_refused(tmp_path: Path, key: str, value: str, what: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        loaded(tmp_path, ALL, f"{key}={value}")
    assert what in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_a_device_with_a_battery_is_on_no_machine(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        loaded(tmp_path, TOLLS + BENCH, 'devices.car.battery={ capacity = "9 J" }')
    told = "machines.bench.of.0: a device with a battery must know what its work takes; leave car out"
    assert told in str(caught.value)


def test_a_line_is_told(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        loaded(tmp_path, ALL.replace('hop_cost = "measured"', 'hop_cost = "none"'))
    number = ALL.splitlines().index('hop_cost = "measured"') + 1
    assert (
        f"overheads.toml:{number}: links.air.hop_cost: 'none' is not a name of what was measured"
        in str(caught.value)
    )


def test_what_was_not_measured_is_said(tmp_path: Path, costs: Path) -> None:
    costs.unlink()
    measured_costs.read.cache_clear()
    with pytest.raises(ScenarioError) as caught:
        loaded(tmp_path, ALL)
    assert len(caught.value.faults) == 4
    assert f"links.air.hop_cost: there is no file {costs}: nothing was measured here; write" in str(
        caught.value
    )
