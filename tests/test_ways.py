"""Ways made from chance in a scenario: whose they are, and what they do not depend on."""

from pathlib import Path

import numpy as np
import pytest

from offload.policies.table import choose
from offload.scenario import ways
from offload.scenario.load import Scenario, ScenarioError, load
from offload.simulation.run import run
from offload.streams import Streams
from offload.world.mobility import Track

SMALL = Path(__file__).parent / "small.toml"
MOBILITY = {
    "random-waypoint": '{ model = "random-waypoint", area = [["0 m","0 m"],["500 m","500 m"]],'
    ' speed = ["1 m/s", "20 m/s"], pause = ["0 s", "9 s"] }',
    "manhattan": '{ model = "manhattan", streets = [4, 3], spacing = "100 m", speed = "50 km/h" }',
    "highway": '{ model = "highway", length = "1 km", lanes = ["80 km/h", "120 km/h"] }',
    "wrapped": '{ model = "highway", length = "1 km", lanes = ["30 m/s"], wrap = true }',
    "waypoints": '{ waypoints = [["0 m","0 m"],["300 m","0 m"],["300 m","90 m"]], speed = "72 km/h",'
    ' loop = true, headway = "3 s" }',
}
RANDOM = [name for name in MOBILITY if name != "waypoints"]


def scenario(name: str, *settings: str) -> Scenario:
    """Return small.toml with moving cars and a cell of 250 m."""
    return load(SMALL, [f"devices.car.mobility={MOBILITY[name]}", "links.cell.range=250 m", *settings])


def places(found: Scenario, streams: Streams | None = None) -> list[list[tuple[float, float]]]:
    """Return where each device is at some times."""
    devices = found.setting(0.0, streams).devices
    return [[d.place.track.position(now) for now in (0.0, 4.0, 9.0)] for d in devices]


@pytest.mark.parametrize("name", MOBILITY)
def test_each_has_a_way_of_its_own_however_many_there_are(name: str) -> None:
    few, many = (places(scenario(name, f"devices.car.count={count}")) for count in (3, 20))
    assert many[:3] == few
    assert len({tuple(way) for way in many}) > 10  # some wait at one signal
    assert len({at for way in many for at in way}) > 20


@pytest.mark.parametrize("name", RANDOM)
def test_replications_and_seeds_differ_and_repeat(name: str) -> None:
    found = scenario(name)
    seen = [places(found, Streams(seed, number)) for seed, number in [(3, 0), (3, 1), (4, 0)]]
    assert seen[0] == places(found) == places(scenario(name), Streams(3, 0))
    assert seen[1] != seen[0] != seen[2] != seen[1]
    assert found.digest == scenario(name).digest


@pytest.mark.parametrize("name", MOBILITY)
def test_policies_meet_the_same_traffic(name: str) -> None:
    found = scenario(name)
    born = {}
    for policy in ("local", "quickest"):
        done = run(found, choose({"name": policy}), 5, 2)
        assert done.outcomes
        born[policy] = sorted((o.request.device, o.request.born_s) for o in done.outcomes)
    assert born["local"] == born["quickest"]


def test_all_in_a_grid_meet_the_same_signals() -> None:
    bikes = '{ model = "manhattan", streets = [4, 3], spacing = "100 m", speed = "5 m/s" }'
    file = load(SMALL, [f"devices.car.mobility={MOBILITY['manhattan']}"]).file
    other = load(SMALL, [f"devices.car.mobility={bikes}"]).file
    waits = []
    for each in (file, other):
        tracks = ways.make_tracks(each, Streams(1, 0))["car"].values()
        waits.append(
            {
                (x, y, round(green_s % 60, 6))
                for t in tracks
                for x, y, green_s, stood in zip(
                    t.x_m[1:], t.y_m[1:], t.times_s[1:], stands(t), strict=True
                )
                if stood
            }
        )
    assert waits[0] & waits[1]  # when red ends at a crossing is the same for both


def stands(track: Track) -> list[bool]:
    """Tell of each piece of a way whether nothing moved."""
    return ((np.diff(track.x_m) == 0) & (np.diff(track.y_m) == 0)).tolist()


@pytest.mark.parametrize(
    "mobility",
    [
        '{ model = "random-waypoint", area = [["0 m","0 m"],["1 m","1 m"]], speed = ["9 m/s","9 m/s"] }',
        '{ model = "manhattan", streets = [2, 2], spacing = "0.01 m", speed = "999 m/s" }',
        '{ model = "highway", length = "0.01 m", lanes = ["999 m/s"], wrap = true }',
    ],
)
def test_too_many_turns_are_refused(mobility: str) -> None:
    with pytest.raises(ScenarioError, match=r"devices.car.mobility: about .* points on the ways"):
        load(SMALL, [f"devices.car.mobility={mobility}", 'duration="9000 s"', "devices.car.count=500"])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ('every="1 us"', "about 9e[+]07 requests or bursts"),
        ("streams=1000", "2e[+]06 sources of requests"),
        ('arrivals="on-off",on="1 us",off="0.1 us"', "about 8.18e[+]07 requests or bursts"),
    ],
)
def test_what_a_file_without_a_count_asks_for_is_bounded(
    setting: str, message: str, tmp_path: Path
) -> None:
    many = 2000 if "streams" in setting else 9
    trace = tmp_path / "cars.csv"
    trace.write_text("time,id,x,y\n" + "".join(f"0,{car},0,0\n" for car in range(many)))
    text = SMALL.read_text().replace("count = 2\n", f'mobility = {{ trace = "{trace}" }}\n')
    path = tmp_path / "many.toml"
    path.write_text(text)
    assert len(load(path).setting(0.0).devices) == many
    settings = [f"devices.car.tasks.objects.{each}" for each in setting.split(",")]
    with pytest.raises(ScenarioError, match=message):
        load(path, [*settings, 'devices.car.tasks.objects.jitter="0 s"'])
