"""One agent that answers one question after the other: a Gymnasium environment."""

from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Unpack

import gymnasium
import numpy as np
import polars as pl
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box, Discrete

from offload.entities import Plan, Question
from offload.rl.episodes import Episode, Episodes, Options, choose
from offload.rl.view import Features, Mask
from offload.scenario.load import Scenario


class OffloadEnv(gymnasium.Env[Features, np.int64]):
    """A scenario's world, in which the agent decides where each request runs.

    `reset` begins a replication: `reset(seed=7)` the first of seed 7, each `reset()` after that the
    next, so that what follows a seed can be repeated; `reset(options={"replication": 3})` the one that
    is named. Without any seed it is the scenario's own. The same seed and replication are the same
    births and luck as in `offload.simulate`.

    `step(action)` answers the question that is open, and runs to the next one. Questions of the same
    moment (or slot) are put one after the other, and no time passes between them: of the answers to the
    first, the observations of the others do not tell yet. An action that is closed now (`action_mask` is
    0: no cell serves the device, say) is taken for the first that is open, and `info["closed"]` says so.
    The reward is the sum over the outcomes that have arrived since the last step, by default 1 for each
    that is useful: so an episode's rewards sum to its useful rows. An episode is terminated when all
    requests have their row, never truncated; what is seen then is all zero.

    Observation: float32, shape (features,), explained at View; `names` names the features. Action: a
    number below `action_space.n`; `plans()` tells what they are for a task. Info: `now_s`; `action_mask`
    (int8, shape (n,)); `arrived`, the ids of the requests whose outcomes are in the reward; `closed`;
    and of the question `request`, `device`, `task`. For more, `question` is what a policy is given.

    `scenario` is one, or the path of its file. `of` and the options are explained at Episodes.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 - as Gymnasium declares it

    def __init__(
        self, scenario: Scenario | str | Path, of: str | None = None, **options: Unpack[Options]
    ) -> None:
        self.episodes = Episodes(scenario, of, **options)
        view = self.view = self.episodes.view
        self.names = view.names
        self.observation_space = Box(view.low, view.high, dtype=np.float32)
        self.action_space = Discrete(view.size)
        self.episode: Episode | None = None
        self.question: Question | None = None
        self._over = True
        self._waiting: deque[Question] = deque()
        self._plans: list[Plan] = []
        self._sight = view.blank()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Features, dict[str, Any]]:
        """Begin a replication and return its first question."""
        super().reset(seed=seed)
        self.episode = self.episodes.begin(seed, options)
        self._over, self._plans = False, []
        self._put(self.episode.questions)
        return self._sight.features, self._info(self.episode)

    def step(self, action: np.int64 | int) -> tuple[Features, float, bool, bool, dict[str, Any]]:
        """Answer the question. Raises ValueError for what is no action, ResetNeeded when all is over."""
        episode, closed = self.episode, False
        if episode is None or self._over:
            msg = "there is no question to answer: call reset()"
            raise ResetNeeded(msg)
        if not self.action_space.contains(action):
            msg = f"{action!r} is no action; give a whole number from 0 to {self.view.size - 1}"
            raise ValueError(msg)
        if self.question is not None:  # else the world ended before it asked anything
            plan, closed = choose(self._sight, int(action))
            self._plans.append(plan)
            if not self._waiting:
                episode.answer(self._plans)
                self._plans = []
            self._put(self._waiting or episode.questions)
        arrived = episode.arrived()
        reward = float(sum(map(self.episodes.reward, arrived)))
        self._over = self.question is None
        ids = tuple(outcome.request.id for outcome in arrived)
        return self._sight.features, reward, self._over, False, self._info(episode, ids, closed=closed)

    def _put(self, questions: Iterable[Question]) -> None:
        """Put the first of these questions to the agent."""
        self._waiting = deque(questions)
        self.question = self._waiting.popleft() if self._waiting else None
        self._sight = self.view.blank() if self.question is None else self.view.look(self.question)

    def _info(
        self, episode: Episode, arrived: tuple[int, ...] = (), *, closed: bool = False
    ) -> dict[str, Any]:
        info = {
            "now_s": episode.world.clock.now,
            "action_mask": self._sight.mask,
            "arrived": arrived,
            "closed": closed,
        }
        if self.question is not None:
            request = self.question.request
            asked = {"request": request.id, "device": request.device, "task": request.asked}
            info |= asked
        return info

    def action_masks(self) -> Mask:
        """Return what is open now, under the name by which agents that mask actions look for it."""
        return self._sight.mask.copy()

    def plans(self, task: str | None = None) -> tuple[Plan, ...]:
        """Return the plan of each action of a task ("car.objects"), by default of the first.

        `uplinks` is empty where it is the cell that serves the device. Raises EnvError.
        """
        facts = self.episodes.task(task)
        return tuple(self.view.actions[facts])

    def rows(self) -> pl.DataFrame:
        """Return the rows of all requests that have ended, as `Result.rows()` does: all, when over."""
        if self.episode is None:
            msg = "nothing has happened yet: call reset()"
            raise ResetNeeded(msg)
        return self.episode.rows()
