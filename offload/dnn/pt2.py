"""Reads programs that torch.export.save wrote, without unpickling or evaluating anything in them.

`torch.export.load` does both (pickled tensors and inputs, formulas of sizes, code of guards, names that
go into Python), so a file from somewhere else could run anything. What is read here is the graph of
PyTorch's own operators and the numbers of its weights; all else in the file is left alone.
"""

import json
import operator
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import fx

from offload.dnn.archive import DTYPES, MAX_BYTES, Archive, Refusal
from offload.entities import OffloadError

SCHEMA = 8  # the major version of the format, since torch 2.8

_ATEN = re.compile(r"torch\.ops\.aten\.(\w+)\.(\w+)")
_TOUCH_FILES = {"from_file", "save"}
# Arithmetic on sizes, where a program was exported for any batch.
_ON_SIZES: dict[str, Callable[..., Any]] = {
    f"_operator.{each.__name__}": each
    for each in (operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod, operator.neg)
}
# What runs a part under other settings, and how many settings come first. At inference the part is all.
_WRAPPERS = {
    "torch.ops.higher_order.wrap_with_set_grad_enabled": 1,
    "torch.ops.higher_order.wrap_with_autocast": 4,
}


class ProgramError(OffloadError):
    """A saved program, or what was saved with it, that cannot be used; the message names the file."""


@dataclass(frozen=True, slots=True)
class Taken:
    """An input of a program: its shape, batch dimension first, and what numbers it takes."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    any_batch: bool


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A program: it takes its inputs by position and returns a tensor or a flat tuple of them."""

    module: fx.GraphModule
    inputs: tuple[Taken, ...]


def read(path: Path) -> Program:
    """Read a program. Raises ProgramError."""
    try:
        if path.stat().st_size > MAX_BYTES:
            why = f"larger than {MAX_BYTES / 1e9:g} GB, the most that is read"
        else:
            with zipfile.ZipFile(path) as file:
                return _read(Archive(file))
    except OSError as error:
        why = error.strerror or str(error)
    except Refusal as error:
        why = str(error)
    except zipfile.BadZipFile as error:
        why = f"no whole file of torch.export.save ({error}); save it again"
    except Exception as error:  # noqa: BLE001 - a file that was tampered with may lead to anything
        reason = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]:.200}"
        why = f"broken, or of another version of torch ({reason})"
    msg = f"{path}: {why}"
    raise ProgramError(msg)


def _read(archive: Archive) -> Program:
    if any(name.endswith("serialized_exported_program.json") for name in archive.zip.namelist()):
        msg = "saved by torch before 2.8, which pickled; save it again with a later one"
        raise Refusal(msg)
    saved = archive.json("models/model.json")
    if saved["schema_version"]["major"] != SCHEMA:
        msg = f"saved by torch {saved.get('torch_version')}, whose format is not known here"
        raise Refusal(msg)
    held, state = saved["graph_module"], archive.state()
    building = _Building(held["graph"]["tensor_values"])
    building.inputs(held, set(state))
    building.layers(held["graph"], building.values)
    building.outputs(held)
    used = {str(node.target) for node in building.graph.nodes if node.op == "get_attr"}
    module = fx.GraphModule({name: state[name] for name in used}, building.graph, "Program")
    return Program(module, tuple(building.taken))


@dataclass
class _Building:
    """A graph that is built from a file's: what its names have become so far."""

    meta: Mapping[str, Any]
    graph: fx.Graph = field(default_factory=fx.Graph)
    values: dict[str, Any] = field(default_factory=dict)
    taken: list[Taken] = field(default_factory=list)

    def inputs(self, held: Mapping[str, Any], state: set[str]) -> None:
        """Fetch weights, and take what the user gives."""
        specs = held["signature"]["input_specs"]
        for spec, given in zip(specs, held["graph"]["inputs"], strict=True):
            ((kind, told),) = spec.items()
            target = told.get(f"{kind}_name")
            if kind in {"parameter", "buffer", "tensor_constant"} and target in state:
                self.values[told["arg"]["name"]] = self.graph.get_attr(_name(target))
            elif kind == "user_input" and "as_tensor" in given:
                name = _name(given["as_tensor"]["name"])
                self.values[name] = self.graph.placeholder(name.replace(".", "_"))
                self.taken.append(_taken(self.meta[name]))
            elif kind not in {"user_input", "constant_input"}:  # plain numbers are part of the graph
                msg = f"it holds {target or kind}, which is neither a tensor nor a number"
                raise Refusal(msg)

    def outputs(self, held: Mapping[str, Any]) -> None:
        """Return the tensors that it answers with, and drop what nobody needs."""
        for spec in held["signature"]["output_specs"]:
            if "user_output" not in spec:
                msg = f"it changes what it was given or holds as it runs ({next(iter(spec))})"
                raise Refusal(msg)
        found = [_value(out, self.values) for out in held["graph"]["outputs"]]
        tensors = tuple(each for each in found if isinstance(each, fx.Node))
        told = next(each for each in held["module_call_graph"] if not each["fqn"])
        is_alone = json.loads(told["signature"]["out_spec"])[1]["type"] is None
        self.graph.output(tensors[0] if is_alone else tensors)
        for node in reversed(self.graph.nodes):
            if node.target is operator.getitem and not node.users:
                self.graph.erase_node(node)

    def layers(self, graph: Mapping[str, Any], values: dict[str, Any]) -> None:
        """Add a graph's operators, and the names of what they make to `values`."""
        for node in graph["nodes"]:
            target = node["target"]
            if target in _WRAPPERS:
                self._inline(node, values)
            elif not target.startswith("torch.ops.aten._assert"):  # checks of sizes, which are fixed
                self._layer(node, values)

    def _layer(self, node: Mapping[str, Any], values: dict[str, Any]) -> None:
        call, names = _operator(node["target"])
        args, kwargs = [], {}
        for given in node["inputs"]:
            value = _value(given["arg"], values)
            if not names or given["kind"] == 1:
                args.append(value)
            elif given["name"] in names:
                kwargs[given["name"]] = value
            else:
                msg = f"it gives {node['target']} a {given['name']!r}, which that does not take"
                raise Refusal(msg)
        made = self.graph.create_node("call_function", call, tuple(args), kwargs, node["name"])
        made.meta["nn_module_stack"] = _modules(node["metadata"].get("nn_module_stack", ""))
        outputs = node["outputs"]
        if len(outputs) == 1 and "as_tensors" not in outputs[0]:
            ((kind, told),) = outputs[0].items()
            values[told["name"] if kind == "as_tensor" else told["as_name"]] = made
            return
        if len(outputs) == 1:
            outputs = [{"as_tensor": each} for each in outputs[0]["as_tensors"]]
        for index, told in enumerate(outputs):
            if "as_tensor" in told:
                part = self.graph.call_function(operator.getitem, (made, index))
                part.meta.update(made.meta)
                values[told["as_tensor"]["name"]] = part

    def _inline(self, node: Mapping[str, Any], values: dict[str, Any]) -> None:
        """Add the operators of a part that runs under settings of its own."""
        count = _WRAPPERS[node["target"]]
        settings, part, given = (
            node["inputs"][:count],
            node["inputs"][count],
            node["inputs"][count + 1 :],
        )
        if node["target"].endswith("autocast") and settings[2]["arg"]["as_bool"]:
            msg = "part of it runs under autocast; export it without"
            raise Refusal(msg)
        inner = part["arg"]["as_graph"]["graph"]
        own = {
            next(iter(told.values()))["name"]: _value(each["arg"], values)
            for told, each in zip(inner["inputs"], given, strict=True)
        }
        self.layers(inner, own)
        for made, told in zip(inner["outputs"], node["outputs"], strict=True):
            values[told["as_tensor"]["name"]] = _value(made, own)


