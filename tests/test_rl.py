"""Agents that learn play the same world as policies, by the rules of Gymnasium and PettingZoo."""

import copy
import pickle
from itertools import pairwise

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from pettingzoo.test import parallel_api_test, parallel_seed_test

from offload import load, simulate
from offload.entities import OffloadError
from offload.planning.price import price
from offload.policies.quickest import Quickest
from offload.policies.table import choose
from offload.rl import EnvError, OffloadEnv, OffloadParallelEnv
from offload.rl.view import MOST
from tests.hand_made import ROOT

SMALL = ROOT / "tests" / "small.toml"
SHORT = ('warm_up="0 s"', 'duration="3 s"')
# Two tasks, cells that overlap; frames of several networks; cells that hand over; batteries; faults.
OTHERS = {
    "camera-corridor": SHORT,
    "ar-headset": ('warm_up="0 s"', 'duration="1 s"'),
    "highway-platoon": ('warm_up="0 s"', 'duration="1 s"'),
    "clinic-wearables": SHORT,
    "blackout": (*SHORT, 'faults.power.windows=[["1 s", "2 s"]]'),
}


def scenario(name):
    return load(ROOT / "scenarios" / f"{name}.toml", OTHERS[name])


def action_of(env, policy):
    """Return the action that a policy would choose, which is given what the agent sees as numbers."""
    plan = policy.decide(env.question.request, env.question.seen)
    return next(action for action, found in env._sight.plans.items() if found == plan)


def play(env, act, **reset):
    """Play an episode; return all that was seen and the rewards."""
    seen, rewards, over = [env.reset(**reset)], [], False
    while not over:
        features, reward, over, _, info = env.step(act(env))
        assert env.observation_space.contains(features)
        seen.append((features, info))
        rewards.append(reward)
    return seen, rewards


def at_random(env):
    return env.action_space.sample()


@pytest.mark.parametrize(
    "options", [{}, {"prices": True, "knowledge": "clairvoyant", "split": False, "slot_s": 0.2}]
)
def test_gymnasium_finds_nothing_wrong(options):
    env = gymnasium.make("offload/Offload", scenario=str(SMALL), **options)
    check_env(env.unwrapped)


def test_it_is_made_of_a_scenario_or_of_its_path_and_anywhere():
    by_name = gymnasium.make("offload.rl:offload/Offload", scenario=load(SMALL)).unwrapped
    assert play(by_name, lambda _: 0)[1] == play(OffloadEnv(SMALL), lambda _: 0)[1]
    both = gymnasium.make_vec("offload/Offload", 2, "sync", scenario=str(SMALL))
    features, _ = both.reset(seed=5)
    alone = [OffloadEnv(SMALL).reset(seed=seed)[0] for seed in (5, 6)]
    assert np.array_equal(features, alone)
    for again in (copy.deepcopy(load(SMALL)), pickle.loads(pickle.dumps(load(SMALL)))):
        assert again.digest == load(SMALL).digest


@pytest.mark.parametrize("knowledge", ["reported", "clairvoyant"])
@pytest.mark.parametrize("name", OTHERS)
def test_who_acts_as_a_policy_gets_the_rows_of_that_policy(name, knowledge):
    table = {"name": "quickest", "knowledge": knowledge}
    env = OffloadEnv(scenario(name), knowledge=knowledge)
    _, rewards = play(env, lambda env: action_of(env, Quickest()), seed=4, options={"replication": 2})
    expected = simulate(scenario(name), choose(table), seed=4, replication=2).rows()
    assert env.rows().equals(expected)
    roots = expected.filter(expected["parent"].is_null())
    useful = (roots["on_time"] & roots["correct"].fill_null(value=False)).sum()
    assert sum(rewards) == useful > 0
    assert useful < roots.height
    assert max(rewards) < useful  # they came as the outcomes did


def test_rewards_come_when_outcomes_arrive_and_once():
    env = OffloadEnv(SMALL, reward=lambda outcome: -outcome.ended_s)
    _, info = env.reset(seed=1)
    arrived, before_s, over = [], 0.0, False
    while not over:
        _, reward, over, _, info = env.step(at_random(env))
        ended_s = {outcome.request.id: outcome.ended_s for outcome in env.episode.world.outcomes}
        assert all(before_s <= ended_s[each] <= info["now_s"] + 1e-12 for each in info["arrived"])
        assert reward == pytest.approx(-sum(ended_s[each] for each in info["arrived"]))
        before_s = info["now_s"]
        arrived += info["arrived"]
    assert sorted(arrived) == sorted(env.rows()["request"].to_list())
    assert len(arrived) > 90


