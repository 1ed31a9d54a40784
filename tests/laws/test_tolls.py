"""Everything at once: random scenarios whose links take tolls and whose machines slow down."""

import math
from collections.abc import Callable
from pathlib import Path
from random import Random

import polars as pl
import pytest

from offload.analysis.compare import compare
from offload.analysis.explaining.legs import alone_s, luck_of
from offload.analysis.rows import LEGS
from offload.entities import Observation, Outcome, Plan, Request
from offload.planning.price import price
from offload.policies.table import choose
from offload.scenario.load import Scenario
from offload.simulation.run import drive, run
from offload.simulation.world import World
from offload.streams import Streams
from tests.whole import expected_births

LoadText = Callable[..., Scenario]

NETWORK = """
[hardware.quick]
kind = "cpu"
memory = "1 GB"
idle_power = { value = "20 W", known = "assumed", source = "a law" }
busy_power = { value = "90 W", known = "assumed", source = "a law" }
[models.net.variants.only]
weights = "3 MB"
layers = [
    { name = "a", output = "40 kB" }, { name = "b", output = "15 kB" }, { name = "c", output = "1 kB" },
]
costs.core = { known = "assumed", source = "a law", seconds = ["9 ms", "14 ms", "7 ms"], SERVICE }
costs.quick = { known = "assumed", source = "a law", seconds = ["2 ms", "3 ms", "1 ms"], SERVICE }
"""


class Drawn:
    """Tables drawn from a seed: one feature after the other, each as likely as not."""

    def __init__(self, seed: int, *, alone: bool) -> None:
        self.random = Random(seed)
        self.alone = alone  # nothing that a price cannot foresee, and births far apart

    def one(self, *choices: str) -> str:
        """Choose one."""
        return self.random.choice(choices)

    def link(self) -> str:
        """What messages cost on a link, and in what currency."""
        draw = self.random.uniform
        handshake = "" if self.alone else self.one("", f'handshake = "{draw(1, 40)} ms", ')
        hop = f'hop_cost = {{ message = "{draw(0, 3)} ms", per_MB = "{draw(0, 60)} ms" }}\n'
        security = (
            f'security = {{ {handshake}message = "{draw(0, 2)} ms", per_MB = "{draw(0, 20)} ms",'
            f" bytes = {draw(0, 900)}, bytes_per_MB = {draw(0, 90_000)} }}\n"
        )
        paid = f"price_per_GB = {draw(0, 3)}\n"
        return self.one("", hop) + self.one("", security, security) + self.one("", paid)

    def idle(self) -> str:
        """How a place slows down."""
        slower, within_ms = self.random.uniform(0, 1), self.random.uniform(1, 99)
        table = f'after_idle = {{ slower = {slower}, within = "{within_ms} ms" }}\n'
        return "" if self.alone else self.one("", table)

    def node(self, name: str, kind: str) -> str:
        """A node, which may serve in any way."""
        serves = ["", "servers = 3\n", 'batch = { max = 3, wait = "4 ms" }\n', 'load = "1 GB/s"\n']
        if not self.alone:
            serves += ['queue = "edf"\nadmit = "deadline"\nqueue_limit = 2\n', 'load = "90 MB/s"\n']
            serves += ['scale = { max = 3, up = "5 ms", start = "20 ms", idle = "50 ms" }\n']
        paid = f"price_per_hour = {self.random.uniform(0, 9)}\n"
        own = 'policy = { name = "quickest", overhead = "1 ms" }\n' if kind == "edge" else ""
        own = "" if self.alone else self.one("", "", own)
        return (
            f'[nodes.{name}]\nkind = "{kind}"\nhardware = "quick"\n'
            + self.one(*serves) + self.one("", paid) + self.idle() + own
        )  # fmt: skip

    def task(self, stages: bool) -> str:
        """What devices ask."""
        size = self.one(
            'input = "30 kB"\n', 'input = { distribution = "uniform", min = "1 kB", max = "70 kB" }\n'
        )
        every = (
            'every = "9 s"\njitter = "1 s"\n' if self.alone else 'every = "80 ms"\njitter = "30 ms"\n'
        )
        text = f'{every}deadline = "{self.random.uniform(40, 200)} ms"\n'
        if self.alone:
            return text + f'models = ["net"]\nlate = "finish"\n{size}'
        text += self.one('late = "finish"\n', 'late = "drop"\n')
        text += self.one("", 'fallback = "device"\n', 'retries = 2\nretry_after = "5 ms"\n')
        if not stages:
            return text + f'models = ["net"]\n{size}'
        return text + (
            f'stages.find = {{ models = ["net"], {size.strip()} }}\n'
            'stages.name = { models = ["net"], input = "5 kB", after = ["find"],'
            " count = { mean = 1.5, max = 3 } }\n"
        )

    def tables(self) -> str:
        """A whole scenario."""
        shared = self.one("true", "false")
        radio = self.one("", 'radio_power = "1.2 W"\n', 'radio_power = "wifi"\n')
        walks = not self.alone and self.random.random() < 0.5
        text = NETWORK.replace("SERVICE", self.one('service = "constant"', 'service = "exponential"'))
        for group, count in (("car", 1 if self.alone else 3), *([] if self.alone else [("cam", 2)])):
            moves = (
                'mobility = { trace = "walk.csv", loop = true }\n' if walks and group == "car" else ""
            )
            text += f'[devices.{group}]\nhardware = "core"\n{radio}'
            text += (moves or f"count = {count}\n") + self.idle()
            text += f"[devices.{group}.tasks.look]\n" + self.task(stages=group == "cam")
        text += self.node("site", "edge") + self.node("hub", "cloud")
        if walks and self.random.random() < 0.6:  # two cells that hand over
            for number, (name, at_m) in enumerate((("cell", 0), ("next", 150))):
                if number:
                    text += self.node("far", "edge") + f'at = ["{at_m} m", "0 m"]\n'
                text += (
                    f'[links.{name}]\nfrom = "*"\nto = "{("site", "far")[number]}"\nup = "25 Mbit/s"\n'
                    'down = "30 Mbit/s"\ndelay = "1 ms"\nhandover = "40 ms"\nrange = "400 m"\n'
                ) + self.link()
            text += '[links.ring]\nfrom = "site"\nto = "far"\nrate = "90 Mbit/s"\n' + self.link()
        else:
            text += (
                '[links.cell]\nfrom = "*"\nto = "site"\nup = "25 Mbit/s"\ndown = "30 Mbit/s"\n'
                f'delay = "1 ms"\nshared = {shared}\nrange = "160 m"\ngive_up = "90 ms"\n'
            ) + self.link()
        lossy = self.one("", "loss = 0.05\n")
        text += '[links.wire]\nfrom = "site"\nto = "hub"\nrate = "60 Mbit/s"\ndelay = "3 ms"\n' + lossy
        text += self.one("", 'jitter = "2 ms"\n') + self.link()
        of = self.one('["car", "site"]', '["car", "site", "hub"]', '["hub"]')
        text += self.one("", f"[machines.m]\nof = {of}\nco_location = {{ slower = 0.4 }}\n")
        if not self.alone:
            things = self.one('["site"]', '["cell"]', '["wire", "hub"]')
            text += self.one("", f'[faults.f]\nof = {things}\nmtbf = "900 ms"\nmttr = "90 ms"\n')
        return text


