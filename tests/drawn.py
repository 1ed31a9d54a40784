"""What hypothesis draws: worlds of one task, and what a device may see of them."""

import dataclasses
from collections.abc import Iterable, Mapping
from itertools import pairwise

import hypothesis.strategies as st

from offload.entities import Facts, Luck, Observation, Report, Uplink, Wire
from offload.networks import Answers, Coded, Variant
from offload.overheads import FREE, Toll
from tests import hand_made

WAITS = st.one_of(st.just(0.0), st.floats(0, 3))
CODECS = ("half", "tiny")


@st.composite
def observations(draw: st.DrawFn, facts: Facts) -> Observation:
    """Draw what a device might see of a scenario: backlogs, rates, reports, and perhaps its luck."""
    now = draw(st.floats(0, 60))
    uplinks = {
        c.name: Uplink(
            c.name, True, c.up_bps / draw(st.integers(1, 60)), c.down_bps / draw(st.integers(1, 60)),
            draw(st.one_of(st.just(0.0), st.floats(0, 1e6))),
        )
        for c in facts.cells.values()
    }  # fmt: skip
    labels = sorted(variant.label for variant in facts.variants)
    reports: dict[str, Report | None] = {}
    for name, node in facts.nodes.items():
        resident = None if node.load_bps is None else draw(st.sets(st.sampled_from(labels)).map(tuple))
        report = Report(0.0, draw(WAITS), {}, {}, resident)
        reports[name] = draw(st.sampled_from([None, report]))
    luck = None
    if draw(st.booleans()):
        free_s = {(w.name, end): now + draw(WAITS) for w in facts.wires.values() for end in w.ends}
        luck = Luck(*[draw(st.floats(0, 0.999)) for _ in range(6)], free_s)
    serving = draw(st.sampled_from([None, *facts.cells]))
    return Observation(now, draw(WAITS), serving, uplinks, reports, facts, None, luck)


def deadlines(latencies: Iterable[float]) -> st.SearchStrategy[float]:
    """Draw a deadline before, between or after these latencies, with none of them on it."""
    known = sorted(latencies)
    apart = [(one + more) / 2 for one, more in pairwise(known) if more - one > 1e-9 * more]
    return st.sampled_from([known[0] / 2, *apart, known[-1] * 2])


@st.composite
def networks(draw: st.DrawFn, *, early: bool, codecs: bool) -> Variant:
    """Draw a chain of up to six layers, perhaps with exits, and with codecs at some cuts."""
    layers = draw(st.integers(1, 6))
    payloads = draw(st.lists(st.integers(1, 3000), min_size=layers + 1, max_size=layers + 1))
    images = draw(st.integers(1, 5))
    exits = [*draw(st.sets(st.integers(1, layers), max_size=3 * early)), layers]
    exits = sorted(set(exits))

    def answers() -> Answers:
        right = st.lists(st.integers(0, 1), min_size=images, max_size=images)
        sure = st.lists(st.integers(0, 255), min_size=images, max_size=images)
        return hand_made.answers(*[(draw(right), draw(sure)) for _ in exits])

    known: dict[tuple[str | None, int], Answers] = {(None, 0): answers()}
    coded: Mapping[tuple[str, int], Coded] = {}
    if codecs:
        share = st.one_of(st.just(0.0), st.floats(0, 1))
        coded = {
            (codec, cut): hand_made.coded(draw(st.integers(1, 3000)), draw(share), draw(share))
            for codec in CODECS
            for cut in draw(st.sets(st.integers(0, layers - 1)))
        }
        # What a codec loses may be nothing.
        known |= {key: draw(st.sampled_from([known[None, 0], answers()])) for key in coded}
    size = float(draw(st.integers(1, 10_000)))
    return hand_made.variant(
        payloads, exits=tuple(exits), codecs=coded, answers=known, stated_bytes=size
    )


@st.composite
def tolls(draw: st.DrawFn) -> Toll:
    """Draw what messages cost on a link, most often nothing."""
    if draw(st.booleans()):
        return FREE
    return Toll(draw(st.floats(0, 1e-6)), draw(st.floats(0, 100)), draw(st.floats(0, 0.1)))


@st.composite
def worlds(
    draw: st.DrawFn, *, private: bool = False, early: bool = False, codecs: bool = False
) -> Facts:
    """Draw a network and places of which each further one is quicker at every layer; nobody waits."""
    net = draw(networks(early=early, codecs=codecs))
    layers = len(net.layers)
    device = draw(st.lists(st.floats(1e-4, 1e-1), min_size=layers, max_size=layers))
    edge = [each * draw(st.floats(0.1, 1)) for each in device]
    cloud = [each * draw(st.floats(0.1, 1)) for each in edge]
    return hand_made.facts(
        {net: {"device": device, "edge": edge, "cloud": cloud}},
        nodes=[
            hand_made.node("edge", "edge", load_bps=draw(st.sampled_from([None, 1e5]))),
            hand_made.node("cloud", "cloud"),
        ],
        cells=[dataclasses.replace(hand_made.cell(), toll=draw(tolls()))],
        wires=[
            Wire(
                "wan",
                ("edge", "cloud"),
                draw(st.floats(1e5, 1e9)),
                draw(st.floats(0, 0.05)),
                0.0,
                toll=draw(tolls()),
            )
        ],
        input_bytes=float(draw(st.integers(1, 3000))),
        private=private,
        codecs=CODECS if codecs else (),
        confidences=(0.3, 0.8) if early else (),
    )
