"""What a clairvoyant predicts for a request that is alone is what happens: price and world agree."""

from itertools import count, pairwise

import pytest

from offload.planning.price import price
from offload.policies.quickest import Clairvoyant
from offload.policies.table import choose
from offload.scenario.load import load
from offload.simulation.run import drive
from offload.simulation.world import World
from offload.streams import Streams
from tests import hand_made

HEAD = """
format = 1
name = "alone"
duration = "{duration} s"
[hardware.core]
kind = "cpu"
memory = "1 GB"
idle_power = {{ value = "2 W", known = "assumed", source = "a test" }}
busy_power = {{ value = "5 W", known = "assumed", source = "a test" }}
[hardware.quick]
kind = "cpu"
memory = "1 GB"
idle_power = {{ value = "20 W", known = "assumed", source = "a test" }}
busy_power = {{ value = "90 W", known = "assumed", source = "a test" }}
"""

INLINE = """
[models.work.variants.only]
layers = [
  {{ name = "a", output = "90 kB" }}, {{ name = "b", output = "40 kB" }},
  {{ name = "c", output = "9 kB" }}, {{ name = "d", output = "1 kB" }},
]
[models.work.variants.only.costs.core]
known = "assumed"
source = "a test"
seconds = ["14 ms", "26 ms", "33 ms", "5 ms"]
{service}
[models.work.variants.only.costs.quick]
known = "assumed"
source = "a test"
seconds = ["1.4 ms", "2.6 ms", "3.3 ms", "0.5 ms"]
{service}
[devices.one]
hardware = "core"
radio_power = "1.2 W"
at = ["30 m", "40 m"]
[devices.one.tasks.work]
models = ["work"]
{births}
deadline = "100 ms"
late = "finish"
input = "60 kB"
"""

MEASURED = """
[devices.one]
hardware = "cortex-a53"
radio_power = "1.2 W"
[devices.one.tasks.work]
models = ["mobilenetv2"]
variants = ["int8"]
{births}
deadline = "100 ms"
late = "finish"
input = "60 kB"
result = "1 kB"
"""

# Networks with exits, answers and codecs; all images take their turn, as births do.
PICTURES = """
[devices.one]
hardware = "core"
radio_power = "1.2 W"
[devices.one.tasks.work]
models = ["pictures"]
variants = ["{variant}"]
{births}
deadline = "100 ms"
late = "finish"
input = "20 kB"
{offers}
"""

BIRTHS = 'every = "10 s"\njitter = "1 s"'

EDGE = """
[nodes.cabinet]
kind = "edge"
hardware = "{hardware}"
{batch}
[links.cell]
from = "*"
to = "cabinet"
up = "35 Mbit/s"
down = "90 Mbit/s"
delay = "4 ms"
range = "75 m"
shared = {shared}
"""

# The cloud, and a second edge node, lie two wires away: a relay forwards whole messages.
FARTHER = """
[nodes.hub]
kind = "edge"
hardware = "{hardware}"
servers = 2
[nodes.region]
kind = "cloud"
hardware = "{hardware}"
servers = 4
{batch}
[links.ring]
from = "hub"
to = "cabinet"
rate = "300 Mbit/s"
delay = "2 ms"
jitter = "1 ms"
[links.backhaul]
from = "hub"
to = "region"
rate = "1 Gbit/s"
delay = "12 ms"
jitter = "5 ms"
"""

BATCH = 'batch = { max = 4, wait = "7 ms" }'
EXPONENTIAL = 'service = "exponential"'
LOG_NORMAL = 'service = "log-normal"\ncv = 0.8'


class Predicting:
    """Goes through all plans in turn, or returns the quickest; keeps what it predicted."""

    knowledge = "clairvoyant"

    def __init__(self, *, every_plan):
        self.turns = count() if every_plan else None
        self.predicted = {}
        self.plans = set()
        self.open = 0

    def decide(self, request, seen):
        """Note the price of the plan that it returns."""
        prices = price(request, seen)
        self.open = len(prices.plans)
        if self.turns is not None:
            chosen = next(self.turns) % len(prices.plans)
        else:
            chosen = prices.plans.index(Clairvoyant().decide(request, seen))
        money = 0.0 if prices.money is None else prices.money[chosen]
        self.predicted[request.id] = (prices.latency_s[chosen], prices.energy_j[chosen], money)
        self.plans.add(prices.plans[chosen])
        return prices.plans[chosen]


