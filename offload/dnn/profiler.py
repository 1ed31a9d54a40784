"""Times every layer of a network as it runs in order, beside the network as a whole."""

import ctypes
import gc
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean

import torch
from torch import nn

from offload.dnn import zoo
from offload.dnn.graph import Graph, capture, instrument
from offload.dnn.profiles import (
    AccuracyRecord,
    CutRecord,
    LayerRecord,
    Machine,
    ProfileFile,
    Round,
)
from offload.entities import OffloadError

# A round is set aside if the thread was kept from running for this share of its wall time, or if a
# fixed loop beside it ran this much slower than at its fastest.
BUSY_SHARE = 0.05
SLOW_SPIN = 1.25

_now_ns = time.thread_time_ns


class BusyMachineError(OffloadError):
    """A machine that was too busy for its times to be trusted."""


class Subject:
    """A variant at one batch size, ready to be timed again and again."""

    def __init__(self, module: nn.Module, example: tuple[torch.Tensor, ...]) -> None:
        self.module = module
        self.example = example
        self.batch = example[0].shape[0]
        try:
            self.graph = capture(module, example)
        except Exception as error:
            msg = f"torch cannot capture it: {type(error).__name__}: {str(error).splitlines()[0]}"
            raise zoo.UnknownNetworkError(msg) from error
        self.stamps: list[int] = []
        self.stamped = instrument(self.graph, lambda: self.stamps.append(_now_ns()))