def test_a_seed_decides_all_that_follows():
    def rounds(*seeds):
        env = OffloadEnv(SMALL)
        env.action_space.seed(1)
        return [play(env, at_random, seed=seed) for seed in seeds]

    one, other, differs = rounds(7, None), rounds(7, None), rounds(8)
    for (seen, rewards), (again, same) in zip(one, other, strict=True):
        assert rewards == same
        assert all(np.array_equal(a[0], b[0]) for a, b in zip(seen, again, strict=True))
    assert not np.array_equal(one[0][0][1][0], one[1][0][1][0])  # the next replication is another
    assert not np.array_equal(one[0][0][1][0], differs[0][0][1][0])
    env = OffloadEnv(SMALL)
    second, _ = env.reset(options={"replication": 1})
    first, _ = env.reset(seed=3)  # the scenario's own
    assert np.array_equal(first, OffloadEnv(SMALL).reset()[0])
    assert not np.array_equal(first, second)
    assert np.array_equal(second, env.reset()[0])


def test_features_say_what_the_policy_would_see():
    env = OffloadEnv(scenario("highway-platoon"), prices=True)
    env.reset(seed=2)
    met = set()
    for _ in range(150):
        question, told = env.question, dict(zip(env.names, env._sight.features.tolist(), strict=True))
        request, seen = question.request, question.seen
        deadline_s = seen.facts.deadline_s
        prices = price(request, seen)
        expected = {
            "time_left": request.deadline_s / deadline_s,
            "backlog": seen.backlog_s / deadline_s,
            f"task.vehicle.{request.task}": 1.0,
        }
        for name, uplink in seen.uplinks.items():
            met.add((name, name == seen.serving))
            expected[f"serving.{name}"] = float(name == seen.serving)
            expected[f"reachable.{name}"] = float(uplink.reachable)
            expected[f"up.{name}"] = uplink.rate_bps / seen.facts.cells[name].up_bps
            expected[f"down.{name}"] = uplink.down_bps / seen.facts.cells[name].down_bps
            expected[f"own_age.{name}"] = (uplink.own_age_s or 0.0) / deadline_s
        for name, report in seen.reports.items():
            met.add((name, report is not None))
            expected[f"heard.{name}"] = float(report is not None)
            expected[f"age.{name}"] = (
                0.0 if report is None else (seen.now_s - report.sent_s) / deadline_s
            )
        for number, plan in enumerate(env.plans(f"vehicle.{request.task}")):
            shown = [told_plan for told_plan in prices.plans if same_but_for_the_cell(told_plan, plan)]
            expected[f"latency.{number}"] = (
                prices.latency_s[prices.plans.index(shown[0])] / deadline_s if shown else MOST
            )
            assert env.action_masks()[number] == bool(shown)
        for name, value in expected.items():
            assert told[name] == pytest.approx(min(value, MOST), rel=1e-6), name
        env.step(action_of(env, Quickest()))
    assert len(met) > 5


def same_but_for_the_cell(one, other):
    fields = ("variant", "device_cut", "edge_cut", "edge", "cloud", "codec", "exit", "confidence")
    return all(getattr(one, name) == getattr(other, name) for name in fields)


def test_a_closed_action_is_the_first_that_is_open():
    env = OffloadEnv(load(SMALL, ['links.cell.range="1 m"', 'devices.car.at=["5 m", "0 m"]']))
    _, info = env.reset()
    assert info["action_mask"].tolist() == [1, 0, 0, 0, 0, 0]
    *_, info = env.step(env.view.size - 1)
    assert info["closed"]
    assert not env.step(0)[4]["closed"]
    play(env, at_random)
    assert env.rows()["device_cut"].unique().to_list() == [env.plans()[0].device_cut]


def test_the_first_that_is_open_is_the_devices_own():
    env = OffloadEnv(scenario("highway-platoon"))  # one of its tasks has fewer plans than the other
    seen, _ = play(env, lambda env: env.view.size - 1)
    closed = {info["task"] for (_, info), (_, then) in pairwise(seen) if then["closed"]}
    assert closed == {"sensors"}
    rows = env.rows()
    plans = {task: env.plans(f"vehicle.{task}") for task in ("sensors", "manoeuvre")}
    assert len(plans["sensors"]) < len(plans["manoeuvre"]) == env.view.size
    sensors = rows.filter(rows["task"] == "sensors")
    assert sensors["uplink"].drop_nulls().is_empty()
    assert sensors["variant"].unique().to_list() == [plans["sensors"][0].variant.label]


@pytest.mark.parametrize("action", [-1, 99, 1.0, "edge", None])
def test_what_is_no_action_is_refused(action):
    env = OffloadEnv(SMALL)
    env.reset()
    with pytest.raises(ValueError, match="is no action; give a whole number from 0 to 5"):
        env.step(action)


def test_nobody_steps_before_the_beginning_or_after_the_end():
    env = OffloadEnv(SMALL)
    for call in (env.rows, lambda: env.step(0)):
        with pytest.raises(ResetNeeded):
            call()
    play(env, at_random)
    with pytest.raises(ResetNeeded):
        env.step(0)


def test_a_world_that_asks_nothing_ends_at_once():
    quiet = load(SMALL, ['devices.car.tasks.objects.every="24 h"', *SHORT])
    env = OffloadEnv(quiet)
    features, info = env.reset(seed=1)
    assert env.question is None
    assert not features.any()
    assert not info["action_mask"].any()
    assert env.step(3)[1:4] == (0.0, True, False)
    assert env.rows().height == 0
    env = OffloadParallelEnv(quiet)
    env.reset(seed=1)
    assert set(env.step({})[2].values()) == {True}


