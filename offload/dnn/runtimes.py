"""Other runtimes than eager PyTorch, timed in rounds as that is: ONNX Runtime, and torch.compile."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from statistics import mean
from typing import Literal, Protocol

import torch

from offload.dnn import machine, zoo
from offload.dnn.capturing import captured, quiet, why
from offload.dnn.network import Network
from offload.dnn.onnx_graph import events, layers_and_cuts
from offload.dnn.onnx_model import ExportError, Inputs, Session, onnx_model
from offload.dnn.profiles import Round
from offload.networks import Cut, Layer

Runtime = Literal["onnxruntime", "compile"]
_COMPILERS = ("g++", "clang++", "c++")
_WARM_UP = 2  # turns


class Subject(Protocol):
    """A variant in a runtime at one batch size, ready to be timed again and again."""

    batch: int
    layers: tuple[Layer, ...]
    cuts: tuple[Cut, ...]

    def round(self, budget_s: float, fastest_spin_s: float) -> Round:
        """Time it until the budget is spent."""
        ...


def subject(
    runtime: Runtime,
    network: Network,
    variant: str,
    batch: int,
    threads: int = 1,
    calibration: Iterable[Inputs] | None = None,
) -> Subject:
    """Return a variant of a network in a runtime.

    `calibration` are batches of that size, for int8 in ONNX Runtime. Raises ExportError where a runtime
    does not take a variant.
    """
    if runtime == "onnxruntime":
        return Onnx(network, variant, batch, threads, calibration)
    return Compiled(network, variant, batch, threads)


def version(runtime: str) -> str:
    """Return a runtime's name, with its version where that is not torch's."""
    return f"onnxruntime {metadata.version('onnxruntime')}" if runtime == "onnxruntime" else runtime


class Onnx:
    """A variant in ONNX Runtime: its layers are the nodes of the graph that this made of it.

    Nodes are timed by ONNX Runtime's own profile, in whole microseconds of wall time, so all of it is
    wall time here: a busy machine spoils a round sooner than one of eager PyTorch. What lies between
    nodes is in no layer.
    """

    def __init__(
        self,
        network: Network,
        variant: str,
        batch: int,
        threads: int = 1,
        calibration: Iterable[Inputs] | None = None,
    ) -> None:
        self.label, self.batch, self.threads = f"{network.name}:{variant}", batch, threads
        self.example = network.example(batch)
        self.model = onnx_model(network, variant, batch, calibration)
        with tempfile.TemporaryDirectory() as folder:
            notes = Path(folder)
            noting = Session(self.label, self.model, threads, notes)
            noting(*self.example)
            ran = events(noting.close_profile())
            self.layers, self.cuts = layers_and_cuts(notes / "optimised.onnx", ran)

    def round(self, budget_s: float, fastest_spin_s: float) -> Round:
        """Time whole runs, in turns with runs in a session that notes the time of each node."""
        with tempfile.TemporaryDirectory() as folder:
            whole = Session(self.label, self.model, self.threads).runner(self.example)
            noting = Session(self.label, self.model, self.threads, Path(folder))
            runs = _Runs(budget_s, whole, noting.runner(self.example), time.perf_counter_ns)
            ran = events(noting.close_profile())
        count = len(self.layers)
        kept = ran[_WARM_UP * count :]
        layers_s = [mean(event.seconds for event in kept[node::count]) for node in range(count)]
        return runs.round(self.batch, layers_s, fastest_spin_s, self.threads)


class Compiled:
    """A variant compiled by torch.compile (inductor): one layer, from its input to its result.

    What the compiler fuses has no time of its own, so nothing is missing in the one layer: its residual
    is 0 by construction and says nothing. Needs a C++ compiler.
    """

    def __init__(self, network: Network, variant: str, batch: int, threads: int = 1) -> None:
        self.label, self.batch, self.threads = f"{network.name}:{variant}", batch, threads
        self.example = network.example(batch)
        if not any(map(shutil.which, _COMPILERS)):
            msg = (
                f"{self.label}: torch.compile needs a C++ compiler, like {_COMPILERS[0]}: there is none"
            )
            raise ExportError(msg)
        module = zoo.variant(network, variant)
        graph = captured(self.label, module, self.example)
        first, last = graph.cuts[0], graph.cuts[-1]
        layer = Layer(
            name="whole",
            op="torch.compile",
            kind="other",
            flops=sum(each.flops for each in graph.layers),
            parameters=sum(each.parameters for each in graph.layers),
            input_elements=sum(each.numel() for each in self.example),
            output_elements=graph.layers[-1].output_elements,
            output_bytes=last.payload_bytes,
            takes=(0,),
        )
        self.layers: tuple[Layer, ...] = (layer,)
        self.cuts: tuple[Cut, ...] = (first, replace(last, after=1))
        self.compiled = torch.compile(module, fullgraph=True, dynamic=False)
        try:
            with quiet(), torch.inference_mode():
                self.compiled(*self.example)
        except Exception as error:
            msg = f"{self.label}: torch.compile does not take it: {why(error)}"
            raise ExportError(msg) from error

    def round(self, budget_s: float, fastest_spin_s: float) -> Round:
        """Time whole runs."""
        with torch.inference_mode():
            runs = _Runs(
                budget_s, lambda: self.compiled(*self.example), None, machine.clock(self.threads)
            )
        return runs.round(self.batch, [mean(runs.whole_s)], fastest_spin_s, self.threads)


class _Runs:
    """Whole runs, in turns with runs of something else, until the budget is spent."""

    def __init__(
        self,
        budget_s: float,
        whole: Callable[[], object],
        other: Callable[[], object] | None,
        now: Callable[[], int],
    ) -> None:
        self.at = datetime.now(UTC).isoformat(timespec="seconds")
        self.whole_s: list[float] = []
        self.spins_s: list[float] = []
        self.wall_s = self.cpu_s = 0.0
        for turn in machine.turns(budget_s):
            spin_s = machine.spin()
            wall, cpu, begun = time.perf_counter_ns(), time.thread_time_ns(), now()
            whole()
            took_s = (now() - begun) * 1e-9
            ran_s = (time.thread_time_ns() - cpu) * 1e-9
            lasted_s = (time.perf_counter_ns() - wall) * 1e-9
            if other:
                other()
            if turn >= 0:  # the first two are to warm up
                self.spins_s.append(spin_s)
                self.whole_s.append(took_s)
                self.cpu_s += ran_s
                self.wall_s += lasted_s

    def round(self, batch: int, layers_s: Sequence[float], fastest_spin_s: float, threads: int) -> Round:
        """Return them as a round, the layers having taken this long on average."""
        end_to_end_s = mean(self.whole_s)
        busy = 1 - self.cpu_s / self.wall_s if threads == 1 else 0.0
        spin = mean(self.spins_s) / fastest_spin_s
        return Round(
            at=self.at,
            batch=batch,
            runs=len(self.whole_s),
            layers_s=[round(each, 9) for each in layers_s],
            end_to_end_s=end_to_end_s,
            residual=round(sum(layers_s) / end_to_end_s - 1, 5),
            busy_share=round(busy, 4),
            spin=round(spin, 3),
            rejected=machine.why_busy(busy, spin),
            ratios=[round(each / end_to_end_s, 4) for each in self.whole_s],
        )
