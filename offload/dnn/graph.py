"""A network as layers in order, the cuts between them, and the two halves of a cut."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate

import torch
from torch import fx, nn

from offload.dnn.layers import Shapes, steps
from offload.networks import Cut, Layer


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A captured network that still runs: its `fx` module, its layers and its cuts.

    `outputs` tell for each value that it returns how many layers have run when that is known.
    `scopes` tell within which calls of modules each value was made, outermost first; empty where the
    network is run as a graph in the first place.
    """

    module: fx.GraphModule
    layers: tuple[Layer, ...]
    cuts: tuple[Cut, ...]
    outputs: tuple[int, ...]
    scopes: Mapping[str, tuple[str, ...]]


def capture(network: nn.Module, example: tuple[torch.Tensor, ...]) -> Graph:
    """Capture a network with torch.export, or take an `fx.GraphModule` for what it is.

    Where a module of the network amounts to a single operator, the layer is a call of that module, as
    in the network itself: so a layer costs what it costs there, and bears a name that one can find. A
    module that `torch.ao.quantization` converted cannot be exported (its packed parameters are no
    tensors), but it is a graph already. Raises what torch.export raises for a network that it refuses.
    """
    scopes = {}
    if isinstance(network, fx.GraphModule):
        graph = network
    else:
        exported = torch.export.export(network, example).module()
        graph = fx.GraphModule(exported, exported.graph)
        scopes = {node.name: tuple(node.meta.get("nn_module_stack", ())) for node in graph.graph.nodes}
    for node in list(graph.graph.nodes):
        # Guards and assertions are of shapes and types, which we fix; the network itself has none.
        guard = node.op == "call_module" and node.name.startswith("_guards")
        asserts = node.target is torch.ops.aten._assert_tensor_metadata.default  # noqa: SLF001 - no other
        if guard or asserts or (node.op == "get_attr" and not node.users):
            graph.graph.erase_node(node)
    shapes = Shapes(graph, network)
    with torch.inference_mode():
        shapes.run(*example)
    for node, path in shapes.modules.items():
        scopes[node.name] = scopes.get(node.name, ())
        _call(graph, node, path, network.get_submodule(path))
    graph.recompile()
    order = steps(graph)
    number = {node: place for place, node in enumerate(order, 1)}
    layers = tuple(
        replace(
            shapes.layers[node.name],
            # What is in no layer is an input of the network, or a weight, which is at hand.
            takes=tuple(sorted({number.get(n, 0) for n in node.all_input_nodes if n.op != "get_attr"})),
        )
        for node in order
    )
    (result,) = (node for node in graph.graph.nodes if node.op == "output")
    outputs = tuple(order.index(node) + 1 if node in order else 0 for node in result.all_input_nodes)
    return Graph(graph, layers, _cuts(graph, order, shapes), outputs, scopes)


def split(graph: Graph, cut: int) -> tuple[fx.GraphModule, fx.GraphModule]:
    """Divide a network at a cut into a part before it and a part after it.

    The first returns a tuple of the values that cross, the second takes them as its arguments.
    """
    done = _done(graph, cut)
    crossing = _live(graph.module, done)
    rest = set(graph.module.graph.nodes) - done
    return _piece(graph.module, [], done, crossing), _piece(graph.module, crossing, rest, None)


def part(graph: Graph, first_cut: int, last_cut: int) -> fx.GraphModule:
    """Return what lies between two cuts, of which the second is the first or a later one.

    It takes the values that cross the first cut as its arguments, in the order of `split`, and returns
    a tuple of those that cross the last, also where it only hands them on. At the network's end it
    returns the network's outputs: a tuple of them where it was exported.
    """
    done, wanted = _done(graph, first_cut), _done(graph, last_cut)
    taken = _live(graph.module, done)
    if graph.cuts[last_cut].after == len(graph.layers):
        return _piece(graph.module, taken, set(graph.module.graph.nodes) - done, None)
    return _piece(graph.module, taken, wanted - done, _live(graph.module, wanted))


def instrument(graph: Graph, stamp: Callable[[], None]) -> fx.GraphModule:
    """Return the same network with a call of `stamp` before its first layer and after each.

    A value lives as long as it does in the network itself: what a module was called with, until that
    call returns. What is freed sooner would be found again in a nearer cache, which is too quick.
    """
    copied = fx.Graph()
    copied.output(copied.graph_copy(graph.module.graph, {}))
    order = [node for node in copied.nodes if node.op.startswith("call_")]
    for node in copied.nodes:
        if node.op == "get_attr" and node.users:  # fetch a weight when its layer runs, as eager does
            step = next((step for step in order if step in node.users), None)
            if step is not None:  # a weight may go straight to the output
                step.prepend(node)
    held = _held(graph, list(copied.nodes))
    with copied.inserting_before(order[0]):
        copied.call_function(stamp)
    for node in order:
        with copied.inserting_after(node):
            stamped = copied.call_function(stamp)
        if node in held:
            with copied.inserting_after(stamped):
                copied.call_function(_hold, tuple(held[node]))
    return fx.GraphModule(graph.module, copied)


