"""Sizing: the optimum of trying all and of theory, from few replications; what it refuses."""

import json
import math
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from typer.testing import CliRunner

from offload.analysis.compare import silent
from offload.analysis.measures import Summary
from offload.analysis.sizing import grid as sizing
from offload.analysis.sizing import target as sizing_target
from offload.analysis.sizing.grid import Axis, Case, Sizing
from offload.analysis.sweeping import vary
from offload.cli import app
from offload.cli.size import _folder
from offload.policies.table import choose
from offload.scenario.load import load

HERE = Path(__file__).parent
SOME, FEW = ["--replications", "40"], ["--replications", "5"]
QUEUE, HERD, SMALL = (HERE / f"{name}.toml" for name in ("queue", "herd", "small"))


def call(file: Path, *args: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["size", str(file), "--jobs", "1", *args])
    return done.exit_code, done.stdout, done.stderr


def answer(file: Path, out: Path, *args: str) -> dict[str, Any]:
    code, told, error = call(file, *args, "--out", str(out), "--json")
    assert code == 0, error
    return json.loads(told)


def over(file: Path, target: str, out: Path, *varied: str, settings: Sequence[str] = ()) -> Sizing:
    axes, scenarios = sizing.grid(file, [vary.read(each) for each in varied], settings, silent)
    cases = [sizing.Case(values, each, each.policy) for values, each in scenarios if each.policy]
    return Sizing(axes, cases, [sizing_target.read(target)], 40, 4, out, silent)


def brute_force(found: Sizing, replications: int = 6) -> tuple[list[float], int]:
    """Return what all come to, and the cheapest that is good enough."""
    every = range(len(found.cases))
    found.search.sample(dict.fromkeys(every, replications))
    means = [fmean(found.measured(i, found.targets[0].measure)) for i in every]
    enough = [i for i in every if means[i] >= found.targets[0].limit]
    return means, min(enough, key=found.search.cost)


def on_time(
    servers: int, per_s: float = 1000 / 9, service_s: float = 0.02, deadline_s: float = 0.08
) -> float:
    """M/M/c (Erlang): the wait is exponential with chance C, and the service follows."""
    mu, load = 1 / service_s, per_s * service_s
    if load >= servers:
        return 0.0
    top = load**servers / math.factorial(servers) / (1 - load / servers)
    waits = top / (sum(load**k / math.factorial(k) for k in range(servers)) + top)
    rate = servers * mu - per_s
    both = (mu * math.exp(-rate * deadline_s) - rate * math.exp(-mu * deadline_s)) / (mu - rate)
    return 1 - (1 - waits) * math.exp(-mu * deadline_s) - waits * both


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("queue")
    told = answer(
        QUEUE, out, "--target", "on_time >= 75%", "--vary", "nodes.station.servers=1..8", *SOME
    )
    return out, told


def test_the_fewest_servers_of_erlang(queue: tuple[Path, dict[str, Any]]) -> None:
    _, told = queue
    theory = next(c for c in range(1, 9) if on_time(c) >= 0.75)
    assert on_time(theory - 1) < 0.5
    chosen = told["configurations"][told["chosen"]]
    assert chosen["values"] == [str(theory)]
    assert 0.75 <= chosen["bounds"]["on_time >= 75%"]["low"] <= on_time(theory)
    beside = told["configurations"][told["just_cheaper"]]
    assert (beside["values"], beside["verdict"]) == ([str(theory - 1)], "fails")
    assert told["replications"] < told["exhaustive"] / 3


def test_what_is_written_and_resumed(queue: tuple[Path, dict[str, Any]]) -> None:
    out, told = queue
    assert json.loads((out / "size.json").read_text()) == told
    assert (out / "size.png").stat().st_size > 10_000
    rows = {path: path.stat().st_mtime_ns for path in out.rglob("requests.parquet")}
    assert len(rows) == told["replications"]
    assert (out / "servers=3" / "edge" / "0" / "requests.parquet") in rows
    dearer = ["--set", "links.hop.rent.per_month=9"]
    again = answer(
        QUEUE, out, "--target", "on_time >= 75%", "--vary", "nodes.station.servers=1..8", *SOME, *dearer
    )
    assert {path: path.stat().st_mtime_ns for path in rows} == rows
    costs = [each["configurations"][each["chosen"]]["cost"]["mean"] for each in (told, again)]
    assert costs[1] - costs[0] == pytest.approx(5)


