"""Other runtimes: ONNX Runtime's nodes as layers and cuts, their rounds, torch.compile's one layer."""

import itertools
import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from offload.dnn import machine, onnx_graph, onnx_model, profiles, runtimes
from offload.dnn.network import Input, Network
from offload.dnn.onnx_graph import Event
from offload.dnn.onnx_model import ExportError, Session
from offload.networks import Cut


class Tiny(nn.Module):
    """Two convolutions, one around the other, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 1)
        self.alone = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.end = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.one(x))
        x = torch.sigmoid(self.two(x)) + self.alone(x)
        return self.end(x.mean((2, 3)))


def built() -> nn.Module:
    torch.manual_seed(0)
    return Tiny().eval()


TINY = Network("tiny", built, (Input((3, 16, 16)),), "guessing", "random")


@pytest.fixture(scope="module")
def onnx() -> runtimes.Onnx:
    return runtimes.Onnx(TINY, "fp32", 2)


def test_its_layers_do_the_work_of_the_network(onnx: runtimes.Onnx) -> None:
    kinds = [layer.kind for layer in onnx.layers]
    for kind in ("conv", "pointwise", "depthwise", "linear", "pool"):
        assert kinds.count(kind) == 1
    work = {layer.kind: layer.flops for layer in onnx.layers}
    pixels = 2 * 16 * 16
    assert work["conv"] == 2 * pixels * 16 * 27
    assert work["pointwise"] == 2 * pixels * 16 * 16
    assert work["depthwise"] == 2 * pixels * 16 * 9
    assert work["linear"] == 2 * 2 * 16 * 5
    parameters = sum(each.numel() for each in built().parameters())
    assert sum(layer.parameters for layer in onnx.layers) == parameters
    assert len({layer.name for layer in onnx.layers}) == len(onnx.layers)


def test_its_cuts_run_from_the_input_to_the_result(onnx: runtimes.Onnx) -> None:
    first, last = onnx.cuts[0], onnx.cuts[-1]
    assert [cut.after for cut in onnx.cuts] == list(range(len(onnx.layers) + 1))
    assert (first.payload_bytes, first.tensors, first.before_bytes) == (2 * 3 * 256 * 4, 1, 0)
    assert (last.payload_bytes, last.tensors, last.after_bytes) == (2 * 5 * 4, 1, 0)
    assert last.before_bytes == first.after_bytes > sum(layer.parameters * 4 for layer in onnx.layers)
    assert {cut.tensors for cut in onnx.cuts} == {1, 2}


def test_its_edges_give_its_cuts(onnx: runtimes.Onnx) -> None:
    sizes = [onnx.cuts[0].payload_bytes, *(layer.output_bytes for layer in onnx.layers)]
    until = (
        {0: 0} | dict.fromkeys(range(1, len(onnx.layers)), 0) | {len(onnx.layers): len(onnx.layers) + 1}
    )
    for number, layer in enumerate(onnx.layers, 1):
        until |= dict.fromkeys(layer.takes or (), number)
    assert any(len(layer.takes or ()) > 1 for layer in onnx.layers)
    for cut in onnx.cuts:
        crossing = [value for value, last in until.items() if value <= cut.after < last]
        assert (sum(map(sizes.__getitem__, crossing)), len(crossing)) == (cut.payload_bytes, cut.tensors)


def test_cuts_against_brute_force() -> None:
    """Of a graph with a branch, an output on the way and a weight: x -> a -> b, c -> d; out: b, d."""
    import onnx

    make = onnx.helper.make_node
    nodes = [
        make("Relu", ["x"], ["a"], name="1"),
        make("Relu", ["a"], ["b"], name="2"),
        make("Mul", ["a", "w"], ["c"], name="3"),
        make("Add", ["b", "c"], ["d"], name="4"),
    ]
    value = onnx.helper.make_tensor_value_info
    kind = onnx.TensorProto.FLOAT
    weight = onnx.helper.make_tensor("w", kind, [3], [1.0, 2.0, 3.0])
    outputs = [value("b", kind, [1, 3]), value("d", kind, [1, 3])]
    graph = onnx.helper.make_graph(nodes, "g", [value("x", kind, [1, 3])], outputs, [weight])
    sizes = {"x": 1, "a": 2, "b": 4, "c": 8, "d": 16}
    found = onnx_graph._cuts(graph, {"w": weight}, {name: (size, size) for name, size in sizes.items()})
    needs = {"a": "x", "b": "a", "c": "a", "d": "bc", "out": "bd"}
    for number, cut in enumerate(found):
        done = {"x", *"abcd"[:number]}
        live = {each for user, taken in needs.items() if user not in done for each in taken} & done
        assert (cut.payload_bytes, cut.tensors) == (sum(sizes[each] for each in live), len(live))
    # While they run: x a, a b, a b c, b c d; the weight of 12 bytes belongs to the third.
    assert [cut.before_bytes for cut in found] == [0, 3, 6, 14 + 12, 28 + 12]
    assert [cut.after_bytes for cut in found] == [28 + 12, 28 + 12, 28 + 12, 28, 0]
    assert found[0] == Cut(0, 1, 1, 0, 40)


def test_int8_has_quantised_layers_and_carries_bytes(onnx: runtimes.Onnx) -> None:
    generator = torch.Generator().manual_seed(1)
    calibration = [(torch.randn(1, 3, 16, 16, generator=generator),) for _ in range(4)]
    int8 = runtimes.Onnx(TINY, "int8", 1, calibration=calibration)
    operators = [layer.op.rpartition(".")[2] for layer in int8.layers]
    assert operators.count("QLinearConv") == 3
    assert {"conv", "pointwise", "depthwise", "quantize"} <= {layer.kind for layer in int8.layers}
    assert min(cut.payload_bytes for cut in int8.cuts[1:4]) == 3 * 256
    assert int8.cuts[-1].payload_bytes == 5 * 4
    example = TINY.example(1)
    answer = Session("tiny", int8.model)(*example)[0]
    assert (answer - built()(*example)).abs().max() < 0.1


def test_a_round_holds_means_of_its_runs(onnx: runtimes.Onnx) -> None:
    done = onnx.round(0.001, machine.spin())
    assert (done.batch, done.runs, len(done.ratios)) == (2, 8, 8)
    assert len(done.layers_s) == len(onnx.layers)
    assert done.residual == pytest.approx(sum(done.layers_s) / done.end_to_end_s - 1, abs=1e-3)
    assert -1 < done.residual < 3


def test_events_of_runs_are_told_apart_by_order(
    onnx: runtimes.Onnx, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Layer k of 10 runs, two of them to warm up, takes k seconds in all but those."""
    count = len(onnx.layers)
    told = [
        Event(layer.name, number + (100 if run < 2 else 0) + run % 2, (), ())
        for run in range(10)
        for number, layer in enumerate(onnx.layers)
    ]
    monkeypatch.setattr(runtimes, "events", lambda _: told)
    done = onnx.round(0.001, machine.spin())
    assert done.layers_s == [number + 0.5 for number in range(count)]


