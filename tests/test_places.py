"""What cells give to devices: radios, traces and drawn rates, the same under every policy."""

from math import dist
from pathlib import Path

import pytest

from offload.entities import Outcome
from offload.policies.table import choose
from offload.scenario.load import Scenario, ScenarioError, load
from offload.simulation.run import run
from offload.streams import Streams

HEAD = """
format = 1
name = "places"
duration = "20 s"
drain = "60 s"
[hardware.core]
kind = "cpu"
memory = "1 GB"
idle_power = { value = "2 W", known = "assumed", source = "a test" }
busy_power = { value = "5 W", known = "assumed", source = "a test" }
[models.net.variants.plain]
layers = [{ name = "all", output = "1 kB" }]
[models.net.variants.plain.costs.core]
known = "assumed"
source = "a test"
seconds = ["20 ms"]
[devices.car]
count = 6
hardware = "core"
radio_power = "2 W"
mobility = { model = "manhattan", streets = [4, 4], spacing = "150 m", speed = "50 km/h" }
[devices.car.tasks.look]
models = ["net"]
every = "300 ms"
deadline = "2 s"
input = "40 kB"
late = "finish"
[nodes.a]
kind = "edge"
hardware = "core"
at = ["100 m", "100 m"]
servers = 4
[nodes.b]
kind = "edge"
hardware = "core"
at = ["350 m", "350 m"]
servers = 4
[links]
between = { from = "a", to = "b", rate = "1 Gbit/s", delay = "1 ms" }
"""
RADIO = """
cell-a = { from = "*", to = "a", radio = "nr-umi-3.5ghz", bandwidth = "20 MHz", load = 0.3 }
cell-b = { from = "*", to = "b", radio = "nr-umi-3.5ghz", bandwidth = "20 MHz", load = 0.3 }
"""


def scenario(folder: Path, links: str, *settings: str) -> Scenario:
    (folder / "places.toml").write_text(HEAD + links)
    return load(folder / "places.toml", settings)


def outcomes(made: Scenario, name: str, replication: int = 0) -> list[Outcome]:
    options = {"variant": "plain"} if name in ("local", "edge") else {}
    return run(made, choose({"name": name, **options}), 3, replication).outcomes


@pytest.mark.parametrize("fading", ["", ', fading = { coherence = "50 ms" }'])
def test_births_and_channels_are_the_same_under_opposite_policies(tmp_path: Path, fading: str) -> None:
    made = scenario(tmp_path, RADIO.replace(", load = 0.3", ", load = 0.3" + fading))
    born = [
        [(each.request.id, each.request.born_s) for each in sorted(found, key=lambda o: o.request.id)]
        for found in (outcomes(made, "local"), outcomes(made, "edge"))
    ]
    assert born[0] == born[1]
    assert len(born[0]) > 300

    def channels(replication: int) -> list[object]:
        devices = made.setting(0.0, Streams(3, replication)).devices
        return [(d.place.up.speeds, d.place.down.speeds) for d in devices]

    assert channels(0) == channels(0) != channels(1)


def test_each_device_has_a_channel_of_its_own(tmp_path: Path) -> None:
    way = '{ waypoints = [["60 m", "90 m"], ["300 m", "120 m"]], speed = "50 km/h", loop = true }'
    made = scenario(tmp_path, RADIO, "devices.car.count=2", f"devices.car.mobility={way}")
    one, other = (device.place for device in made.setting(0.0).devices)
    assert (one.track.x_m == other.track.x_m).all()
    assert one.up.speeds["cell-a"] != other.up.speeds["cell-a"]


def test_only_one_cell_of_a_radio_serves_at_a_time(tmp_path: Path) -> None:
    places = [device.place for device in scenario(tmp_path, RADIO).setting(0.0).devices]
    served = [len({name for _, _, name in place.up.stretches}) for place in places]
    assert max(served) == 2  # somebody is handed over
    for place in places:
        for number in range(800):
            now = number * 0.025
            assert sum(place.up.inside(name, now) for name in ("cell-a", "cell-b")) <= 1


def test_who_is_on_its_way_before_the_run_is_where_it_is_when_it_begins(tmp_path: Path) -> None:
    """In a loop those behind the first began long ago; the cells that they had then do not count."""
    way = (
        '{ waypoints = [["0 m", "0 m"], ["400 m", "400 m"]], speed = "20 m/s", loop = true,'
        ' headway = "3 s" }'
    )
    cells = "".join(
        f'cell-{node} = {{ from = "*", to = "{node}", up = "20 Mbit/s", down = "20 Mbit/s",'
        ' handover = "50 ms" }\n'
        for node in "ab"
    )
    for device in scenario(tmp_path, cells, f"devices.car.mobility={way}").setting(0.0).devices:
        place = device.place
        assert place.track.times_s[0] < 0 or device.name == "car-0"
        for now in (0.0, 1.0, 7.0, 15.0):
            at = place.track.position(now)
            near = min(place.centres_m, key=lambda name: dist(at, place.centres_m[name]))
            served = [name for name in place.centres_m if place.up.inside(name, now)]
            assert served in ([near], [])  # none while it is handed over
        assert any(place.up.inside(name, 0.0) for name in place.centres_m)


