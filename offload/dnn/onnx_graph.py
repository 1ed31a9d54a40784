"""What ONNX Runtime made of a model: layers in the order in which they run, and the cuts between."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from offload.dnn.layers import KINDS
from offload.dnn.onnx_model import ExportError
from offload.networks import Cut, Layer

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto, TensorProto

_BYTES = {
    "float": 4, "double": 8, "float16": 2, "bfloat16": 2, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2,
    "int32": 4, "uint32": 4, "int64": 8, "uint64": 8, "bool": 1,
}  # fmt: skip
_INT64 = 7  # of ONNX; weights of this type are sizes and axes
_NODE = "_kernel_time"  # what the profile adds to a node's name
# Operators whose names say something else than what they are; those of the last row copy all they get.
_OWN_KINDS = {
    "gemm": "linear", "qgemm": "linear", "fusedgemm": "linear", "clip": "activation", "resize": "pool",
    "where": "elementwise", "isnan": "elementwise",
    "transpose": "other", "gather": "other", "reorderinput": "other", "reorderoutput": "other",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """One node in one run: its seconds, and the elements and bytes of its outputs."""

    name: str
    seconds: float
    first_input: tuple[int, ...]
    outputs: tuple[tuple[int, int], ...]


def events(profile: Path) -> list[Event]:
    """Return what a profile says of nodes, run after run, each in the order in which they ran.

    A node's time is that of its kernel in whole microseconds of wall time, cut off.
    """
    told = [each for each in json.loads(profile.read_bytes()) if each.get("cat") == "Node"]
    kernels = sorted(
        (each for each in told if each["name"].endswith(_NODE)), key=lambda each: each["ts"]
    )
    return [
        Event(
            each["name"].removesuffix(_NODE),
            each["dur"] * 1e-6,
            _shapes(each["args"]["input_type_shape"])[0][1] if each["args"]["input_type_shape"] else (),
            tuple(
                (math.prod(shape), math.prod(shape) * _BYTES[kind])
                for kind, shape in _shapes(each["args"]["output_type_shape"])
            ),
        )
        for each in kernels
    ]


def _shapes(told: Sequence[Mapping[str, Sequence[int]]]) -> list[tuple[str, tuple[int, ...]]]:
    return [(kind, tuple(shape)) for each in told for kind, shape in each.items()]


def layers_and_cuts(optimised: Path, ran: Sequence[Event]) -> tuple[tuple[Layer, ...], tuple[Cut, ...]]:
    """Return the layers of an optimised model and its cuts, given the events of one run of it.

    Sizes are those of the tensors that ONNX Runtime makes: where it blocks channels, a convolution may
    count some that only fill up a block. Raises ExportError if other nodes ran than stand in the model.
    """
    import onnx

    graph = onnx.load(optimised).graph
    if [node.name for node in graph.node] != [event.name for event in ran]:
        msg = f"{optimised.name}: ONNX Runtime ran other nodes than it wrote down; it cannot be profiled"
        raise ExportError(msg)
    weights = {each.name: each for each in graph.initializer}
    values = {
        name: size
        for node, event in zip(graph.node, ran, strict=True)
        for name, size in zip(filter(None, node.output), event.outputs, strict=True)
    }
    for each in graph.input:
        shape = tuple(size.dim_value for size in each.type.tensor_type.shape.dim)
        size = onnx.helper.tensor_dtype_to_np_dtype(each.type.tensor_type.elem_type).itemsize
        values[each.name] = math.prod(shape), math.prod(shape) * size
    made = {each.name: 0 for each in graph.input if each.name in values}
    layers = []
    for number, (node, event) in enumerate(zip(graph.node, ran, strict=True), 1):
        takes = tuple(sorted({made[name] for name in node.input if name in made}))
        layers.append(replace(_layer(node, event, weights, values), takes=takes))
        made |= dict.fromkeys(filter(None, node.output), number)
    return tuple(layers), _cuts(graph, weights, values)


def _layer(
    node: "NodeProto",
    event: Event,
    weights: "Mapping[str, TensorProto]",
    values: Mapping[str, tuple[int, int]],
) -> Layer:
    own = [weights[name] for name in node.input if name in weights]
    elements = sum(values[name][0] for name in filter(None, node.output))
    kind = _kind(node, own)
    return Layer(
        name=node.name,
        op=".".join(filter(None, (node.domain, node.op_type))),
        kind=kind,
        flops=_flops(node, kind, own, event, elements),
        parameters=sum(math.prod(each.dims) for each in own if each.data_type != _INT64),
        input_elements=sum(values[name][0] for name in node.input if name in values),
        output_elements=elements,
        output_bytes=sum(values[name][1] for name in filter(None, node.output)),
    )


def _kind(node: "NodeProto", own: "Sequence[TensorProto]") -> str:
    name = node.op_type.lower().removeprefix("qlinear")
    kind = _OWN_KINDS.get(name) or next(
        (kind for kind, words in KINDS if any(word in name for word in words)), "other"
    )
    if kind != "conv" or not own:
        return kind
    dims = _kernel(own)
    if dims[1] == 1 and _attribute(node, "group", 1) > 1:
        return "depthwise"
    return "pointwise" if math.prod(dims[2:]) == 1 else "conv"


def _flops(
    node: "NodeProto", kind: str, own: "Sequence[TensorProto]", event: Event, elements: int
) -> int:
    """Two for each multiply-accumulate of a convolution or product; else one an element, a view none."""
    if kind in {"conv", "pointwise", "depthwise"} and own:
        return 2 * elements * math.prod(_kernel(own)[1:])
    if kind == "linear" and len(event.first_input) > 1:
        return 2 * elements * event.first_input[-2 if _attribute(node, "transA", 0) else -1]
    return 0 if kind == "view" else elements


def _kernel(own: "Sequence[TensorProto]") -> tuple[int, ...]:
    return max((tuple(each.dims) for each in own), key=len)


def _attribute(node: "NodeProto", name: str, default: int) -> int:
    return next((int(each.i) for each in node.attribute if each.name == name), default)


def _bytes(weight: "TensorProto") -> int:
    import onnx

    size = onnx.helper.tensor_dtype_to_np_dtype(weight.data_type).itemsize
    return int(math.prod(weight.dims) * size)


def _cuts(
    graph: "GraphProto", weights: "Mapping[str, TensorProto]", values: Mapping[str, tuple[int, int]]
) -> tuple[Cut, ...]:
    """The cut after each node. A value crosses from the node that makes it to the last that needs it."""
    count = len(graph.node)
    born = {each.name: 0 for each in graph.input if each.name in values}
    needed: dict[str, int] = {}
    held = [0] * count
    for number, node in enumerate(graph.node):
        born |= dict.fromkeys(filter(None, node.output), number + 1)
        needed |= {name: number + 1 for name in node.input if name in values}
        held[number] = sum(_bytes(weights[name]) for name in node.input if name in weights)
    needed |= {each.name: count + 1 for each in graph.output}
    alive = [0] * count  # bytes while a node runs: what it takes and makes, and what waits
    for name, first in born.items():
        for number in range(max(0, first - 1), min(count, needed.get(name, first))):
            alive[number] += values[name][1]
    before = [0, *map(sum, zip(accumulate(alive, max), accumulate(held), strict=True))]
    after = [0, *map(sum, zip(accumulate(alive[::-1], max), accumulate(held[::-1]), strict=True))][::-1]
    cuts = []
    for number in range(count + 1):
        crossing = [name for name, first in born.items() if first <= number < needed.get(name, 0)]
        payload = sum(values[name][1] for name in crossing)
        cuts.append(Cut(number, payload, len(crossing), before[number], after[number]))
    return tuple(cuts)