def _operator(target: str) -> tuple[Callable[..., Any], set[str]]:
    """Find an operator, and the names of its arguments.

    Only PyTorch's own are let in, and of these none that touches files or returns nothing.
    """
    if target in _ON_SIZES:
        return _ON_SIZES[target], set()
    found = None
    if (match := _ATEN.fullmatch(target)) and match[1] not in _TOUCH_FILES:
        found = getattr(getattr(torch.ops.aten, match[1], None), match[2], None)
    if not isinstance(found, torch._ops.OpOverload) or not found._schema.returns:  # noqa: SLF001 - no public names
        msg = f"it calls {target:.80}, which is none of PyTorch's own operators (aten)"
        raise Refusal(msg)
    return found, {each.name for each in found._schema.arguments}  # noqa: SLF001 - as above


def _value(told: Mapping[str, Any], values: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any argument
    """An argument: a value made before, a number or setting, or a list of them."""
    ((kind, held),) = told.items()
    match kind:
        case "as_tensor":
            return values[held["name"]]
        case "as_name":
            return values[held]
        case "as_tensors":
            return [values[each["name"]] for each in held]
        case "as_optional_tensor" | "as_sym_int":
            return _value(held, values)
        case "as_optional_tensors" | "as_sym_ints":
            return [_value(each, values) for each in held]
    if kind not in _SETTINGS:
        msg = f"an operator takes {kind.removeprefix('as_')} {held!s:.40}, which is not supported here"
        raise Refusal(msg)
    return _SETTINGS[kind](held)


def _plain(held: object) -> bool | int | str:
    if not isinstance(held, bool | int | str):
        msg = f"{held!s:.40} where a number, a truth or a text belongs"
        raise Refusal(msg)
    return held


_SETTINGS: dict[str, Callable[[Any], Any]] = {
    "as_none": lambda _: None,
    "as_int": _plain,
    "as_bool": _plain,
    "as_string": _plain,
    "as_float": float,  # infinity is written in words
    "as_ints": lambda held: [_plain(each) for each in held],
    "as_bools": lambda held: [_plain(each) for each in held],
    "as_floats": lambda held: [float(each) for each in held],
    "as_scalar_type": DTYPES.__getitem__,
    "as_memory_format": {
        1: torch.contiguous_format,
        2: torch.channels_last,
        3: torch.channels_last_3d,
        4: torch.preserve_format,
    }.__getitem__,
    "as_layout": {7: torch.strided}.__getitem__,
    "as_device": lambda held: {"cpu": torch.device("cpu")}[held["type"]],
}


def _name(text: str) -> str:
    if not re.fullmatch(r"\w+(\.\w+)*", text):
        msg = f"{text[:40]!r} is no name"
        raise Refusal(msg)
    return text


def _taken(meta: Mapping[str, Any]) -> Taken:
    """An input; where its size was left open, it has the size that it was exported with."""
    sizes = meta["sizes"]
    shape = [each["as_int"] if "as_int" in each else each["as_expr"]["hint"]["as_int"] for each in sizes]
    if not shape or not all(0 < size <= 10**9 for size in shape):
        msg = f"it takes an input of shape {shape}, without a batch or with nothing in it"
        raise Refusal(msg)
    return Taken(tuple(shape), DTYPES[meta["dtype"]], any_batch="as_expr" in sizes[0])


def _modules(text: str) -> dict[str, tuple[str, str]]:
    """The calls of modules that a layer lies in, outermost first: call -> (path, class)."""
    entries = (entry.split(",", 2) for entry in text.split(";"))
    return {entry[0]: (entry[1], entry[2]) for entry in entries if len(entry) == 3}
