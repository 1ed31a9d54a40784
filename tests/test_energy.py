"""What scenarios say of energy: radios by name, slower clocks, batteries in the sun; by hand."""

import json
from dataclasses import asdict

import polars as pl
import pytest

from offload.analysis.compare import compare
from offload.analysis.result import simulate
from offload.energy import Radio
from offload.policies.table import choose
from offload.scenario.coverage import remarks
from offload.scenario.energy import BatteryTable
from offload.scenario.load import load
from offload.simulation.run import run
from offload.world.power import RADIOS

TABLES = """
format = 1
name = "energy"
duration = "10 s"
[hardware.core]
kind = "cpu"
memory = "1 GB"
idle_power = { value = "2 W", known = "published", source = "a test" }
busy_power = { value = "5 W", known = "published", source = "a test" }
[models.work.variants.only]
layers = [{ name = "all", output = "10 kB" }]
costs.core = { known = "measured", source = "a test", seconds = ["100 ms"] }
[devices.one]
hardware = "core"
radio_power = "RADIO"
FREQUENCY
[devices.one.tasks.work]
models = ["work"]
every = "1 s"
deadline = "1 s"
input = "60 kB"
[nodes.site]
kind = "edge"
hardware = "core"
[links.cell]
from = "*"
to = "site"
up = "48 Mbit/s"
down = "16 Mbit/s"
delay = "5 ms"
"""


@pytest.fixture
def loaded(tmp_path):
    """Return a function that loads the scenario with a radio, and more in its device's table."""

    def load_it(radio="0.5 W", more=""):
        path = tmp_path / "energy.toml"
        path.write_text(TABLES.replace("RADIO", radio).replace("FREQUENCY", more))
        return load(path)

    return load_it


@pytest.mark.parametrize("name", RADIOS)
def test_a_named_radio_pays_by_bytes_and_air_time(loaded, name):
    # 60 kB in 10 ms up, 10 kB in 5 ms down.
    radio = RADIOS[name]
    up_w = radio.up.base_w - radio.phone_w + radio.up.j_per_bit * 48e6
    down_w = radio.down.base_w - radio.phone_w + radio.down.j_per_bit * 16e6
    for row in run(loaded(name), choose({"name": "edge"}), 1, 0).outcomes:
        assert row.energy_j == pytest.approx(up_w * 0.010 + down_w * 0.005, rel=1e-9)


def test_lte_by_hand(loaded):
    # 438.39 x 48 + 1288.04 = 22330.76 mW for 10 ms; 51.97 x 16 + 1288.04 = 2119.56 mW for 5 ms.
    done = run(loaded("lte"), choose({"name": "edge"}), 1, 0)
    assert done.outcomes[0].energy_j == pytest.approx(0.2233076 + 0.0105978, rel=1e-9)
    (account,) = done.devices
    # Woken once: the requests follow each other within 11.6 s. It is awake when it is not in use.
    rows = sorted(done.outcomes, key=lambda row: row.request.born_s)
    in_use_s = sum(row.uplink_s + row.downlink_s for row in rows)
    assert account.promotion_j == pytest.approx(0.260 * 1.211)
    assert account.tail_j == pytest.approx(1.060 * (10 - rows[0].request.born_s - in_use_s))
    assert account.battery_j is None


def test_a_constant_power_has_no_tail(loaded):
    done = run(loaded(), choose({"name": "edge"}), 1, 0)
    assert done.outcomes[0].energy_j == pytest.approx(0.5 * 0.015)
    assert (done.devices[0].tail_j, done.devices[0].promotion_j) == (0, 0)
    assert Radio.constant(0.5, "a test").lingers is False
    assert loaded("0 W").setting(0.0).facts[0].radio is None


def test_a_radio_says_how_it_is_known(loaded):
    assert loaded("lte").known.endswith("power published; radio assumed")
    assert loaded("phone-lte").known.endswith("power published; radio published")
    assert loaded("0 W").known.endswith("power published")
    told = json.loads(simulate(loaded("lte"), "edge").metadata["profiles"])
    assert told["one/radio"].startswith("assumed: Huang")