def test_nothing_is_lost_between_cells(tmp_path: Path) -> None:
    found = [each for r in range(3) for each in outcomes(scenario(tmp_path, RADIO), "edge", r)]
    assert len({each.cause for each in found} - {"", "out-of-range", "no-route"}) == 0
    for each in found:
        if not each.cause:
            assert each.up_bytes == pytest.approx(40e3)
            assert each.down_bytes == pytest.approx(1e3)
            assert each.energy_j > 0


def test_what_a_cell_draws_follows_the_rate_of_the_device(tmp_path: Path) -> None:
    """Energy is radio watts for the air time, at the rate that the device's own channel gives."""
    way = '{ waypoints = [["60 m", "90 m"], ["170 m", "120 m"]], speed = "30 km/h", loop = true }'
    settings = "devices.car.count=1", f"devices.car.mobility={way}"
    made = scenario(tmp_path, RADIO.splitlines()[1] + "\n", *settings)
    place = made.setting(0.0, Streams(3, 0)).devices[0].place
    nominal_bps = place.cells["cell-a"].up_bps
    speed = place.up.speeds["cell-a"]
    alone = [each for each in outcomes(made, "edge") if not each.cause and each.uplink_s < 0.2]
    assert len(alone) > 20
    for each in alone:
        sent_bits = speed.amount(each.request.born_s, each.request.born_s + each.uplink_s) * nominal_bps
        assert sent_bits == pytest.approx(8 * 40e3, rel=1e-6)
        assert each.energy_j <= 2 * (each.uplink_s + each.downlink_s) + 1e-9


def test_a_trace_drives_a_link(tmp_path: Path) -> None:
    (tmp_path / "slow.csv").write_text("seconds,bits/s\n0,8000000\n10,2000000\n20,8000000\n200,0\n")
    cell = 'cell = {{ from = "*", to = "a", up = {up}, down = "100 Mbit/s"{more} }}\n'
    for more in ("", ", shared = false"):
        links = cell.format(up='{ trace = "slow.csv" }', more=more)
        found = outcomes(scenario(tmp_path, links, "devices.car.count=1", 'duration="19 s"'), "edge")
        quick = [e.uplink_s for e in found if e.request.born_s < 9]
        slow = [e.uplink_s for e in found if 10 < e.request.born_s < 10.25]
        assert quick == pytest.approx([0.04] * len(quick))
        assert slow == pytest.approx([0.16] * len(slow))
        assert len(quick) > 20


@pytest.mark.parametrize(
    "up",
    [
        '{ states = ["8 Mbit/s", "1 Mbit/s"], stay = ["2 s", "1 s"] }',
        '{ mean = "5 Mbit/s", sd = "2 Mbit/s", memory = "2 s", floor = "100 kbit/s" }',
    ],
)
def test_rates_are_drawn_anew_in_each_replication(tmp_path: Path, up: str) -> None:
    links = f'cell = {{ from = "*", to = "a", up = {up}, down = "100 Mbit/s" }}\n'
    made = scenario(tmp_path, links, "devices.car.count=1")
    speeds = [made.setting(0.0, Streams(3, r)).devices[0].place.up.speeds["cell"] for r in (0, 0, 1)]
    assert speeds[0] == speeds[1] != speeds[2]
    assert {each.cause for each in outcomes(made, "edge")} == {""}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0,8000000\n5,2000000\n", "ends at 5 s, before the run does at 20 s"),
        ("0,0\n30,0\n", "is zero throughout"),
        ("0,8e6\n4,1\n3,1\n", "3 does not follow 4"),
    ],
)
def test_traces_that_are_refused(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "slow.csv").write_text("seconds,bits/s\n" + text)
    with pytest.raises(ScenarioError, match=why):
        scenario(
            tmp_path,
            'cell = { from = "*", to = "a", up = { trace = "slow.csv" }, down = "1 Mbit/s" }\n',
        )


def test_a_cell_that_is_zero_for_long_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "hole.csv").write_text("seconds,bits/s\n0,8000000\n5,0\n15,8000000\n200,0\n")
    links = 'cell = { from = "*", to = "a", up = { trace = "hole.csv" }, down = "100 Mbit/s" }\n'
    found = outcomes(scenario(tmp_path, links), "edge")
    assert {each.cause for each in found} == {"", "no-route", "out-of-range"}
    assert len({each.request.id for each in found}) == len(found) > 300


def test_a_heavier_group_is_sooner_through(tmp_path: Path) -> None:
    cell = 'cell = { from = "*", to = "a", up = "20 Mbit/s", down = "100 Mbit/s" }\n'
    text = (HEAD + cell).replace("count = 6", "count = 10")
    other = text[text.index("[devices.car]") : text.index("[nodes.a]")].replace(
        "devices.car", "devices.van"
    )
    (tmp_path / "places.toml").write_text(text.replace("[nodes.a]", other + "[nodes.a]", 1))
    mean_s = {}
    for weight in (1, 5):
        found = outcomes(load(tmp_path / "places.toml", [f"devices.van.weight={weight}"]), "edge")
        for group in ("car", "van"):
            times = [each.uplink_s for each in found if each.request.group == group]
            mean_s[group, weight] = sum(times) / len(times)
    assert mean_s["van", 1] == pytest.approx(mean_s["car", 1], rel=0.3)
    assert mean_s["van", 5] < 0.6 * mean_s["van", 1]
    assert mean_s["car", 5] > 1.1 * mean_s["car", 1]
