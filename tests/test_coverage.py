"""What `offload check` says of devices that are off the map or never in range."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from offload.cli import app

SMALL = Path(__file__).parent / "small.toml"
NEAR = "links.cell.range=100 m"


def remarks(*settings: str) -> list[str]:
    """Check small.toml with these settings; return the remarks, the same in the table and in JSON."""
    given = [word for setting in settings for word in ("--set", setting)]
    told = CliRunner().invoke(app, ["check", str(SMALL), *given, "--json"])
    shown = CliRunner().invoke(app, ["check", str(SMALL), *given])
    assert (told.exit_code, shown.exit_code) == (0, 0), told.output
    found = json.loads(told.stdout)["remarks"]
    lines = shown.stdout.splitlines()
    assert [line.removeprefix("note: ") for line in lines if line.startswith("note: ")] == found
    return found


def test_nothing_is_said_where_nothing_is_odd() -> None:
    assert remarks(NEAR, 'map=[["0 m", "0 m"], ["1 m", "1 m"]]') == []
    # Who has no cell computes alone: that is meant.
    assert remarks(NEAR, "links.cell.from=[]", 'devices.car.at=["900 m", "0 m"]') == []


def test_devices_never_in_range_are_told() -> None:
    far = 'devices.car.at=["900 m", "0 m"]'
    assert remarks(NEAR, far, "devices.car.count=7") == [
        "7 of 7 devices (car-0, car-1, car-2, car-3, car-4, ...) of car never in range of cell"
    ]
    assert remarks(far) == []  # a cell without a range is everywhere
    assert remarks(NEAR, far, "links.cell.range=1 km") == []


@pytest.mark.parametrize(("end", "out"), [("500 m", True), ("90 m", False)])
def test_devices_off_the_map_are_told(end: str, out: bool) -> None:
    way = f'devices.car.mobility={{ waypoints = [["0 m", "0 m"], ["{end}", "0 m"]], speed = "10 m/s" }}'
    found = remarks(way, 'map=[["0 m", "0 m"], ["95 m", "95 m"]]')
    assert found == (["2 of 2 devices (car-0, car-1) of car leave the map"] if out else [])


def test_only_the_time_of_the_run_counts() -> None:
    # Off the map at 9.5 s of 10 s; in range again at 12 s.
    way = 'devices.car.mobility={ waypoints = [["0 m", "0 m"], ["500 m", "0 m"]], speed = "10 m/s" }'
    there = 'map=[["0 m", "0 m"], ["95 m", "95 m"]]'
    assert remarks(way, there, 'duration="9 s"') == []
    assert len(remarks(way, there)) == 1
    cell = ['nodes.cabinet.at=["220 m", "0 m"]', NEAR]
    assert len(remarks(way, *cell)) == 1
    assert remarks(way, *cell, 'duration="13 s"') == []
