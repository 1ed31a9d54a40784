"""What is wrong with a plan is said; what the world can carry out passes."""

import dataclasses

import pytest
from msgspec.structs import replace

from offload.entities import Observation, Plan, Request, Wire
from offload.planning.validity import why_invalid
from offload.policies.table import choose
from offload.scenario.load import load
from offload.simulation.answering import PolicyError
from offload.simulation.run import drive
from offload.simulation.world import World
from offload.streams import Streams
from tests import hand_made

NET = hand_made.variant([100, 50, 20, 5])
OTHER = hand_made.variant([100, 5], name="int8")
STRANGER = hand_made.variant([100, 5], name="pruned")
TOWN = hand_made.facts(
    {
        NET: {key: [1.0, 1.0, 1.0] for key in ("device", "edge", "far", "cloud")},
        OTHER: {"edge": [1.0]},
    },
    nodes=[
        hand_made.node("edge", "edge"),
        hand_made.node("far", "edge"),
        hand_made.node("cloud", "cloud"),
        hand_made.node("island", "cloud"),
    ],
    cells=[hand_made.cell()],
    wires=[Wire("wan", ("edge", "cloud"), 1e9, 0.01, 0.0)],
)
GOOD = Plan(NET, 1, 2, "edge", "cloud", ("cell",))


@pytest.mark.parametrize(
    "plan",
    [
        GOOD,
        Plan(NET, 3, 3),
        Plan(NET, 0, 3, "edge", None, ("cell",)),
        Plan(NET, 0, 0, None, "cloud", ("cell",)),
        Plan(NET, 2, 2, None, "cloud", ("cell",)),
        Plan(OTHER, 0, 1, "edge", None, ("cell",)),
    ],
)
def test_good_plans_pass(plan: Plan) -> None:
    assert why_invalid(TOWN, plan) is None


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        (None, "it is NoneType, no Plan"),
        ((NET, 1, 2), "it is tuple, no Plan"),
        (
            Plan(STRANGER, 0, 1, "edge", None, ("cell",)),
            "its variant is none of this task's: net:fp32, net:int8",
        ),
        (replace(GOOD, device_cut=-1), "its cuts (-1, 2) must satisfy 0 <= device_cut <= edge_cut <= 3"),
        (replace(GOOD, device_cut=3), "its cuts (3, 2) must satisfy"),
        (replace(GOOD, edge_cut=4), "its cuts (1, 4) must satisfy"),
        (replace(GOOD, edge_cut=1.5), "its cuts (1, 1.5) must satisfy"),
        (replace(GOOD, codec="zstd"), "codec is 'zstd'; this task offers: none"),
        (replace(GOOD, exit=0), "exit is 0; the exits of net:fp32 are: []"),
        (replace(GOOD, confidence=0.9), "nobody measured net:fp32 leaving early"),
        (replace(GOOD, edge=None), "edge is None; the edge nodes are: edge, far"),
        (replace(GOOD, edge="cloud"), "edge is 'cloud'; the edge nodes are: edge, far"),
        (replace(GOOD, cloud="nowhere"), "cloud is 'nowhere'; the cloud nodes are: cloud, island"),
        (replace(GOOD, cloud="edge"), "cloud is 'edge'; the cloud nodes are: cloud, island"),
        (replace(GOOD, edge_cut=1), "it names edge node 'edge' but gives it nothing to run"),
        (replace(GOOD, edge_cut=3), "it names cloud node 'cloud' but gives it nothing to run"),
        (replace(GOOD, uplinks=None), "it must name an uplink if and only if"),
        (Plan(NET, 3, 3, None, None, ("cell",)), "it must name an uplink if and only if"),
        (Plan(OTHER, 1, 1), "device has no profile of net:int8"),
        (Plan(OTHER, 0, 0, None, "cloud", ("cell",)), "cloud has no profile of net:int8"),
        (replace(GOOD, uplinks=()), "uplinks is (); choose one of (cell,)"),
        (replace(GOOD, uplinks=("cell", "cell")), "choose one of (cell,)"),
        (replace(GOOD, uplinks=("wan",)), "choose one of (cell,)"),
        (replace(GOOD, edge="far"), "no route leads from edge to far"),
        (Plan(NET, 0, 0, None, "island", ("cell",)), "no profile of net:fp32"),
    ],
)
def test_each_fault_is_named(plan: object, why: str) -> None:
    assert why in (why_invalid(TOWN, plan) or "")


