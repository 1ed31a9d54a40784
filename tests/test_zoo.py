"""The named networks and the user's own: built, captured, cut to the bit, or refused in one line.

All named networks are looked up; captured and cut is a sample of them, with smaller inputs where they
allow it. `OFFLOAD_ALL_NETWORKS=1 pytest tests/test_zoo.py` takes them all as they are, in some minutes.
"""

import os
import random
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from offload.cli import app
from offload.dnn import zoo
from offload.dnn.capturing import captured, check_exact, same
from offload.dnn.graph import split
from offload.dnn.network import MOST_NUMBERS, parse_input
from offload.dnn.pt2 import ProgramError
from offload.dnn.zoo import NAMED, Input, Network, UnknownNetworkError
from offload.entities import OffloadError
from offload.networks import Figure

ALL = "OFFLOAD_ALL_NETWORKS" in os.environ
SAMPLE: dict[str, tuple[Input, ...]] = {
    "squeezenet": (), "mobilenetv3": (), "efficientnet-b0": (), "segformer-b0": (Input((3, 64, 96)),),
    "yolos-tiny": (Input((3, 64, 96)),),
}  # fmt: skip
TASKS = {"classification", "detection", "segmentation", "keywords", "text classification"}
# Parameters of torchvision's networks; its MobileNets have another bias.
PARAMETERS = {
    "squeezenet": 1_248_424, "efficientnet-b0": 5_288_548, "resnet18": 11_689_512,
    "resnet50": 25_557_032, "densenet121": 7_978_856, "mobilenetv3": 5_483_032 - 1280,
    "inceptionv3": 27_161_264 - 3_326_696,  # without the auxiliary head, which only trains
}  # fmt: skip


def parameters(module: nn.Module) -> int:
    return sum(leaf.numel() for leaf in module.parameters())


@pytest.mark.parametrize("name", NAMED)
def test_named_networks_say_what_they_are(name: str) -> None:
    network = zoo.network(name)
    assert network.name == name
    assert network.task in TASKS
    assert (network.weights == "random") == (name != "fashion-cnn")
    for batch in (1, 3):
        example = network.example(batch)
        assert [tuple(each.shape) for each in example] == [
            (batch, *each.shape) for each in network.inputs
        ]
        assert [each.dtype for each in example] == [each.dtype for each in network.inputs]
        assert same(example, network.example(batch))
    assert network.input_shape == network.inputs[0].shape
    for variant, figure in network.accuracies.items():
        assert variant in {"fp32", "int8", *network.forms}
        assert figure.known == ("measured" if name == "fashion-cnn" else "published")
        assert 0.5 < figure.value < 1
        assert network.task in {"classification", "keywords"}  # a mean precision is no correctness


def test_there_are_networks_for_every_task() -> None:
    assert len(NAMED) >= 22
    assert {network.task for network in NAMED.values()} == TASKS


@pytest.mark.parametrize("name", PARAMETERS)
def test_published_accuracies_are_of_networks_of_the_same_size(name: str) -> None:
    assert parameters(zoo.variant(zoo.network(name), "fp32")) == PARAMETERS[name]


@pytest.mark.parametrize("name", NAMED if ALL else SAMPLE)
def test_a_network_is_captured_and_cut_to_the_bit(name: str) -> None:
    network = zoo.network(name, () if ALL else SAMPLE[name])
    module, example = zoo.variant(network, "fp32"), network.example(1)
    graph = captured(name, module, example)
    check_exact(name, module, graph, example)
    before, after = split(graph, random.Random(name).randrange(1, len(graph.cuts) - 1))
    with torch.inference_mode():
        assert same(after(*before(*example)), module(*example))


def test_bf16_computes_in_bfloat16_on_the_same_inputs() -> None:
    network = zoo.network("yolos-tiny", (Input((3, 64, 96)),))
    module, example = zoo.variant(network, "bf16"), network.example(1)
    assert example[0].dtype == torch.float32
    assert {leaf.dtype for leaf in module.parameters()} == {torch.bfloat16}
    graph = captured("yolos-tiny:bf16", module, example)
    check_exact("yolos-tiny:bf16", module, graph, example)
    with torch.inference_mode():
        assert {each.dtype for each in module(*example)} == {torch.float32}
    assert zoo.precision("bf16") == "bf16"


