"""Cuts of random networks against all ways to divide them, and what the parts hold in memory."""

from itertools import combinations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import fx, nn

from offload.dnn.graph import capture, instrument, split

# Each layer joins some of the inputs and of the layers before it.
DAGS = st.integers(1, 2).flatmap(
    lambda inputs: st.tuples(
        st.just(inputs),
        st.lists(st.sets(st.integers(0, 20), min_size=1, max_size=3), min_size=1, max_size=7),
        st.sets(st.integers(0, 20), min_size=1, max_size=3),
    )
)


def random_network(
    inputs: int, layers: list[set[int]], outputs: set[int]
) -> tuple[fx.GraphModule, list[set[int]], set[int]]:
    """Return a network of concatenations, who reads whom (inputs come first), and its outputs."""
    graph = fx.Graph()
    values = [graph.placeholder(f"x{number}") for number in range(inputs)]
    reads = []
    for number, wanted in enumerate(layers):
        sources = {each % (inputs + number) for each in wanted}
        reads.append(sources)
        values.append(graph.call_function(torch.cat, ([values[each] for each in sorted(sources)], 1)))
    last = {each % len(layers) + inputs for each in outputs}
    graph.output(tuple(values[each] for each in sorted(last)))
    return fx.GraphModule(nn.Module(), graph), reads, last


@settings(max_examples=60, deadline=None)
@given(DAGS)
def test_cuts_are_down_sets_with_what_crosses_them(
    drawn: tuple[int, list[set[int]], set[int]],
) -> None:
    module, reads, last = random_network(*drawn)
    inputs, layers = drawn[0], len(reads)
    sizes = [number + 1 for number in range(inputs)]
    for sources in reads:
        sizes.append(sum(sizes[each] for each in sources))
    example = tuple(torch.rand(1, size) for size in sizes[:inputs])
    graph = capture(module, example)
    for layer, sources in zip(graph.layers, reads, strict=True):
        assert layer.takes == tuple(sorted({max(0, each - inputs + 1) for each in sources}))

    # Every way to divide the layers so that no value goes back, and what crosses then.
    crossings = {}
    for some in (set(c) for n in range(layers + 1) for c in combinations(range(layers), n)):
        done = set(range(inputs)) | {inputs + layer for layer in some}
        if all(reads[layer] <= done for layer in some):
            later = {each for layer in set(range(layers)) - some for each in reads[layer]}
            crossing = {each for each in done if each in later or each in last}
            crossings[frozenset(some)] = (4 * sum(sizes[each] for each in crossing), len(crossing))

    assert len(graph.cuts) == layers + 1
    for number, cut in enumerate(graph.cuts):
        assert (cut.payload_bytes, cut.tensors) == crossings[frozenset(range(cut.after))]
        before, after = split(graph, number)
        for one, other in zip(after(*before(*example)), module(*example), strict=True):
            assert torch.equal(one, other)
    assert graph.outputs == tuple(sorted(each - inputs + 1 for each in last))


def test_memory_of_the_parts_by_hand() -> None:
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    graph = capture(network, (torch.rand(1, 4),))
    one, two = 4 * (4 * 8 + 8), 4 * (8 * 3 + 3)
    first, middle, last = 4 * (4 + 8), 4 * (8 + 8), 4 * (8 + 3)
    assert [cut.before_bytes for cut in graph.cuts] == [
        0, one + first, one + middle, one + two + middle,
    ]  # fmt: skip
    assert [cut.after_bytes for cut in graph.cuts] == [one + two + middle, two + middle, two + last, 0]


def test_memory_counts_what_is_shared_once() -> None:
    class Shared(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu_(x.view(2, 50)) + x.view(2, 50)

    graph = capture(Shared().eval(), (torch.rand(100),))
    assert graph.cuts[-1].before_bytes == 800  # the input under its three names, and the sum


class Block(nn.Module):
    """Layers of one operator, one of two, and one used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.relu = nn.Linear(4, 4), nn.Linear(4, 4), nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.two(self.relu(self.one(x)))) * 2


def test_layers_bear_the_names_of_the_modules_they_are() -> None:
    graph = capture(nn.Sequential(Block(), nn.Dropout()).eval(), (torch.rand(1, 4),))
    assert [layer.name for layer in graph.layers] == [
        "0.one", "0.relu", "0.two", "0.relu", "0.mul", "1",
    ]  # fmt: skip
    called = [node.op for node in graph.module.graph.nodes if node.op.startswith("call")]
    assert called == ["call_module"] * 4 + ["call_function", "call_module"]


def test_a_module_that_does_more_than_its_operator_is_no_layer() -> None:
    class Doubled(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x + x)

    network = nn.Sequential(Doubled(4, 4), nn.ReLU()).eval()
    graph = capture(network, (torch.rand(1, 4),))
    assert [layer.name for layer in graph.layers] == ["0.add", "0.linear", "1"]


def test_a_stamped_network_holds_what_a_module_was_called_with_until_it_returns() -> None:
    network = nn.Sequential(nn.Linear(4, 4), Block(), nn.ReLU()).eval()
    stamped = instrument(capture(network, (torch.rand(1, 4),)), lambda: None)
    held = {
        value.name: node.prev.prev.name  # a layer, the stamp after it, then this
        for node in stamped.graph.nodes
        if getattr(node.target, "__name__", "") == "_hold"
        for value in node.all_input_nodes
    }
    assert held == {"input_1": "relu_2", "linear": "mul"}


def test_several_inputs_and_outputs_are_known_when_they_are() -> None:
    class Exits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.early, self.late = nn.Linear(4, 8), nn.Linear(8, 2), nn.Linear(8, 2)

        def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            x = self.body(x + y)
            return self.early(x), self.late(x)

    graph = capture(Exits().eval(), (torch.rand(1, 4), torch.rand(1, 4)))
    assert graph.outputs == (3, 4)
    assert graph.cuts[0].tensors == 2