def test_rates_beyond_what_was_measured_are_remarked(loaded):
    line = (
        "the radio of one was measured at no more than 28 Mbit/s up, and cell has 48: its energy is"
        " extrapolated"
    )
    assert remarks(loaded("phone-lte").setting(0.0), None) == [line]
    assert remarks(loaded("lte").setting(0.0), None) == []


def test_a_slower_clock_by_hand(loaded):
    scenario = loaded(more="frequency = 0.5")
    rows = run(scenario, choose({"name": "local"}), 1, 0).outcomes
    for row in rows:
        # Twice as long at an eighth of the 3 W above idling.
        assert row.device_s == pytest.approx(0.2)
        assert row.energy_j == pytest.approx(0.2 * 3 / 8)
    facts = scenario.setting(0.0).facts[0]
    (profile,) = facts.profiles["device"].values()
    assert profile.known == "measured"
    assert "assumed" in profile.error
    assert facts.hardware.busy_w.known == "assumed"
    assert facts.hardware.idle_w.value == 2
    assert scenario.known == (
        "latency measured for core, core at 0.5; accuracy unknown; power assumed, published;"
        " radio assumed; frequency assumed"
    )
    # The server is as quick as ever.
    edge = run(scenario, choose({"name": "edge"}), 1, 0).outcomes[0]
    assert edge.edge_s == pytest.approx(0.1)


def test_full_frequency_is_no_change(loaded):
    rows = [
        [(row.ended_s, row.energy_j) for row in run(each, choose({"name": "local"}), 1, 0).outcomes]
        for each in (loaded(), loaded(more="frequency = 1"))
    ]
    assert rows[0] == rows[1]


def test_a_battery_in_the_sun():
    sun = {"peak": "4 W", "sunrise": "6 h", "sunset": "18 h", "clouds": 0.25, "starts": "6 h"}
    table = BatteryTable.model_validate({"capacity": "1 Wh", "start": 0.5, "low": 0.2, "harvest": sun})
    supply = table.supply
    assert (supply.start_j, supply.low_j, supply.battery.capacity_j) == pytest.approx((1800, 720, 3600))
    day_j = supply.battery.harvest_w.amount(0, 86_400)
    assert day_j == pytest.approx(2 / 3.141592653589793 * 4 * 0.75 * 12 * 3600)
    assert supply.battery.harvest_w.amount(12 * 3600, 86_400) == pytest.approx(0)
    plain = BatteryTable.model_validate({"capacity": "10 kJ", "harvest": "2 W"})
    assert plain.supply.start_j == 10_000
    assert plain.supply.battery.harvest_w.at(5.0) == 2.0
    assert plain.outages_hz == pytest.approx(2 / 500)


def test_devices_are_told_in_a_table(loaded):
    result = simulate(loaded("lte", 'battery = { capacity = "1 Wh" }'), "edge")
    (told,) = map(asdict, result.devices)
    drawn_j = told["idle_j"] + told["tail_j"] + told["promotion_j"] + told["marginal_j"]
    assert told["battery_j"] == pytest.approx(3600 - drawn_j)
    assert told["marginal_j"] == pytest.approx(result.rows()["energy_j"].sum())
    assert loaded(more='battery = { capacity = "1 Wh" }').setting(0.0).facts[0].capacity_j == 3600


def test_the_table_of_devices_may_begin_with_many_that_have_no_battery(tmp_path):
    tables = TABLES.replace("RADIO", "0 W").replace("FREQUENCY", "count = 120")
    other = (
        '[devices.two]\nhardware = "core"\nbattery = { capacity = "1 Wh" }\n[devices.two.tasks.work]\n'
    )
    task = tables[tables.index('models = ["work"]') : tables.index("[nodes.site]")]
    (tmp_path / "many.toml").write_text(tables.replace("[nodes.site]", f"{other}{task}[nodes.site]"))
    compare(
        load(tmp_path / "many.toml", ['duration="2 s"']), [choose({"name": "local"})], 1, out=tmp_path
    )
    devices = pl.read_parquet(tmp_path / "local" / "0" / "devices.parquet")
    assert devices["battery_j"].null_count() == 120
    assert 3500 < devices["battery_j"].max() < 3600
