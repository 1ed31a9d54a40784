"""Edge nodes with policies of their own: what they are asked, and what becomes of their answers."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as with_changes

from offload.entities import Observation, Plan, Uplink
from offload.planning.onward import why_not_onward
from offload.planning.price import price
from offload.policies.table import choose
from offload.scenario.load import load
from offload.simulation.check import check_policy
from offload.simulation.run import PolicyError, drive, run
from offload.simulation.world import World
from offload.streams import Streams
from tests import drawn, hand_made, slow
from tests.whole import check_rows

# Cars send everything to a cabinet with one slow core; a depot beside it and a region are idle.
TABLES = """
format = 1
name = "onward"
duration = "10 s"
drain = "30 s"
[hardware.core]
kind = "cpu"
memory = "1 GB"
idle_power = { value = "2 W", known = "assumed", source = "a test" }
busy_power = { value = "5 W", known = "assumed", source = "a test" }
[models.net.variants.plain]
layers = [{ name = "half", output = "20 kB" }, { name = "rest", output = "1 kB" }]
[models.net.variants.plain.costs.core]
known = "assumed"
source = "a test"
seconds = ["15 ms", "25 ms"]
[devices.car]
count = 4
hardware = "core"
[devices.car.tasks.look]
models = ["net"]
arrivals = "poisson"
every = "100 ms"
deadline = "300 ms"
input = "10 kB"
[nodes.cabinet]
kind = "edge"
hardware = "core"
POLICY
[nodes.depot]
kind = "edge"
hardware = "core"
[nodes.region]
kind = "cloud"
hardware = "core"
servers = 2
[links.cell]
from = "*"
to = "cabinet"
up = "100 Mbit/s"
down = "100 Mbit/s"
delay = "2 ms"
[links.lane]
from = "cabinet"
to = "depot"
rate = "100 Mbit/s"
delay = "1 ms"
[links.wide]
from = "cabinet"
to = "region"
rate = "100 Mbit/s"
delay = "10 ms"
[policy]
name = "edge"
"""


@pytest.fixture
def street(tmp_path):
    """Return a function that loads the scenario with a policy of the cabinet's."""

    def loaded(policy='policy = { name = "quickest" }', *more):
        path = tmp_path / "street.toml"
        path.write_text(TABLES.replace("POLICY", policy))
        return load(path, more)

    return loaded


def test_an_overloaded_node_sends_on_what_others_do_sooner(street):
    alone = run(street(""), choose({"name": "edge"}), 1, 0)
    helped = run(street(), choose({"name": "edge"}), 1, 0)
    on_time = [
        sum(not o.cause and o.ended_s - o.request.born_s <= 0.3 for o in done.outcomes)
        for done in (alone, helped)
    ]
    assert len(alone.outcomes) == len(helped.outcomes) > 300
    assert on_time[0] < 0.7 * len(alone.outcomes)
    assert on_time[1] > 0.95 * len(alone.outcomes)
    assert {o.first_plan.edge for o in helped.outcomes} == {"cabinet"}
    went = Counter((o.plan.edge, o.plan.cloud) for o in helped.outcomes)
    assert min(went["cabinet", None], went["depot", None], went[None, "region"]) > 10
    assert {o.attempts for o in helped.outcomes} == {1}


@pytest.mark.parametrize("policy", ["quickest", "random", "thrifty", "on-time"])
@pytest.mark.parametrize("settings_", [(), ('links.cell.handover="5 ms"',)])
@pytest.mark.parametrize("name", ["edge", "random", "quickest"])
def test_every_birth_has_one_row(street, policy, settings_, name):
    scenario = street(f'policy = {{ name = "{policy}", overhead = "3 ms" }}', *settings_)
    done = run(scenario, choose({"name": name}), 3, 0)
    world = World(scenario.setting(0.0), Streams(3, 0))
    world.outcomes = done.outcomes
    check_rows(world, [o.request.id for o in done.outcomes])
    again = run(scenario, choose({"name": name}), 3, 0)
    assert again.outcomes == done.outcomes
    for outcome in done.outcomes:
        if outcome.plan.edge != "cabinet" and outcome.first_plan.edge == "cabinet" and not outcome.cause:
            assert outcome.edge_s >= 0.003 - 1e-12  # the cabinet decided
            assert outcome.wan_s > 0.002 - 1e-12


