"""What requests and plans cost in money, by hand."""

import numpy as np
import pytest

from offload.analysis.compare import compare
from offload.analysis.result import simulate
from offload.policies.table import choose
from offload.scenario.load import load
from offload.simulation.run import drive, run
from offload.simulation.world import World
from offload.streams import Streams
from offload.views.table import comparison_tables
from tests.test_clairvoyant import Predicting

# 60 kB up and 10 kB back over the cell, and over the backhaul too where the cloud computes.
TABLES = """
format = 1
name = "money"
duration = "20 s"
[hardware.core]
kind = "cpu"
memory = "1 GB"
idle_power = { value = "2 W", known = "assumed", source = "a test" }
busy_power = { value = "2 W", known = "assumed", source = "a test" }
[models.work.variants.only]
layers = [{ name = "half", output = "30 kB" }, { name = "rest", output = "10 kB" }]
costs.core = { known = "assumed", source = "a test", seconds = ["36 ms", "72 ms"] }
[devices.one]
hardware = "core"
[devices.one.tasks.work]
models = ["work"]
every = "1 s"
deadline = "1 s"
input = "60 kB"
[nodes.site]
kind = "edge"
hardware = "core"
BATCH
price_per_hour = 0.5
[nodes.region]
kind = "cloud"
hardware = "core"
price_per_hour = 2
[links.cell]
from = "*"
to = "site"
up = "48 Mbit/s"
down = "16 Mbit/s"
price_per_GB = 3
[links.backhaul]
from = "site"
to = "region"
rate = "1 Gbit/s"
price_per_GB = 0.1
"""
CELL = 70_000 * 3e-9
EDGE = CELL + 0.108 * 0.5 / 3600
CLOUD = CELL + 70_000 * 0.1e-9 + 0.108 * 2 / 3600
SPLIT = CELL + 40_000 * 0.1e-9 + (0.036 * 0.5 + 0.072 * 2) / 3600


@pytest.fixture
def loaded(tmp_path):
    """Return a function that loads the scenario, with prices or without."""

    def load_it(batch="", *, prices=True):
        path = tmp_path / "money.toml"
        lines = TABLES.replace("BATCH", batch).splitlines()
        path.write_text("\n".join(line for line in lines if prices or "price" not in line))
        return load(path)

    return load_it


@pytest.mark.parametrize("batch", ["", 'batch = { max = 4, wait = "5 ms" }', "queue_limit = 9"])
@pytest.mark.parametrize(("name", "money"), [("local", 0), ("edge", EDGE), ("cloud", CLOUD)])
def test_a_request_by_hand(loaded, name, money, batch):
    result = simulate(loaded(batch), name)
    assert result.rows()["money"].to_numpy() == pytest.approx(money, rel=1e-12)
    assert result.measures()["money"] == pytest.approx(money, rel=1e-12)


def test_every_plan_costs_what_it_promised(loaded):
    world = World(loaded().setting(0.0), Streams(1, 0), "clairvoyant")
    policy = Predicting(every_plan=True)
    drive(world, policy, choose({"name": "clairvoyant"}))
    paid = {}
    for row in world.outcomes:
        assert row.money == pytest.approx(policy.predicted[row.request.id][2], rel=1e-12)
        paid[row.plan.device_cut, row.plan.edge_cut, row.plan.cloud] = row.money
    assert paid[0, 1, "region"] == pytest.approx(SPLIT, rel=1e-12)
    assert len(set(np.round(list(paid.values()), 12))) >= 5


def test_what_was_dropped_has_paid_for_what_it_used(loaded):
    # Nobody answers at the cloud: it is cut off while it computes there.
    scenario = loaded()
    world = World(scenario.setting(0.0), Streams(1, 0))
    world.end_s = 0.05 + min(
        row.request.born_s for row in run(scenario, choose({"name": "cloud"}), 1, 0).outcomes
    )
    choice = choose({"name": "cloud"})
    drive(world, choice.make(), choice)
    (row,) = world.outcomes
    assert row.cause == "unfinished"
    assert row.money == pytest.approx(60_000 * 3.1e-9 + 0.108 * 2 / 3600, rel=1e-12)


def test_nothing_has_a_price(loaded):
    result = simulate(loaded(prices=False), "edge")
    assert result.rows()["money"].null_count() == result.rows().height
    assert np.isnan(result.measures()["money"])


def test_policies_differ_in_money(loaded):
    found = compare(loaded(), [choose({"name": name}) for name in ("edge", "cloud")], 2)
    edge, cloud = (policy.measures["money"].mean for policy in found.policies)
    assert (edge, cloud) == pytest.approx((EDGE, CLOUD))
    *_, table = comparison_tables(found)
    assert list(table.columns[1].cells) == [f"{each * 1e3:.3g} ±0" for each in (EDGE, CLOUD)]
    unpriced = compare(loaded(prices=False), [choose({"name": "edge"})], 2)
    assert len(comparison_tables(unpriced)) == 2
    assert found.as_json()["policies"][0]["money"]["mean"] == edge
    assert [pair.mean for pair in found.pairs if pair.measure == "money"] == pytest.approx(
        [EDGE - CLOUD]
    )
