"""Captured networks: their layers by formula, their cuts by brute force, their halves bit by bit."""

import itertools
import warnings
from collections.abc import Iterator

import pytest
import torch
from torch import fx, nn
from torch.utils._pytree import tree_leaves, tree_map

from offload.dnn import compress, zoo
from offload.dnn.graph import Graph, capture, instrument, split


class Residual(nn.Module):
    """Two branches that meet in a sum, twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.one = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.two = nn.Conv2d(8, 8, 1, bias=False)
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        x = x + self.one(x)
        x = torch.relu_(self.two(x) + x)
        return self.head(x.mean((2, 3)))


class Concat(nn.Module):
    """Three branches of one input side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList([nn.Conv2d(3, width, 1) for width in (2, 4, 6)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


class TwoInputs(nn.Module):
    """Two inputs of which the second is needed late."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(4, 6), nn.Linear(10, 3)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.right(torch.cat([torch.tanh(self.left(x)), y], 1))


class TwoOutputs(nn.Module):
    """An early exit: an output that is ready long before the other."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.early, self.late = nn.Linear(4, 8), nn.Linear(8, 2), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.relu(self.body(x))
        return self.early(x), self.late(x * 2)


class Chunked(nn.Module):
    """A layer that makes several tensors at once."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one, two = x.chunk(2, 1)
        return torch.sigmoid(one) * two


def noise(*shape: int) -> torch.Tensor:
    """Return the same noise each time."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def sequential() -> nn.Module:
    """Return a chain with all usual kinds of layers."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
        nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), nn.ReLU6(), nn.Conv2d(8, 12, 1),
        nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(), nn.Linear(12 * 4 * 4, 10), nn.Softmax(1),
    )  # fmt: skip


SMALL = {
    "sequential": (sequential, (noise(1, 3, 16, 16),)),
    "residual": (Residual, (noise(1, 3, 8, 8),)),
    "concat": (Concat, (noise(2, 3, 4, 4),)),
    "two-inputs": (TwoInputs, (noise(3, 4), noise(3, 4))),
    "two-outputs": (TwoOutputs, (noise(1, 4),)),
    "chunked": (Chunked, (noise(1, 8),)),
}


@pytest.fixture(params=SMALL)
def small(request: pytest.FixtureRequest) -> tuple[nn.Module, tuple[torch.Tensor, ...], Graph]:
    """A small network, an example, and the graph captured from them."""
    torch.manual_seed(0)
    build, example = SMALL[request.param]
    module = build().eval()
    return module, example, capture(module, example)


def same(one: object, other: object) -> bool:
    """Tell whether two nests of tensors are equal bit by bit."""
    pairs = list(itertools.zip_longest(tree_leaves(one), tree_leaves(other)))
    return bool(pairs) and all(torch.equal(a, b) for a, b in pairs)


def through(graph: Graph, cut: int, example: tuple[torch.Tensor, ...], *, copied: bool = True) -> object:
    """Run a network in two halves; what crosses may be copied, as a wire would."""
    before, after = split(graph, cut)
    crossing = before(*example)
    assert len(crossing) == graph.cuts[cut].tensors
    if copied:
        crossing = tree_map(torch.clone, crossing)
    return after(*crossing)


def test_a_captured_network_computes_the_same(
    small: tuple[nn.Module, tuple[torch.Tensor, ...], Graph],
) -> None:
    module, example, graph = small
    with torch.inference_mode():
        assert same(graph.module(*example), module(*example))


def test_every_cut_of_a_small_network_is_exact(
    small: tuple[nn.Module, tuple[torch.Tensor, ...], Graph],
) -> None:
    module, example, graph = small
    assert len(graph.cuts) == len(graph.layers) + 1
    with torch.inference_mode():
        for cut in range(len(graph.cuts)):
            assert same(through(graph, cut, example), module(*example))


def live(graph: Graph, example: tuple[torch.Tensor, ...]) -> Iterator[tuple[int, int]]:
    """Yield bytes and values that cross each cut, by looking at who reads what, and when."""
    values = fx.Interpreter(graph.module)
    values.garbage_collect_values = False
    values.run(*example)
    nodes = list(graph.module.graph.nodes)
    made_at = {}
    layers = 0
    for node in nodes:
        if node.op.startswith("call_"):
            layers += 1
            made_at[node] = layers
        elif node.op == "placeholder":
            made_at[node] = 0
        elif node.op == "output":
            made_at[node] = layers + 1
    for after in range(layers + 1):
        crossing = {
            source
            for reader in nodes
            for source in reader.all_input_nodes
            if source.op != "get_attr" and made_at[source] <= after < made_at[reader]
        }
        tensors = [leaf for node in crossing for leaf in tree_leaves(values.env[node])]
        yield sum(t.numel() * t.element_size() for t in tensors), len(crossing)


def test_cuts_agree_with_brute_force(
    small: tuple[nn.Module, tuple[torch.Tensor, ...], Graph],
) -> None:
    _, example, graph = small
    with torch.inference_mode():
        expected = list(live(graph, example))
    assert [(cut.payload_bytes, cut.tensors) for cut in graph.cuts] == expected
    assert [cut.after for cut in graph.cuts] == list(range(len(graph.layers) + 1))


def test_bytes_of_cuts_by_hand() -> None:
    graph = capture(Residual().eval(), (noise(1, 3, 8, 8),))
    by_name = {layer.name: number for number, layer in enumerate(graph.layers)}
    image, plane = 3 * 8 * 8 * 4, 8 * 8 * 8 * 4
    assert graph.cuts[0].payload_bytes == image
    assert graph.cuts[by_name["relu"] + 1].payload_bytes == plane  # for both branches, once
    assert (graph.cuts[by_name["one.0"] + 1].payload_bytes, graph.cuts[4].tensors) == (2 * plane, 2)
    assert graph.cuts[-1].payload_bytes == 5 * 4


def test_an_early_output_crosses_all_later_cuts() -> None:
    graph = capture(TwoOutputs().eval(), (noise(1, 4),))
    assert [(cut.payload_bytes, cut.tensors) for cut in graph.cuts] == [
        (16, 1),  # the input
        (32, 1),  # body
        (32, 1),  # relu
        (8 + 32, 2),  # the early answer, and what the late one needs
        (8 + 32, 2),
        (8 + 12, 2),
    ]


def test_layers_of_a_chain_by_formula() -> None:
    graph = capture(sequential().eval(), (noise(1, 3, 16, 16),))
    found = [
        (layer.kind, layer.flops, layer.parameters, layer.input_elements, layer.output_elements)
        for layer in graph.layers
    ]
    assert found == [
        ("conv", 2 * 8 * 8 * 8 * 3 * 9, 8 * 3 * 9 + 8, 3 * 16 * 16, 8 * 8 * 8),
        ("norm", 512, 16, 512, 512),
        ("activation", 512, 0, 512, 512),
        ("depthwise", 2 * 512 * 9, 8 * 9, 512, 512),
        ("activation", 512, 0, 512, 512),
        ("pointwise", 2 * 12 * 64 * 8, 12 * 8 + 12, 512, 768),
        ("pool", 192, 0, 768, 192),
        ("view", 0, 0, 192, 192),
        ("view", 0, 0, 192, 192),
        ("linear", 2 * 192 * 10, 192 * 10 + 10, 192, 10),
        ("activation", 10, 0, 10, 10),
    ]
    assert [layer.output_bytes for layer in graph.layers] == [4 * out for *_, out in found]


def test_parameters_add_up_to_the_modules(
    small: tuple[nn.Module, tuple[torch.Tensor, ...], Graph],
) -> None:
    module, _, graph = small
    total = sum(leaf.numel() for leaf in module.parameters())
    assert sum(layer.parameters for layer in graph.layers) == total


class Upsampled(nn.Module):
    """Bilinear upsampling, as segmentation networks end."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear")


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        (nn.Conv2d(8, 8, 3, groups=8), "depthwise"),
        (nn.Conv2d(8, 16, 1), "pointwise"),
        (nn.Conv2d(8, 16, (1, 3)), "conv"),
        (nn.ConvTranspose2d(8, 4, 3), "conv"),
        (nn.ConvTranspose2d(8, 8, 3), "conv"),
        (nn.AdaptiveAvgPool2d(1), "pool"),
        (nn.GroupNorm(2, 8), "norm"),
        (nn.Hardswish(), "activation"),
        (nn.PReLU(), "activation"),
        (Upsampled(), "pool"),
        (nn.Flatten(), "view"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_kinds(module: nn.Module, kind: str) -> None:
    graph = capture(module.eval(), (noise(1, 8, 6, 6),))
    assert graph.layers[-1].kind == kind


def test_no_cut_lies_where_a_bare_number_would_cross() -> None:
    class Sized(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            size = x.size(0)
            return torch.relu(x).view(size, -1)

    graph = capture(fx.symbolic_trace(Sized()), (noise(2, 3, 3),))
    assert [layer.op for layer in graph.layers] == ["Tensor.size", "relu", "Tensor.view"]
    assert [cut.after for cut in graph.cuts] == [0, 3]  # the size crosses between


def test_instrument_stamps_before_the_first_layer_and_after_each(
    small: tuple[nn.Module, tuple[torch.Tensor, ...], Graph],
) -> None:
    module, example, graph = small
    stamps: list[int] = []
    stamped = instrument(graph, lambda: stamps.append(0))
    with torch.inference_mode():
        assert same(stamped(*example), module(*example))
        assert len(stamps) == len(graph.layers) + 1
        stamped(*example)
        assert len(stamps) == 2 * (len(graph.layers) + 1)
        assert same(graph.module(*example), module(*example))  # the original is left alone
        assert len(stamps) == 2 * (len(graph.layers) + 1)


def test_stamps_lie_between_layers() -> None:
    class Loud(nn.Module):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            said.append(self.name)
            return x + 1

    class Leaves(fx.Tracer):
        def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
            del m, module_qualified_name
            return True

    said: list[str] = []
    chain = nn.Sequential(Loud("a"), Loud("b"))
    module = fx.GraphModule(chain, Leaves().trace(chain))
    graph = capture(module, (noise(1),))
    said.clear()
    instrument(graph, lambda: said.append("stamp"))(noise(1))
    assert said == ["stamp", "a", "stamp", "b", "stamp"]


def test_an_output_that_is_a_weight_can_be_stamped() -> None:
    class Tagged(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tag = nn.Parameter(noise(2))

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.relu(x), self.tag

    module = Tagged().eval()
    graph = capture(module, (noise(3),))
    stamps: list[int] = []
    with torch.inference_mode():
        assert same(instrument(graph, lambda: stamps.append(0))(noise(3)), module(noise(3)))
    assert len(stamps) == 2


@pytest.mark.parametrize(
    ("name", "form"), [*itertools.product(["resnet18", "mobilenetv2"], ["fp32", "int8"])]
)
def test_cuts_of_known_networks_are_exact(name: str, form: str) -> None:
    torch.manual_seed(0)
    network = zoo.network(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the deprecation of torch.ao.quantization
        module = zoo.variant(network, form)
    example = network.example(1)
    graph = capture(module, example)
    cuts = len(graph.cuts)
    with torch.inference_mode():
        expected = module(*example)
        # A copy of an int8 tensor has another memory layout, and kernels that round otherwise.
        for cut in (0, 1, cuts // 5, cuts // 3, cuts // 2, cuts - 12, cuts - 2, cuts - 1):
            assert same(through(graph, cut, example, copied=form == "fp32"), expected)


def test_an_int8_network_counts_the_work_of_its_fp32_form() -> None:
    torch.manual_seed(0)
    example = (noise(1, 3, 16, 16),)
    module = sequential().eval()[:6]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantised = capture(compress.int8(module, example), example)
    plain = capture(module, example)
    heavy = [
        [(layer.kind, layer.flops) for layer in graph.layers
         if layer.kind in ("conv", "depthwise", "pointwise")]
        for graph in (quantised, plain)
    ]  # fmt: skip
    assert heavy[0] == heavy[1]
    assert len(heavy[0]) == 3
    # A value inside takes a byte an element, the input and the answer four.
    inner = [cut for cut in quantised.cuts if 0 < cut.after < len(quantised.layers)]
    assert quantised.cuts[0].payload_bytes == 4 * 3 * 16 * 16
    assert min(cut.payload_bytes for cut in inner) == 8 * 8 * 8
    assert quantised.cuts[-1].payload_bytes == 4 * 12 * 8 * 8


def test_unknown_names_are_refused() -> None:
    with pytest.raises(zoo.UnknownNetworkError, match="no network of that name; known are alexnet"):
        zoo.network("resnet19")
    with pytest.raises(zoo.UnknownNetworkError, match="no_such_module"):
        zoo.network("no_such_module:build")
    with pytest.raises(zoo.UnknownNetworkError, match="no such variant; known are fp32 and int8"):
        zoo.variant(zoo.network("torch.nn:Identity"), "int4")
    with pytest.raises(zoo.UnknownNetworkError, match=r"returned dict, no torch\.nn\.Module"):
        zoo.variant(zoo.network("builtins:dict"), "fp32")