@pytest.mark.parametrize("private", [False, True])
def test_raw_input_of_a_private_task_stays(private: bool) -> None:
    facts = hand_made.facts(
        {NET: {"device": [1.0] * 3, "edge": [1.0] * 3}},
        nodes=[hand_made.node("edge", "edge")],
        cells=[hand_made.cell()],
        private=private,
    )
    why = why_invalid(facts, Plan(NET, 0, 3, "edge", None, ("cell",)))
    assert (why is not None and "raw input of a private task may not leave" in why) is private
    assert why_invalid(facts, Plan(NET, 1, 3, "edge", None, ("cell",))) is None


# Three exits, the first on what the device runs; coded at two cuts, with one of them unmeasured.

SURE = ([1, 1], [255, 0])
EXITS = hand_made.variant(
    [100, 50, 20, 5],
    exits=(1, 2, 3),
    answers={key: hand_made.answers(SURE, SURE, SURE) for key in ((None, 0), ("zip", 0), ("zip", 2))},
    codecs={(codec, cut): hand_made.coded(9.0) for codec in ("zip", "rar") for cut in (0, 2)},
)
FAR = hand_made.variant([100, 5], name="far", codecs={("zip", 0): hand_made.coded(9.0)})
SHOP = hand_made.facts(
    {EXITS: {key: [1.0] * 3 for key in ("device", "edge", "cloud")}, FAR: {"edge": [1.0]}},
    nodes=[hand_made.node("edge", "edge"), hand_made.node("cloud", "cloud")],
    cells=[hand_made.cell()],
    wires=[Wire("wan", ("edge", "cloud"), 1e9, 0.01, 0.0)],
    codecs=("zip",),
)
TO_EDGE = Plan(EXITS, 0, 3, "edge", None, ("cell",))
ALL = Plan(EXITS, 0, 2, "edge", "cloud", ("cell",))


@pytest.mark.parametrize(
    "plan",
    [
        replace(TO_EDGE, codec="zip"),
        replace(TO_EDGE, codec="zip", confidence=0.0),
        replace(TO_EDGE, confidence=0.77),  # any, also one that is not on offer
        replace(TO_EDGE, confidence=1, exit=1),
        replace(TO_EDGE, exit=0),
        Plan(EXITS, 2, 2, None, "cloud", ("cell",), "zip"),
        Plan(EXITS, 3, 3, exit=0),
        Plan(EXITS, 1, 1, exit=0),  # the device runs all that runs
        Plan(EXITS, 1, 3, exit=0),
        replace(ALL, cloud=None, edge_cut=3, exit=1),
        replace(ALL, cloud=None, exit=1),  # ends where the cloud would take over
    ],
)
def test_good_plans_with_exits_and_codecs_pass(plan: Plan) -> None:
    assert why_invalid(SHOP, plan) is None


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        (replace(TO_EDGE, codec="zap"), "codec is 'zap'; this task offers: zip"),
        (replace(TO_EDGE, codec="rar"), "codec is 'rar'; this task offers: zip"),
        (replace(TO_EDGE, codec=8), "codec is 8; this task offers: zip"),
        (
            replace(TO_EDGE, device_cut=1, codec="zip"),
            "codec zip of net:fp32 was measured at the cuts: 0, 2",
        ),
        (Plan(EXITS, 3, 3, codec="zip"), "codec zip of net:fp32 was measured at the cuts: 0, 2"),
        (Plan(EXITS, 2, 3, codec="zip", exit=0), "it names a codec, but nothing leaves the device"),
        (
            Plan(FAR, 0, 1, "edge", None, ("cell",), "zip"),
            "device has no profile of net:far, so nobody knows how long it encodes",
        ),
        (replace(TO_EDGE, exit=3), "exit is 3; the exits of net:fp32 are: [0, 1, 2]"),
        (replace(TO_EDGE, exit=-1), "exit is -1; the exits"),
        (replace(TO_EDGE, exit=0.5), "exit is 0.5; the exits"),
        (replace(TO_EDGE, exit="last"), "exit is 'last'; the exits"),
        (replace(TO_EDGE, confidence=-0.1), "confidence is -0.1; it must lie between 0 and 1"),
        (replace(TO_EDGE, confidence=float("nan")), "confidence is nan; it must lie"),
        (replace(TO_EDGE, confidence="high"), "confidence is 'high'; it must lie"),
        (
            Plan(FAR, 0, 1, "edge", None, ("cell",), confidence=0.9),
            "it states a confidence, but nobody measured net:far leaving early",
        ),
        (Plan(EXITS, 1, 3, "edge", None, ("cell",), exit=0), "it names edge node 'edge' but gives it"),
        (replace(ALL, exit=1), "it names cloud node 'cloud' but gives it nothing to run"),
        (replace(ALL, edge=None, cloud=None, exit=1), "edge is None; the edge nodes are: edge"),
        (Plan(EXITS, 2, 2, None, None, ("cell",), exit=1), "it must name an uplink if and only if"),
    ],
)
def test_each_fault_with_exits_and_codecs_is_named(plan: Plan, why: str) -> None:
    assert why in (why_invalid(SHOP, plan) or "")


