"""Who takes whose values: in captured networks, in the shipped profiles, and in files that lack it."""

import dataclasses
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from offload.dnn.graph import capture
from offload.dnn.profiles import ProfileError, ProfileFile, read, write
from offload.networks import Variant
from offload.scenario.catalogue import Catalogue
from tests import hand_made

SHIPPED = sorted((hand_made.ROOT / "data" / "profiles").glob("*.json"))
IN_PLACE = re.compile(r"_(\.|$)")  # as torch names operators that overwrite what they take


class Around(nn.Module):
    """A convolution, the way around it, and a size that somebody asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.scale = nn.Conv2d(2, 2, 1), nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        z = self.conv(x)
        return torch.cat((z.relu() * self.scale, x + z, y), 1)


def test_edges_of_a_captured_network_by_hand() -> None:
    graph = capture(Around().eval(), (torch.rand(1, 2, 4, 4), torch.rand(1, 1, 4, 4)))
    assert [layer.op for layer in graph.layers] == [
        "aten.conv2d", "aten.relu", "aten.mul.Tensor", "aten.add.Tensor", "aten.cat",
    ]  # fmt: skip
    # The input as 0, both of them; a weight is at hand.
    assert [layer.takes for layer in graph.layers] == [(0,), (1,), (2,), (0, 1), (0, 3, 4)]


def crossings(variant: Variant) -> dict[int, tuple[int, int]]:
    """Return the bytes and the number of values that cross after each layer, by the edges."""
    count = len(variant.layers)
    sizes = [variant.cuts[0].payload_bytes, *(layer.output_bytes for layer in variant.layers)]
    until = dict.fromkeys(range(count + 1), 0)
    for number, taken in enumerate(variant.takes, 1):
        until |= dict.fromkeys(taken, number)
    answers = {value for value, last in until.items() if not last}
    answers |= {variant.cuts[exit_].after for exit_ in variant.exits}
    until |= dict.fromkeys(answers, count + 1)
    found = {}
    for after in range(count + 1):
        crossing = [value for value, last in until.items() if value <= after < last]
        if all(sizes[value] for value in crossing):  # else a size would cross, not a tensor
            found[after] = sum(sizes[value] for value in crossing), len(crossing)
    return found


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_edges_and_bytes_give_the_listed_cuts_of_every_shipped_profile(path: Path) -> None:
    variant = read(path).variant
    assert variant.takes
    assert crossings(variant) == {c.after: (c.payload_bytes, c.tensors) for c in variant.cuts}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_no_shipped_network_overwrites_what_somebody_else_takes(path: Path) -> None:
    # Else an edge to the value before would not tell who has to wait for whom.
    variant = read(path).variant
    taken = [value for takes in variant.takes for value in takes]
    for layer, takes in zip(variant.layers, variant.takes, strict=True):
        if IN_PLACE.search(layer.op):
            assert [taken.count(value) for value in takes] == [1]


def test_a_chain_is_not_assumed(tmp_path: Path) -> None:
    assert hand_made.variant([1, 2, 3]).takes == ()
    hand_made.write_pictures(tmp_path, box=1.0)
    path = tmp_path / "pictures.plain.box.json"
    assert read(path).variant.takes == ()
    told = ProfileFile.model_validate_json(path.read_bytes())
    write(path, told)
    assert read(path).variant.takes == ()


def with_edges(path: Path, takes: list[Any]) -> None:
    """Put edges into a file; None leaves a layer's out."""
    told = json.loads(path.read_text())
    for layer, each in zip(told["layers"], takes, strict=True):
        layer.pop("takes", None)
        if each is not None:
            layer["takes"] = each
    path.write_text(json.dumps(told))


CHAIN: list[Any] = [[0], [1], [2], [3], [4], [5], [6], [7]]


def test_edges_are_read_written_and_agree_between_machines(tmp_path: Path) -> None:
    hand_made.write_pictures(tmp_path / "old", box=1.0, crate=2.0)
    other = tmp_path / "old" / "pictures.plain.crate.json"
    with_edges(other, [*CHAIN[:-1], [0, 7]])
    assert read(other).variant.takes == ((0,), (1,), (2,), (3,), (4,), (5,), (6,), (0, 7))
    told = ProfileFile.model_validate_json(other.read_bytes())
    write(other, told)
    assert ProfileFile.model_validate_json(other.read_bytes()) == told
    # One of two files is from before edges were written down: the other one's count for both.
    (form,) = (v for v in Catalogue(tmp_path / "old").variants("pictures") if v.name == "plain")
    assert form.takes[-1] == (0, 7)
    hand_made.write_pictures(tmp_path / "two", box=1.0, crate=2.0)
    with_edges(tmp_path / "two" / "pictures.plain.box.json", CHAIN)
    with_edges(tmp_path / "two" / "pictures.plain.crate.json", [*CHAIN[:-1], [0, 7]])
    with pytest.raises(ProfileError, match="its layers are not those of the other profiles"):
        Catalogue(tmp_path / "two").variants("pictures")


@pytest.mark.parametrize(
    ("index", "takes", "why"),
    [
        (3, [4], "layers[3].takes must rise, and name layers before it"),
        (3, [2, 1], "layers[3].takes must rise"),
        (3, [2, 2], "layers[3].takes must rise"),
        (3, [-1], "layers.3.takes.0"),
        (3, None, "layers[3].takes: give it for all layers or for none"),
        (0, None, "layers[1].takes: give it for all layers or for none"),
        (7, list(range(1001)), "layers.7.takes"),
    ],
)
def test_edges_that_cannot_be_are_refused_by_file_and_layer(
    tmp_path: Path, index: int, takes: Any, why: str
) -> None:
    hand_made.write_pictures(tmp_path, box=1.0)
    path = tmp_path / "pictures.plain.box.json"
    with_edges(path, [*CHAIN[:index], takes, *CHAIN[index + 1 :]])
    with pytest.raises(ProfileError) as refused:
        read(path)
    assert str(refused.value).startswith(f"{path}: {why}")


def script() -> Any:
    """Return the script that fills edges into the shipped files."""
    spec = importlib.util.spec_from_file_location(
        "write_edges", hand_made.ROOT / "data" / "write_edges.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_script_adds_edges_and_nothing_else() -> None:
    from offload.dnn import small

    path = hand_made.ROOT / "data" / "profiles" / "fashion-cnn.fp32.x86-core.json"
    text, write_edges = path.read_text(), script()
    graph = capture(small.load(), (torch.rand(1, *small.INPUT_SHAPE),))
    bare = write_edges.TAKES.sub("", text)
    assert '"takes"' not in bare
    assert write_edges.with_edges(path, bare, graph) == text
    assert write_edges.with_edges(path, text, graph) == text
    # Another network, or other edges, are refused.
    renamed = dataclasses.replace(graph.layers[5], name="other")
    other = dataclasses.replace(graph, layers=(*graph.layers[:5], renamed, *graph.layers[6:]))
    turned = dataclasses.replace(graph.layers[5], takes=(0,))
    wrong = dataclasses.replace(graph, layers=(*graph.layers[:5], turned, *graph.layers[6:]))
    for each in (other, wrong):
        with pytest.raises(ValueError, match="are not those of the network"):
            write_edges.with_edges(path, text, each)
