"""Legs as intervals: nothing lost, when the world had them, at their places; work and waiting."""

from collections import defaultdict
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offload.analysis.result import simulate
from offload.analysis.rows import LEGS, SCHEMA
from offload.analysis.spans import ELSEWHERE, spans
from offload.analysis.spans import SCHEMA as COLUMNS
from offload.policies.table import choose
from offload.scenario.load import load
from offload.simulation.journey import Journey
from tests.hand_made import ROOT

NAMES = tuple(leg.removesuffix("_s") for leg in LEGS)

TABLES = """
format = 1
name = "legs"
duration = "4 s"
drain = "{drain} s"
[hardware.core]
kind = "cpu"
memory = "1 GB"
idle_power = {{ value = "2 W", known = "assumed", source = "a test" }}
busy_power = {{ value = "5 W", known = "assumed", source = "a test" }}
[models.net.variants.plain]
accuracy = {{ value = 0.8, known = "assumed", source = "a test" }}
layers = [
  {{ name = "first", output = "40 kB" }},
  {{ name = "second", output = "20 kB" }},
  {{ name = "third", output = "1 kB" }},
]
[models.net.variants.plain.costs.core]
known = "assumed"
source = "a test"
seconds = ["10 ms", "15 ms", "25 ms"]
{service}
[devices.car]
count = {count}
hardware = "core"
radio_power = "1 W"
[devices.car.tasks.look]
every = "{every}"
deadline = "{deadline}"
late = "{late}"
{options}
{asks}
[nodes.cabinet]
kind = "edge"
hardware = "core"
{cabinet}
[nodes.depot]
kind = "edge"
hardware = "core"
{depot}
[nodes.region]
kind = "cloud"
hardware = "core"
servers = 2
[links.cell]
from = "*"
to = "cabinet"
up = "40 Mbit/s"
down = "40 Mbit/s"
delay = "2 ms"
[links.lane]
from = "cabinet"
to = "depot"
rate = "80 Mbit/s"
delay = "3 ms"
{wire}
[links.wide]
from = "cabinet"
to = "region"
rate = "100 Mbit/s"
delay = "20 ms"
{wire}
{faults}
"""
ONE = 'models = ["net"]\ninput = "50 kB"'
FRAME = """
[devices.car.tasks.look.stages.find]
models = ["net"]
input = "50 kB"
[devices.car.tasks.look.stages.name]
models = ["net"]
after = ["find"]
count = { mean = 1.5, max = 3 }
input = "8 kB"
"""
BATCH = 'batch = { max = 3, wait = "8 ms" }'
BREAKS = '[faults.storm]\nof = ["cabinet", "region"]\nmtbf = "1 s"\nmttr = "200 ms"'
CHANCE = 'service = "exponential"'
USUAL = {
    "drain": "30", "service": "", "count": 3, "every": "150 ms", "late": "finish", "deadline": "300 ms",
    "options": "", "asks": ONE, "cabinet": "", "depot": "", "wire": "", "faults": "",
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a function that simulates a policy with words in the scenario: rows, and their setting."""
    path = tmp_path_factory.mktemp("legs") / "legs.toml"

    def rows_of(policy="tests.any_plan:AnyPlan", seed=3, *, quick=False, **words):
        text = TABLES.format(**USUAL | words)
        path.write_text(text.replace("0 Mbit/s", "0 Gbit/s") if quick else text)
        scenario = load(path)
        found = simulate(scenario, choose({"name": policy}), seed)
        return found.rows(), scenario.setting(0.0)

    return rows_of


def leaves(rows):
    """Return the rows that have legs of their own."""
    return rows.filter(~pl.col("request").is_in(rows["parent"].drop_nulls().implode()))


def check(rows, setting):
    """Assert that spans say what the rows do, each at a place that exists."""
    found = spans(rows, setting)
    assert found.schema == COLUMNS
    assert found["begin_s"].is_sorted()
    of = defaultdict(list)
    for each in found.iter_rows(named=True):
        of[each["request"]].append(each)
    wires = {name for name, wire in setting.wires.items() if wire}
    for row in leaves(rows).iter_rows(named=True):
        mine = of.pop(row["request"], [])
        sums = dict.fromkeys(NAMES, 0.0)
        for each in mine:
            sums[each["leg"]] += each["end_s"] - each["begin_s"]
            assert -1e-12 <= each["work_s"] <= each["end_s"] - each["begin_s"] + 1e-9
            assert each["device"] == row["device"]
            lost = each["place"] == ELSEWHERE and each["leg"] not in ("decide", "device")
            assert lost or each["place"] in {
                "decide": {row["device"]}, "device": {row["device"]}, "uplink": setting.cells,
                "edge": setting.nodes, "cloud": setting.nodes, "downlink": setting.cells,
                "wan": {each["place"]} if set(each["place"].split(", ")) <= wires else (),
            }[each["leg"]]  # fmt: skip
        assert [sums[leg] for leg in NAMES] == pytest.approx([row[leg] for leg in LEGS], abs=1e-9)
        assert sum(sums.values()) == pytest.approx(row["ended_s"] - row["born_s"], abs=1e-9)
        if mine:
            assert mine[0]["begin_s"] == pytest.approx(row["born_s"], abs=1e-9)
            assert mine[-1]["end_s"] == pytest.approx(row["ended_s"], abs=1e-9)
        for one, other in pairwise(mine):
            assert one["end_s"] == pytest.approx(other["begin_s"], abs=1e-9)
    assert not of
    for (leg, _), its in found.filter(pl.col("work_s") > 0.0).sort("end_s").group_by("leg", "device"):
        if leg == "device":  # it does one thing at a time
            gaps_s = (its["end_s"] - its["work_s"] - its["end_s"].shift(1)).drop_nulls()
            assert (gaps_s >= -1e-9).all()
    return found


WORDS = st.fixed_dictionaries({
    "drain": st.sampled_from(["30", "0.02"]),
    "service": st.sampled_from(["", CHANCE]),
    "count": st.integers(1, 6),
    "every": st.sampled_from(["80 ms", "400 ms"]),
    "late": st.sampled_from(["finish", "drop"]),
    "options": st.sampled_from(["", "retries = 2", 'fallback = "device"',
                                'retries = 1\nretry_after = "30 ms"\nfallback = "device"']),
    "asks": st.sampled_from([ONE, FRAME]),
    "cabinet": st.sampled_from(["", BATCH, 'queue = "edf"\nadmit = "deadline"\nqueue_limit = 1']),
    "depot": st.sampled_from(["", BATCH]),
    "wire": st.sampled_from(["", 'jitter = "2 ms"', "loss = 0.02"]),
    "faults": st.sampled_from(["", BREAKS]),
})  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    words=WORDS,
    policy=st.sampled_from(["tests.any_plan:AnyPlan", "quickest", "edge", "cloud"]),
    seed=st.integers(0, 99),
)
def test_legs_follow_each_other_and_sum_to_those_of_the_rows(made, words, policy, seed):
    rows, setting = made(policy, seed, **words)
    assert rows.height > 5
    check(rows, setting)


@pytest.mark.parametrize(
    "name", ["blackout", "ar-headset", "robotaxi", "highway-platoon", "split-camera"]
)
def test_legs_of_shipped_scenarios(name):
    """Handovers, batches, stages, exits, outages."""
    scenario = load(ROOT / "scenarios" / f"{name}.toml", ['duration="8 s"', 'warm_up="0 s"'])
    found = simulate(scenario, "random")
    assert found.rows().height > 50
    check(found.rows(), scenario.setting(0.0))


@pytest.fixture
def truth(monkeypatch):
    """Note when each journey goes on: its request, its leg, from when to when."""
    noted = []
    go_on = Journey.go_on

    def note(self, now):
        noted.append((self.request.id, NAMES[self.leg], self.mark_s, now))
        return go_on(self, now)

    monkeypatch.setattr(Journey, "go_on", note)
    return noted


@pytest.mark.parametrize("words", [
    {"count": 1, "every": "200 ms"},
    {"every": "60 ms", "late": "drop", "deadline": "90 ms", "quick": True},
    {"every": "60 ms", "faults": BREAKS, "quick": True},
    {"every": "60 ms", "options": 'fallback = "device"', "cabinet": 'queue = "edf"\nqueue_limit = 1',
     "quick": True},
])  # fmt: skip
def test_legs_are_when_the_world_had_them(made, truth, words):
    """Without a queue or chance on wires all is known, of a second edge site and of edge then cloud."""
    rows, setting = made(drain="60", **words)
    assert rows.select("edge", "cloud").n_unique() >= 5
    assert ("late" in words) == ("late" in rows["cause"])
    assert ("faults" in words) == ("node-down" in rows["cause"])
    assert ("options" in words) == (rows["attempts"].max() > 1)
    # Who came home computes there last, all that the device did for it.
    home = rows.filter(pl.col("attempts") > 1, pl.col("uplink").is_null())
    twice = set(home.filter(pl.col("first_plan").str.contains(" device[", literal=True))["request"])
    noted = defaultdict(list)
    for request, leg, begin_s, end_s in truth:
        its = noted[request]
        if its and its[-1][0] == leg:
            its[-1] = (leg, its[-1][1], end_s)
        elif end_s > begin_s:
            its.append((leg, begin_s, end_s))
    told = defaultdict(list)
    for request, *leg in spans(rows, setting).select("request", "leg", "begin_s", "end_s").iter_rows():
        told[request].append(leg)
    assert len(told) == rows.height
    for request, its in noted.items():
        if request in twice:
            continue
        assert len(told[request]) - len(its) in (0, 1)  # the last leg needs no event
        for one, other in zip(its, told[request], strict=False):
            assert one[0] == other[0]
            assert one[1:] == pytest.approx(other[1:], abs=1e-5 if "quick" in words else 1e-9)


def test_places_and_the_way_over_wires(made):
    """By hand: 50 kB up take 10 ms and 2 ms, over the lane 5 ms and 3 ms, back 0.1 ms and 3 ms."""
    rows, setting = made(count=1, every="500 ms")
    there = rows.filter(edge="depot", device_cut=0, cause="").filter(pl.col("cloud").is_null())
    assert there.height > 0
    found = spans(rows, setting)
    for row in there.iter_rows(named=True):
        told = found.filter(request=row["request"]).select("leg", "place", "begin_s", "end_s").rows()
        assert [(leg, place) for leg, place, *_ in told] == [
            ("uplink", "cell"),
            ("wan", "lane"),
            ("edge", "depot"),
            ("wan", "lane"),
            ("downlink", "cell"),
        ]
        took_s = [end_s - begin_s for _, _, begin_s, end_s in told]
        assert took_s == pytest.approx([0.012, 0.008, 0.05, 0.0031, 0.0022], abs=1e-9)


def test_work_on_a_device_is_what_its_queue_leaves(made):
    """50 ms of work every 60 ms or so, in bursts: what waits is told from what works, to the last."""
    rows, setting = made("local", count=2, every='60 ms"\narrivals = "poisson')
    found = spans(rows, setting)
    assert found["work_s"].to_list() == pytest.approx([0.05] * found.height, abs=1e-9)
    waited = (found["end_s"] - found["begin_s"] - found["work_s"]) > 1e-6
    assert 10 < waited.sum() < found.height
    # Of networks that are divided, the part that falls to the device.
    rows, setting = made(count=4, every='60 ms"\narrivals = "poisson')
    mine = spans(rows, setting).filter(leg="device").join(rows, on="request")
    parts = mine.filter(cause="").select("device_cut", "work_s").rows()
    assert {cut for cut, _ in parts} == {1, 2, 3}
    for cut, work_s in parts:
        assert work_s == pytest.approx({1: 0.01, 2: 0.025, 3: 0.05}[cut], abs=1e-9)


@pytest.mark.parametrize("batch", ["", BATCH])
def test_work_at_a_node_is_what_its_joules_say(made, batch):
    rows, setting = made("edge", count=6, every="200 ms", cabinet=batch)
    found = (
        spans(rows, setting)
        .filter(leg="edge")
        .join(rows.select("request", "edge_j", "batch"), on="request")
    )
    assert found["work_s"].to_list() == pytest.approx((found["edge_j"] / 3.0).to_list(), abs=1e-9)
    if batch:
        assert (found["batch"] > 1).any()
    else:
        assert found["work_s"].to_list() == pytest.approx([0.05] * found.height, abs=1e-9)
        assert ((found["end_s"] - found["begin_s"]) > 0.051).any()


def test_a_node_whose_watts_are_not_known_works_all_the_time(made, tmp_path):
    words = USUAL | {"count": 2}
    path = tmp_path / "flat.toml"
    path.write_text(TABLES.format(**words).replace('"5 W"', '"2 W"'))
    scenario = load(path)
    found = spans(simulate(scenario, "edge").rows(), scenario.setting(0.0)).filter(leg="edge")
    assert (found["work_s"] - (found["end_s"] - found["begin_s"])).abs().max() < 1e-9


def test_who_came_home_without_an_answer_computes_there_last(made):
    rows, setting = made("edge", options='fallback = "device"', faults=BREAKS, count=5)
    home = rows.filter(pl.col("edge").is_null(), pl.col("attempts") > 1, cause="")
    assert home.height > 3
    found = check(rows, setting)
    for row in home.iter_rows(named=True):
        told = found.filter(request=row["request"])
        assert told["leg"][-1] == "device"
        assert told["end_s"][-1] == pytest.approx(row["ended_s"])
        assert set(told.filter(leg="edge")["place"]) <= {"cabinet"}  # where it was turned away


def test_who_passed_a_request_on_is_its_edge(made):
    """The cabinet decides by a policy of its own, and takes 4 ms; all goes on to the region."""
    policy = '[nodes.cabinet.policy]\nname = "cloud"\noverhead = "4 ms"'
    rows, setting = made("edge", cabinet=policy, count=1)
    assert set(rows["cloud"]) == {"region"}
    found = check(rows, setting).filter(leg="edge")
    assert set(found["place"]) == {"cabinet"}
    assert (found["end_s"] - found["begin_s"]).to_list() == pytest.approx([0.004] * rows.height)


def test_a_frame_is_told_of_by_its_stages(made):
    rows, setting = made(asks=FRAME)
    roots = set(rows.filter(pl.col("parent").is_null())["request"])
    assert roots
    assert not roots & set(spans(rows, setting)["request"])


def test_no_rows_have_no_legs(made):
    _, setting = made(count=1)
    found = spans(SCHEMA.to_frame(), setting)
    assert (found.height, found.schema) == (0, COLUMNS)
