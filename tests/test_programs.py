"""Parts of networks and what crosses between them, in files: another process computes the very same."""

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map

from offload.dnn import compress, programs, stored, zoo
from offload.dnn.capturing import captured, same
from offload.dnn.graph import Graph, split
from offload.dnn.network import Input
from offload.dnn.programs import ProgramError

pytestmark = pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")

# What the other process runs: it knows the files and, for int8, the name of the network.
OTHER = """
import sys
from pathlib import Path
import torch
from offload.dnn import programs, stored, zoo
from offload.dnn.graph import capture, split

folder, threads, cut = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
with torch.inference_mode():
    for name in ("mobilenetv2", "yolos-tiny"):
        crossing = programs.load_tensors(folder / f"{name}.crossing")
        part = programs.load_part(folder / f"{name}.pt2")
        programs.save_tensors(folder / f"{name}.answer", part(*crossing))
    network = zoo.network("mobilenetv2")
    example = network.example(1)
    whole = stored.read(folder / "int8.safetensors", network.build, network.input_shape)
    _, after = split(capture(whole, example), cut)
    answer = after(*programs.load_tensors(folder / "int8.crossing"))
    programs.save_tensors(folder / "int8.answer", [answer])
assert "transformers" not in sys.modules
"""


def middle(graph: Graph, *, tensors: int) -> int:
    """A cut in the middle where so many values cross."""
    cuts = [n for n, cut in enumerate(graph.cuts) if cut.tensors == tensors]
    return cuts[len(cuts) // 2]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[object, object]]:
    """What the whole network answered here, and what the second half did in another process."""
    folder = tmp_path_factory.mktemp("programs")
    expected: dict[str, object] = {}
    for name, inputs in (("mobilenetv2", ()), ("yolos-tiny", (Input((3, 64, 96)),))):
        network = zoo.network(name, inputs)
        module, example = zoo.variant(network, "fp32"), network.example(1)
        graph = captured(name, module, example)
        before, after = split(graph, middle(graph, tensors=2))
        with torch.inference_mode():
            expected[name] = module(*example)
            crossing = before(*example)
            programs.save_tensors(folder / f"{name}.crossing", crossing)
        programs.save_part(folder / f"{name}.pt2", after, tree_map(torch.zeros_like, crossing))
    network = zoo.network("mobilenetv2")
    example = network.example(1)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        watched = compress.watch(zoo.variant(network, "fp32"), example)
        watched(*example)
        stored.write(folder / "int8.safetensors", watched, stored.Form((), "int8"), {})
        module = compress.convert(watched)
        graph = captured("int8", module, example)
        cut, crossing = channels_last(graph, example)
        expected["int8"] = module(*example)
        programs.save_tensors(folder / "int8.crossing", crossing)
    told = [str(folder), str(torch.get_num_threads()), str(cut)]
    subprocess.run([sys.executable, "-W", "ignore", "-c", OTHER, *told], check=True)
    return {
        name: (programs.load_tensors(folder / f"{name}.answer"), expected[name]) for name in expected
    }


def channels_last(graph: Graph, example: tuple[torch.Tensor, ...]) -> tuple[int, tuple[Any, ...]]:
    """The cut nearest to the middle at which int8 values cross whose channels come last."""
    middle_first = sorted(range(len(graph.cuts)), key=lambda cut: abs(cut - len(graph.cuts) // 2))
    for cut in middle_first:
        crossing = split(graph, cut)[0](*example)
        if all(each.is_quantized and not each.is_contiguous() for each in crossing):
            assert crossing[0].is_contiguous(memory_format=torch.channels_last)
            return cut, crossing
    raise AssertionError


@pytest.mark.parametrize("name", ["mobilenetv2", "yolos-tiny", "int8"])
def test_another_process_answers_to_the_bit(
    answers: dict[str, tuple[object, object]], name: str
) -> None:
    there, here = answers[name]
    assert same(there, here)


class Uneven(nn.Module):
    """Lists, views and whole numbers cross between its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 6)

    def forward(self, x: torch.Tensor, steps: torch.Tensor) -> dict[str, torch.Tensor]:
        one, two, three = self.linear(x).transpose(1, 2).chunk(3, 1)
        wide = one[:, :1].expand(-1, 2, -1)
        counted = steps.cumsum(1)
        return {"sum": wide.tanh() + two * three, "steps": counted * 2}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_cut_of_a_network_of_lists_and_views(tmp_path: Path, dtype: torch.dtype) -> None:
    module = Uneven().to(dtype).eval()
    example = (torch.randn(2, 6, 4).to(dtype), torch.arange(6).reshape(2, 3))
    graph = captured("uneven", module, example)
    with torch.inference_mode():
        whole = module(*example)
    for cut in range(len(graph.cuts)):
        before, after = split(graph, cut)
        crossing = before(*example)
        programs.save_tensors(tmp_path / "crossing", crossing)
        programs.save_part(tmp_path / "before.pt2", before, example)
        programs.save_part(tmp_path / "after.pt2", after, crossing)
        with torch.inference_mode():
            sent = programs.load_part(tmp_path / "before.pt2")(*example)
            assert same(sent, crossing)
            back = programs.load_tensors(tmp_path / "crossing")
            assert same(programs.load_part(tmp_path / "after.pt2")(*back), whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["after.pt2", "before.pt2", "crossing"]


def layouts() -> dict[str, Any]:
    noise = torch.randn(2, 6, 4, 5)
    last = noise.contiguous(memory_format=torch.channels_last)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantised = [
            torch.quantize_per_tensor(last, 0.1, 7, kind) for kind in (torch.quint8, torch.qint8)
        ]
    return {
        "plain": noise, "channels last": last, "permuted": noise.permute(1, 3, 0, 2),
        "one pixel, channels last": torch.randn(1, 6, 1, 1).to(memory_format=torch.channels_last),
        "bf16": last.bfloat16(), "whole": torch.arange(6).reshape(2, 3).t(), "truth": noise > 0,
        "number": torch.tensor(3.5), "empty": torch.zeros(0, 3), "offset": noise[1:],
        "quint8": quantised[0], "qint8, permuted": quantised[1].permute(2, 0, 3, 1),
        "list": [noise, [last]],
    }  # fmt: skip


@pytest.mark.parametrize("name", layouts())
def test_tensors_keep_their_layout(name: str, tmp_path: Path) -> None:
    value = layouts()[name]
    programs.save_tensors(tmp_path / "x", [value])
    (found,) = programs.load_tensors(tmp_path / "x")
    assert len(tree_leaves(found)) == len(tree_leaves(value))
    for one, other in zip(tree_leaves(found), tree_leaves(value), strict=True):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert one.stride() == other.stride()
        assert torch.equal(one, other)
        if other.is_quantized:
            assert (one.q_scale(), one.q_zero_point()) == (other.q_scale(), other.q_zero_point())


def test_numbers_that_share_memory_are_written_out(tmp_path: Path) -> None:
    value = torch.arange(3.0)[:, None].expand(3, 4)
    programs.save_tensors(tmp_path / "x", [value, value[:, ::2], value.flatten()[::3]])
    found = programs.load_tensors(tmp_path / "x")
    assert [each.tolist() for each in found] == [
        value.tolist(), value[:, ::2].tolist(), value.flatten()[::3].tolist()
    ]  # fmt: skip


def test_int8_parts_are_no_programs(tmp_path: Path) -> None:
    network = zoo.Network("m", lambda: nn.Sequential(nn.Conv2d(1, 4, 3)), (Input((1, 8, 8)),), "", "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = zoo.variant(network, "int8")
        with pytest.raises(ProgramError, match=r"part\.pt2: this part is no program to torch\.export"):
            programs.save_part(tmp_path / "part.pt2", module, network.example(1))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    programs.save_tensors(tmp_path / "x", [torch.arange(6.0).reshape(2, 3)])
    return tmp_path / "x"


def rewrite(path: Path, change: Callable[[dict[str, torch.Tensor], dict[str, str]], None]) -> None:
    tensors, metadata = programs.read_tensors(path)
    change(tensors, metadata)
    safetensors.torch.save_file(tensors, path, metadata)


LAYOUT = json.dumps([{"size": [2, 3], "stride": [300, 1]}])
NEGATIVE = json.dumps([{"size": [2, 3], "stride": [-3, 1]}])


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors, metadata: metadata.clear(),
        lambda tensors, metadata: tensors.clear(),
        lambda tensors, metadata: metadata.update(tree="[1]"),
        lambda tensors, metadata: metadata.update(tree="__import__('os')"),
        lambda tensors, metadata: metadata.update(tree='["0"]'),
        lambda tensors, metadata: metadata.update(tree="[" * 100_000),
        lambda tensors, metadata: metadata.update(layout="{}"),
        lambda tensors, metadata: metadata.update(layout=LAYOUT),
        lambda tensors, metadata: metadata.update(layout=NEGATIVE),
        lambda tensors, metadata: metadata.update(layout=LAYOUT.replace("300, 1]", '3, 1], "scale": 1')),
    ],
)  # fmt: skip
def test_tensors_with_another_story_are_refused(
    saved: Path, change: Callable[[dict[str, torch.Tensor], dict[str, str]], None]
) -> None:
    rewrite(saved, change)
    with pytest.raises(ProgramError) as refused:
        programs.load_tensors(saved)
    assert str(refused.value).startswith(f"{saved}: holds no tensors that crossed a cut (")
    assert "\n" not in str(refused.value)


def test_broken_files_are_refused(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = saved.read_bytes()
    for content in (b"", whole[:5], whole[:60], whole[:-3], b"\xff" * 200, whole + b"more"):
        saved.write_bytes(content)
        with pytest.raises(ProgramError, match=r"x: no whole safetensors file \(.*; make it again"):
            programs.load_tensors(saved)
    with pytest.raises(ProgramError, match="absent: No such file or directory"):
        programs.load_tensors(tmp_path / "absent")
    monkeypatch.setattr(programs, "MAX_BYTES", 100)
    saved.write_bytes(whole)
    with pytest.raises(ProgramError, match="x: larger than 1e-07 GB, the most that is read"):
        programs.load_tensors(saved)
