"""Networks in files: the same after as before, and whatever else lies in a file is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from offload.dnn import compress, small, stored, structure
from offload.dnn.stored import Form, StoredError

EXAMPLE = torch.zeros(1, *small.INPUT_SHAPE)
STAGES = ("features.stage1", 16, "features.stage2", 32)


def noise() -> torch.Tensor:
    return torch.randn(4, *small.INPUT_SHAPE, generator=torch.Generator().manual_seed(1))


def network() -> nn.Module:
    torch.manual_seed(0)
    return small.build().eval()


def sparse() -> nn.Module:
    made = network()
    compress.apply_masks(made, compress.smallest_masked(made, 0.8))
    return made


FORMS: dict[str, tuple[Callable[[], nn.Module], Form]] = {
    "fp32": (network, Form()),
    "pruned": (lambda: structure.pruned(network(), 0.5, EXAMPLE), Form()),
    "sparse": (sparse, Form(numbers="sparse")),
    "classes": (lambda: structure.with_classes(network(), 3), Form((("classes", 3),))),
    "separable": (lambda: structure.separable(network()), Form((("separable",),))),
    "bottleneck": (
        lambda: structure.with_bottleneck(network(), "features.stage2", 2, 32),
        Form((("bottleneck", "features.stage2", 2, 32),)),
    ),
    "exits": (lambda: structure.with_exits(network(), 10, *STAGES), Form((("exits", 10, *STAGES),))),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_network_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    build, form = FORMS[name]
    made = build().eval()
    path = tmp_path / "net.safetensors"
    stored.write(path, made, form, {"model": "fashion-cnn"})
    back = stored.read(path, small.build, small.INPUT_SHAPE)
    assert not back.training
    with torch.inference_mode():
        before, after = made(noise()), back(noise())
    pairs = zip(before, after, strict=True) if name == "exits" else [(before, after)]
    assert all(torch.equal(one, other) for one, other in pairs)
    assert stored.about(path)["model"] == "fashion-cnn"
    assert [each.name for each in tmp_path.iterdir()] == ["net.safetensors"]


def test_int8_comes_back_from_weights_and_ranges(tmp_path: Path) -> None:
    watched = compress.watch(network(), (EXAMPLE,))
    watched(noise())
    path = tmp_path / "net.safetensors"
    stored.write(path, watched, Form(numbers="int8"), {})
    back = stored.read(path, small.build, small.INPUT_SHAPE)
    converted = compress.convert(watched)
    assert torch.equal(back(noise()), converted(noise()))
    weights = sum(each.numel() for _, layer in compress.heavy(network()) for each in (layer.weight,))
    channels = sum(len(layer.weight) for _, layer in compress.heavy(network()))
    assert compress.int8_bytes(back) == weights + 8 * channels  # a scale and a folded bias each


def test_int4_is_rounded_once_when_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    stored.write(path, network(), Form(numbers="int4"), {})
    back = stored.read(path, small.build, small.INPUT_SHAPE)
    assert torch.equal(back(noise()), compress.int4(network())(noise()))


def test_bf16_comes_back_with_its_own_rounding(tmp_path: Path) -> None:
    made = compress.bf16(network())
    path = tmp_path / "net.safetensors"
    stored.write(path, network().to(torch.bfloat16), Form(numbers="bf16"), {})
    back = stored.read(path, small.build, small.INPUT_SHAPE)
    assert torch.equal(back(noise()), made(noise()))
    assert back(noise()).dtype == torch.float32
    full = stored.bytes_of(stored.packed(network(), "fp32"))
    assert stored.bytes_of(stored.packed(network().to(torch.bfloat16), "bf16")) == full / 2


def test_packed_sizes() -> None:
    weights = [layer.weight for _, layer in compress.heavy(network())]
    whole = stored.bytes_of(stored.packed(network(), "fp32"))
    count, first = sum(each.numel() for each in weights), weights[0].numel()
    rest = whole - 4 * count
    scales = sum(len(each) for each in weights[1:])
    assert (
        stored.bytes_of(stored.packed(network(), "int4"))
        == rest + 4 * first + (count - first) / 2 + 4 * scales
    )
    left = sum(
        int(each.count_nonzero()) for each in (layer.weight for _, layer in compress.heavy(sparse()))
    )
    assert left == pytest.approx(0.2 * count, abs=1)
    assert stored.bytes_of(stored.packed(sparse(), "sparse")) == rest + (4 + 2) * left


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of the plain network, to be spoilt."""
    found = tmp_path / "net.safetensors"
    stored.write(found, network(), Form(), {})
    return found


