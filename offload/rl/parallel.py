"""An agent for each device, or for each group of them: a parallel environment of PettingZoo."""

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Unpack

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, Space
from pettingzoo import ParallelEnv

from offload.entities import OffloadError, Plan, Question
from offload.rl.episodes import Episode, Episodes, Options, choose
from offload.rl.view import Features, Mask, Sight
from offload.scenario.load import Scenario

Seen = dict[str, Features | Mask]  # "observation" and "action_mask"


class OffloadParallelEnv(ParallelEnv):  # type: ignore[misc]  # it has no types
    """A scenario's world, in which each device (or group) has an agent that decides for it.

    A step takes the actions of the agents that are asked, answers their questions, and runs until any
    are asked again: with `slot_s` all whose requests came up in a slot, else those of the same moment,
    most often one. In this it deviates from PettingZoo, where all act in each step: who is not asked has
    an observation and an `action_mask` of zeros, and whatever action it gives is not looked at. Who has
    several questions at once answers one a step; the world goes on when all are answered. All agents
    live until the world ends, those too whose devices come later or have left.

    Rewards are of each agent's own outcomes. Replications, features, actions that are closed, rewards
    and options are those of OffloadEnv, and all agents have the same spaces. Infos: `asked`, `now_s`,
    `arrived`, `closed`, and of the question that an agent is asked `request` and `task`.
    """

    metadata: ClassVar[dict[str, Any]] = {"name": "offload", "render_modes": []}

    def __init__(
        self,
        scenario: Scenario | str | Path,
        of: str | None = None,
        *,
        by: Literal["device", "group"] = "device",
        **options: Unpack[Options],
    ) -> None:
        self.episodes = Episodes(scenario, of, **options)
        self.by: Literal["device", "group"] = by
        view = self.view = self.episodes.view
        groups = {facts.group for facts in view.tasks}
        devices = [each for each in self.episodes.setting.devices if each.group in groups]
        named = [each.name if by == "device" else each.group for each in devices]
        self.possible_agents: list[str] = list(dict.fromkeys(named))
        self.agents: list[str] = []
        self.render_mode = None
        mask = Box(0, 1, (view.size,), np.int8)
        seen = Dict({"observation": Box(view.low, view.high, dtype=np.float32), "action_mask": mask})
        self._seen_spaces = dict.fromkeys(self.possible_agents, seen)
        self._action_spaces = {agent: Discrete(view.size) for agent in self.possible_agents}
        self.episode: Episode | None = None
        self.questions: dict[str, deque[Question]] = {}  # that are open, by agent
        self._sights: dict[str, Sight] = {}  # of the first of each
        self._plans: dict[int, Plan] = {}  # by request

    def observation_space(self, agent: str) -> Dict:
        """Return a dict of `observation`, float32 (features,), and `action_mask`, int8 (n,)."""
        return self._seen_spaces[agent]

    def action_space(self, agent: str) -> Space[np.int64]:
        """Return numbers of plans."""
        return self._action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Seen], dict[str, dict[str, Any]]]:
        """Begin a replication and return what each agent sees."""
        self.episode = self.episodes.begin(seed, options)
        self.agents = list(self.possible_agents)
        self._take_questions(self.episode)
        return self._seen(), self._infos(self.episode, {}, set())

    def step(
        self, actions: Mapping[str, int]
    ) -> tuple[
        dict[str, Seen], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]
    ]:
        """Answer one question of each agent that is asked. Raises ValueError without its action."""
        episode = self.episode
        if episode is None or not self.agents:
            msg = "nobody is asked anything: call reset()"
            raise OffloadError(msg)
        self._check(actions)
        closed = {agent for agent in self.questions if self._decide(agent, actions[agent])}
        self.questions = {agent: left for agent, left in self.questions.items() if left}
        if self.questions:
            self._look()
        else:
            episode.answer([self._plans[each.request.id] for each in episode.questions])
            self._take_questions(episode)
        rewards = dict.fromkeys(self.agents, 0.0)
        arrived: dict[str, list[int]] = {}
        for outcome in episode.arrived():
            agent = getattr(outcome.request, self.by)
            rewards[agent] += self.episodes.reward(outcome)
            arrived.setdefault(agent, []).append(outcome.request.id)
        over = dict.fromkeys(self.agents, not self.questions)
        found = self._seen(), rewards, over, dict.fromkeys(self.agents, False)
        infos = self._infos(episode, arrived, closed)
        if not self.questions:
            self.agents = []
        return *found, infos

    def _take_questions(self, episode: Episode) -> None:
        """Hand the questions of this moment to those whom they are for."""
        self.questions, self._plans = {}, {}
        for question in episode.questions:
            self.questions.setdefault(getattr(question.request, self.by), deque()).append(question)
        self._look()

    def _look(self) -> None:
        """See what each sees whom a question is open to."""
        self._sights = {agent: self.view.look(mine[0]) for agent, mine in self.questions.items()}

    def _check(self, actions: Mapping[str, int]) -> None:
        for agent in self.questions:
            if agent not in actions or not self._action_spaces[agent].contains(actions[agent]):
                given = repr(actions[agent]) if agent in actions else "nothing"
                most = self.view.size - 1
                msg = f"{agent} is asked and gives {given}; give a whole number from 0 to {most}"
                raise ValueError(msg)

    def _decide(self, agent: str, action: int) -> bool:
        """Answer an agent's first question; tell whether that action was closed."""
        question = self.questions[agent].popleft()
        self._plans[question.request.id], closed = choose(self._sights[agent], int(action))
        return closed

    def _seen(self) -> dict[str, Seen]:
        """Return what each agent sees, which is its own to keep."""
        found: dict[str, Seen] = {}
        for agent in self.agents:
            sight = self._sights.get(agent) or self.view.blank()
            found[agent] = {"observation": sight.features, "action_mask": sight.mask}
        return found

    def _infos(
        self, episode: Episode, arrived: Mapping[str, list[int]], closed: set[str]
    ) -> dict[str, dict[str, Any]]:
        found = {}
        for agent in self.agents:
            info = found[agent] = {
                "asked": agent in self.questions,
                "now_s": episode.world.clock.now,
                "arrived": tuple(arrived.get(agent, ())),
                "closed": agent in closed,
            }
            if agent in self.questions:
                request = self.questions[agent][0].request
                info |= {"request": request.id, "task": request.asked}
        return found
