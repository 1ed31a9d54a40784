"""The command that cuts a network and runs its parts."""

import json

import torch
from torch import nn
from typer.testing import CliRunner

from offload.cli import app


def small() -> nn.Module:
    """Return a network with a way around."""

    class Around(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(6, 6), nn.Linear(6, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.two(torch.relu(self.one(x)) + x)

    return Around()


def forgetful() -> nn.Module:
    """Return a network that draws random numbers."""

    class Noisy(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.rand_like(x)

    return Noisy()


def test_every_cut_of_a_network_of_ones_own() -> None:
    command = ["split", "tests.test_split:small", "--input", "6", "--cuts", "0", "--json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert [row["after"] for row in rows] == ["(input)", "one", "relu", "add", "two"]
    assert [row["tensors"] for row in rows] == [1, 2, 2, 1, 1]
    assert {row["exact"] for row in rows} == {"yes"}


def test_a_network_that_answers_otherwise_when_cut_is_refused() -> None:
    done = CliRunner().invoke(app, ["split", "tests.test_split:forgetful", "--input", "6"])
    assert done.exit_code == 2
    assert done.stderr == "forgetful:fp32: cut at 0, 1, 2, it answers otherwise than whole\n"