def test_a_profile_is_read_in_the_order_of_time(tmp_path: Path) -> None:
    def node(name: str, ts: int, dur: int, cat: str = "Node") -> dict[str, object]:
        shapes = {"input_type_shape": [{"float": [1, 3]}], "output_type_shape": [{"uint8": [2, 5]}]}
        return {"cat": cat, "name": name, "ts": ts, "dur": dur, "args": shapes}

    path = tmp_path / "profile.json"
    told = [
        node("b_kernel_time", 20, 7),
        node("a_kernel_time", 10, 3),
        node("model_run", 0, 50, "Session"),
    ]
    path.write_text(json.dumps([*told, node("a_fence_before", 5, 1)]))
    assert onnx_graph.events(path) == [
        Event("a", 3e-6, (1, 3), ((10, 10),)),
        Event("b", 7e-6, (1, 3), ((10, 10),)),
    ]


def test_a_graph_that_ran_otherwise_is_refused(onnx: runtimes.Onnx, tmp_path: Path) -> None:
    session = Session("tiny", onnx.model, notes=tmp_path)
    session(*TINY.example(2))
    ran = onnx_graph.events(session.close_profile())
    with pytest.raises(ExportError, match="ran other nodes than it wrote down"):
        onnx_graph.layers_and_cuts(tmp_path / "optimised.onnx", ran[1:])


def test_rounds_fit_into_a_profile(onnx: runtimes.Onnx) -> None:
    done = onnx.round(0.001, machine.spin())
    assert profiles.Round.model_validate_json(done.model_dump_json()) == done


@pytest.mark.parametrize("variant", ["bf16", "int9"])
def test_variants_that_it_does_not_take_are_told(variant: str) -> None:
    with pytest.raises(onnx_model.OffloadError, match=f"^tiny:{variant}: "):
        runtimes.subject("onnxruntime", TINY, variant, 1)


def test_a_network_that_cannot_be_exported_is_told() -> None:
    class Random(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if float(x.sum()) > 0 else -x

    odd = Network("odd", Random, (Input((3,)),), "", "")
    with pytest.raises(ExportError, match=r"^odd:fp32: torch.onnx cannot export it: "):
        runtimes.subject("onnxruntime", odd, "fp32", 1)


# torch.compile: what inductor makes of a network takes a minute to compile, so a stand-in compiles here.


def test_compiled_it_is_one_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def compiling(module: nn.Module, **how: object) -> nn.Module:
        asked.append(how)
        return module

    monkeypatch.setattr(torch, "compile", compiling)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/g++" if name == "g++" else None)
    whole = runtimes.subject("compile", TINY, "fp32", 2)
    assert asked == [{"fullgraph": True, "dynamic": False}]
    (layer,) = whole.layers
    assert (layer.op, layer.output_bytes) == ("torch.compile", 2 * 5 * 4)
    assert layer.parameters == sum(each.numel() for each in built().parameters())
    assert layer.flops > 2 * 512 * 16 * (27 + 16 + 9)
    assert [(cut.after, cut.payload_bytes) for cut in whole.cuts] == [(0, 2 * 3 * 256 * 4), (1, 40)]
    done = whole.round(0.001, machine.spin())
    assert done.layers_s == [pytest.approx(done.end_to_end_s, abs=1e-9)]
    assert done.residual == 0


def test_without_a_compiler_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(
        ExportError, match=r"torch.compile needs a C\+\+ compiler, like g\+\+: there is none"
    ):
        runtimes.subject("compile", TINY, "fp32", 1)


def test_what_the_compiler_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*_: object, **__: object) -> object:
        def run(*_: object) -> None:
            msg = "no such kernel\nand pages more"
            raise RuntimeError(msg)

        return run

    monkeypatch.setattr(torch, "compile", refusing)
    with pytest.raises(
        ExportError, match=r"torch.compile does not take it: .*RuntimeError: no such kernel$"
    ):
        runtimes.subject("compile", TINY, "fp32", 1)


def test_turns_warm_up_and_end() -> None:
    assert list(machine.turns(0.0)) == list(range(-2, 8))
    assert list(itertools.islice(machine.turns(100.0), 300)) == list(range(-2, 200))