def refused(path: Path, told: str) -> None:
    with pytest.raises(StoredError, match=told) as caught:
        stored.read(path, small.build, small.INPUT_SHAPE)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_files_that_are_none_are_refused(path: Path) -> None:
    refused(path.with_name("other.safetensors"), "no safetensors file")
    content = path.read_bytes()
    path.write_bytes(content[:-5])
    refused(path, "no safetensors file")
    path.write_bytes(b"\xff" * 64)
    refused(path, "no safetensors file")
    path.write_bytes(b"")
    refused(path, "no safetensors file")


def say(path: Path, told: str) -> None:
    """Keep a file's tensors, and let it say something else of itself."""
    save_file(load_file(path), path, {stored.ENTRY: told})


@pytest.mark.parametrize(
    "told",
    [
        "[", "7", "[1, 2]", "[" * 100_000, '{"steps": 7}', '{"steps": [[]]}', '{"steps": [[["exits"]]]}',
        '{"steps": [["bottleneck", "features.stage2", 1000000, 32]]}', '{"steps": [["classes", -1]]}',
        '{"steps": [["classes", true]]}', json.dumps({"steps": [["separable"]] * 9}),
        '{"numbers": "int3"}', '{"numbers": ["int4"]}',
    ],
)  # fmt: skip
def test_a_file_asks_for_nothing_unknown(path: Path, told: str) -> None:
    say(path, told)
    refused(path, "no JSON object|what no file of|steps that no file of")


@pytest.mark.parametrize(
    "told",
    [
        {"steps": [["eval", "1"]]},
        {"steps": [["classes"]]},
        {"steps": [["classes", "features"]]},
        {"steps": [["exits", 10, "nowhere", 16]]},
        {"steps": [["bottleneck", "features.stage2", 4, 32]]},
        {"numbers": "int8"},
    ],
)
def test_a_file_that_does_not_fit_what_it_says_is_refused(path: Path, told: object) -> None:
    say(path, json.dumps(told))
    refused(path, "does not fit its architecture")


def test_the_same_network_is_the_same_bytes(path: Path) -> None:
    again = path.with_name("again.safetensors")
    stored.write(again, network(), Form(), {"model": "fashion-cnn", "seed": "0", "settings": "1"})
    first = again.read_bytes()
    stored.write(again, network(), Form(), {"model": "fashion-cnn", "seed": "0", "settings": "1"})
    assert again.read_bytes() == first


def test_wrong_tensors_are_refused(path: Path) -> None:
    tensors = load_file(path)
    save_file(tensors | {"output.weight": torch.zeros(3, 3)}, path)
    refused(path, "does not fit")
    save_file({name: each for name, each in tensors.items() if name != "output.bias"}, path)
    refused(path, "does not fit")
    index, value = torch.tensor([9_000_000], dtype=torch.int32), torch.ones(1)
    packed = {"output.weight:index": index, "output.weight:value": value}
    save_file(tensors | packed, path, {stored.ENTRY: '{"numbers": "sparse"}'})
    refused(path, "does not fit")


def test_starting_from_weights_leaves_the_last_layer(path: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    other = structure.with_classes(small.build(), 3).eval()
    last = other.get_parameter("output.weight").clone()
    stored.start(path, other)
    assert torch.equal(other.get_parameter("output.weight"), last)
    assert torch.equal(other.features(noise()), network().features(noise()))
    spoilt = tmp_path / "spoilt.safetensors"
    save_file({"output.bias": torch.zeros(10)}, spoilt)
    with pytest.raises(
        StoredError, match=r"spoilt\.safetensors: \d+ of the network's \d+ tensors are not"
    ):
        stored.start(spoilt, small.build())