def test_policies_decide_what_the_agent_is_not_asked():
    corridor = scenario("camera-corridor")
    env = OffloadEnv(corridor, "west.vehicles", others="local")
    seen, rewards = play(env, lambda env: action_of(env, Quickest()))
    assert {info["task"] for _, info in seen[:-1]} == {"vehicles"}
    rows = env.rows()
    mine = rows.filter((rows["group"] == "west") & (rows["task"] == "vehicles"))
    others = rows.filter((rows["group"] != "west") | (rows["task"] != "vehicles"))
    assert len(seen) - 1 == mine.height
    assert sum(rewards) == (mine["on_time"] & mine["correct"].fill_null(value=False)).sum()
    assert mine["edge"].drop_nulls().len() > 0 == others["edge"].drop_nulls().len()
    assert rows.height == simulate(corridor, "local").rows().height


def test_of_a_slot_agents_and_policies_answer_their_own():
    corridor = scenario("camera-corridor")
    rows = []
    for of in (None, "west", "east.vehicles"):
        env = OffloadEnv(corridor, of, others="quickest", slot_s=0.05)
        play(env, lambda env: action_of(env, Quickest()))
        rows.append(env.rows())
    assert rows[0].equals(rows[1])
    assert rows[0].equals(rows[2])


def test_nodes_that_decide_ask_their_own():
    small = load(SMALL, ['nodes.cabinet.policy={name="quickest"}', *SHORT])
    env = OffloadEnv(small)

    def act(env):
        assert env.question.seen.begun is None
        return action_of(env, Quickest())

    play(env, act, seed=3)
    assert env.rows()["edge"].drop_nulls().len() > 5
    assert env.rows().equals(simulate(small, "quickest", seed=3).rows())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("robotaxi", {}, r"nobody can say how often .* is right \(taxi.detection\); give a reward"),
        (
            "camera-corridor",
            {"of": "north"},
            "nobody asks about 'north'; .*west.vehicles, west.counting",
        ),
        (
            "camera-corridor",
            {"knowledge": "all"},
            "knowledge is 'all'; it must be one of reported, fresh",
        ),
    ],
)
def test_what_cannot_be_made_is_refused(name, options, message):
    path = ROOT / "scenarios" / f"{name}.toml"
    with pytest.raises(EnvError, match=message):
        OffloadEnv(path, **options)
    if name == "robotaxi":
        OffloadEnv(path, reward=lambda outcome: -outcome.energy_j).reset()


# An agent for each device.


def test_pettingzoo_finds_nothing_wrong():
    parallel_api_test(OffloadParallelEnv(SMALL), 1000)
    parallel_api_test(OffloadParallelEnv(scenario("camera-corridor"), by="group"), 1000)
    parallel_seed_test(lambda: OffloadParallelEnv(SMALL, slot_s=0.05), 200)


@pytest.mark.parametrize("by", ["device", "group"])
@pytest.mark.parametrize("slot_s", [0.0, 0.15])
def test_agents_together_play_the_same_world(by, slot_s):
    """Each does as `quickest` by what it sees itself: so does one agent that answers for all."""
    corridor = scenario("camera-corridor")
    env = OffloadParallelEnv(corridor, by=by, slot_s=slot_s, prices=True)
    first = env.view.names.index("latency.0")
    seen, infos = env.reset(seed=6)
    most = steps = 0
    total = dict.fromkeys(env.agents, 0.0)
    agents = list(env.agents)
    assert agents == env.possible_agents
    while env.agents:
        asked = {agent for agent, info in infos.items() if info["asked"]}
        assert asked == {agent for agent, each in seen.items() if each["action_mask"].any()}
        assert all(not each["observation"].any() for agent, each in seen.items() if agent not in asked)
        most, steps = max(most, len(asked)), steps + 1
        actions = {agent: seen[agent]["observation"][first:].argmin() for agent in asked}
        seen, rewards, over, _, infos = env.step(actions)
        for agent, reward in rewards.items():
            total[agent] += reward
    assert set(over.values()) == {True}
    alone = OffloadEnv(corridor, slot_s=slot_s, prices=True)
    _, sums = play(alone, lambda env: env._sight.features[first:].argmin(), seed=6)
    rows = env.episode.rows()
    assert rows.equals(alone.rows())
    assert sum(total.values()) == sum(sums) > 0
    right = rows.filter(rows["on_time"] & rows["correct"].fill_null(value=False))
    counts = dict(right[by].value_counts().iter_rows())
    assert {agent: count for agent, count in total.items() if count} == counts
    assert (most > 3) == (slot_s > 0 and by == "device")


def test_an_agent_that_is_asked_must_act():
    env = OffloadParallelEnv(SMALL)
    with pytest.raises(OffloadError, match="call reset"):
        env.step({})
    _, infos = env.reset()
    (asked,) = (agent for agent, info in infos.items() if info["asked"])
    for actions in ({}, {asked: 17}):
        with pytest.raises(ValueError, match=f"{asked} is asked and gives"):
            env.step(actions)
