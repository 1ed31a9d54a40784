"""One cut to one server: held against the formula, cut by cut, and against what is known of VGG16."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offload.entities import Cell, Facts, Plan, Wire
from offload.networks import Variant
from offload.policies.neurosurgeon import Neurosurgeon
from tests import drawn, hand_made, slow

# VGG16 by cut: multiply-accumulates that remain in convolutions and in linear layers, and bits that
# cross (the input with its header, raw fp32 values, nothing at the end). Figures of the public code of
# ANS (Zhang et al., WWW 2021).
CONV = [
    15346630656, 15259926528, 13410238464, 13410238464, 12485394432, 10635706368, 10635706368,
    9710862336, 7861174272, 6011486208, 6011486208, 5086642176, 3236954112, 1387266048,
    1387266048, 924844032, 462422016, 0, 0, 0, 0, 0, 0,
]  # fmt: skip
LINEAR = [123633664] * 20 + [20873216, 4096000, 0]
BITS = [
    4818272, 102761824, 102761824, 25691488, 51381600, 51381600, 12846432, 25691496, 25691496, 25691496,
    6423912, 12846440, 12846440, 12846440, 3212648, 3212648, 3212648, 3212648, 3212648, 804200, 804200,
    132416, 0,
]  # fmt: skip
LEFT = [conv + linear for conv, linear in zip(CONV, LINEAR, strict=True)]
SERVER_HZ = 400e9


def vgg16(device_hz: float, kind: Any) -> tuple[Variant, Facts]:
    """Return VGG16 at a constant rate of multiply-accumulates, beside a server without any delay."""
    net = hand_made.variant([bits // 8 for bits in BITS], model="vgg16")
    macs = [here - after for here, after in pairwise(LEFT)]
    facts = hand_made.facts(
        {net: {"device": [m / device_hz for m in macs], "server": [m / SERVER_HZ for m in macs]}},
        nodes=[hand_made.node("site", "edge"), hand_made.node("server", kind)],
        cells=[Cell("cell", "site", 1e9, 1e9, 0.0, 100.0, 1.0, shared=True)],
        wires=[Wire("wire", ("site", "server"), float("inf"), 0.0, 0.0)],
        input_bytes=BITS[0] / 8,
        result_bytes={net: 0.0},
    )
    return net, facts


def cut_and_seconds(device_hz: float, rate_bps: float, kind: str) -> tuple[int, float]:
    """Return where it cuts VGG16, and the latency."""
    net, facts = vgg16(device_hz, kind)
    seen = hand_made.seen(facts, cell=rate_bps)
    plan = Neurosurgeon(place=kind).decide(hand_made.request(9.0, facts.input_bytes), seen)
    assert plan.variant is net
    latency_s, _ = slow.prices(seen, plan)
    return plan.device_cut, latency_s


@pytest.mark.parametrize("kind", ["edge", "cloud"])
@pytest.mark.parametrize(
    ("device_hz", "rate_bps", "cut", "latency_ms"),
    [
        (2e9, 0.5e6, 22, 7735.132),
        (2e9, 1e6, 0, 4856.948),
        (2e9, 2e6, 0, 2447.812),
        (2e9, 4e6, 0, 1243.244),
        (2e9, 8e6, 0, 640.960),
        (2e9, 16e6, 0, 339.818),
        (2e9, 32e6, 0, 189.247),
        (2e9, 64e6, 0, 113.961),
        (2e9, 128e6, 0, 76.318),
        (2e9, 1024e6, 0, 43.381),
        (20e9, 0.5e6, 22, 773.513),
        (20e9, 1e6, 22, 773.513),
        (20e9, 2e6, 22, 773.513),
        (20e9, 4e6, 22, 773.513),
        (20e9, 8e6, 0, 640.960),
    ],
)
def test_vgg16_at_a_constant_rate(
    kind: str, device_hz: float, rate_bps: float, cut: int, latency_ms: float
) -> None:
    found, latency_s = cut_and_seconds(device_hz, rate_bps, kind)
    assert found == cut
    assert 1e3 * latency_s == pytest.approx(latency_ms, abs=5.1e-4)


@given(st.floats(1e8, 300e9), st.floats(1e4, 1e10))
def test_vgg16_at_a_constant_rate_is_never_cut_in_the_middle(device_hz: float, rate_bps: float) -> None:
    by_cut = [
        (LEFT[0] - left) / device_hz + left / SERVER_HZ + bits / rate_bps
        for left, bits in zip(LEFT, BITS, strict=True)
    ]
    cut, latency_s = cut_and_seconds(device_hz, rate_bps, "cloud")
    assert cut in {0, 22}
    assert latency_s == pytest.approx(min(by_cut), rel=1e-9)


@pytest.mark.parametrize("objective", ["latency", "energy"])
@pytest.mark.parametrize("place", ["cloud", "edge"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_cut_is_better(place: Any, objective: Any, data: Any) -> None:
    facts = data.draw(drawn.worlds(private=data.draw(st.booleans())))
    rate_bps, backlog_s = data.draw(st.floats(1e4, 1e9)), data.draw(drawn.WAITS)
    seen = hand_made.seen(facts, data.draw(st.sampled_from(["cell", None])), backlog_s, cell=rate_bps)
    plan = Neurosurgeon(place, objective).decide(hand_made.request(1.0, facts.input_bytes), seen)
    of = ("latency", "energy").index(objective)
    other = {"cloud": "edge", "edge": "cloud"}[place]
    by_cut = [
        slow.prices(seen, each)[of]
        for each in slow.all_plans(facts)
        if getattr(each, other) is None and (each.uplinks is None or seen.serving)
    ]
    assert getattr(plan, other) is None
    assert slow.prices(seen, plan)[of] == pytest.approx(min(by_cut), rel=1e-9)


def test_a_split_in_the_middle_may_be_best() -> None:
    # 4 kB at 100 kbit/s take 320 ms, 500 bytes 40 ms; sending draws 2 W, computing 2 W more than idling.
    net = hand_made.variant([4000, 2000, 500, 5])
    facts = hand_made.facts(
        {net: {"device": [0.001, 0.001, 0.9], "edge": [0.001] * 3}},
        nodes=[hand_made.node("edge", "edge")],
        cells=[hand_made.cell(up_bps=1e5)],
    )
    for objective in ("latency", "energy"):
        policy = Neurosurgeon(objective=objective)
        plan = policy.decide(hand_made.request(1.0, 4000.0), hand_made.seen(facts))
        assert plan == Plan(net, 2, 3, "edge", None, ("cell",))


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_what_crosses_is_raw_and_nobody_leaves_early(data: Any) -> None:
    facts = data.draw(drawn.worlds(early=True, codecs=True))
    seen = hand_made.seen(facts, cell=data.draw(st.floats(1e3, 1e6)))
    plan = Neurosurgeon().decide(hand_made.request(1.0, facts.input_bytes), seen)
    assert (plan.codec, plan.confidence, plan.edge) == (None, None, None)
