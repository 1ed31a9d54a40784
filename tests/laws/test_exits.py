"""The laws hold for what leaves early and what crosses coded: one row each, joules, the same images."""

from collections import Counter
from math import fsum
from statistics import fmean

import pytest

from offload.entities import Plan
from offload.policies.table import choose
from offload.simulation.run import drive, run
from offload.simulation.world import World
from offload.streams import Streams
from tests import hand_made
from tests.whole import check_rows, play

# Gateways whose core is busy, a cell that is slow, and an edge server that may gather batches.
LINE = """
[devices.gateway]
count = 6
hardware = "core"
radio_power = "1 W"
[devices.gateway.tasks.look]
models = ["pictures"]
every = "30 ms"
arrivals = "poisson"
streams = 2
deadline = "40 ms"
late = "{late}"
input = "784 B"
codecs = ["uint8", "uint8+zip"]
confidences = [0.7, 0.95]
{private}
[nodes.site]
kind = "edge"
hardware = "core"
servers = 3
{batch}
[nodes.region]
kind = "cloud"
hardware = "core"
servers = 4
[links.cell]
from = "*"
to = "site"
up = "20 Mbit/s"
down = "30 Mbit/s"
delay = "2 ms"
[links.wire]
from = "site"
to = "region"
rate = "40 Mbit/s"
delay = "5 ms"
jitter = "2 ms"
"""
POLICIES = {
    "local": {"name": "local", "variant": "plain"},
    "local-exits": {"name": "local", "confidence": 0.7},
    "edge": {"name": "edge"},
    "edge-coded": {"name": "edge", "codec": "uint8", "after": 5, "variant": "exits", "confidence": 0.95},
    "cloud-coded": {"name": "cloud", "codec": "uint8+zip"},
    "random": {"name": "random"},
    "quickest": {"name": "quickest"},
    "on-time": {"name": "on-time"},
    "thrifty": {"name": "thrifty"},
    "clairvoyant": {"name": "clairvoyant"},
}


@pytest.fixture
def line(load_text, tmp_path):
    """Return a function that loads the scenario."""
    hand_made.write_pictures(tmp_path / "profiles", scale=10.0, core=1.0)

    def loaded(batch="", late="drop", private="", duration=3, settings=()):
        tables = LINE.format(batch=batch, late=late, private=private)
        return load_text(tables, duration, 5, 'profiles="profiles"', *settings)

    return loaded


@pytest.mark.parametrize("label", POLICIES)
@pytest.mark.parametrize("batch", ["", 'batch = { max = 3, wait = "4 ms" }'])
def test_every_birth_has_one_row(line, label, batch):
    scenario = line(batch)
    world, asked = play(scenario, **POLICIES[label])
    assert len(asked) > 900
    check_rows(world, asked)
    done = [outcome for outcome in world.outcomes if not outcome.cause]
    exits = Counter(outcome.exit for outcome in done)
    if label in ("local-exits", "edge-coded"):
        assert set(exits) == {0, 1, 2}
    if label == "edge-coded" and batch:
        assert max(outcome.batch for outcome in done) > 1
    for outcome in done:
        plan = outcome.plan
        end = plan.variant.last if outcome.exit is None else plan.variant.exits[outcome.exit]
        assert (outcome.uplink_s > 0) == (outcome.downlink_s > 0) == (plan.device_cut < end)
        assert (outcome.edge_s > 0) == (plan.device_cut < min(plan.edge_cut, end))
        assert (outcome.cloud_s > 0) == (plan.edge_cut < end)
        assert (outcome.device_s > 0) == (plan.device_cut > 0 or plan.codec is not None)
        sent = plan.variant.cuts[plan.device_cut].payload_bytes if plan.device_cut else 784
        if plan.codec is not None:
            sent = plan.variant.codecs[plan.codec, plan.device_cut].payload_bytes
        assert outcome.up_bytes == (sent if plan.device_cut < end else 0)


class ThroughSite:
    """The first layers at the site, whose exits it may take, and the rest in the region."""

    def decide(self, request, seen):
        """Divide it after the second exit."""
        (variant,) = [each for each in seen.facts.variants if each.exits]
        return Plan(variant, 0, 6, "site", "region", ("cell",), confidence=0.7)


