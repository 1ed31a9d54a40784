"""What a testbed would do otherwise than the simulator is refused, with its key."""

from pathlib import Path

import pytest

from offload.policies import table
from offload.scenario.load import load
from offload.testbed import specs
from offload.testbed.bed import Testbed, TestbedError
from offload.testbed.message import MOST_BODY_BYTES

SCENARIO = Path(__file__).with_name("testbed.toml")
TASK = "devices.cam.tasks.parts"
SECOND = [
    (
        'devices.eye={ hardware = "x86-core", tasks.parts = { models = ["fashion-cnn"], variants ='
        ' ["fp32"], every = "50 ms", deadline = "200 ms", input = "2 kB" } }'
    )
]

REFUSED = {
    "a-second-group-in-a-shared-cell": ([*SECOND, "links.cell.shared=true"], "links.cell: shared by 2"),
    "a-recorded-rate": (['links.cell.up={ trace = "rate.csv" }'], "links.cell: a rate that changes"),
    "a-rate-by-chance": (
        ['links.cell.down={ states = ["1 Mbit/s", "9 Mbit/s"], stay = ["1 s", "1 s"] }'],
        "links.cell: a rate that changes",
    ),
    "a-slower-clock": (["devices.cam.frequency=0.5"], "devices.cam.frequency"),
    "a-result-of-another-size": ([f"{TASK}.result=1 MB"], f"{TASK}.result"),
    "objects-in-view": (
        [f'{TASK}.scene={{ groups = ["cam"], within = "9 m", per_object = "1 kB" }}'],
        f"{TASK}.scene",
    ),
    "an-input-beyond-any-message": ([f"{TASK}.input=100 MB"], f"{TASK}.input"),
    "several-exits": ([f"{TASK}.variants="], f"{TASK}.variants: fashion-cnn:exits has several"),
    "a-price-of-bytes": (["links.wan.price_per_GB=0.1"], "links.wan.price_per_GB"),
    "a-price-of-hours": (["nodes.far.price_per_hour=2"], "nodes.far.price_per_hour"),
    "huge-batches": (["nodes.edge.batch={ max = 4096 }"], "nodes.edge.batch.max"),
    "reports-without-end": (["nodes.edge.reports.every=1 us"], "nodes.edge.reports.every"),
    "loading-weights": (["nodes.edge.load=1 GB/s"], "nodes.edge.load"),
    "a-node-that-decides": (['nodes.edge.policy={ name = "quickest" }'], "nodes.edge.policy"),
    "faults": (['faults.x={ of = ["edge"], windows = [["1 s", "2 s"]] }'], "faults of edge"),
    "a-battery": (['devices.cam.battery={ capacity = "1 J" }'], "devices.cam.battery"),
    "no-node": (["nodes=", "links=", "policy.name=local"], "nodes: there is none"),
    "another-way-back": (
        [
            'nodes.side={ kind = "edge", hardware = "x86-core" }',
            'links.there={ from = "edge", to = "side", rate = "1 Gbit/s", delay = "1 ms" }',
            'links.on={ from = "side", to = "far", rate = "1 Gbit/s", delay = "1 ms" }',
            "links.wan.delay=1.5 ms",
        ],
        "links: from edge by side to far is not the way back",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_testbed_would_not_do_is_refused(name, tmp_path):
    settings, told = REFUSED[name]
    file = tmp_path / "testbed.toml"
    file.write_bytes(SCENARIO.read_bytes())
    (tmp_path / "rate.csv").write_text("seconds,bits/s\n0,1e6\n5,2e6\n")
    given = load(file, settings)
    with pytest.raises(TestbedError) as error:
        Testbed(given, given.policy or table.choose({"name": "local"}))
    assert str(error.value).startswith(f"{file}: {told}"), str(error.value)
    assert "\n" not in str(error.value)


ACCEPTED = {
    "as-it-is": [],
    "two-groups": SECOND,
    "a-hub": [
        'nodes.side={ kind = "edge", hardware = "x86-core" }',
        'links.there={ from = "edge", to = "side", rate = "1 Gbit/s", delay = "1 ms" }',
    ],
    "costs-of-messages": ["links.cell.security=mutual-tls", "links.cell.hop_cost=measured"],
    "inputs-without-a-bound": [f'{TASK}.input={{ distribution = "log-normal", mean = "2 kB", cv = 1 }}'],
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_it_does_is_not_refused(name):
    given = load(SCENARIO, ACCEPTED[name])
    bed = Testbed(given, given.policy)
    known = specs.of_node(bed.setting, bed.plans, "edge", Path(), 1, None, None)
    assert 2000 < known.most_bytes <= MOST_BODY_BYTES


def test_options_that_name_nothing_are_refused():
    given = load(SCENARIO, ())
    with pytest.raises(TestbedError, match="core of egde: no such process; there are device, edge"):
        Testbed(given, given.policy, cores={"edge": 0, "egde": 0})
    with pytest.raises(TestbedError, match="weights of resnet50: no network that is run"):
        Testbed(given, given.policy, weights={"resnet50": Path("x")})
