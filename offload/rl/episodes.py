"""The replications of a scenario in which agents decide: who is asked, and what has arrived."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import polars as pl

from offload.analysis.rows import to_frame
from offload.entities import Facts, Knowledge, OffloadError, Outcome, Plan, Question
from offload.planning.exits import accuracy
from offload.policies import table
from offload.policies.protocol import Learns
from offload.policies.table import KNOWLEDGE, Choice
from offload.rl.view import Sight, View
from offload.scenario.load import Scenario, load
from offload.simulation.answering import Answering, PolicyError, answering, each_asker, guard
from offload.simulation.refusing import InvalidPlanError
from offload.simulation.run import fresh, seeing
from offload.simulation.world import World
from offload.streams import Streams

Reward = Callable[[Outcome], float]


class EnvError(OffloadError):
    """No environment can be made of a scenario as it was asked for."""


def useful(outcome: Outcome) -> float:
    """Return 1 if a request was answered rightly before its deadline, else 0; 0 for parts of a frame."""
    request = outcome.request
    on_time = not outcome.cause and outcome.ended_s - request.born_s <= request.deadline_s
    return float(on_time and bool(outcome.correct) and request.parent is None)


class Options(TypedDict, total=False):
    """What environments may be made with; each is explained at `Episodes`."""

    split: bool
    prices: bool
    knowledge: Knowledge
    others: str | Choice | None
    overhead_s: float
    slot_s: float
    reward: Reward


class Episodes:
    """A scenario, what agents decide in it, and one replication of it after the other.

    `of` names a group of devices ("car") or one of its tasks ("car.objects"), by default all: about
    these agents are asked, about others the policy `others` (by default the scenario's own, else
    `quickest`; without a slot or an overhead of its own), and edge nodes that decide ask their own. All
    have the same `knowledge`; to decide takes `overhead_s`. With `slot_s`, devices ask together at its
    multiples (seconds). `split` and `prices` are those of a View. `reward` is paid for each Outcome that
    arrives, of a frame's parts as well as of the frame. Raises EnvError, ScenarioError,
    PolicyTableError.
    """

    def __init__(
        self,
        scenario: Scenario | str | Path,
        of: str | None = None,
        *,
        split: bool = True,
        prices: bool = False,
        knowledge: Knowledge = "reported",
        others: str | Choice | None = None,
        overhead_s: float = 0.0,
        slot_s: float = 0.0,
        reward: Reward = useful,
    ) -> None:
        self.scenario = scenario if isinstance(scenario, Scenario) else load(scenario)
        if knowledge not in KNOWLEDGE:
            msg = f"knowledge is {knowledge!r}; it must be one of {', '.join(KNOWLEDGE)}"
            raise EnvError(msg)
        self.knowledge = knowledge
        self.overhead_s, self.slot_s, self.reward = overhead_s, slot_s, reward
        if isinstance(others, str):
            others = table.choose({"name": others})
        self.others = others or self.scenario.policy or table.choose({"name": "quickest"})
        self.setting = self.scenario.setting(overhead_s)
        self.tasks = _tasks(self.setting.facts, of)
        try:
            self.view = View(self.tasks, knowledge, split=split, prices=prices)
        except ValueError as error:
            raise EnvError(str(error)) from error
        if reward is useful:
            self._check_judged()
        self.seed, self.replication = self.scenario.file.seed, -1

    def task(self, name: str | None) -> Facts:
        """Return the facts of a task ("car.objects"), by default of the first. Raises EnvError."""
        named = {f"{facts.group}.{facts.asked}": facts for facts in self.tasks}
        if name is not None and name not in named:
            msg = f"agents do not decide about {name!r}, but about: {', '.join(named)}"
            raise EnvError(msg)
        return self.tasks[0] if name is None else named[name]

    def _check_judged(self) -> None:
        for facts, plans in self.view.actions.items():
            unknown = next((plan for plan in plans if accuracy(plan) is None), None)
            if unknown is not None:
                msg = (
                    f"nobody can say how often {unknown.variant.label} is right"
                    f" ({facts.group}.{facts.asked}); give a reward of your own, of an Outcome"
                )
                raise EnvError(msg)

    def begin(self, seed: int | None, options: Mapping[str, Any] | None) -> "Episode":
        """Begin the next replication: 0 of a seed that is given, at first of the scenario's own.

        `options` may say which: {"replication": 3}.
        """
        if seed is not None:
            self.seed, self.replication = seed, -1
        self.replication = (options or {}).get("replication", self.replication + 1)
        return Episode(self, Streams(self.seed, self.replication))


class Episode:
    """One replication: `questions` are those that agents must answer now; none when it is over."""

    def __init__(self, episodes: Episodes, streams: Streams) -> None:
        self.episodes = episodes
        self.questions: tuple[Question, ...] = ()
        self.asked: tuple[Question, ...] = ()  # theirs, and those that policies answer
        scenario, choice = episodes.scenario, episodes.others
        policy = fresh(choice, streams)
        nodes = {
            name: answering(seeing(fresh(own, streams, name), own, streams, name), own)
            for name, own in scenario.forwarders.items()
        }
        self._answer: Answering = each_asker(answering(seeing(policy, choice, streams), choice), nodes)
        self._learner = policy if isinstance(policy, Learns) else None
        self._arrived: list[Outcome] = []
        self._tasks = {(facts.group, facts.task) for facts in episodes.tasks}
        setting = scenario.setting(episodes.overhead_s, streams)
        # A world that tells of outcomes does so when they arrive, not before.
        self.world = World(setting, streams, episodes.knowledge, self._learn, episodes.slot_s)
        self._game = self.world.play()
        self._send(None)

    def _learn(self, outcome: Outcome) -> None:
        if (outcome.request.group, outcome.request.task) in self._tasks:
            self._arrived.append(outcome)
            return
        learner, choice = self._learner, self.episodes.others
        if learner is not None:
            when = f"in learn(outcome) for request {outcome.request.id}"
            guard(choice, when, lambda: learner.learn(outcome))

    def answer(self, plans: Sequence[Plan]) -> None:
        """Answer the questions with a plan each, and run on to the next."""
        self._send(self._with_others(plans))

    def _send(self, plans: Sequence[Plan] | None) -> None:
        """Let the world run until it asks something of agents, or ends."""
        self.questions = ()
        try:
            while not self.questions:
                self.asked = self._game.send(plans)  # type: ignore[arg-type]  # None begins it
                self.questions = tuple(each for each in self.asked if self._is_mine(each))
                if not self.questions:
                    plans = self._with_others(())
        except StopIteration:
            self.asked = ()
        except InvalidPlanError as error:
            msg = f"policy {self.episodes.others.label}: {error}"
            raise PolicyError(msg) from error

    def _is_mine(self, question: Question) -> bool:
        seen = question.seen
        return seen.begun is None and seen.facts in self.episodes.view.actions

    def _with_others(self, plans: Sequence[Plan]) -> Sequence[Plan]:
        """Put the agents' plans among those of policies, in the order in which the world asked."""
        if len(plans) == len(self.asked):
            return plans
        mine = iter(plans)
        others = iter(self._answer([each for each in self.asked if not self._is_mine(each)]))
        return [next(mine if self._is_mine(each) else others) for each in self.asked]

    def arrived(self) -> list[Outcome]:
        """Return the outcomes that have arrived since this was asked before."""
        found, self._arrived = self._arrived, []
        return found

    def rows(self) -> pl.DataFrame:
        """Return the rows of all requests that have ended: the columns are `analysis.rows.SCHEMA`."""
        return to_frame(self.world.outcomes, self.world.setting.facts)


def choose(sight: Sight, action: int) -> tuple[Plan, bool]:
    """Return the plan of an action, and whether that is closed: then it is the first that is open.

    The first plans are those of the device alone, where it has any.
    """
    closed = action not in sight.plans
    return sight.plans[min(sight.plans) if closed else action], closed


def _tasks(all_facts: Sequence[Facts], of: str | None) -> tuple[Facts, ...]:
    """Return the facts of a group or of a task of it, stages and all."""
    found = tuple(
        facts for facts in all_facts if of in (None, facts.group, f"{facts.group}.{facts.task}")
    )
    if not found:
        known = dict.fromkeys(f"{facts.group}.{facts.task}" for facts in all_facts)
        msg = f"nobody asks about {of!r}; a group of devices or one of its tasks: {', '.join(known)}"
        raise EnvError(msg)
    return found
