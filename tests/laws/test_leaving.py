"""Vehicles that enter and leave: nothing is lost, and nobody asks or answers who is not there."""

from collections import Counter

import pytest

from offload.policies.table import NAMED, choose
from offload.simulation.run import run
from tests import whole

# Ten vehicles pass a site of 100 m, 8 s each, one every 2 s from 1 s on: some enter and leave in range.
TRACE = "timestep_time;vehicle_id;vehicle_x;vehicle_y\n" + "".join(
    f"{now};car {car};{-120 + 30 * (now - 1 - 2 * car)};{10 * (car % 3)}\n"
    for now in range(31)
    for car in range(10)
    if 0 <= now - 1 - 2 * car <= 8 - car % 4
)
TABLES = """
[models.work.variants.only]
layers = [{ name = "half", output = "40 kB" }, { name = "rest", output = "1 kB" }]
[models.work.variants.only.costs.core]
known = "assumed"
source = "a law"
seconds = ["150 ms", "100 ms"]
service = "exponential"
[devices.car]
hardware = "core"
radio_power = "2 W"
mobility = { trace = "cars.csv" }
[devices.car.tasks.work]
models = ["work"]
arrivals = "ARRIVALS"
every = "200 ms"
deadline = "5 s"
late = "LATE"
input = "200 kB"
[nodes.site]
kind = "edge"
hardware = "core"
servers = 2
BATCH
[nodes.region]
kind = "cloud"
hardware = "core"
servers = 4
[links.cell]
from = "*"
to = "site"
up = "6 Mbit/s"
down = "6 Mbit/s"
delay = "20 ms"
RANGE
[links.wire]
from = "site"
to = "region"
rate = "100 Mbit/s"
delay = "30 ms"
jitter = "5 ms"
"""


@pytest.fixture
def cars(load_text, tmp_path):
    """Return a function that makes the scenario; `words` replace those in capitals."""
    (tmp_path / "cars.csv").write_text(TRACE)
    usual = {"ARRIVALS": "poisson", "LATE": "finish", "BATCH": "", "RANGE": 'range = "100 m"'}

    def load(*settings, **words):
        tables = TABLES
        for word, text in (usual | words).items():
            tables = tables.replace(word, text)
        return load_text(tables, 25, 10, *settings)

    return load


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"LATE": "drop", "ARRIVALS": "periodic"},
        {"BATCH": 'batch = { max = 4, wait = "100 ms" }'},
        {"BATCH": 'queue = "edf"\nqueue_limit = 3'},
        {"RANGE": "shared = false"},
    ],
    ids=["shared", "drop", "batch", "edf", "dedicated"],
)
@pytest.mark.parametrize("name", NAMED)
def test_every_birth_has_one_row(cars, name, words):
    options = {"variant": "only"} if name in ("local", "edge", "cloud") else {}
    world, asked = whole.play(cars(**words), name, **options)
    whole.check_rows(world, asked)
    causes = Counter(outcome.cause for outcome in world.outcomes)
    assert len(world.outcomes) > 150
    assert causes["left"] > 5
    assert causes["unfinished"] == 0
    for pair in world.airs.values():
        for air in pair:
            assert air.active == 0
            assert not any(line.queue for line in getattr(air, "lines", {}).values())


def test_who_is_still_there_when_the_recording_ends_has_not_left(cars):
    leaves_s = [device.leaves_s for device in cars().setting(0.0).devices]
    assert leaves_s == [1 + 2 * car + 8 - car % 4 for car in range(9)] + [float("inf")]


def test_only_who_exists_in_the_run_is_a_device(cars):
    names = [d.name for d in cars('duration="6 s"', "devices.car.count=5").setting(0.0).devices]
    assert names == ["car-0", "car-1", "car-2"]  # they enter at 1, 3 and 5 s
    later = cars('duration="6 s"', 'devices.car.mobility.start="10 s"').setting(0.0)
    assert [device.enters_s for device in later.devices] == [-5.0, -3.0, -1.0, 1.0, 3.0, 5.0]


def test_what_was_sent_before_leaving_is_paid_for(cars):
    # One alone in the world sends 1.1 MB for 1.47 s at a time, until it is gone.
    scenario = cars("devices.car.count=1", 'devices.car.tasks.work.input="1100 kB"')
    done = run(scenario, choose({"name": "edge", "variant": "only"}), 3, 0)
    left = [outcome for outcome in done.outcomes if outcome.cause == "left"]
    assert left
    on_air = [outcome for outcome in left if outcome.up_bytes > 0]
    assert on_air
    for outcome in on_air:
        assert outcome.up_bytes < 1.1e6
        assert outcome.energy_j == pytest.approx(2.0 * 8 * outcome.up_bytes / 6e6)


def test_idle_energy_is_of_the_time_that_a_device_exists(cars):
    done = run(cars(), choose({"name": "edge", "variant": "only"}), 3, 0)
    for number, account in enumerate(done.devices[:9]):
        assert account.seconds == 8 - number % 4
        assert account.idle_j == pytest.approx(2.0 * account.seconds)
    assert done.devices[9].seconds == max(25.0, *(o.ended_s for o in done.outcomes)) - 19.0


def test_who_is_always_there_is_not_disturbed(cars):
    # The same births, whoever comes and goes besides.
    alone = cars("devices.car.count=1")
    world, _ = whole.play(alone, "local")
    other, _ = whole.play(cars(), "local")
    mine = [o.request.born_s for o in world.outcomes]
    assert mine == [o.request.born_s for o in other.outcomes if o.request.device == "car-0"]
    for outcome in world.outcomes:
        same = next(o for o in other.outcomes if o.request.born_s == outcome.request.born_s)
        assert (same.ended_s, same.cause) == (outcome.ended_s, outcome.cause)