@pytest.mark.parametrize("codec", [None, "zip"])
def test_no_codec_lets_raw_input_of_a_private_task_leave(codec: str | None) -> None:
    secret = dataclasses.replace(SHOP, private=True)
    why = why_invalid(secret, replace(TO_EDGE, codec=codec))
    assert "raw input of a private task may not leave" in (why or "")
    assert why_invalid(secret, replace(TO_EDGE, device_cut=2, codec=codec)) is None


def test_a_place_runs_only_what_fits_into_its_memory() -> None:
    # resnet50 has 25.6 million weights of 4 bytes, its int8 form of one; a53 boards have 1 GB.
    settings = [
        'devices.west.tasks.vehicles.models=["resnet50"]', "devices.west.tasks.vehicles.variants=",
        'nodes.unit-west.memory="60 MB"',
    ]  # fmt: skip
    scenario = load(hand_made.ROOT / "scenarios" / "camera-corridor.toml", settings)
    facts = next(f for f in scenario.setting(0.0).facts if (f.group, f.task) == ("west", "vehicles"))
    assert {v.name for v in facts.profiles["unit-west"]} == {"int8"}
    assert {v.name for v in facts.profiles["unit-east"]} == {"fp32", "int8"}
    (large,) = [v for v in facts.variants if v.name == "fp32"]
    plan = Plan(large, 0, large.last, "unit-west", None, (next(iter(facts.cells)),))
    assert why_invalid(facts, plan) == (
        "the weights of resnet50:fp32, 102.2 MB, do not fit into the memory of unit-west, 60 MB"
    )


def test_a_policy_that_plans_what_does_not_fit_is_told() -> None:
    class TooLarge:
        def decide(self, request: Request, seen: Observation) -> Plan:
            large = next(v for v in seen.facts.variants if v.label == "resnet50:int8")
            return Plan(large, 0, large.last, "cabinet", None, (next(iter(seen.facts.cells)),))

    scenario = load(
        hand_made.ROOT / "scenarios" / "urban-intersection.toml",
        ['duration="2 s"', 'warm_up="0 s"', 'nodes.cabinet.memory="20 MB"'],
    )
    setting = scenario.setting(0.0)
    with pytest.raises(PolicyError, match=r"policy local: .* request \d+ .* do not fit into .* cabinet"):
        drive(World(setting, Streams(1, 0)), TooLarge(), choose({"name": "local"}))
