"""Nothing is lost: one row for every born request, legs that sum to its time, the same world for all."""

from collections import Counter
from pathlib import Path
from statistics import fmean

import pytest

from offload.analysis.rows import LEGS
from offload.policies.table import NAMED, choose
from offload.scenario.load import load
from offload.simulation.run import drive, run
from offload.simulation.world import World
from offload.streams import Streams
from tests.whole import check_rows, play

URBAN = Path(__file__).parents[2] / "scenarios" / "urban-intersection.toml"
SHORT = ('duration="6 s"', 'warm_up="1 s"')

# Walkers cross a cell that is too slow for them, and the run is cut off while requests are under way.
CROSSING = """
[models.work.variants.only]
layers = [{{ name = "half", output = "40 kB" }}, {{ name = "rest", output = "1 kB" }}]
[models.work.variants.only.costs.core]
known = "assumed"
source = "a law"
seconds = ["10 ms", "25 ms"]
service = "exponential"
[devices.walker]
count = 12
hardware = "core"
radio_power = "1 W"
mobility = {{ trace = "walk.csv", loop = true }}
[devices.walker.tasks.drops]
models = ["work"]
every = "100 ms"
jitter = "20 ms"
deadline = "200 ms"
late = "drop"
input = "60 kB"
[devices.walker.tasks.finishes]
models = ["work"]
every = "400 ms"
arrivals = "poisson"
deadline = "200 ms"
late = "finish"
input = "60 kB"
[nodes.site]
kind = "edge"
hardware = "core"
servers = 3
{batch}
[nodes.region]
kind = "cloud"
hardware = "core"
[links.cell]
from = "*"
to = "site"
up = "30 Mbit/s"
down = "30 Mbit/s"
delay = "2 ms"
range = "75 m"
give_up = "300 ms"
[links.wire]
from = "site"
to = "region"
rate = "40 Mbit/s"
delay = "5 ms"
jitter = "2 ms"
"""


@pytest.fixture
def crossing(load_text, tmp_path):
    """Return a function that loads the walkers' scenario."""
    lines = ["time,id,x,y"]
    for walker in range(12):
        # To and fro between -200 m and 200 m in 16 s, each a step behind the next.
        for time in range(17):
            phase = (time + 16 * walker / 12) / 16 % 1
            lines.append(f"{time},{walker},{400 * abs(2 * phase - 1) - 200},7")
    (tmp_path / "walk.csv").write_text("\n".join(lines) + "\n")

    def loaded(batch=""):
        return load_text(CROSSING.format(batch=batch), duration=8, drain=0.03)

    return loaded


@pytest.fixture(scope="module")
def urban():
    """Return the shipped scenario, shortened."""
    return load(URBAN, SHORT)


@pytest.mark.parametrize("name", NAMED)
def test_every_birth_has_one_row_at_the_intersection(urban, name):
    world, asked = play(urban, name)
    assert len(asked) > 1500
    check_rows(world, asked)


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize(
    "batch",
    ["", 'batch = { max = 3, wait = "10 ms" }', 'queue = "edf"\nadmit = "deadline"\nqueue_limit = 1'],
)
def test_every_birth_has_one_row_when_devices_leave_and_the_end_comes(crossing, name, batch):
    world, asked = play(crossing(batch), name)
    check_rows(world, asked)
    causes = Counter(outcome.cause for outcome in world.outcomes)
    if "queue" in batch and name == "edge":
        assert causes.pop("shed") > 1
    if name in ("edge", "cloud"):  # these run into all that can go wrong
        assert set(causes) == {"", "late", "out-of-range", "no-route", "unfinished"}
    if name == "local":
        assert set(causes) == {"", "unfinished"}
    finishing = {o.cause for o in world.outcomes if o.request.task == "finishes"}
    assert "late" not in finishing


def test_legs_are_where_the_plan_goes(urban):
    expected = {
        "local": {"device_s"},
        "edge": {"uplink_s", "edge_s", "downlink_s"},
        "cloud": {"uplink_s", "wan_s", "cloud_s", "downlink_s"},
    }
    for name, visited in expected.items():
        for outcome in play(urban, name)[0].outcomes:
            if not outcome.cause:
                legs = {leg for leg in LEGS if getattr(outcome, leg) > 0}
                assert legs == visited