def play(tmp_path, tables, *, every_plan, requests=200, overhead="0 s"):
    """Run a scenario in which no two requests meet; return its policy and rows."""
    path = tmp_path / "alone.toml"
    path.write_text(HEAD.format(duration=10 * requests) + tables)
    hand_made.write_pictures(tmp_path / "profiles", scale=10.0, core=1.0, quick=8.0)
    choice = choose({"name": "clairvoyant", "overhead": overhead})
    scenario = load(path, ['profiles="profiles"'])
    world = World(scenario.setting(choice.overhead_s), Streams(3, 0), choice.knowledge)
    policy = Predicting(every_plan=every_plan)
    drive(world, policy, choice)
    rows = sorted(world.outcomes, key=lambda outcome: outcome.request.born_s)
    for before, after in pairwise(rows):
        assert before.ended_s < after.request.born_s  # alone, or the test would prove nothing
    assert len(rows) >= requests - 1
    return policy, rows


def inline(service="", batch="", shared="true", *, edge=True, farther=True):
    """Compose a scenario of figures of its own."""
    text = INLINE.format(service=service, births=BIRTHS)
    if edge:
        text += EDGE.format(hardware="quick", batch=batch, shared=shared)
    if farther:
        text += FARTHER.format(hardware="quick", batch=batch)
    return text


def measured(*, farther, batch=""):
    """Compose a scenario of measured and rescaled profiles."""
    text = MEASURED.format(births=BIRTHS) + EDGE.format(hardware="x86-core", batch=batch, shared="true")
    return text + (FARTHER.format(hardware="x86-core", batch=batch) if farther else "")


def pictures(offers, variant="exits", batch="", births=BIRTHS, *, farther=True):
    """Compose a scenario of a network with exits and codecs."""
    text = PICTURES.format(births=births, variant=variant, offers=offers)
    text += EDGE.format(hardware="quick", batch=batch, shared="true")
    return text + (FARTHER.format(hardware="quick", batch=batch) if farther else "")


INPUT = 'input = "60 kB"'
DRAWN = 'input = { distribution = "log-normal", mean = "60 kB", cv = 0.6 }'
SURE = "confidences = [0.6, 0.95]"
CODED = 'codecs = ["uint8", "uint8+zip"]'


def priced(tables):
    """Give everything a price of its own."""
    for number, kind in enumerate(("edge", "cloud")):
        key = f'kind = "{kind}"'
        tables = tables.replace(key, f"{key}\nprice_per_hour = {number + 1}.5")
    for number, link in enumerate(("cell", "ring", "backhaul")):
        tables = tables.replace(f"[links.{link}]", f"[links.{link}]\nprice_per_GB = {number + 1}")
    return tables


def tolled(tables):
    """Let every link cost something of each message and byte, and make messages larger."""
    for number, link in enumerate(("cell", "ring", "backhaul")):
        more = (
            f'hop_cost = {{ message = "{number + 1}.1 ms", per_MB = "{7 * number + 9} ms" }}\n'
            f'security = {{ message = "0.{number + 2} ms", per_MB = "{number + 3} ms",'
            f" bytes = {200 + number}, bytes_per_MB = {20_000 + number} }}"
        )
        tables = tables.replace(f"[links.{link}]", f"[links.{link}]\n{more}")
    return tables


LINES = ('radio_power = "1.2 W"', 'radio_power = "wifi"')
SLOWER = ('hardware = "core"\nradio', 'hardware = "core"\nfrequency = 0.6\nradio')

