"""Programs of torch.export: read whole and to the bit, and refused where they would do anything else."""

import json
import random
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from offload.dnn import archive, pt2
from offload.dnn.capturing import same
from offload.dnn.pt2 import ProgramError


class Varied(nn.Module):
    """All kinds of arguments, state and results that a program may have."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()
        )
        self.linear = nn.Linear(8, 4)
        self.tied = self.linear
        self.register_buffer("kept", torch.arange(4.0), persistent=False)
        self.register_buffer("empty", torch.zeros(0, 4))

    def forward(self, x: torch.Tensor, index: torch.Tensor) -> dict[str, Any]:
        with torch.no_grad():
            x = self.conv(x)
        one, two, _ = x.split([3, 4, 1], 1)
        z = torch.cat([one, two.sigmoid(), two[:, :1]], 1).mean((2, 3))
        z = (
            nn.functional.gelu(self.tied(z), approximate="tanh")
            + self.kept
            + torch.tensor([1.0, 2, 3, 4])
        )
        z = torch.cat([z, self.empty]).clamp(min=-float("inf"))
        best = z.max(1)
        rounded = z.to(torch.bfloat16).to(memory_format=torch.contiguous_format)
        return {
            "z": rounded,
            "rest": (z[:, index[0]], None, 3),
            "best": best.values,
            "which": best.indices,
        }


INPUTS = (
    torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(3)),
    torch.tensor([[2, 0]] * 2),
)


def save(path: Path, module: nn.Module, inputs: tuple[Any, ...], **options: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(module.eval(), inputs, **options), path)
    return path


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Path]:
    module = Varied().eval()
    return module, save(tmp_path_factory.mktemp("pt2") / "varied.pt2", module, INPUTS)


def tensors(value: object) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]


def test_a_program_answers_to_the_bit(saved: tuple[nn.Module, Path]) -> None:
    module, path = saved
    program = pt2.read(path)
    assert [(each.shape, each.dtype, each.any_batch) for each in program.inputs] == [
        ((2, 3, 8, 8), torch.float32, False), ((2, 2), torch.int64, False),
    ]  # fmt: skip
    with torch.inference_mode():
        answer = program.module(*INPUTS)
        assert isinstance(answer, tuple)
        assert all(isinstance(each, torch.Tensor) for each in answer)
        assert same(answer, tensors(module(*INPUTS)))
    assert len(list(program.module.parameters())) == 5  # a weight that is shared is one
    (conv,) = [node for node in program.module.graph.nodes if "conv2d" in node.name]
    assert list(conv.meta["nn_module_stack"].values())[-1][0] == "conv.0"


def test_one_tensor_comes_alone_and_a_tuple_of_one_does_not(tmp_path: Path) -> None:
    class One(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + 1

    class TupleOfOne(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
            return (x + 1,)

    x = torch.ones(2, 3)
    assert torch.equal(pt2.read(save(tmp_path / "one.pt2", One(), (x,))).module(x), x + 1)
    (answer,) = pt2.read(save(tmp_path / "tuple.pt2", TupleOfOne(), (x,))).module(x)
    assert torch.equal(answer, x + 1)


def test_a_program_for_any_batch(tmp_path: Path) -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(12, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x.reshape(x.shape[0], -1)).reshape(5 * x.shape[0] // 5, 5)

    module, batch = Flat().eval(), torch.export.Dim("batch", max=512)
    path = save(tmp_path / "flat.pt2", module, (torch.randn(3, 3, 4),), dynamic_shapes=({0: batch},))
    program = pt2.read(path)
    assert [(each.shape, each.any_batch) for each in program.inputs] == [((3, 3, 4), True)]
    for size in (2, 7):
        x = torch.randn(size, 3, 4)
        with torch.inference_mode():
            assert same(program.module(x), module(x))


def changed(path: Path, out: Path, change: Callable[[str, bytes], bytes | None], **options: Any) -> Path:
    """Copy a file record by record."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w", **options) as new:
        for name in old.namelist():
            data = change(name.split("/", 1)[1], old.read(name))
            if data is not None:
                new.writestr(name, data)
    return out


