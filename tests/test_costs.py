"""What a configuration costs a month: by hand, item by item."""

from pathlib import Path

import polars as pl
import pytest

from offload.analysis.result import simulate
from offload.analysis.sizing import costs
from offload.analysis.sizing.costs import Use
from offload.scenario.load import load

QUEUE = Path(__file__).parent / "queue.toml"
SMALL = Path(__file__).parent / "small.toml"
HOURS = 365.25 * 24 / 12  # of a month


def told(items: tuple[costs.Item, ...]) -> dict[str, float]:
    return {item.what: item.per_month for item in items}


def test_machines_idle_power_and_rent_are_paid_whether_used_or_not() -> None:
    scenario = load(QUEUE, ["nodes.station.servers=3"])
    assert told(costs.standing(scenario)) == pytest.approx(
        {
            "station: 3 x core to buy": 3 * 120 / 60,
            "station: 3 x core at rest": 3 * 0.002 * HOURS * 0.3,
            "hop: rent": 4 + 0.001 * 2000,
        }
    )


def test_work_is_paid_by_what_it_draws_above_idling() -> None:
    scenario = load(QUEUE)
    found = told(costs.running(scenario, Use({"station": 1.5}, 0.0, 1e-6)))
    assert found == pytest.approx(
        {
            "station: power of its work": 0.0015 * HOURS * 0.3,
            "traffic, and computing by the hour": 1e-6 * 3600 * HOURS,
        }
    )


def test_use_is_what_rows_say_of_those_born_after_the_warm_up(tmp_path: Path) -> None:
    scenario = load(
        SMALL, ["nodes.region.price_per_hour=2", "links.cell.price_per_GB=1", "policy={name='cloud'}"]
    )
    rows = simulate(scenario).rows()
    rows.write_parquet(tmp_path / "requests.parquet")
    found = costs.used(tmp_path / "requests.parquet", scenario.file)
    counted = rows.filter(pl.col("born_s") >= 1)
    assert found.node_w == pytest.approx({"region": counted["cloud_j"].sum() / 9})
    # 5 ms of a t4 and 60 kB up, 1 kB down a request.
    each = 0.005 * 2 / 3600 + 61e3 / 1e9
    assert found.money_per_s == pytest.approx(counted.height * each / 9)
    # Who is paid by the hour pays for its power.
    assert list(told(costs.running(scenario, found))) == ["traffic, and computing by the hour"]
    assert not any(what.startswith("region") for what in told(costs.standing(scenario)))


def test_a_frame_of_several_networks_is_paid_for_once(tmp_path: Path) -> None:
    """Its own row has the sums of its stages, and no plan."""
    rows = pl.DataFrame(
        {
            "parent": [None, 0, 0], "born_s": [2.0, 2.0, 2.1], "money": [3.0, 1.0, 2.0],
            "edge": [None, "cabinet", "cabinet"], "edge_j": [30.0, 10.0, 20.0],
            "cloud": [None, None, None], "cloud_j": [0.0, 0.0, 0.0],
        }
    )  # fmt: skip
    rows.write_parquet(tmp_path / "requests.parquet")
    found = costs.used(tmp_path / "requests.parquet", load(SMALL).file)
    assert found.money_per_s == pytest.approx(3 / 9)
    assert found.node_w == pytest.approx({"cabinet": 30 / 9})


def test_devices_are_paid_for_only_if_asked(tmp_path: Path) -> None:
    scenario = load(SMALL, ["costs.devices=true"])
    assert told(costs.standing(scenario))["car: 2 x x86-core to buy"] == pytest.approx(2 * 150 / 60)
    result = simulate(scenario, "local")
    result.rows().write_parquet(tmp_path / "requests.parquet")
    devices = pl.DataFrame(result.devices, schema_overrides={"battery_j": pl.Float64})
    devices.write_parquet(tmp_path / "devices.parquet")
    found = costs.used(tmp_path / "requests.parquet", scenario.file)
    drawn = sum(each.drawn_j for each in result.devices) / max(each.seconds for each in result.devices)
    assert found.devices_w == pytest.approx(drawn)
    assert told(costs.running(scenario, found))["devices: power"] == pytest.approx(
        drawn * HOURS / 1000 * 0.25
    )
    assert "car" not in " ".join(told(costs.standing(load(SMALL))))


def test_servers_that_come_and_go_are_all_paid_for() -> None:
    scale = 'nodes.station.scale={min=1, max=4, up="10 ms", start="1 s", idle="1 s"}'
    assert "station: 4 x core to buy" in told(costs.standing(load(QUEUE, [scale])))


def test_how_it_is_known_is_as_bad_as_the_worst() -> None:
    power = '{ value = "2 W", known = "measured", source = "a meter" }'
    bill = '{ per_kWh = 0.3, known = "published", source = "a bill" }'
    settings = [f"hardware.core.idle_power={power}", f"costs.electricity={bill}"]
    (rest,) = [i for i in costs.standing(load(QUEUE, settings)) if i.what.endswith("rest")]
    assert rest.known == "published"
    assert rest.source == "a meter; 0.3 a kWh: a bill"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["hardware.core.price="], "core: nobody says what it costs; give hardware.core.price"),
        (["costs.currency=CHF"], "core: its price is in EUR and the scenario in CHF"),
        (["costs.currency=CHF", "costs.electricity="], "nobody says what it costs in CHF"),
        (
            ['links.hop.up={ mean = "9 Mbit/s", sd = "1 Mbit/s", memory = "1 s" }'],
            "links.hop.rent.per_Mbit: needs a rate that is a number; give rent.per_month alone",
        ),
    ],
)
def test_costs_that_are_missing(settings: list[str], said: str) -> None:
    scenario = load(QUEUE, settings)
    assert said in "\n".join(costs.faults(scenario))
    with pytest.raises(costs.CostError, match="give"):
        costs.standing(scenario)


def test_prices_decide_no_row() -> None:
    """What is simulated already needs not be simulated again because electricity is dearer."""
    first = load(QUEUE).digest
    dearer = [
        "costs.electricity.per_kWh=0.6", "links.hop.rent.per_Mbit=3", "hardware.core.price.value=9",
    ]  # fmt: skip
    assert load(QUEUE, dearer).digest == first
    assert load(QUEUE, ["links.hop.up=2 Gbit/s"]).digest != first
    assert load(QUEUE, ["links.hop.price_per_GB=2"]).digest != first
