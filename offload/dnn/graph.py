"""A network as layers in order, the cuts between them, and the two halves of a cut."""

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from offload.networks import Cut, Layer

# Operator classes, by what an operator's name contains; the first match counts.
KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("quantize", ("quantize",)),
    ("conv", ("conv",)),
    ("pool", ("interpolate", "upsample")),
    ("view", ("view", "reshape", "flatten", "size", "permute", "transpose", "slice", "select",
              "getitem", "dropout", "contiguous", "identity", "chunk", "split", "expand",
              "unsqueeze", "squeeze")),
    ("attention", ("scaled_dot_product", "attention")),
    ("linear", ("linear", "addmm", "matmul", "bmm", "einsum")),
    ("pool", ("pool", "mean")),
    ("norm", ("norm",)),
    ("elementwise", ("add_relu",)),
    ("activation", ("relu", "hardtanh", "sigmoid", "silu", "swish", "gelu", "softmax", "tanh",
                    "hardswish")),
    ("concat", ("cat", "stack")),
    ("elementwise", ("add", "mul", "sub", "div", "pow")),
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A captured network that still runs: its `fx` module, its layers and its cuts."""

    module: fx.GraphModule
    layers: tuple[Layer, ...]
    cuts: tuple[Cut, ...]


def capture(network: nn.Module, example: tuple[torch.Tensor, ...]) -> Graph:
    """Capture a network with torch.export, or take an `fx.GraphModule` for what it is.

    A module that `torch.ao.quantization` converted cannot be exported (its packed parameters are no
    tensors), but it is a graph already. Raises what torch.export raises for a network that it
    refuses.
    """
    if not isinstance(network, fx.GraphModule):
        exported = torch.export.export(network, example).module()
        network = fx.GraphModule(exported, exported.graph)
    for node in list(network.graph.nodes):
        if node.op == "call_module" and node.name.startswith("_guards"):
            network.graph.erase_node(node)  # it checks input shapes, which we fix
    network.recompile()
    shapes = _Shapes(network)
    with torch.inference_mode():
        shapes.run(*example)
    steps = _steps(network)
    layers = tuple(shapes.layers[node] for node in steps)
    return Graph(network, layers, _cuts(network, steps, shapes.bytes))


def split(graph: Graph, cut: int) -> tuple[fx.GraphModule, fx.GraphModule]:
    """Divide a network at a cut into a part before it and a part after it.

    The first returns a tuple of the values that cross, the second takes them as its arguments.
    """
    steps = _steps(graph.module)[: graph.cuts[cut].after]
    done = {node for node in graph.module.graph.nodes if node.op == "placeholder"} | set(steps)
    crossing = _live(graph.module, done)
    before, after = fx.Graph(), fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in graph.module.graph.nodes:
        if node in done or node.op == "get_attr":
            copies[node] = before.node_copy(node, copies.__getitem__)
    before.output(tuple(copies[node] for node in crossing))
    copies = {node: after.placeholder(node.name) for node in crossing}
    for node in graph.module.graph.nodes:
        if node not in done:
            copies[node] = after.node_copy(node, copies.__getitem__)
    return fx.GraphModule(graph.module, before), fx.GraphModule(graph.module, after)


def instrument(graph: Graph, stamp: Callable[[], None]) -> fx.GraphModule:
    """Return the same network with a call of `stamp` before its first layer and after each."""
    copied = fx.Graph()
    copied.output(copied.graph_copy(graph.module.graph, {}))
    steps = [node for node in copied.nodes if node.op.startswith("call_")]
    for node in copied.nodes:
        if node.op == "get_attr" and node.users:  # fetch a weight when its layer runs, as eager does
            step = next((step for step in steps if step in node.users), None)
            if step is not None:  # a weight may go straight to the output
                step.prepend(node)
    with copied.inserting_before(steps[0]):
        copied.call_function(stamp)
    for node in steps:
        with copied.inserting_after(node):
            copied.call_function(stamp)
    return fx.GraphModule(graph.module, copied)


def _steps(module: fx.GraphModule) -> list[fx.Node]:
    return [node for node in module.graph.nodes if node.op.startswith("call_")]


def _live(module: fx.GraphModule, done: set[fx.Node]) -> list[fx.Node]:
    """The values made in `done` that something outside it still needs; weights are at hand."""
    return [
        node
        for node in module.graph.nodes
        if node in done and any(user not in done for user in node.users)
    ]


def _cuts(module: fx.GraphModule, steps: list[fx.Node], sizes: dict[fx.Node, int]) -> tuple[Cut, ...]:
    """The cut after each layer; one where a bare number (a tensor's size, say) would cross is none."""
    done = {node for node in module.graph.nodes if node.op == "placeholder"}
    cuts = []
    for after in range(len(steps) + 1):
        if after:
            done.add(steps[after - 1])
        crossing = _live(module, done)
        if all(node in sizes for node in crossing):
            payload = sum(sizes[node] for node in crossing)
            cuts.append(Cut(after, payload, len(crossing)))
    return tuple(cuts)


class _Shapes(fx.Interpreter):
    """Runs a network once and writes down what each layer is and makes."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.layers: dict[fx.Node, Layer] = {}
        self.bytes: dict[fx.Node, int] = {}
        self.weights = {id(leaf) for leaf in module.parameters()}
        self.state = self.weights | {id(leaf) for leaf in module.buffers()}

    def run_node(self, n: fx.Node) -> Any:  # noqa: ANN401 - whatever the node makes
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        with FlopCounterMode(display=False) as counter:
            result = super().run_node(n)
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        if made:
            self.bytes[n] = sum(leaf.numel() * leaf.element_size() for leaf in made)
        if n.op.startswith("call_"):
            target = self.fetch_attr(str(n.target)) if n.op == "call_module" else None
            takes = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
            activations = [leaf for leaf in takes if id(leaf) not in self.state]
            parameters = sum(leaf.numel() for leaf in takes if id(leaf) in self.weights)
            elements = sum(leaf.numel() for leaf in made)
            flops = int(counter.get_total_flops())
            if isinstance(target, nn.Module):
                parameters = _parameters(target)
                flops = flops or _flops(target, elements)
            kind = _kind(n, target, takes)
            self.layers[n] = Layer(
                name=n.name,
                op=_op(n, target),
                kind=kind,
                flops=flops or (0 if kind == "view" else elements),
                parameters=parameters,
                input_elements=sum(leaf.numel() for leaf in activations),
                output_elements=elements,
                output_bytes=self.bytes.get(n, 0),
            )
        return result


def _op(node: fx.Node, target: nn.Module | None) -> str:
    if target is not None:
        return f"{type(target).__module__.split('.')[0]}.{type(target).__name__}"
    if node.op == "call_method":
        return f"Tensor.{node.target}"
    if isinstance(node.target, torch._ops.OpOverload):  # noqa: SLF001 - torch exports no name for it
        return str(node.target).removesuffix(".default")
    return str(getattr(node.target, "__name__", node.target))


def _kind(node: fx.Node, target: Any, takes: list[torch.Tensor]) -> str:  # noqa: ANN401 - or none
    if node.target is operator.getitem:
        return "view"
    name = _op(node, target).lower()
    kind = next((kind for kind, words in KINDS if any(word in name for word in words)), "other")
    if kind != "conv":
        return kind
    kernel: Sequence[int]
    if target is not None:
        kernel, groups, channels = target.kernel_size, target.groups, target.in_channels
    else:
        # aten.conv*(input, weight, bias, stride, padding, dilation, groups); transposed ones have their
        # output padding where the others have the dilation.
        channels, kernel = takes[0].shape[1], takes[1].shape[2:]
        groups = node.args[6] if len(node.args) > 6 else 1
    if groups == channels > 1:
        return "depthwise"
    return "pointwise" if math.prod(kernel) == 1 else "conv"


def _parameters(module: Any) -> int:  # noqa: ANN401 - a quantised module's weight is a method
    """Count a module's numbers, also where they are packed and so no parameters to torch."""
    if callable(getattr(module, "weight", None)):  # a quantised module
        bias = module.bias()
        return int(module.weight().numel() + (0 if bias is None else bias.numel()))
    return int(sum(leaf.numel() for leaf in module.parameters()))


def _flops(module: Any, elements: int) -> int:  # noqa: ANN401 - as above
    """FLOPs of a quantised convolution or linear layer, which torch's counter does not see."""
    if not callable(getattr(module, "weight", None)):
        return 0
    return 2 * elements * int(math.prod(module.weight().shape[1:]))