@pytest.mark.parametrize("settings", [(), ('links.cell.handover="5 ms"',)])
def test_what_has_left_early_crosses_no_wire(line, settings):
    world = World(line(late="finish", settings=settings).setting(0.0), Streams(1, 0))
    drive(world, ThroughSite(), choose({"name": "local"}))
    left = [outcome for outcome in world.outcomes if not outcome.cause and outcome.exit < 2]
    gone_on = [outcome for outcome in world.outcomes if not outcome.cause and outcome.exit == 2]
    assert min(len(left), len(gone_on)) > 50
    assert {outcome.wan_s for outcome in left} == {0.0}
    assert min(outcome.wan_s for outcome in gone_on) > 0.010


def test_all_policies_meet_the_same_births(line):
    born = {
        label: {(o.request.id, o.request.born_s, o.request.device) for o in world.outcomes}
        for label in POLICIES
        for world, _ in [play(line(), **POLICIES[label])]
    }
    assert all(born[label] == born["local"] for label in POLICIES)


@pytest.mark.parametrize("label", POLICIES)
def test_joules_of_devices_and_servers(line, label):
    scenario = line(late="finish", duration=2)
    done = run(scenario, choose(POLICIES[label]), 7, 0)
    (facts,) = scenario.setting(0.0).facts
    cell = facts.cells["cell"]
    air_s = fsum(8 * o.up_bytes / cell.up_bps + 8 * o.down_bytes / cell.down_bps for o in done.outcomes)
    busy_s = fsum(account.busy_s for account in done.devices)
    # 5 W busy, 2 W idle, 1 W of radio.
    assert fsum(o.energy_j for o in done.outcomes) == pytest.approx(3 * busy_s + air_s, rel=1e-9)
    world, _ = play(scenario, **POLICIES[label])
    for node, column in (("site", "edge_j"), ("region", "cloud_j")):
        joules = fsum(getattr(outcome, column) for outcome in world.outcomes)
        assert joules == pytest.approx(3 * world.servers[node].busy_s, rel=1e-9)


def test_one_image_stands_for_a_request_under_every_plan(line):
    scenario = line(late="finish", duration=4)
    answers = {
        (record.variant, record.codec, record.cut): record.answers
        for record in hand_made.pictures_records()
    }
    images = {}
    for options in POLICIES.values():
        for outcome in play(scenario, **options)[0].outcomes:
            if outcome.cause:
                continue
            plan = outcome.plan
            coded = (plan.codec, plan.device_cut) if plan.codec else (None, 0)
            known = answers[plan.variant.name, *coded]
            may_be = {
                image
                for image in range(hand_made.IMAGES)
                if known.right[outcome.exit or 0][image] == outcome.correct
                and sure(known, image, plan.confidence, outcome.exit)
            }
            images[outcome.request.id] = images.get(outcome.request.id, may_be) & may_be
    assert len(images) > 1000
    assert all(images.values())  # one image at least explains all that became of a request


def sure(known, image, confidence, exit_):
    """Tell whether an image leaves at this exit and no earlier, as far as confidences decide it."""
    if confidence is None:
        return True
    leaves = [each[image] >= 255 * confidence for each in known.confidence[:-1]] + [True]
    return leaves.index(True) == exit_


def test_shares_of_exits_and_right_answers_are_those_measured(line):
    scenario = line(late="finish", duration=10)
    outcomes = play(scenario, **POLICIES["local-exits"])[0].outcomes
    known = next(
        r.answers for r in hand_made.pictures_records() if (r.variant, r.codec) == ("exits", None)
    )
    taken = [
        next(e for e in range(3) if sure(known, image, 0.7, e)) for image in range(hand_made.IMAGES)
    ]
    n = len(outcomes)
    for exit_ in range(3):
        share = taken.count(exit_) / hand_made.IMAGES
        found = fmean(outcome.exit == exit_ for outcome in outcomes)
        assert abs(found - share) < 3.3 * (share * (1 - share) / n) ** 0.5
        assert 0.05 < share < 0.9
    right = fmean(known.right[exit_][image] for image, exit_ in enumerate(taken))
    found = fmean(outcome.correct for outcome in outcomes)
    assert abs(found - right) < 3.3 * (right * (1 - right) / n) ** 0.5


@pytest.mark.parametrize("name", ["edge", "random", "quickest", "on-time", "thrifty"])
def test_nothing_raw_leaves_a_private_task(line, name):
    scenario = line(private="private = true")
    for outcome in play(scenario, name)[0].outcomes:
        assert outcome.plan.device_cut > 0