def test_what_the_next_unit_of_money_buys(queue: tuple[Path, dict[str, Any]]) -> None:
    _, told = queue
    steps = {step["what"]: step for step in told["steps"]}
    more = steps["nodes.station.servers: 3 to 4"]
    less = steps["nodes.station.servers: 3 to 2"]
    assert more["gain"]["mean"] > 0 > less["gain"]["mean"]
    assert more["per_unit"] == pytest.approx(more["gain"]["mean"] / more["cost"])
    assert less["per_unit"] is None
    front = [each for each in told["configurations"] if each["front"]]
    for one, other in pairwise(front):
        assert one["cost"]["mean"] < other["cost"]["mean"]
        assert one["measures"]["on_time"]["mean"] < other["measures"]["on_time"]["mean"]


def test_more_that_hurts_is_found_out(tmp_path: Path) -> None:
    """A faster cell helps the sensor, then makes the devices herd, then helps all."""
    speeds = "links.*.up=4 Mbit/s, 6 Mbit/s, 15 Mbit/s, 20 Mbit/s, 40 Mbit/s, 160 Mbit/s"
    found = over(HERD, "on_time >= 99%", tmp_path, speeds)
    found.run()
    drawn, best = found.search.drawn, found.search.best
    means, optimum = brute_force(found)
    assert [mean >= 0.99 for mean in means] == [False, True, False, False, False, True]
    assert best == optimum == 1
    assert found.search.broken
    assert drawn < 6 * 40 / 2


def test_the_optimum_of_all_tried(tmp_path: Path) -> None:
    varied = "nodes.station.servers=2..4", "links.hop.up=8 kbit/s, 16 kbit/s, 32 kbit/s"
    settings = [
        "devices.source.tasks.work.input=10 B", "links.hop.down=1 Mbit/s",
        "links.hop.rent.per_Mbit=100",
    ]  # fmt: skip
    found = over(QUEUE, "on_time >= 75%", tmp_path, *varied, settings=settings)
    found.run()
    drawn, best = found.search.drawn, found.search.best
    means, optimum = brute_force(found)
    assert best == optimum
    assert 1 < sum(mean >= 0.75 for mean in means) < 8
    assert drawn < 9 * 40 / 2


def test_several_policies_are_one_more_choice(tmp_path: Path) -> None:
    args = ["--target", "on_time >= 99%", "--vary", "links.*.up=15 Mbit/s, 40 Mbit/s"]
    told = answer(
        HERD, tmp_path, *args, "--policy", "quickest", "--policy", "fresh", "--replications", "10"
    )
    assert told["configurations"][told["chosen"]]["policy"] == "fresh"
    assert told["possible"] == 4


def test_any_number_of_workers_finds_the_same(tmp_path: Path) -> None:
    args = [
        "--target",
        "latency_mean_s <= 30 ms",
        "--vary",
        "nodes.cabinet.servers=1..2",
        "--policy",
        "edge",
    ]
    args += ["--vary", "links.cell.up=20..40 Mbit/s count 3", "--replications", "5"]
    one = answer(SMALL, tmp_path / "1", *args)
    two = answer(SMALL, tmp_path / "2", *args, "--jobs", "2")
    assert one == two
    assert one["configurations"][one["chosen"]]["values"] == ["1", "30 Mbit/s"]


def test_never_met(tmp_path: Path) -> None:
    args = ["--target", "on_time >= 99%", "--vary", "nodes.station.servers=1..2", "--replications", "10"]
    code, told, _ = call(QUEUE, *args, "--out", str(tmp_path))
    assert code == 1
    assert "never met: the nearest is nodes.station.servers = 2 under edge" in told
    assert "nodes.station.servers is at its largest value, 2" in told
    assert "spent their time, waits included:" in told
    assert "edge" in told.split("waits included: ")[1]
    assert json.loads((tmp_path / "size.json").read_text())["chosen"] is None