class Session:
    """The measuring of some variants on this machine, in rounds that lie minutes apart.

    In a round, whole runs of the network as PyTorch runs it and runs with a time stamp between
    layers take turns, so that both meet the same machine. Time is the CPU time of the one thread: it
    does not run while another program does. Means, not medians, since what strikes a few layers now
    and then strikes every whole run.
    """

    def __init__(self, hardware: str, batches: tuple[int, ...], budget_s: float = 4.0) -> None:
        self.hardware = hardware
        self.batches = tuple(sorted({1, *batches}))
        self.budget_s = budget_s
        torch.set_num_threads(1)
        torch.backends.mha.set_fastpath_enabled(False)
        self.allocator = _keep_memory()
        self.clock_s = _clock_cost()
        self.fastest_spin = min(_spin() for _ in range(50))

    def measure(
        self,
        targets: Sequence[tuple[zoo.Network, str]],
        rounds: int,
        pause_s: float,
        say: Callable[[str], None] = lambda _: None,
    ) -> list[ProfileFile]:
        """Measure variants until each has `rounds` accepted rounds at every batch size.

        A round begins `pause_s` after the one before it began, or when that is done. Raises
        BusyMachineError if after three times as many rounds the machine was still too busy.
        """
        subjects = [self._subjects(network, variant) for network, variant in targets]
        found: list[list[Round]] = [[] for _ in targets]
        for number in range(1, 3 * rounds + 1):
            begun = time.monotonic()
            for index, (network, variant) in enumerate(targets):
                if _accepted(found[index], self.batches) >= rounds:
                    continue
                for subject in subjects[index]:
                    done = self.round(subject)
                    found[index].append(done)
                    say(
                        f"round {number}/{rounds}  {network.name}:{variant}  batch {done.batch}:"
                        f" {done.end_to_end_s * 1e3:.2f} ms, layers sum to {done.residual:+.1%}"
                        + (f"  rejected: {done.rejected}" if done.rejected else "")
                    )
            if all(_accepted(each, self.batches) >= rounds for each in found):
                break
            time.sleep(max(0.0, pause_s - (time.monotonic() - begun)))
        else:
            msg = f"this machine was too busy in {3 * rounds} rounds; try again when it is idle"
            raise BusyMachineError(msg)
        return [
            self._file(network, variant, subjects[index][0].graph, found[index])
            for index, (network, variant) in enumerate(targets)
        ]

    def _subjects(self, network: zoo.Network, variant: str) -> list[Subject]:
        module = zoo.variant(network, variant)
        return [Subject(module, network.example(batch)) for batch in self.batches]

    def round(self, subject: Subject) -> Round:
        """Time whole runs and stamped runs in turn until the budget is spent."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        layers = [0.0] * len(subject.graph.layers)
        whole: list[float] = []
        spins: list[float] = []
        wall_s = cpu_s = 0.0
        with torch.inference_mode():
            for run in _runs(self.budget_s):
                spins.append(_spin())
                wall, cpu = time.perf_counter_ns(), _now_ns()
                subject.module(*subject.example)
                mine = (_now_ns() - cpu) * 1e-9
                subject.stamps.clear()
                subject.stamped(*subject.example)
                if run < 0:
                    continue  # warming up
                whole.append(mine)
                cpu_s += (_now_ns() - cpu) * 1e-9
                wall_s += (time.perf_counter_ns() - wall) * 1e-9
                before = subject.stamps[0]
                for layer, after in enumerate(subject.stamps[1:]):
                    layers[layer] += (after - before) * 1e-9
                    before = after
        end_to_end = mean(whole)
        seconds = [max(0.0, total / len(whole) - self.clock_s) for total in layers]
        busy, spin = 1 - cpu_s / wall_s, mean(spins) / self.fastest_spin
        return Round(
            at=at,
            batch=subject.batch,
            runs=len(whole),
            layers_s=[round(each, 9) for each in seconds],
            end_to_end_s=end_to_end,
            residual=round(sum(seconds) / end_to_end - 1, 5),
            busy_share=round(busy, 4),
            spin=round(spin, 3),
            rejected=_why_busy(busy, spin),
            ratios=[round(each / end_to_end, 4) for each in whole],
        )

    def _file(self, network: zoo.Network, variant: str, graph: Graph, found: list[Round]) -> ProfileFile:
        """Put rounds and what they were measured on into a profile."""
        accuracy = network.accuracies.get(variant)
        return ProfileFile(
            format=1,
            model=network.name,
            variant=variant,
            precision=variant,
            task=network.task,
            input_shape=list(network.input_shape),
            weights=network.weights,
            accuracy=accuracy and AccuracyRecord(
                value=accuracy.value, known=accuracy.known, source=accuracy.source
            ),
            hardware=self.hardware,
            known="measured",
            machine=Machine(
                processor=_processor(),
                threads=torch.get_num_threads(),
                python=platform.python_version(),
                torch=torch.__version__,
                system=platform.system(),
                allocator=self.allocator,
            ),
            layers=[LayerRecord(**asdict(layer)) for layer in graph.layers],
            cuts=[CutRecord(**asdict(cut)) for cut in graph.cuts],
            rounds=found,
        )  # fmt: skip


def _accepted(found: list[Round], batches: tuple[int, ...]) -> int:
    return min(sum(r.batch == batch and not r.rejected for r in found) for batch in batches)


def _runs(budget_s: float) -> Iterator[int]:
    """Count runs from -2 (two to warm up) while the budget lasts: at least 8, at most 60."""
    gc.collect()
    begun = time.perf_counter()
    run = -2
    while run < 8 or (run < 60 and time.perf_counter() - begun < budget_s):
        yield run
        run += 1


def _spin() -> float:
    """Seconds of wall time that a fixed loop of pure Python takes: slow when others work too."""
    begun = time.perf_counter_ns()
    total = 0
    for number in range(5000):
        total += number
    return (time.perf_counter_ns() - begun) * 1e-9


def _why_busy(busy_share: float, spin: float) -> str:
    if busy_share > BUSY_SHARE:
        return f"kept from running for {busy_share:.0%} of the time"
    if spin > SLOW_SPIN:
        return f"a fixed loop ran {spin:.2f} times slower than at its fastest"
    return ""


def _clock_cost() -> float:
    stamps = [_now_ns() for _ in range(20_000)]
    return (stamps[-1] - stamps[0]) / (len(stamps) - 1) * 1e-9


def _keep_memory() -> str:
    """Keep freed memory in the process, as a server that runs for days does.

    Else every run gives its large tensors back to the kernel and pays page faults for them again, up
    to a quarter of MobileNetV2's time and different from one run to the next.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:
        return "as the system has it"
    trim_threshold, mmap_threshold, one_gib = -1, -3, 2**30
    if libc.mallopt(trim_threshold, one_gib) and libc.mallopt(mmap_threshold, one_gib):
        return "glibc; freed memory kept (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD 1 GiB)"
    return "glibc; freed memory given back"


def _processor() -> str:
    """Name the processor, with what decides its kernels: model, family and instruction set."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    pairs = (
        line.split(":", 1) for line in info.read_text().split("\n\n")[0].splitlines() if ":" in line
    )
    known = {name.strip(): value.strip() for name, value in pairs}
    best = torch.backends.cpu.get_cpu_capability()
    family = known.get("cpu family", "?")
    return f"{known.get('model name', platform.machine())} (family {family}, {best})"
