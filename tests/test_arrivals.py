"""What scenarios say of births and sizes is what the world bears, whatever the policy does."""

from pathlib import Path

import numpy as np
import pytest

from offload.scenario.load import Scenario, load
from tests.whole import check_rows, play

SMALL = Path(__file__).parent / "small.toml"
TASK = "devices.car.tasks.objects"
DRAWN = f'{TASK}.input={{ distribution = "log-normal", mean = "20 kB", cv = 0.5, max = "60 kB" }}'
BUSY = 'arrivals = "mmpp", states = [{ every = "20 ms", stay = "1 s" }, { stay = "2 s" }]'
REST = 'models = ["net"], deadline = "100 ms", input = "60 kB"'


def loaded(tmp_path: Path, *settings: str) -> Scenario:
    """Return the small scenario with other settings; files lie in the test's folder."""
    return load(SMALL, settings, base=tmp_path)


def rows(scenario: Scenario, name: str) -> dict[int, object]:
    """Return the outcomes of a run by request."""
    world, asked = play(scenario, name)
    check_rows(world, asked)
    return {outcome.request.id: outcome for outcome in world.outcomes}


def test_sizes_and_births_are_the_same_under_opposite_policies(tmp_path: Path) -> None:
    scenario = loaded(tmp_path, f"{TASK}={{ {REST}, {BUSY} }}", DRAWN)
    told = {name: rows(scenario, name) for name in ("local", "edge", "random")}
    requests = {name: {key: o.request for key, o in found.items()} for name, found in told.items()}
    assert requests["local"] == requests["edge"] == requests["random"]
    sizes = [request.input_bytes for request in requests["local"].values()]
    assert len(set(sizes)) > 100
    assert max(sizes) == 60e3  # some would be larger
    for outcome in told["edge"].values():
        if not outcome.cause:
            assert outcome.up_bytes == outcome.request.input_bytes
    assert {outcome.up_bytes for outcome in told["local"].values()} == {0.0}


def test_drawing_sizes_changes_neither_births_nor_luck(tmp_path: Path) -> None:
    plain, drawn = rows(loaded(tmp_path), "local"), rows(loaded(tmp_path, DRAWN), "local")
    assert plain.keys() == drawn.keys()
    for key, outcome in plain.items():
        assert outcome.ended_s == drawn[key].ended_s
        assert outcome.correct == drawn[key].correct


def test_a_trace_is_born_to_the_microsecond(tmp_path: Path) -> None:
    trace = tmp_path / "births.csv"
    trace.write_text("time,device\n0.25,car-1\n1.5,car-0\n1.5,car-0\n4,car-1\n11,car-0\n")
    settings = [f'{TASK}={{ {REST}, arrivals = "trace", births = "births.csv" }}']
    once = loaded(tmp_path, *settings)
    found = sorted((o.request.born_s, o.request.device) for o in rows(once, "edge").values())
    assert found == [(0.25, "car-1"), (1.5, "car-0"), (1.5, "car-0"), (4.0, "car-1")]
    trace.write_text("time,device\n0.25,car-1\n")  # car-0 is born nothing
    again = loaded(tmp_path, *settings, f'{TASK}.repeat="3 s"')
    found = sorted((o.request.born_s, o.request.device) for o in rows(again, "edge").values())
    assert found == [(at, "car-1") for at in (0.25, 3.25, 6.25, 9.25)]
    trace.write_text("time,device\n0.26,car-1\n")
    assert loaded(tmp_path, *settings, f'{TASK}.repeat="3 s"').digest != again.digest


def test_a_device_alone_needs_no_name_in_the_trace(tmp_path: Path) -> None:
    (tmp_path / "births.csv").write_text("time\n1\n2\n")
    one = loaded(
        tmp_path,
        "devices.car.count=1",
        f'{TASK}={{ {REST}, arrivals = "trace", births = "births.csv" }}',
    )
    assert [o.request.born_s for o in rows(one, "local").values()] == [1.0, 2.0]


@pytest.mark.parametrize("name", ["edge", "quickest"])
def test_inputs_grow_with_the_cars_in_view(tmp_path: Path, name: str) -> None:
    # The second car passes the first, which stands at the origin, from 4 s to 6 s.
    (tmp_path / "drive.csv").write_text("time,id,x,y\n0,a,0,0\n0,b,-50,0\n10,b,50,0\n")
    scene = f'{TASK}.scene={{ groups = ["car"], within = "10 m", per_object = "2 kB" }}'
    scenario = loaded(tmp_path, 'devices.car.mobility={ trace = "drive.csv" }', scene)
    requests = [outcome.request for outcome in rows(scenario, name).values()]
    for request in requests:
        near = abs(request.born_s - 5) <= 1
        assert request.input_bytes == (62e3 if near else 60e3)
    assert np.mean([request.input_bytes > 60e3 for request in requests]) == pytest.approx(0.2, abs=0.05)