def test_what_fails_is_told_by_the_targets_that_it_fails(tmp_path: Path) -> None:
    args = ["--target", "on_time >= 99.9%", "--target", "latency_p95_s <= 1 s", "--replications", "10"]
    code, told, _ = call(
        QUEUE, *args, "--vary", "nodes.station.servers=8, 9", "--out", str(tmp_path)
    )  # fmt: skip
    assert code == 1
    row = next(line for line in told.splitlines() if line.startswith(" 8, edge"))
    assert re.search(r"\d% +[\d.]+ ±[\d.]+ ms +<= 9[\d.]+% ", row)


def test_what_is_open_is_not_called_never_met(tmp_path: Path) -> None:
    args = ["--target", "on_time >= 97.6%", "--vary", "nodes.station.servers=6..8", *FEW]
    code, told, _ = call(QUEUE, *args, "--out", str(tmp_path))
    assert code == 1
    assert "not shown to be met: the nearest is" in told
    assert "never met" not in told
    found = json.loads((tmp_path / "size.json").read_text())["configurations"]
    assert [each["verdict"] for each in found] == ["undecided", "not surer", "undecided"]


def test_a_step_that_nothing_has_a_price_for_buys_nothing_by_the_unit(tmp_path: Path) -> None:
    """What a faster cell costs in power of work is no price of the cell."""
    args = ["--target", "on_time >= 80%", "--vary", "links.cell.up=20 Mbit/s, 40 Mbit/s"]
    told = answer(SMALL, tmp_path, *args, "--policy", "edge", "--replications", "5")
    assert [(step["what"][:13], step["per_unit"]) for step in told["steps"]] == [("links.cell.up", None)]


def test_a_key_of_one_value_is_not_called_free(tmp_path: Path) -> None:
    args = ["--target", "on_time >= 80%", "--vary", "links.cell.up=20 Mbit/s", "--policy", "edge", *FEW]
    code, told, _ = call(SMALL, *args, "--out", str(tmp_path))
    assert code == 0
    assert "free by this file" not in told


def test_rented_servers_that_only_cost_while_they_compute(tmp_path: Path) -> None:
    """The second costs nothing, is told so, and is no step down of -0.00."""
    args = ["--target", "on_time >= 50%", "--vary", "nodes.region.servers=1..2", "--policy", "cloud"]
    rent = ["--set", "nodes.region.price_per_hour=2"]
    code, told, _ = call(SMALL, *args, *rent, *FEW, "--out", str(tmp_path))
    assert code == 0
    assert "price_per_hour pays for servers while they compute" in " ".join(told.split())
    assert "-0.00" not in told


def test_more_of_what_is_not_short_does_no_better(tmp_path: Path) -> None:
    args = ["--target", "on_time >= 99%", "--vary", "nodes.cabinet.servers=1..3", "--policy", "edge"]
    code, told, _ = call(SMALL, *args, "--set", 'links.cell.up="3 Mbit/s"', *FEW, "--out", str(tmp_path))
    assert code == 1
    assert "nodes.cabinet.servers: more than 1 did no better" in told


def test_right_answers_are_counted_among_answers() -> None:
    run = Summary(10, 4, {"accuracy": 0.5, "on_time": 0.2}, 0.0, 0.0, (), (), ())
    told = [sizing_target.read(f"{measure} >= 9%").counted(run) for measure in ("accuracy", "on_time")]
    assert told == [6, 10]


def test_the_same_target_in_other_words_is_one(tmp_path: Path) -> None:
    args = ["--target", "on_time>=75%", "--target", "on_time >= 0.75", *SERVERS, "--replications", "2"]
    code, told, _ = call(QUEUE, *args, "--out", str(tmp_path))
    assert code == 1
    assert "queue: on_time >= 75%; costs" in told


