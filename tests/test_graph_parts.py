"""Parts of networks between two cuts: in a row, they compute what the network does, bit by bit."""

import itertools
import random
import warnings

import pytest
import torch
from torch import fx, nn
from torch.utils._pytree import tree_leaves

from offload.dnn import zoo
from offload.dnn.graph import Graph, capture, part, split


def same(one: object, other: object) -> bool:
    """Tell whether two nests of tensors are equal bit by bit."""
    return all(torch.equal(a, b) for a, b in zip(tree_leaves(one), tree_leaves(other), strict=True))


def in_parts(graph: Graph, example: tuple[torch.Tensor, ...], cuts: list[int]) -> object:
    """Run a network in parts that end at these cuts and at its end."""
    before, _ = split(graph, 0)
    crossing = before(*example)
    for first, last in itertools.pairwise([0, *cuts]):
        crossing = part(graph, first, last)(*crossing)
        assert isinstance(crossing, tuple)
        assert len(crossing) == graph.cuts[last].tensors
        assert sum(leaf.nbytes for leaf in tree_leaves(crossing)) == graph.cuts[last].payload_bytes
    return part(graph, cuts[-1], len(graph.cuts) - 1)(*crossing)


class Drawn(nn.Module):
    """A network drawn by chance: each layer takes one or two values made anywhere before it."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        count = dice.randint(3, 10)
        self.inputs = dice.randint(1, 3)
        self.takes = [dice.choices(range(self.inputs + number), k=2) for number in range(count)]
        self.kinds = dice.choices(["linear", "add", "chunk", "weight"], k=count)
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(count))
        self.answers = dice.sample(range(self.inputs + count), k=dice.randint(1, 3))

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        values = list(inputs[: self.inputs])
        for layer, kind, (one, two) in zip(self.layers, self.kinds, self.takes, strict=True):
            if kind == "linear":
                values.append(layer(values[one]))
            elif kind == "chunk":  # a layer that makes several tensors
                left, right = values[one].chunk(2, 1)
                values.append(torch.cat([right, left], 1))
            else:
                values.append(values[one] * (values[two] if kind == "add" else layer.bias))
        found = tuple(values[each] for each in self.answers)
        return found[0] if len(found) == 1 else found


@pytest.mark.parametrize("seed", range(25))
def test_parts_of_random_networks_are_exact(seed: int) -> None:
    torch.manual_seed(seed)
    dice = random.Random(seed)
    module = Drawn(dice).eval()
    example = tuple(torch.randn(2, 6) for _ in range(module.inputs))
    graph = capture(module, example)
    with torch.inference_mode():
        expected = module(*example)
        for _ in range(6):
            cuts = sorted(dice.choices(range(len(graph.layers)), k=2))
            assert same(in_parts(graph, example, cuts), expected)


@pytest.mark.parametrize(
    ("name", "form"),
    [("fashion-cnn", "fp32"), ("fashion-cnn", "int8"), ("squeezenet", "fp32"), ("resnet18", "fp32"),
     ("mobilenetv2", "fp32"), ("vit-b16", "fp32"), ("bert-base", "fp32")],
)  # fmt: skip
def test_parts_of_known_networks_are_exact(name: str, form: str) -> None:
    torch.manual_seed(0)
    dice = random.Random(name)
    network = zoo.network(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the deprecation of torch.ao.quantization
        module = zoo.variant(network, form)
    example = network.example(1)
    graph = capture(module, example)
    with torch.inference_mode():
        expected = module(*example)
        for _ in range(3):
            cuts = sorted(dice.choices(range(len(graph.cuts) - 1), k=2))
            assert same(in_parts(graph, example, cuts), expected)


def test_a_part_holds_only_its_own_weights() -> None:
    chain = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3)).eval()
    graph = capture(chain, (torch.ones(1, 4),))
    assert [[leaf.shape for leaf in part(graph, *cuts).parameters()] for cuts in [(1, 4), (3, 4)]] == [
        [(6, 5), (6,)],
        [],
    ]


def test_an_empty_part_hands_on_what_crosses() -> None:
    class Late(nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"sum": torch.relu(x) + y}

    example = (torch.ones(2), torch.ones(2))
    graph = capture(fx.symbolic_trace(Late()), example)
    relu, y = part(graph, 1, 1)(*example)
    assert relu is example[0]
    assert y is example[1]
    assert part(graph, 2, 2)(example[0]) == {"sum": example[0]}
