"""What a device does not take from a node that answers it."""

import time
from pathlib import Path

import pytest
import torch

from offload.dnn.codec import named
from offload.entities import Plan
from offload.scenario.load import load
from offload.streams import Streams
from offload.testbed.births import requests
from offload.testbed.device import Device, DeviceSpec
from offload.testbed.legs import Trip
from offload.testbed.link import Shape
from offload.testbed.message import Answer, Stamp, State
from offload.testbed.node import Way

KEY = (5, 1)
LOGITS = named("raw").encode([torch.arange(10.0).view(1, 10)])


@pytest.fixture
def device(tmp_path):
    """A device that has asked the edge server for something a second ago."""
    given = load(Path(__file__).with_name("testbed.toml"), ["devices.cam.tasks.parts.fallback="])
    spec = DeviceSpec(
        "cam-0", given, given.policy, tmp_path, 1, None, "edge", "cell", Way(Shape()), (), shows=True
    )
    made = Device(spec, None)
    made.begun_ns = time.monotonic_ns() - 2 * 10**9
    request = requests(given.setting(0.0), Streams(1, 0))[0]
    facts = made.facts[request.task]
    variant = facts.variants[0]
    plan = Plan(variant, 0, variant.last, "edge", None, ("cell",))
    trip = Trip(request, facts, plan, 0.0, 0, left_s=1.0)
    made.pending.put(KEY, trip)
    made.under_way = {request.id: trip}
    made.shots = type("Named", (), {"name": lambda *_: "frame"})()
    return made


def stamp(device, received_s=1.1, begun_s=1.2, done_s=1.3):
    return Stamp(
        "edge", *(device.begun_ns + round(each * 1e9) for each in (received_s, begun_s, done_s))
    )


def heard(device, *stamps, body=LOGITS):
    """Return what became of the request that was answered so."""
    device._heard(Answer(*KEY, "cam-0", "", [*stamps]), memoryview(body))
    ((outcome, _, (_, logits)),) = device.done
    return outcome, logits


def test_a_good_answer_is_taken(device):
    outcome, logits = heard(device, stamp(device))
    assert outcome.cause == ""
    assert outcome.edge_s == pytest.approx(0.2)
    assert logits == list(range(10))


@pytest.mark.parametrize(
    "times_s",
    [(0.9, 1.2, 1.3), (1.1, 1.0, 1.3), (1.1, 1.2, 1.15), (1.1, 1.2, 1e9)],
    ids=["before-it-was-asked", "begun-before-it-came", "done-before-it-began", "in-the-future"],
)
def test_times_that_cannot_be_make_no_row(device, times_s):
    outcome, _ = heard(device, stamp(device, *times_s))
    assert outcome.cause == "malformed"
    assert min(outcome.uplink_s, outcome.edge_s, outcome.downlink_s) >= 0.0


def test_stamps_are_in_order(device):
    assert heard(device, stamp(device, 1.4, 1.5, 1.6), stamp(device))[0].cause == "malformed"


@pytest.mark.parametrize(
    ("shape", "kept"),
    [
        ((0, 10), 0),
        ((1, 0), 0),
        ((1, 200_000), 0),
        ((2, 3), 3),
    ],
)
def test_logits_of_any_shape_are_kept_or_left(device, shape, kept):
    outcome, logits = heard(device, stamp(device), body=named("raw").encode([torch.zeros(shape)]))
    assert outcome.cause == ""
    assert len(logits) == kept


def test_a_body_that_is_none_is_told_of(device):
    assert heard(device, stamp(device), body=b"\x80\x04N.")[0].cause == "malformed"


def test_reports_are_of_known_nodes_and_not_of_the_future(device):
    for name in ("edge", "far", "nobody"):
        device._heard(State(name, 2**63 - 1, 0.5), memoryview(b""))
    assert device.states.keys() == {"edge", "far"}
    assert all(0.0 < device._report(name).sent_s <= device.now_s for name in ("edge", "far"))
    device._heard(State("edge", device.begun_ns + 10**9, 0.5), memoryview(b""))
    assert device._report("edge").sent_s == pytest.approx(1.0)
