"""What the layers of a captured network are: operator classes, work, sizes, memory."""

import math
import operator
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import fx, nn
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from offload.networks import Layer

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


def steps(module: fx.GraphModule) -> list[fx.Node]:
    """The nodes that compute, in the order in which they run."""
    return [node for node in module.graph.nodes if node.op.startswith("call_")]


class Shapes(fx.Interpreter):
    """Runs a network once and writes down what each layer is and makes, by the name of its node.

    `modules` are the layers that a module of `network` amounts to: it is tried on the same input.
    """

    def __init__(self, module: fx.GraphModule, network: nn.Module) -> None:
        super().__init__(module)
        self.network = network
        self.layers: dict[str, Layer] = {}
        self.bytes: dict[str, int] = {}
        self.weight_bytes: dict[str, int] = {}
        self.storages: list[int] = []
        self.holds: dict[str, tuple[int, ...]] = {}
        self.modules: dict[fx.Node, str] = {}
        self.weights = {id(leaf) for leaf in module.parameters()}
        self.state = self.weights | {id(leaf) for leaf in module.buffers()}
        self.alone: set[str] = set()
        if module is not network:
            calls = Counter(_innermost(node)[0] for node in steps(module))
            self.alone = {call for call, operators in calls.items() if call and operators == 1}

    def run_node(self, n: fx.Node) -> Any:  # noqa: ANN401 - whatever the node makes
        """Run a node and write down what it is."""
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        takes = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if _innermost(n)[0] in self.alone:
            self._try_module(n, takes)
        counter = FlopCounterMode(display=False)
        quantised = any(leaf.is_quantized for leaf in takes)  # some of whose operators it cannot take
        with nullcontext() if quantised else counter:
            result = super().run_node(n)
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        if made:
            self.bytes[n.name] = _size(made)
        if n.op not in ("get_attr", "output"):
            self._note_storages(n, takes, made)
        if not n.op.startswith("call_"):
            return result
        target = self.fetch_attr(str(n.target)) if n.op == "call_module" else None
        state = [leaf for leaf in takes if id(leaf) in self.state]
        parameters = sum(leaf.numel() for leaf in takes if id(leaf) in self.weights)
        elements = sum(leaf.numel() for leaf in made)
        flops = int(counter.get_total_flops())
        self.weight_bytes[n.name] = _size(state)
        if isinstance(target, nn.Module):
            parameters = _parameters(target)
            flops = flops or _flops(target, elements)
            self.weight_bytes[n.name] = _stored(target)
        kind = _kind(n, target, takes)
        whole = self.modules.get(n) or (n.op == "call_module" and str(n.target))
        self.layers[n.name] = Layer(
            name=whole or ".".join(filter(None, (_innermost(n)[1], n.name))),
            op=_op(n, target),
            kind=kind,
            flops=flops or (0 if kind == "view" else elements),
            parameters=parameters,
            input_elements=sum(leaf.numel() for leaf in takes if id(leaf) not in self.state),
            output_elements=elements,
            output_bytes=self.bytes.get(n.name, 0),
        )
        return result

    def _try_module(self, n: fx.Node, takes: list[torch.Tensor]) -> None:
        """Note that a layer is the whole of a module, if that gives the same on the same input."""
        path = _innermost(n)[1]
        inputs = [leaf for leaf in takes if id(leaf) not in self.state]
        nodes = [node for node in n.all_input_nodes if node.op != "get_attr"]
        try:
            module = self.network.get_submodule(path)
        except AttributeError:
            return
        if not path or len(inputs) != 1 or len(nodes) != 1 or any(True for _ in module.children()):
            return
        try:
            theirs = module(inputs[0].clone())
        except Exception:  # noqa: BLE001 - it wants other arguments, so it is not this layer alone
            return
        args, kwargs = fx.node.map_aggregate(self.fetch_args_kwargs_from_env(n), _cloned)
        ours = n.target(*args, **kwargs)  # type: ignore[operator]  # a function, as only those are tried
        same = isinstance(theirs, torch.Tensor) and isinstance(ours, torch.Tensor)
        if same and theirs.stride() == ours.stride() and torch.equal(theirs, ours):
            self.modules[n] = path

    def _note_storages(self, n: fx.Node, takes: list[torch.Tensor], made: list[torch.Tensor]) -> None:
        """Note which memory a value holds: that of an input, if it shares it, or its own."""
        known = {
            _address(leaf): storage
            for node in n.all_input_nodes
            for leaf, storage in zip(
                _tensors(self.env.get(node)), self.holds.get(node.name, ()), strict=False
            )
        }
        weights = {_address(leaf) for leaf in takes if id(leaf) in self.state}
        held = []
        for leaf in made:
            address = _address(leaf)
            if address in weights:
                continue
            if address not in known:
                known[address] = len(self.storages)
                self.storages.append(leaf.untyped_storage().nbytes())
            held.append(known[address])
        self.holds[n.name] = tuple(held)


def _tensors(value: object) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]


def _cloned(value: Any) -> Any:  # noqa: ANN401 - any argument
    return value.clone() if isinstance(value, torch.Tensor) else value


def _address(leaf: torch.Tensor) -> int:
    return leaf.untyped_storage().data_ptr()


def _size(leaves: Iterable[torch.Tensor]) -> int:
    return sum(leaf.numel() * leaf.element_size() for leaf in leaves)


def _innermost(node: fx.Node) -> tuple[str, str]:
    """The innermost call of a module that an operator was recorded in, and the module's path."""
    stack = node.meta.get("nn_module_stack") or {"": ("", None)}
    call, (path, _) = list(stack.items())[-1]
    return call, path.removeprefix("L['self']").removeprefix(".")


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


def _stored(module: Any) -> int:  # noqa: ANN401 - as above
    """Count the bytes of a module's numbers; those of a quantised one are bytes but for the bias."""
    if callable(getattr(module, "weight", None)):
        bias = module.bias()
        return int(module.weight().numel() + (0 if bias is None else bias.numel() * 4))
    return _size([*module.parameters(), *module.buffers()])


def _flops(module: Any, elements: int) -> int:  # noqa: ANN401 - as above
    """FLOPs of a quantised convolution or linear layer, which torch's counter does not see."""
    if not callable(getattr(module, "weight", None)):
        return 0
    return 2 * elements * int(math.prod(module.weight().shape[1:]))