@pytest.fixture
def mixed(load_text: LoadText, tmp_path: Path) -> Callable[..., Scenario]:
    """Return a function that draws a scenario from a seed."""
    lines = ["time,id,x,y"]
    for walker in range(3):
        lines += [f"{t},{walker},{220 * abs(2 * ((t / 6 + walker / 3) % 1) - 1)},7" for t in range(7)]
    (tmp_path / "walk.csv").write_text("\n".join(lines) + "\n")

    def draw(seed: int, *, alone: bool = False) -> Scenario:
        text = Drawn(seed, alone=alone).tables()
        return load_text(text, 900 if alone else 4, 5.0)

    return draw


class Turns:
    """Goes through all plans that are open, in turn; keeps what it predicted, and Fates."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.turns = self.open = 0
        self.predicted: dict[int, tuple[float, float, float]] = {}
        self.fates: dict[int, tuple[float, ...]] = {}

    def decide(self, request: Request, seen: Observation) -> Plan:
        """Take the next plan."""
        prices = price(request, seen)
        self.open = len(prices.plans)
        number = self.turns % len(prices.plans)
        self.turns += 1
        money = 0.0 if prices.money is None else float(prices.money[number])
        predicted = float(prices.latency_s[number]), float(prices.energy_j[number]), money
        self.predicted[request.id] = predicted
        self.fates[request.id] = tuple(self.world.under_way[request.id].fate)
        return prices.plans[number]


def play(scenario: Scenario, knowledge: str = "reported") -> tuple[World, Turns]:
    """Let a world end with one of these, and nodes with their own; return both."""
    world = World(scenario.setting(0.0, Streams(5, 0)), Streams(5, 0), knowledge)
    policy = Turns(world)
    nodes = {name: (own.make(), own) for name, own in scenario.forwarders.items()}
    drive(world, policy, choose({"name": "quickest"}), nodes)
    return world, policy


def legs_of(row: Outcome) -> list[float]:
    """Return the legs of a row, in the order of their columns."""
    return [getattr(row, leg) for leg in LEGS]


@pytest.mark.parametrize("seed", range(40))
def test_legs_sum_and_none_is_quicker_than_alone(mixed: Callable[..., Scenario], seed: int) -> None:
    scenario = mixed(seed)
    world, policy = play(scenario)
    facts = {(each.group, each.stage): each for each in world.setting.facts}
    own = any(node.decides_s is not None for node in world.setting.nodes.values())
    rows = world.outcomes
    roots = [row for row in rows if row.request.parent is None]
    born = sorted((r.request.born_s, r.request.device, r.request.task) for r in roots)
    assert born == expected_births(world)
    assert len(born) > 100
    assert len({row.request.id for row in rows}) == len(rows)
    compared = 0
    for row in rows:
        assert min(legs_of(row)) >= 0.0
        stay_s = row.ended_s - row.request.born_s
        assert math.fsum(legs_of(row)) == pytest.approx(stay_s, rel=0, abs=1e-9)
        if row.plan is None or row.cause or row.attempts > 1 or own:
            continue
        mine = facts[row.request.group, row.request.stage]
        luck = luck_of(policy.fates[row.request.id], mine)
        alone = alone_s(mine, row.plan, row.request.input_bytes, luck)
        roams = any(cell.interruption_s is not None for cell in mine.cells.values())
        for leg, took_s, least_s in zip(LEGS, legs_of(row), alone, strict=True):
            if roams and leg in ("uplink_s", "downlink_s", "wan_s"):
                continue  # its last cell may be a cheaper one
            waits = any(node.batch_max > 1 for node in mine.nodes.values())
            if waits and leg in ("edge_s", "cloud_s"):
                continue  # who fills a batch does not wait for it to ripen
            assert took_s >= least_s - 1e-9, (leg, row)
        compared += 1
        if row.plan.uplinks is not None and not roams:
            size, cell = mine.cells["cell"].toll.size, mine.cells["cell"]
            assert row.down_bytes == pytest.approx(size(mine.result_bytes[row.plan.variant]))
            if row.plan.device_cut == 0:
                assert row.up_bytes == pytest.approx(cell.toll.size(row.request.input_bytes))
    assert own or compared > 20


@pytest.mark.parametrize("knowledge", ["reported", "clairvoyant"])
@pytest.mark.parametrize("seed", range(25))
def test_who_is_alone_takes_and_pays_what_it_was_told(
    mixed: Callable[..., Scenario], seed: int, knowledge: str
) -> None:
    scenario = mixed(seed, alone=True)
    # Means are what happens only where chance has no say.
    if knowledge == "reported" and any(word in scenario.path.read_text() for word in CHANCE):
        knowledge = "clairvoyant"
    world, policy = play(scenario, knowledge)
    assert len({row.plan for row in world.outcomes}) == policy.open > 5
    for row in world.outcomes:
        latency_s, energy_j, money = policy.predicted[row.request.id]
        assert row.cause == ""
        assert row.ended_s - row.request.born_s == pytest.approx(latency_s, rel=0, abs=1e-9), row.plan
        assert row.energy_j == pytest.approx(energy_j, rel=1e-9, abs=1e-12), row.plan
        assert row.money == pytest.approx(money, rel=1e-9, abs=1e-15), row.plan


CHANCE = ("exponential", "loss =", 'jitter = "2 ms"')


@pytest.mark.parametrize("seed", [3, 11, 17])
def test_rows_are_the_same_again_and_in_other_processes(
    mixed: Callable[..., Scenario], tmp_path: Path, seed: int
) -> None:
    scenario, choices = mixed(seed), [choose({"name": "quickest"}), choose({"name": "random"})]
    for jobs in (1, 2):
        compare(scenario, choices, 2, 9, jobs, tmp_path / str(jobs), second_opinion=False)
    one = tmp_path / "1"
    files = sorted(file.relative_to(one) for file in one.rglob("requests.parquet"))
    assert len(files) == 4
    for file in files:
        first, second = (pl.read_parquet(tmp_path / each / file) for each in "12")
        assert first.equals(second)
        assert len(first) > 100
    assert run(scenario, choices[0], 9, 1).outcomes == run(scenario, choices[0], 9, 1).outcomes