def test_other_settings_have_another_folder_however_long_its_name_is() -> None:
    axes = [Axis(f"nodes.{'station' * 9}.{n}", ("1",), monotone=True) for n in range(3)]
    edge = choose({"name": "edge"})
    cases = [Case((), load(QUEUE, [f"links.hop.up={n} Mbit/s"]), edge) for n in (1, 2)]
    one, two = (_folder("queue", axes, [case], ["x"]) for case in cases)
    assert one != two


def test_what_is_free_is_said(tmp_path: Path) -> None:
    args = ["--target", "on_time >= 80%", "--vary", "links.cell.up=10 Mbit/s, 20 Mbit/s"]
    code, told, _ = call(SMALL, *args, "--policy", "edge", "--replications", "5", "--out", str(tmp_path))
    assert code == 0
    assert "links.cell.up: larger is free by this file; give links.cell.rent" in " ".join(told.split())


SERVERS = ["--vary", "nodes.station.servers=1, 2"]
TARGET = ["--target", "on_time >= 99%"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (SERVERS, "nothing to reach; give --target 'on_time >= 99%'"),
        (TARGET, "nothing to vary; give --vary"),
        ([*TARGET, "--vary", "nodes.station.severs=1..3"], 'no such key; did you mean "servers"?'),
        ([*TARGET, "--vary", "nodes.station.servers=8..1"], "an empty range"),
        ([*TARGET, *SERVERS, *SERVERS], "the same key twice"),
        ([*TARGET, *SERVERS, "--vary", "duration=2..9999 s step 1 s"], "configurations; at most 1000"),
        ([*SERVERS, "--target", "on-time >= 99%"], 'no measure on-time; did you mean "on_time"?'),
        ([*SERVERS, "--target", "speed >= 9"], "no measure speed; it must be one of useful, on_time"),
        ([*SERVERS, "--target", "on_time 99%"], "write MEASURE >= VALUE"),
        ([*SERVERS, "--target", "on_time >= 990"], "a share lies between 0% and 100%"),
        ([*SERVERS, "--target", "on_time >= 100%"], "name a share like 99.9%"),
        ([*TARGET, "--vary", "nodes.station.servers=1..3, 2"], "servers: 2 is there twice"),
        ([*SERVERS, "--target", "on_time >= many"], "not a number nor a share like 99%"),
        ([*SERVERS, "--target", "latency_p95_s <= 80"], "the unit is missing"),
        ([*SERVERS, "--target", "useful >= 50%"], "nobody can say what is right"),
        ([*SERVERS, "--target", "money <= 2"], "nothing that requests use has a price"),
        ([*SERVERS, *TARGET, "--set", "policy="], "no [policy] table"),
        ([*SERVERS, *TARGET, "--policy", "nobody"], "nobody"),
        ([*SERVERS, *TARGET, "--set", "warm_up=auto"], "depends on all runs"),
        ([*SERVERS, *TARGET, "--set", "hardware.core.price="], "nobody says what it costs"),
        ([*SERVERS, *TARGET, "--set", "costs.electricity.known=guessed"], "costs.electricity.known"),
    ],
)
def test_bad_input(args: list[str], said: str, tmp_path: Path) -> None:
    code, told, error = call(QUEUE, *args, "--out", str(tmp_path / "out"))
    assert (code, told) == (2, "")
    assert said in error
    assert not (tmp_path / "out").exists()


def test_a_measure_that_too_few_requests_define(tmp_path: Path) -> None:
    args = ["--target", "latency_p99_s <= 1 s", *SERVERS, "--set", 'duration="3 s"']
    code, _, error = call(QUEUE, *args, "--out", str(tmp_path))
    assert code == 2
    assert "not defined in a replication of" in error


def test_another_scenarios_folder(tmp_path: Path) -> None:
    (tmp_path / "size.json").write_text('{"scenario": "another"}')
    code, _, error = call(QUEUE, *TARGET, *SERVERS, "--out", str(tmp_path))
    assert (code, "holds the results of another" in error) == (2, True)