def test_overhead_is_the_first_leg(urban):
    choice = choose({"name": "quickest", "overhead": "3 ms"})
    for outcome in run(urban, choice, 7, 0).outcomes:
        assert outcome.decide_s == pytest.approx(0.003, abs=1e-12)


def test_all_policies_meet_the_same_births(crossing):
    scenario = crossing()
    born = {
        name: {
            o.request.id: (o.request.born_s, o.request.device, o.request.task)
            for o in play(scenario, name)[0].outcomes
        }
        for name in NAMED
    }
    assert len(born["local"]) > 500
    for name in NAMED:
        assert born[name] == born["local"]


def test_replications_and_seeds_differ(crossing):
    scenario = crossing()
    births_s = {
        tuple(sorted(o.request.born_s for o in run(scenario, choose({"name": "local"}), *key).outcomes))
        for key in ((1, 0), (1, 1), (2, 0))
    }
    assert len(births_s) == 3


LUCK = """
[models.work.variants.only]
accuracy = { value = 0.5, known = "assumed", source = "a law" }
layers = [{ name = "all", output = "1 kB" }]
[models.work.variants.only.costs.core]
known = "assumed"
source = "a law"
seconds = ["20 ms"]
service = "exponential"
[devices.source]
count = 5
hardware = "core"
[devices.source.tasks.work]
models = ["work"]
every = "10 s"
jitter = "1 s"
deadline = "1 s"
late = "finish"
input = "60 kB"
[nodes.site]
kind = "edge"
hardware = "core"
servers = 5
[nodes.region]
kind = "cloud"
hardware = "core"
servers = 5
[links.cell]
from = "*"
to = "site"
up = "1 Gbit/s"
down = "1 Gbit/s"
shared = false
[links.wire]
from = "site"
to = "region"
rate = "10 Gbit/s"
delay = "1 ms"
jitter = "5 ms"
"""


class EveryOther:
    """Local for every other request of a device; the cloud for the rest."""

    def __init__(self):
        self.asked = Counter()
        self.here, self.there = (choose({"name": name}).make() for name in ("local", "cloud"))

    def decide(self, request, seen):
        """Take turns."""
        self.asked[request.device] += 1
        policy = self.here if self.asked[request.device] % 2 else self.there
        return policy.decide(request, seen)


def test_a_request_has_the_same_luck_under_every_policy(load_text):
    # Alone in the world, so that a leg tells the luck and not the queue.
    scenario = load_text(LUCK, duration=500)
    rows = {}
    for name, policy in {
        **{name: choose({"name": name}).make() for name in ("local", "edge", "cloud")},
        "mixed": EveryOther(),
    }.items():
        world = World(scenario.setting(0.0), Streams(5, 0))
        drive(world, policy, choose({"name": "local"}))
        rows[name] = {outcome.request.id: outcome for outcome in world.outcomes}
    mixed = Counter()
    for number, outcome in rows["mixed"].items():
        same = rows["local" if outcome.plan.uplinks is None else "cloud"][number]
        mixed[outcome.plan.cloud] += 1
        for leg in LEGS:
            assert getattr(outcome, leg) == pytest.approx(getattr(same, leg), rel=0, abs=1e-9)
    assert min(mixed.values()) > 100
    assert set(rows["local"]) == set(rows["edge"]) == set(rows["cloud"]) == set(rows["mixed"])
    # It is as lucky with the answer wherever it runs, but each place has luck of its own.
    for number, local in rows["local"].items():
        assert local.correct == rows["edge"][number].correct == rows["cloud"][number].correct
    right = fmean(outcome.correct for outcome in rows["local"].values())
    assert 0.5 - 3.3 * 0.5 / 250**0.5 < right < 0.5 + 3.3 * 0.5 / 250**0.5
    assert len({(o.device_s > 0.02) for o in rows["local"].values()}) == 2
    for number, local in rows["local"].items():
        assert len({local.device_s, rows["edge"][number].edge_s, rows["cloud"][number].cloud_s}) == 3