SCENARIOS = {
    "local only": (inline(EXPONENTIAL, edge=False, farther=False), "0 s"),
    "edge": (inline(farther=False), "0 s"),
    "inputs of many sizes": (inline().replace(INPUT, DRAWN), "0 s"),
    "edge, own hop, inputs of many sizes": (
        inline(EXPONENTIAL, shared="false", farther=False).replace(INPUT, DRAWN),
        "0 s",
    ),
    "edge, own hop": (inline(EXPONENTIAL, shared="false", farther=False), "0 s"),
    "cloud over two jittery wires": (inline(), "0 s"),
    "wires that lose packets": (
        inline().replace('rate = "1 Gbit/s"', 'rate = "1 Gbit/s"\nloss = 0.02'),
        "0 s",
    ),
    "a radio with lines": (inline(EXPONENTIAL).replace(*LINES), "0 s"),
    "own hop, a radio with lines": (inline(shared="false").replace(*LINES), "0 s"),
    "lines and inputs of many sizes": (inline().replace(*LINES).replace(INPUT, DRAWN), "0 s"),
    "a slower clock": (inline(EXPONENTIAL).replace(*SLOWER), "0 s"),
    "prices": (priced(inline(EXPONENTIAL)), "0 s"),
    "prices, batches, inputs of many sizes": (priced(inline(batch=BATCH)).replace(INPUT, DRAWN), "0 s"),
    "tolls": (tolled(inline(EXPONENTIAL)), "0 s"),
    "tolls, own hop, one node": (tolled(inline(EXPONENTIAL, shared="false", farther=False)), "0 s"),
    "tolls, own hop, inputs of many sizes": (
        tolled(inline(shared="false")).replace(INPUT, DRAWN),
        "1 ms",
    ),
    "tolls, lines, prices, inputs of many sizes": (
        tolled(priced(inline().replace(*LINES))).replace(INPUT, DRAWN),
        "0 s",
    ),
    "tolls, losses": (
        tolled(inline()).replace('rate = "1 Gbit/s"', 'rate = "1 Gbit/s"\nloss = 0.02'),
        "0 s",
    ),
    "tolls, exits and codecs, money": (
        tolled(priced(pictures(f"{SURE}\n{CODED}", farther=False))),
        "1 ms",
    ),
    "exponential service": (inline(EXPONENTIAL), "0 s"),
    "log-normal service": (inline(LOG_NORMAL), "0 s"),
    "batches with a wait": (inline(LOG_NORMAL, batch=BATCH), "0 s"),
    "time to decide": (inline(EXPONENTIAL, batch=BATCH), "20 ms"),
    "measured, edge": (measured(farther=False), "0 s"),
    "measured, edge and cloud": (measured(farther=True), "1 ms"),
    "measured, batches": (measured(farther=True, batch=BATCH), "0 s"),
    "exits": (pictures(SURE), "0 s"),
    "codecs": (pictures(CODED, "plain"), "0 s"),
    "exits and codecs, prices": (priced(pictures(f"{SURE}\n{CODED}", farther=False)), "1 ms"),
    "exits and codecs": (pictures(f"{SURE}\n{CODED}", farther=False), "1 ms"),
    "exits and codecs, batches": (pictures(f"{SURE}\n{CODED}", batch=BATCH, farther=False), "0 s"),
    "exits, private": (pictures(f"{SURE}\n{CODED}\nprivate = true", farther=False), "0 s"),
}


@pytest.mark.parametrize("every_plan", [True, False], ids=["every plan", "the quickest"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_prediction_is_what_happens(tmp_path, name, every_plan):
    tables, overhead = SCENARIOS[name]
    policy, rows = play(tmp_path, tables, every_plan=every_plan, overhead=overhead)
    for row in rows:
        latency_s, energy_j, money = policy.predicted[row.request.id]
        told = f"{name}: {row.plan}"
        assert row.cause == "", told
        assert row.ended_s - row.request.born_s == pytest.approx(latency_s, rel=0, abs=1e-9), told
        assert row.energy_j == pytest.approx(energy_j, rel=1e-9, abs=1e-12), told
        assert row.money == pytest.approx(money, rel=1e-9, abs=1e-15), told
    if "price" in name:
        assert len({round(money, 12) for _, _, money in policy.predicted.values()}) > 5
    if every_plan:
        visits = {(p.device_cut > 0, p.edge is not None, p.cloud is not None) for p in policy.plans}
        assert len(policy.plans) == policy.open  # each had its turn
        if "exits" in name or "codecs" in name:
            exits = {row.exit for row in rows}
            assert exits == ({0, 1, 2} if "exits" in name else {None})
            assert {row.plan.codec for row in rows} >= ({None, "uint8"} if "codecs" in name else {None})
        elif name == "local only":
            assert visits == {(True, False, False)}
        elif "region" not in tables:
            assert visits == {(True, False, False), (False, True, False), (True, True, False)}
        else:
            assert len(visits) == 7  # every way to use device, edge and cloud
            assert {plan.edge for plan in policy.plans} == {None, "cabinet", "hub"}


def test_luck_matters(tmp_path):
    # Else the predictions above could ignore it: the same plan takes different times.
    tables, _ = SCENARIOS["cloud over two jittery wires"]
    policy, _ = play(tmp_path, tables, every_plan=True)
    assert len({round(latency_s, 6) for latency_s, _, _ in policy.predicted.values()}) > len(
        policy.plans
    )


def test_own_work_ahead_is_foreseen(tmp_path):
    # One device, births close together: under local plans its own queue is all that there is.
    tables = inline(EXPONENTIAL, edge=False, farther=False).replace('"10 s"', '"90 ms"')
    path = tmp_path / "queue.toml"
    path.write_text(HEAD.format(duration=60) + tables.replace('"1 s"', '"50 ms"'))
    choice = choose({"name": "clairvoyant"})
    world = World(load(path).setting(0.0), Streams(3, 0), choice.knowledge)
    policy = Predicting(every_plan=True)
    drive(world, policy, choice)
    waits_s = [row.device_s - policy.predicted[row.request.id][1] / 3 for row in world.outcomes]
    assert sum(wait_s > 0.001 for wait_s in waits_s) > 100
    for row in world.outcomes:
        assert row.ended_s - row.request.born_s == pytest.approx(
            policy.predicted[row.request.id][0], rel=0, abs=1e-9
        )