def _hold(*_values: object) -> None:
    """Do nothing; what is passed has lived until now."""


def _held(graph: Graph, nodes: list[fx.Node]) -> dict[fx.Node, list[fx.Node]]:
    """Tell which values are to be held until after which layer."""
    place = {node: number for number, node in enumerate(nodes)}
    ends = {scope: place[node] for node in nodes for scope in graph.scopes.get(node.name, ())}
    held: dict[fx.Node, list[fx.Node]] = {}
    for value in nodes:
        if value.op == "get_attr" or not value.users:
            continue
        made_in = set(graph.scopes.get(value.name, ()))
        entered = {scope for user in value.users for scope in graph.scopes.get(user.name, ())} - made_in
        until = max((ends[scope] for scope in entered), default=0)
        if until > max(place[user] for user in value.users):
            held.setdefault(nodes[until], []).append(value)
    return held


def _call(graph: fx.GraphModule, node: fx.Node, path: str, module: nn.Module) -> None:
    """Let a layer be a call of a module on its one input.

    Under a flat name: looking it up along its path would take longer than the network itself does.
    """
    (value,) = (each for each in node.all_input_nodes if each.op != "get_attr")
    weights = [each for each in node.all_input_nodes if each.op == "get_attr"]
    flat = "layer_" + path.replace(".", "_")
    node.op, node.target, node.args, node.kwargs = "call_module", flat, (value,), {}
    for weight in weights:
        if not weight.users:
            graph.graph.erase_node(weight)
    graph.add_submodule(flat, module)


def _done(graph: Graph, cut: int) -> set[fx.Node]:
    """The network's inputs and what its layers before a cut have made."""
    inputs = {node for node in graph.module.graph.nodes if node.op == "placeholder"}
    return inputs | set(steps(graph.module)[: graph.cuts[cut].after])


def _piece(
    module: fx.GraphModule, taken: list[fx.Node], nodes: set[fx.Node], returned: list[fx.Node] | None
) -> fx.GraphModule:
    """Some nodes of a network and the weights that they use, as a function of the values taken.

    It returns a tuple of some values; where None are named, the network's own output is among the nodes.
    """
    piece = fx.Graph()
    copies = {node: piece.placeholder(node.name) for node in taken}
    for node in module.graph.nodes:
        if not nodes.isdisjoint(node.users) if node.op == "get_attr" else node in nodes:
            copies[node] = piece.node_copy(node, copies.__getitem__)
    if returned is not None:
        piece.output(tuple(copies[node] for node in returned))
    return fx.GraphModule(module, piece)


def _live(module: fx.GraphModule, done: set[fx.Node]) -> list[fx.Node]:
    """The values made in `done` that something outside it still needs; weights are at hand."""
    return [
        node
        for node in module.graph.nodes
        if node in done and any(user not in done for user in node.users)
    ]


def _cuts(module: fx.GraphModule, order: list[fx.Node], shapes: Shapes) -> tuple[Cut, ...]:
    """The cut after each layer; one where a bare number (a tensor's size, say) would cross is none."""
    done = {node for node in module.graph.nodes if node.op == "placeholder"}
    before, after = _peaks(module, order, shapes)
    cuts = []
    for number in range(len(order) + 1):
        if number:
            done.add(order[number - 1])
        crossing = _live(module, done)
        if all(node.name in shapes.bytes for node in crossing):
            payload = sum(shapes.bytes[node.name] for node in crossing)
            cuts.append(Cut(number, payload, len(crossing), before[number], after[number]))
    return tuple(cuts)


def _peaks(module: fx.GraphModule, order: list[fx.Node], shapes: Shapes) -> tuple[list[int], list[int]]:
    """The peak memory of the part before each place between layers, and of that after it, in bytes.

    Weights of the part and the values that live while a layer runs; what kernels need besides is not
    counted. A value lives until its last use, views and in-place results with what they share.
    """
    place = {node: number for number, node in enumerate(order)}
    born: dict[int, int] = {}
    dies: dict[int, int] = {}
    for node in module.graph.nodes:
        last_use = max((place.get(user, len(order)) for user in node.users), default=place.get(node, 0))
        for storage in shapes.holds.get(node.name, ()):
            born.setdefault(storage, place.get(node, 0))
            dies[storage] = max(dies.get(storage, 0), last_use)
    change = [0] * (len(order) + 2)
    for storage, begin in born.items():
        change[begin] += shapes.storages[storage]
        change[dies[storage] + 1] -= shapes.storages[storage]
    live = list(accumulate(change))[: len(order)]
    weights = [shapes.weight_bytes[node.name] for node in order]
    before = [
        peak + held
        for peak, held in zip(
            accumulate(live, max, initial=0), accumulate(weights, initial=0), strict=True
        )
    ]
    after = [
        peak + held
        for peak, held in zip(
            accumulate(live[::-1], max, initial=0), accumulate(weights[::-1], initial=0), strict=True
        )
    ]
    return before, after[::-1]
