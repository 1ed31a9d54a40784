"""Why torch refuses a network, in one line; and that what is captured answers as the network does."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from offload.dnn import capturing
from offload.dnn.capturing import captured, check_exact, same
from offload.dnn.network import UnknownNetworkError

EXAMPLE = (torch.linspace(-1, 2, 12).reshape(3, 4),)


class Branches(nn.Module):
    """It goes another way for other numbers."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1 if x.sum() > 0 else x - 1


class Counts(nn.Module):
    """A size depends on the numbers."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros(int(x.abs().sum().item())) + x.sum()


class Numpy(nn.Module):
    """It leaves torch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(np.tanh(x.numpy()))


class Misfit(nn.Module):
    """Its weights do not fit the example."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x)


class Raises(nn.Module):
    """It refuses everything."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        msg = "only blue tensors\nand other things"
        raise ValueError(msg)


class TwoInputs(nn.Module):
    """The example has one."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y


@pytest.mark.parametrize(
    ("network", "line", "reason"),
    [
        (
            Branches(),
            "return x + 1 if",
            "a branch or a size depends on computed values (at Tensor.__bool__)",
        ),
        (Counts(), "return torch.zeros(", "a branch or a size depends on computed values"),
        (Numpy(), "return torch.from_numpy(", ".numpy() is not supported for tensor subclasses."),
        (Misfit(), "return self.linear(x)", "got [3, 4] X [5, 3]. (at aten.mm.default)"),
        (Raises(), "raise ValueError(msg)", "ValueError: only blue tensors"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_a_refusal_names_the_line_and_the_operator(
    network: nn.Module, line: str, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UnknownNetworkError) as refused:
        captured("mine", network, EXAMPLE)
    told = str(refused.value)
    source = Path(__file__).read_text().splitlines()
    number = next(n for n, text in enumerate(source, 1) if text.strip().startswith(line))
    assert told.startswith(f"mine: torch cannot capture it: {__file__}:{number}: `{line}")
    assert reason in told
    assert "\n" not in told
    assert capfd.readouterr() == ("", "")  # torch would fill pages


def test_a_refusal_outside_the_network_names_no_line() -> None:
    with pytest.raises(UnknownNetworkError) as refused:
        captured("mine", TwoInputs(), EXAMPLE)
    assert str(refused.value) == (
        "mine: torch cannot capture it: TypeError: missing a required argument: 'y'"
    )


def test_want_of_memory_is_told_in_gigabytes() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(10**15)
    assert "it needs 4000000.0 GB at once, more than there is" in capturing.why(raised.value)


class Noise(nn.Module):
    """It draws random numbers."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand(4)


class Remembers(nn.Module):
    """It counts what torch.export does not see."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = itertools.count()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * next(self.calls)


@pytest.mark.parametrize("build", [Noise, Remembers])
def test_a_network_that_answers_otherwise_each_time_is_refused(build: type[nn.Module]) -> None:
    network = build()
    graph = captured("mine", network, EXAMPLE)
    with pytest.raises(UnknownNetworkError, match="mine: captured, it answers otherwise than before"):
        check_exact("mine", network, graph, EXAMPLE)


def test_exactness_is_checked_on_copies() -> None:
    class InPlace(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sigmoid(x.add_(1)).mul_(2)

    network, example = InPlace(), (EXAMPLE[0].clone(),)
    graph = captured("mine", network, (EXAMPLE[0].clone(),))
    check_exact("mine", network, graph, example)
    check_exact("mine", network, graph, example)


def test_same_is_to_the_bit() -> None:
    one = torch.tensor([1.0, float("nan")])
    assert same([one, (one,)], (one.clone(), one))
    assert not same(one, one.double())
    assert not same(one, torch.tensor([1.0, 0.0]))
    assert not same(torch.ones(3), torch.nextafter(torch.ones(3), torch.zeros(3)))
    assert not same(torch.ones(3), torch.ones(1))
    assert not same([one], [one, one])