class Probe:
    """Notes what it is asked, and answers with the plan by which a request came."""

    def __init__(self):
        self.asked = []

    def decide(self, request, seen):
        """Keep it here."""
        self.asked.append((request, seen))
        return seen.begun


def test_a_node_is_asked_on_arrival_and_sees_its_own_true_state(street):
    scenario = street()
    probe, choice = Probe(), choose({"name": "edge"})
    world = World(scenario.setting(0.0), Streams(1, 0))
    drive(world, choice.make(), choice, {"cabinet": (probe, choice)})
    rows = {o.request.id: o for o in world.outcomes}
    assert len(probe.asked) == len(rows)
    for request, seen in probe.asked:
        row = rows[request.id]
        arrived_s = row.request.born_s + row.uplink_s
        assert seen.now_s == pytest.approx(arrived_s)
        assert request.deadline_s == pytest.approx(row.request.born_s + 0.3 - arrived_s)
        assert seen.reports["cabinet"].sent_s == seen.now_s
        if not row.cause:  # it begins when its backlog is done, as the node knew
            assert row.edge_s == pytest.approx(seen.backlog_s + 0.040)
        assert seen.reports["depot"] is None or seen.reports["depot"].sent_s <= seen.now_s - 0.001
        assert seen.luck is None


class Wrong:
    """Sends on what the device has sent as if it had not."""

    def decide(self, request, seen):
        """Start anew."""
        variant = seen.facts.variants[0]
        return Plan(variant, 1, 1, None, "region", ("cell",))


def test_a_policy_is_checked_where_nodes_have_their_own(street):
    assert check_policy(choose({"name": "quickest"}).make, street()) == []


def test_a_plan_that_does_not_go_on_is_refused(street):
    world = World(street().setting(0.0), Streams(1, 0))
    choice = choose({"name": "edge"})
    with pytest.raises(PolicyError, match=r"has come to cabinet from cut 0 over \('cell',\)"):
        drive(world, choice.make(), choice, {"cabinet": (Wrong(), choice)})


def test_what_has_begun_keeps_its_network():
    one, two = hand_made.variant([100, 50, 5]), hand_made.variant([100, 40, 5], "int8")
    whole, part = (Plan(one, cut, 2, "edge", None, ("cell",)) for cut in (0, 1))
    assert why_not_onward(whole, Plan(two, 0, 1, "edge", "cloud", ("cell",))) is None
    assert "a part of net:fp32" in why_not_onward(part, Plan(two, 1, 2, "edge", None, ("cell",)))
    assert why_not_onward(part, Plan(one, 1, 1, None, "cloud", ("cell",))) is None


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_prices_of_going_on_agree_with_following_each_image(data):
    facts = data.draw(drawn.worlds(early=data.draw(st.booleans()), codecs=data.draw(st.booleans())))
    seen = data.draw(drawn.observations(facts))
    begun = [p for p in slow.all_plans(facts) if p.edge == "edge" and p.uplinks]
    assume(begun)
    plan = data.draw(st.sampled_from(begun))
    cell = facts.cells["cell"]
    seen = Observation(
        seen.now_s, 0.0, "cell", {"cell": Uplink("cell", True, cell.up_bps, cell.down_bps, 0.0)},
        seen.reports, facts, begun=plan,
    )  # fmt: skip
    assume(slow.onward_s(seen, plan) is not None)  # else all images are answered by the device
    own_bytes = data.draw(st.one_of(st.just(facts.input_bytes), st.floats(0, 4 * facts.input_bytes)))
    prices = price(hand_made.request(input_bytes=own_bytes), seen)
    seen = with_changes(seen, facts=replace(facts, input_bytes=own_bytes))
    assert prices.plans[0] == plan
    assert len(set(prices.plans)) == len(prices.plans)
    for row, each in enumerate(prices.plans):
        assert why_not_onward(plan, each) is None
        expected_s = slow.onward_s(seen, each)
        assert float(prices.latency_s[row]) == pytest.approx(expected_s, rel=1e-9)