def with_graph(path: Path, out: Path, change: Callable[[Any], Any]) -> Path:
    """Copy a file with another graph."""

    def edit(name: str, data: bytes) -> bytes:
        if name != "models/model.json":
            return data
        graph = json.loads(data)
        change(graph)
        return json.dumps(graph).encode()

    return changed(path, out, edit)


def test_samples_guards_and_stories_are_left_alone(
    saved: tuple[nn.Module, Path], tmp_path: Path
) -> None:
    # What torch.export.load would unpickle, evaluate or execute may hold anything, or be missing.
    def edit(graph: Any) -> None:
        graph["guards_code"] = ["__import__('os').abort()"]
        graph["verifiers"] = ["os"]
        graph["range_constraints"] = {"__import__('os').abort()": {"min_val": 0, "max_val": 1}}
        graph["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = "nonsense"
        for node in graph["graph_module"]["graph"]["nodes"]:
            node["metadata"] |= {"torch_fn": "os;system", "stack_trace": "x"}

    _, path = saved
    path = with_graph(path, tmp_path / "a.pt2", edit)
    path = changed(path, tmp_path / "b.pt2", lambda name, data: None if "sample" in name else data)
    with torch.inference_mode():
        assert same(pt2.read(path).module(*INPUTS), pt2.read(saved[1]).module(*INPUTS))


def nodes(graph: Any) -> list[Any]:
    return graph["graph_module"]["graph"]["nodes"]


def calls(target: str, *texts: str) -> Callable[[Any], None]:
    """Let the last operator call something else."""
    arguments = [{"name": "", "arg": {"as_string": text}, "kind": 1} for text in texts]
    return lambda graph: nodes(graph)[-1].update(target=target, inputs=arguments)


def renames(graph: Any) -> None:
    """Let the name of an input be Python."""
    held = graph["graph_module"]
    text = json.dumps(held).replace('"name": "x"', '"name": "x=__import__(1)"')
    held.update(json.loads(text.replace('"x": {"dtype"', '"x=__import__(1)": {"dtype"')))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (calls("torch.os.system", "true"), "it calls torch.os.system, which is none of PyTorch's own"),
        (calls("torch.load", "x"), "it calls torch.load, which is none"),
        (calls("_operator.attrgetter", "x"), "it calls _operator.attrgetter, which is none"),
        (calls("torch.ops.aten.from_file.default", "x"), "it calls torch.ops.aten.from_file.default"),
        (calls("torch.ops.aten.save.default", "x"), "it calls torch.ops.aten.save.default"),
        (calls("torch.ops.aten.__class__.mro"), "it calls torch.ops.aten.__class__.mro"),
        (calls("torch.ops.mine.op.default"), "it calls torch.ops.mine.op.default"),
        (calls("torch.ops.higher_order.cond"), "it calls torch.ops.higher_order.cond"),
        (renames, "'x=__import__(1)' is no name"),
        (
            lambda graph: nodes(graph)[-1]["inputs"].append(
                {"name": "a=1); import os; (b", "arg": {"as_int": 1}, "kind": 2}
            ),
            "which that does not take",
        ),
        (
            lambda graph: nodes(graph)[-1]["inputs"].append(
                {"name": "x", "arg": {"as_operator": "torch.os.system"}, "kind": 1}
            ),
            "an operator takes operator torch.os.system, which is not supported here",
        ),
        (
            lambda graph: graph["graph_module"]["signature"]["output_specs"].insert(
                0, {"buffer_mutation": {"arg": {"name": "x"}, "buffer_name": "kept"}}
            ),
            "it changes what it was given or holds as it runs (buffer_mutation)",
        ),
        (lambda graph: graph["schema_version"].update(major=9), "whose format is not known here"),
        (lambda graph: graph.pop("graph_module"), "broken, or of another version of torch (KeyError"),
        (lambda graph: nodes(graph).clear(), "broken, or of another version of torch (KeyError"),
    ],
)  # fmt: skip
def test_what_a_program_may_not_do(
    saved: tuple[nn.Module, Path], tmp_path: Path, change: Callable[[Any], Any], reason: str
) -> None:
    path = with_graph(saved[1], tmp_path / "bad.pt2", change)
    with pytest.raises(ProgramError) as refused:
        pt2.read(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


def test_pickled_weights_are_never_read(saved: tuple[nn.Module, Path], tmp_path: Path) -> None:
    def pickled(name: str, data: bytes) -> bytes:
        if name.endswith("weights_config.json"):
            return data.replace(b'"use_pickle": false', b'"use_pickle": true', 1)
        return data

    path = changed(saved[1], tmp_path / "pickled.pt2", pickled)
    with pytest.raises(ProgramError, match=r"conv\.0\.weight is pickled, which is never read"):
        pt2.read(path)


def test_custom_objects_are_never_read(tmp_path: Path) -> None:
    # A subclass of a tensor is what torch.export.save itself pickles.
    from torch.testing._internal.two_tensor import TwoTensor

    class Holds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pair = nn.Parameter(TwoTensor(torch.ones(2, 2), torch.ones(2, 2)), requires_grad=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.pair

    path = save(tmp_path / "pair.pt2", Holds(), (torch.ones(2, 2),))
    with pytest.raises(ProgramError, match="pair is pickled, which is never read"):
        pt2.read(path)


def test_a_format_that_pickled_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.pt2"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("serialized_exported_program.json", "{}")
    with pytest.raises(ProgramError, match=r"saved by torch before 2\.8, which pickled"):
        pt2.read(path)


def test_what_is_no_file_of_torch(saved: tuple[nn.Module, Path], tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    for content in (b"", b"PK", b"\x80\x04.", saved[1].read_bytes()[:20_000]):
        path.write_bytes(content)
        with pytest.raises(
            ProgramError, match=r"net\.pt2: no whole file of torch\.export\.save \(.*save it"
        ):
            pt2.read(path)
    with zipfile.ZipFile(path, "w"):
        pass
    with pytest.raises(ProgramError, match=r"net\.pt2: broken"):
        pt2.read(path)
    with pytest.raises(ProgramError, match=r"absent\.pt2: No such file or directory"):
        pt2.read(tmp_path / "absent.pt2")
    with pytest.raises(ProgramError, match="Is a directory"):
        pt2.read(tmp_path)


def test_compressed_records_are_refused(saved: tuple[nn.Module, Path], tmp_path: Path) -> None:
    # A few bytes may stand for gigabytes.
    path = changed(
        saved[1], tmp_path / "net.pt2", lambda _, data: data, compression=zipfile.ZIP_DEFLATED
    )
    with pytest.raises(ProgramError, match="is compressed or too large"):
        pt2.read(path)


def test_sizes_are_bounded(saved: tuple[nn.Module, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_JSON_BYTES", 10_000)
    with pytest.raises(ProgramError, match=r"models/model\.json is compressed or too large"):
        pt2.read(saved[1])
    monkeypatch.setattr(pt2, "MAX_BYTES", 1000)
    with pytest.raises(ProgramError, match="larger than 1e-06 GB, the most that is read"):
        pt2.read(saved[1])


def test_a_weight_beyond_its_record_is_refused(saved: tuple[nn.Module, Path], tmp_path: Path) -> None:
    def larger(name: str, data: bytes) -> bytes:
        return data.replace(b'"as_int": 27', b'"as_int": 27000') if "weights_config" in name else data

    path = changed(saved[1], tmp_path / "net.pt2", larger)
    with pytest.raises(ProgramError, match=r"broken, or of another version of torch \(RuntimeError"):
        pt2.read(path)


def test_flipped_bytes_never_get_through(saved: tuple[nn.Module, Path], tmp_path: Path) -> None:
    whole = saved[1].read_bytes()
    path, chance = tmp_path / "net.pt2", random.Random(5)
    refused = 0
    for _ in range(60):
        broken = bytearray(whole)
        at = chance.randrange(len(broken))
        broken[at] ^= 1 << chance.randrange(8)
        path.write_bytes(broken)
        try:
            answer = pt2.read(path).module(*INPUTS)
        except ProgramError:
            refused += 1
        else:  # it hit padding, a name, or a record that is never read
            assert same(answer, pt2.read(saved[1]).module(*INPUTS))
    assert refused > 20
