"""Cuts and codecs within a loss of accuracy: held against every pair of them."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offload.entities import Plan
from offload.policies.jalad import Jalad
from tests import drawn, hand_made, slow


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_cut_and_codec_within_the_loss_is_quicker(data: Any) -> None:
    early = data.draw(st.booleans())
    facts = data.draw(drawn.worlds(private=data.draw(st.booleans()), early=early, codecs=True))
    loss = data.draw(st.sampled_from([0.0, 0.2, 0.25, 0.5, 1.0]))
    serving = data.draw(st.sampled_from(["cell", "cell", None]))
    seen = hand_made.seen(facts, serving, data.draw(drawn.WAITS), cell=data.draw(st.floats(1e3, 1e8)))
    plan = Jalad(loss).decide(hand_made.request(1.0, facts.input_bytes), seen)
    chain = [
        each
        for each in slow.all_plans(facts)
        if each.confidence is None and None in (each.edge, each.cloud) and (serving or not each.uplinks)
    ]
    whole = max(slow.share_right(each) for each in chain if each.codec is None)
    # Shares are of at most five images: nothing lies within 1e-6 of a bound but what is on it.
    kept = [each for each in chain if slow.share_right(each) >= whole - loss - 1e-6]
    assert plan in kept
    best_s = min(slow.prices(seen, each)[0] for each in kept)
    assert slow.prices(seen, plan)[0] == pytest.approx(best_s, rel=1e-9)


def answered(right: int) -> Any:
    """Return answers of a hundred images, so many of them right."""
    return hand_made.answers(([1] * right + [0] * (100 - right), [255] * 100))


# At 8 Mbit/s 4 kB take 4 ms, in uint8 1 ms, in a quarter of that 0.25 ms.
NET = hand_made.variant(
    [4000, 4000, 5],
    codecs={
        ("uint8", 0): hand_made.coded(1000.0), ("tiny", 0): hand_made.coded(250.0),
        ("guess", 0): hand_made.coded(1.0),
    },
    answers={(None, 0): answered(92), ("uint8", 0): answered(91), ("tiny", 0): answered(80)},
)  # fmt: skip


@pytest.mark.parametrize(
    ("loss", "codec"),
    [(0.0, None), (0.009, None), (0.01, "uint8"), (0.1, "uint8"), (0.12, "tiny"), (1, "tiny")],
)
def test_codecs_by_their_loss(loss: float, codec: str | None) -> None:
    facts = hand_made.facts(
        {NET: {"device": [0.1] * 2, "edge": [0.01] * 2}},
        nodes=[hand_made.node("edge", "edge")],
        cells=[hand_made.cell()],
        input_bytes=4000.0,
        codecs=("uint8", "tiny", "guess"),  # of the last nobody knows who is right
    )
    plan = Jalad(loss).decide(hand_made.request(1.0), hand_made.seen(facts))
    assert plan == Plan(NET, 0, 2, "edge", None, ("cell",), codec)


def test_a_smaller_network_loses_accuracy_too_and_an_unknown_one_does_not_qualify() -> None:
    big, small, unknown = (
        hand_made.variant([10, 5], name=name, accuracy=accuracy)
        for name, accuracy in (("big", 0.9), ("small", 0.8), ("unknown", None))
    )
    facts = hand_made.facts(
        {big: {"device": [0.3]}, small: {"device": [0.2]}, unknown: {"device": [0.1]}}
    )
    seen = hand_made.seen(facts, None)
    assert Jalad().decide(hand_made.request(), seen).variant is big
    assert Jalad(0.1).decide(hand_made.request(), seen).variant is small
    alone = hand_made.facts({unknown: {"device": [0.1]}})
    assert Jalad().decide(hand_made.request(), hand_made.seen(alone, None)) == Plan(unknown, 1, 1)
