"""The same world for agents that learn: environments of Gymnasium and PettingZoo.

Ten lines make an agent that decides at random among the plans that are open:

>>> import gymnasium
>>> import offload.rl
>>> env = gymnasium.make("offload/Offload", scenario="tests/small.toml")
>>> features, info = env.reset(seed=3)
>>> useful, over = 0.0, False
>>> while not over:
...     action = env.action_space.sample(info["action_mask"])
...     features, reward, over, _, info = env.step(action)
...     useful += reward
>>> rows = env.unwrapped.rows()
>>> useful == (rows["on_time"] & rows["correct"]).sum() and 0 < useful < rows.height
True
"""

import gymnasium

from offload.rl.env import OffloadEnv as OffloadEnv
from offload.rl.episodes import EnvError as EnvError
from offload.rl.episodes import useful as useful
from offload.rl.parallel import OffloadParallelEnv as OffloadParallelEnv

gymnasium.register("offload/Offload", "offload.rl:OffloadEnv")
