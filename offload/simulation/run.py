"""One policy in one world, once: the policy decides, the world enacts."""

import gc
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from offload.entities import Outcome, Plan, Question
from offload.planning.estimate import estimator
from offload.policies.estimating import estimating
from offload.policies.protocol import Learns, Policy, Starts, slot_s
from offload.policies.table import Choice
from offload.scenario.load import Scenario
from offload.simulation.answering import Answering, PolicyError, answering, each_asker, guard
from offload.simulation.flow import Flow, Take, Tell
from offload.simulation.meters import Powered
from offload.simulation.refusing import InvalidPlanError
from offload.simulation.world import World
from offload.streams import Streams

Nodes = Mapping[str, tuple[Policy, Choice]]  # the policies of nodes that have their own

COLLECT_EVERY_S = 0.5

# Looks on when questions have been answered and nothing has come of it yet; it must change nothing.
Watch = Callable[[World, Sequence[Question], Sequence[Plan]], None]


@dataclass(frozen=True, slots=True)
class DeviceAccount:
    """A device's energy: what its requests cost, and what it draws beside them.

    Idle watts for as long as it exists in the run and is on; its radio's joules of staying awake and of
    waking; the marginal joules of its requests. They sum to all that it draws. `battery_j` is what is
    left in its battery at the end, None where it has none: what was there at first, and `harvest_j` less
    `spilled_j` that found no room, less all that it drew but for `short_j` that was not there any more.
    It was off for `off_s`.
    """

    device: str
    group: str
    seconds: float
    busy_s: float
    idle_j: float
    marginal_j: float
    tail_j: float = 0.0
    promotion_j: float = 0.0
    off_s: float = 0.0
    harvest_j: float = 0.0
    spilled_j: float = 0.0
    short_j: float = 0.0
    battery_j: float | None = None

    @property
    def drawn_j(self) -> float:
        """All that the device draws."""
        return self.idle_j + self.tail_j + self.promotion_j + self.marginal_j


@dataclass(frozen=True, slots=True)
class Run:
    """What happened: one outcome for every born request, if they were not passed on."""

    scenario: Scenario
    choice: Choice
    seed: int
    replication: int
    outcomes: list[Outcome]
    devices: list[DeviceAccount]


def run(
    scenario: Scenario, choice: Choice, seed: int, replication: int, take: Take | None = None,
    watch: Watch | None = None, tell: Tell | None = None,
) -> Run:  # fmt: skip
    """Simulate. Raises PolicyError, which names the policy and the request.

    `take` is given the outcomes as they are done, in the order of births; else they lie in `outcomes`.
    `watch` may look on at each decision; `tell` is told the time in the world now and then.
    """
    streams = Streams(seed, replication)
    policy = fresh(choice, streams)
    nodes = {
        name: (seeing(fresh(own, streams, name), own, streams, name), own)
        for name, own in scenario.forwarders.items()
    }
    learn = None
    if isinstance(policy, Learns):
        learner = policy

        def learn(outcome: Outcome) -> None:
            when = f"in learn(outcome) for request {outcome.request.id}"
            guard(choice, when, lambda: learner.learn(outcome))

    setting = scenario.setting(choice.overhead_s, streams)
    world = World(setting, streams, choice.knowledge, learn, slot_s(policy))
    flow = Flow(world, take, tell)
    with calm_collector():
        drive(world, seeing(policy, choice, streams), choice, nodes, flow, watch)
    flow.end()
    return Run(scenario, choice, seed, replication, world.outcomes, _accounts(world, flow))


class _Collected:
    """When the collector last looked at all there is, in seconds of this process's work."""

    at_s = -math.inf


@contextmanager
def calm_collector() -> Iterator[None]:
    """Keep the cyclic garbage collector from walking the growing rows again and again.

    What is there stays out of its sight, and it looks for cycles (a policy's, perhaps) much less often.
    """
    usual = gc.get_threshold()
    # To look at all that there is takes 30 ms, ten times a short run: now and then is enough.
    full = time.process_time() - _Collected.at_s > COLLECT_EVERY_S
    gc.collect(2 if full else 1)
    gc.freeze()
    if full:
        _Collected.at_s = time.process_time()
    gc.set_threshold(200_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


def fresh(choice: Choice, streams: Streams, *owner: str) -> Policy:
    """Make a policy; the chance that it may draw is its own."""
    policy = guard(choice, "when it was made", choice.make)
    if isinstance(policy, Starts):
        guard(choice, "in start(rng)", lambda: policy.start(streams.generator("policy", *owner)))
    return policy


def seeing(policy: Policy, choice: Choice, streams: Streams, *owner: str) -> Policy:
    """Let a policy see estimates, if it was chosen so; what these draw has a chance of its own."""
    if choice.estimate is None:
        return policy
    return estimating(policy, estimator(choice.estimate, streams.generator("estimate", *owner)))


def drive(
    world: World, policy: Policy, choice: Choice, nodes: Nodes | None = None, flow: Flow | None = None,
    watch: Watch | None = None,
) -> None:  # fmt: skip
    """Answer a world's questions with a policy until it ends; those of nodes with their own.

    What is done goes on with the flow meanwhile.
    """
    answer = answering(policy, choice)
    if nodes:
        answer = each_asker(answer, {name: answering(*own) for name, own in nodes.items()})
    if watch is not None:
        answer = _watched(answer, world, watch)
    game, outcomes, many = world.play(), world.outcomes, flow.look() if flow else sys.maxsize
    try:
        questions = next(game)
        while True:
            questions = game.send(answer(questions))
            if len(outcomes) >= many:
                many = flow.look()  # type: ignore[union-attr]  # else there are never so many
    except StopIteration:
        return
    except InvalidPlanError as error:
        msg = f"policy {choice.label}: {error}"
        raise PolicyError(msg) from error


def _watched(answer: Answering, world: World, watch: Watch) -> Answering:
    """Answer in the same way, while another looks on."""

    def answer_watched(questions: Sequence[Question]) -> Sequence[Plan]:
        plans = answer(questions)
        watch(world, questions, plans)
        return plans

    return answer_watched


def _accounts(world: World, flow: Flow) -> list[DeviceAccount]:
    until_s = max(world.setting.duration_s, flow.last_s)
    idle_w = {facts.group: facts.hardware.idle_w.value for facts in world.setting.facts}
    accounts = []
    for device in world.setting.devices:
        seconds, meter = device.place.track.present_s(until_s), world.meters.get(device.name)
        more: dict[str, float] = {}
        if meter is not None:
            meter.stop(min(until_s, device.leaves_s))
            more = {"tail_j": meter.tail_j, "promotion_j": meter.promotion_j}
        if isinstance(meter, Powered):
            keys = ("off_s", "harvest_j", "spilled_j", "short_j")
            more |= {key: getattr(meter, key) for key in keys} | {"battery_j": meter.left_j}
        accounts.append(DeviceAccount(
            device.name, device.group, seconds, world.compute[device.name].busy_s,
            idle_w[device.group] * (seconds - more.get("off_s", 0.0)), flow.energy_j[device.name],
            **more,
        ))  # fmt: skip
    return accounts