class Small(nn.Sequential):
    """A network of the user."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 3))


MINE = Network("mine", Small, (Input((1, 8, 8)),), "guessing", "as built")


def test_variants() -> None:
    assert type(zoo.variant(MINE, "fp32")) is Small
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantised = zoo.variant(MINE, "int8")
        assert quantised(*MINE.example(2)).shape == (2, 3)
    assert "Quantized" in str(quantised)
    network = replace(MINE, forms={"half": nn.Flatten, "int8": nn.Identity})
    assert isinstance(zoo.variant(network, "half"), nn.Flatten)
    assert isinstance(
        zoo.variant(network, "int8"), nn.Identity
    )  # what is ready goes before what is made
    assert not zoo.variant(network, "half").training
    with pytest.raises(UnknownNetworkError) as refused:
        zoo.variant(network, "int4")
    assert str(refused.value) == "mine:int4: no such variant; known are half, int8, fp32, bf16"


def test_int8_of_a_network_that_cannot_be_traced() -> None:
    class Branches(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + 1 if x.sum() > 0 else x

    network = replace(MINE, build=Branches)
    with pytest.raises(
        UnknownNetworkError, match=r"mine:int8: torch\.ao\.quantization cannot convert it"
    ):
        zoo.variant(network, "int8")


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Write a user's module and return its name."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> str:
        name = f"nets{random.Random(text).getrandbits(40)}"
        (tmp_path / f"{name}.py").write_text(text)
        return name

    return write


USERS = """
import torch
from torch import nn

class Two(nn.Module):
    def forward(self, words, image):
        return image.mean((1, 2, 3)) + words.sum(1)

def inputs(batch):
    return torch.ones(batch, 5, dtype=torch.int64), torch.rand(batch, 3, 4, 4)

def raises():
    raise ValueError("no weights here")

def exits():
    raise SystemExit(3)

def one_too_few(batch):
    return (torch.zeros(batch - 1, 2),)

number = 7
"""


def test_a_users_network_with_shapes_or_an_example(module: Callable[[str], str]) -> None:
    name = module(USERS)
    network = zoo.network(f"{name}:Two", (parse_input("5:int64"), parse_input("3,4,4")))
    assert network.name == "Two"
    words, image = network.example(2)
    assert (words.shape, words.dtype, image.shape) == ((2, 5), torch.int64, (2, 3, 4, 4))
    assert set(words.flatten().tolist()) <= {0, 1}
    assert zoo.variant(network, "fp32")(words, image).shape == (2,)
    network = zoo.network(f"{name}:Two", example=f"{name}:inputs")
    assert network.inputs == (Input((5,), torch.int64), Input((3, 4, 4)))
    assert network.example(3)[0].tolist() == [[1] * 5] * 3
    two = zoo.variant(network, "fp32")
    check_exact("Two", two, captured("Two", two, network.example(3)), network.example(2))
    assert zoo.network("torch.nn:Identity").input_shape == (3, 224, 224)


def test_another_input_takes_the_published_accuracy_away() -> None:
    assert zoo.network("mobilenetv2").accuracies
    assert zoo.network("mobilenetv2", (Input((3, 224, 224)),)).accuracies
    assert not zoo.network("mobilenetv2", (Input((3, 192, 192)),)).accuracies


@pytest.mark.parametrize(
    ("find", "message"),
    [
        (lambda m: zoo.network("resnet19"), "resnet19: no network of that name; known are alexnet,"),
        (lambda m: zoo.network("no_such_module:build"), "no_such_module:build: ModuleNotFoundError"),
        (lambda m: zoo.network(f"{m}:absent"), "{m}:absent: AttributeError: module '{m}' has"),
        (lambda m: zoo.network(f"{m}:number"), "{m}:number: int, which cannot be called; name a"),
        (lambda m: zoo.network(":build"), ":build: ValueError: Empty module name"),
        (
            lambda m: zoo.variant(zoo.network(f"{m}:raises"), "fp32"),
            "raises: building it raised ValueError: no weights here",
        ),
        (
            lambda m: zoo.variant(zoo.network(f"{m}:exits"), "fp32"),
            "exits: building it raised SystemExit: 3",
        ),
        (
            lambda m: zoo.variant(zoo.network("builtins:dict"), "fp32"),
            "dict: the factory returned dict, no torch.nn.Module",
        ),
        (
            lambda m: zoo.network(f"{m}:Two", (Input((5,)),), f"{m}:inputs"),
            "{m}:Two: give the shapes of its inputs or a function that makes them, not both",
        ),
        (
            lambda m: zoo.network(f"{m}:Two", example=f"{m}:raises"),
            "{m}:Two: its example function raised TypeError: raises() takes 0 positional",
        ),
        (
            lambda m: zoo.network(f"{m}:Two", example=f"{m}:one_too_few"),
            "{m}:Two: its example function must return a tuple of tensors that begin with the batch",
        ),
        (
            lambda m: zoo.network("net.pt2", (Input((5,)),)),
            "net.pt2: a saved program says itself what it takes; leave out --input and --example",
        ),
        (lambda m: zoo.network("absent.pt2"), "absent.pt2: No such file or directory"),
        (lambda m: zoo.network(".pt2"), ".pt2: a network is named after its file, and a name has"),
    ],
)  # fmt: skip
def test_what_leads_to_no_network(
    module: Callable[[str], str], find: Callable[[str], object], message: str
) -> None:
    name = module(USERS)
    with pytest.raises(OffloadError) as refused:
        find(name)
    assert isinstance(refused.value, UnknownNetworkError | ProgramError)
    assert str(refused.value).startswith(message.replace("{m}", name))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("raise RuntimeError('not today')", "RuntimeError: not today"),
        ("import sys; sys.exit('bye')", "SystemExit: bye"),
        ("def f(:", "SyntaxError: invalid syntax"),
        ("import absent_package", "ModuleNotFoundError: No module named 'absent_package'"),
    ],
)
def test_a_module_that_raises_on_import(module: Callable[[str], str], text: str, reason: str) -> None:
    name = module(text)
    with pytest.raises(UnknownNetworkError) as refused:
        zoo.network(f"{name}:build")
    assert str(refused.value).startswith(f"{name}:build: {reason}")


def test_a_torchvision_that_does_not_fit_looks_absent(
    module: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    (tmp_path / "torchvision.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    plain = module("from torch.nn import Identity")
    assert zoo.variant(zoo.network(f"{plain}:Identity"), "fp32")
    needs = module("import torchvision\nfrom torch.nn import Identity")
    with pytest.raises(
        UnknownNetworkError, match="the torchvision that is installed does not fit this torch"
    ):
        zoo.network(f"{needs}:Identity")


def save(path: Path, inputs: tuple[torch.Tensor, ...], module: nn.Module, **options: object) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(module, inputs, **options), path)  # type: ignore[arg-type]
    return str(path)


def test_a_saved_program_is_a_network(tmp_path: Path) -> None:
    whole = Small().eval()
    network = zoo.network(save(tmp_path / "small.pt2", (torch.randn(2, 1, 8, 8),), whole))
    assert (network.name, network.inputs, network.weights) == ("small", (Input((1, 8, 8)),), "as saved")
    example = network.example(2)
    module = zoo.variant(network, "fp32")
    graph = captured("small", module, example)
    check_exact("small", module, graph, example)
    with torch.inference_mode():
        assert same(graph.module(*example), whole(*example))
    with pytest.raises(UnknownNetworkError, match="small: it was exported for a batch of 2, not of 1"):
        network.example(1)
    with pytest.raises(UnknownNetworkError, match=r"small:int8: no such variant; known are fp32$"):
        zoo.variant(network, "int8")
    bf16 = save(tmp_path / "half.pt2", (torch.randn(1, 1, 8, 8).bfloat16(),), whole.bfloat16())
    assert zoo.network(bf16).forms.keys() == {"bf16"}


def test_a_program_for_any_batch_is_captured_for_the_one_at_hand(tmp_path: Path) -> None:
    shapes = ({0: torch.export.Dim("batch", max=64)},)
    whole = Small().eval()
    path = save(tmp_path / "small.pt2", (torch.randn(2, 1, 8, 8),), whole, dynamic_shapes=shapes)
    network = zoo.network(path)
    module = zoo.variant(network, "fp32")
    for batch in (1, 4):
        example = network.example(batch)
        graph = captured("small", module, example)
        assert len(graph.layers) == 4  # sizes are no layers
        with torch.inference_mode():
            assert same(graph.module(*example), whole(*example))


def test_inputs_without_a_common_batch_are_refused(tmp_path: Path) -> None:
    class Adds(nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return x.sum() + y

    path = save(tmp_path / "adds.pt2", (torch.ones(2), torch.ones(3)), Adds())
    with pytest.raises(UnknownNetworkError, match=r"adds\.pt2: its inputs begin with \[2, 3\]"):
        zoo.network(path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("3,224,224", Input((3, 224, 224))),
        (" 3, 32 ,32 : float32 ", Input((3, 32, 32))),
        ("128:int64", Input((128,), torch.int64)),
        ("16000", Input((16000,))),
        ("4:bool", Input((4,), torch.bool)),
    ],
)
def test_inputs_as_they_are_written(text: str, found: Input) -> None:
    assert parse_input(text) == found


@pytest.mark.parametrize(
    "text", ["", "3x224x224", "3,,4", "-1", "0", "3,0", "1e3", "nan", "128:int65", "128:", "9" * 30,
             f"{MOST_NUMBERS + 1}", "10000,10000,10000", "3,4:complex64", "3;4", "٣"]
)  # fmt: skip
def test_inputs_that_are_none(text: str) -> None:
    with pytest.raises(UnknownNetworkError, match=r'--input .*like "3,224,224" or "128:int64"'):
        parse_input(text)


def test_an_accuracy_says_how_it_is_known() -> None:
    assert zoo.network("resnet50").accuracies["fp32"] == Figure(
        0.7613,
        "published",
        "torchvision 0.28 model weights ResNet50 IMAGENET1K_V1,"
        " top-1 on ImageNet-1k (single crop, 224 px)",
    )
    assert "299 px" in zoo.network("inceptionv3").accuracies["fp32"].source


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{m}:Two", "--input", "3,x"], "--input 3,x: write the sizes without the batch"),
        (["{m}:Two", "--input", "5:int64", "--example", "{m}:inputs"], "{m}:Two: give the shapes"),
        (["{m}:Two", "--example", "{m}:raises"], "{m}:Two: its example function raised TypeError"),
        (["{m}:raises"], "raises: building it raised ValueError: no weights here"),
        (["{m}:exits"], "exits: building it raised SystemExit: 3"),
        (["{m}:absent"], "{m}:absent: AttributeError"),
        (["builtins:dict"], "dict: the factory returned dict, no torch.nn.Module"),
        (["broken.pt2"], "broken.pt2: no whole file of torch.export.save"),
        (["broken.pt2", "--input", "3"], "broken.pt2: a saved program says itself what it takes"),
        (["resnet19"], "resnet19: no network of that name"),
        (
            ["mobilenetv2", "--variant", "int3"],
            "mobilenetv2:int3: no such variant; known are fp32, bf16,",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_refuses_in_one_line_and_writes_nothing(
    module: Callable[[str], str], tmp_path: Path, arguments: list[str], message: str
) -> None:
    name = module(USERS)
    (tmp_path / "broken.pt2").write_bytes(b"PK\x03\x04 and no more")
    words = [each.replace("{m}", name) for each in arguments]
    done = CliRunner().invoke(
        app, ["profile", *words, "--out", "out", "--rounds", "1", "--pause", "0 s"]
    )
    assert done.exit_code == 2
    assert done.stderr.startswith(message.replace("{m}", name))
    assert done.stderr.count("\n") == 1
    assert list((tmp_path / "out").iterdir()) == []
