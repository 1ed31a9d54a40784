"""Times every layer of a network as it runs in order, beside the network as a whole."""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from pathlib import Path
from statistics import mean

import torch
from torch import nn

from offload.dnn import machine, zoo
from offload.dnn.capturing import captured, check_exact
from offload.dnn.graph import Graph, instrument, split
from offload.dnn.profiles import AccuracyRecord, CutRecord, LayerRecord, Part, ProfileFile, Round
from offload.dnn.rounds import Diary
from offload.entities import OffloadError

# Cuts at which the two parts are timed as well: about these shares of the work lie before them.
PARTS = (0.25, 0.5, 0.75)


class BusyMachineError(OffloadError):
    """A machine that was too busy for its times to be trusted."""


class TooLargeError(OffloadError):
    """A batch that does not fit into memory."""


class Subject:
    """A variant at one batch size, ready to be timed again and again."""

    def __init__(self, name: str, module: nn.Module, example: tuple[torch.Tensor, ...]) -> None:
        self.name = name
        self.module = module
        self.example = example
        self.batch = example[0].shape[0]
        self.graph = captured(name, module, example)
        self.stamps: list[int] = []

    def stamped(self, now: Callable[[], int]) -> nn.Module:
        """Return the network with a time stamp before its first layer and after each."""
        return instrument(self.graph, machine.stamper(self.stamps, now))


class Session:
    """The measuring of some variants on this machine, in rounds that lie minutes apart.

    In a round, whole runs of the network as PyTorch runs it and runs with a time stamp between
    layers take turns, so that both meet the same machine. Means, not medians, since what strikes a
    few layers now and then strikes every whole run. What is finished is kept in `folder`, and the same
    measurement goes on from there.
    """

    def __init__(
        self,
        hardware: str,
        batches: tuple[int, ...],
        folder: Path,
        threads: int = 1,
        budget_s: float = 4.0,
    ) -> None:
        self.hardware = hardware
        self.batches = tuple(sorted({1, *batches}))
        self.folder = folder
        self.budget_s = budget_s
        self.machine = machine.prepare(threads)
        self.now = machine.clock(threads)
        self.stamp_s = machine.stamp_cost_s(self.now)
        self.fastest_spin_s = min(machine.spin() for _ in range(50))

    def measure(
        self,
        targets: Sequence[tuple[zoo.Network, str]],
        rounds: int,
        pause_s: float,
        say: Callable[[str], None] = lambda _: None,
    ) -> list[ProfileFile]:
        """Measure variants until each has `rounds` accepted rounds at every batch size.

        A round begins `pause_s` after the one before it began, or when that is done. Raises
        BusyMachineError if after three times as many rounds the machine was still too busy, and
        TooLargeError.
        """
        subjects = [self._subjects(network, variant) for network, variant in targets]
        diaries = [
            self._diary(network, variant, mine[0].graph)
            for (network, variant), mine in zip(targets, subjects, strict=True)
        ]
        for number in range(1, 3 * rounds + 1):
            begun = time.monotonic()
            for (network, variant), mine, diary in zip(targets, subjects, diaries, strict=True):
                for subject in mine:
                    if _accepted(diary.rounds, subject.batch) >= rounds:
                        continue
                    done = self.round(subject)
                    diary.add(done)
                    say(
                        f"{network.name}:{variant}, batch {done.batch}, round {number}:"
                        f" {done.end_to_end_s * 1e3:.2f} ms, layers sum to {done.residual:+.1%}"
                        + (f"; rejected: {done.rejected}" if done.rejected else "")
                    )
            if all(
                _accepted(diary.rounds, batch) >= rounds for diary in diaries for batch in self.batches
            ):
                break
            time.sleep(max(0.0, pause_s - (time.monotonic() - begun)))
        else:
            msg = f"this machine was too busy in {3 * rounds} rounds; try again when it is idle"
            raise BusyMachineError(msg)
        for diary in diaries:
            diary.close()
        return [
            self._file(network, variant, mine[0], diary.rounds)
            for (network, variant), mine, diary in zip(targets, subjects, diaries, strict=True)
        ]

    def _subjects(self, network: zoo.Network, variant: str) -> list[Subject]:
        name, module = f"{network.name}:{variant}", zoo.variant(network, variant)
        first = Subject(name, module, network.example(1))
        check_exact(name, module, first.graph, first.example)
        for batch in self.batches[1:]:
            needs = batch * (first.graph.cuts[-1].before_bytes - _weight_bytes(module))
            free = machine.free_memory_bytes()
            if needs > free:
                msg = (
                    f"{name}: a batch of {batch} needs about {needs / 1e9:.1f} GB and"
                    f" {free / 1e9:.1f} GB are free; choose a smaller --batch"
                )
                raise TooLargeError(msg)
        return [first, *(Subject(name, module, network.example(batch)) for batch in self.batches[1:])]

    def _diary(self, network: zoo.Network, variant: str, graph: Graph) -> Diary:
        layers = [LayerRecord(**asdict(layer)) for layer in graph.layers]
        name = f".{network.name}.{variant}.{self.hardware}.rounds"
        return Diary(self.folder / name, self.machine, layers)

    def round(self, subject: Subject) -> Round:
        """Time whole runs, stamped runs and the network's parts in turn until the budget is spent."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        stamped, stamps = subject.stamped(self.now), subject.stamps
        parts = _parts(subject.graph) if subject.batch == 1 else []
        layers = [0.0] * len(subject.graph.layers)
        halves: list[list[tuple[float, float]]] = [[] for _ in parts]
        whole: list[float] = []
        spins: list[float] = []
        wall_s = cpu_s = 0.0
        with torch.inference_mode():
            for run in _runs(self.budget_s):
                spins.append(machine.spin())
                wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
                stamps.clear()
                if run % 2:  # neither always comes first
                    stamped(*subject.example)
                begun = self.now()
                subject.module(*subject.example)
                mine = (self.now() - begun) * 1e-9
                if not run % 2:
                    stamped(*subject.example)
                ran_s = (time.thread_time_ns() - cpu) * 1e-9
                lasted_s = (time.perf_counter_ns() - wall) * 1e-9
                both = self._halves(parts[run % len(parts)], subject.example) if parts else None
                if run < 0:
                    continue  # warming up
                whole.append(mine)
                cpu_s += ran_s
                wall_s += lasted_s
                if both:
                    halves[run % len(parts)].append(both)
                for layer, (before, after) in enumerate(pairwise(stamps)):
                    layers[layer] += (after - before) * 1e-9
        end_to_end = mean(whole)
        seconds = [max(0.0, total / len(whole) - self.stamp_s) for total in layers]
        busy = 1 - cpu_s / wall_s if self.machine.threads == 1 else 0.0
        spin = mean(spins) / self.fastest_spin_s
        return Round(
            at=at,
            batch=subject.batch,
            runs=len(whole),
            layers_s=[round(each, 9) for each in seconds],
            end_to_end_s=end_to_end,
            residual=round(sum(seconds) / end_to_end - 1, 5),
            busy_share=round(busy, 4),
            spin=round(spin, 3),
            rejected=machine.why_busy(busy, spin),
            ratios=[round(each / end_to_end, 4) for each in whole],
            parts=[
                Part(after=after, before_s=mean(b for b, _ in each), after_s=mean(a for _, a in each))
                for (after, _, _), each in zip(parts, halves, strict=True)
            ],
        )

    def _halves(
        self, part: tuple[int, nn.Module, nn.Module], example: tuple[torch.Tensor, ...]
    ) -> tuple[float, float]:
        """Time the part before a cut, then the part after it."""
        _, before, after = part
        begun = self.now()
        crossing = before(*example)
        between = self.now()
        after(*crossing)
        return (between - begun) * 1e-9, (self.now() - between) * 1e-9

    def _file(
        self, network: zoo.Network, variant: str, subject: Subject, found: list[Round]
    ) -> ProfileFile:
        """Put rounds and what they were measured on into a profile."""
        graph, answers_early = subject.graph, getattr(subject.module, "answers_early", False)
        accuracy = network.accuracies.get(variant)
        return ProfileFile(
            format=1,
            model=network.name,
            variant=variant,
            precision=zoo.precision(variant),
            task=network.task,
            input_shape=list(network.input_shape),
            weights=network.weights,
            accuracy=accuracy and AccuracyRecord(
                value=accuracy.value, known=accuracy.known, source=accuracy.source
            ),
            hardware=self.hardware,
            known="measured",
            machine=self.machine,
            exits=list(graph.outputs) if answers_early else [],
            layers=[LayerRecord(**asdict(layer)) for layer in graph.layers],
            cuts=[CutRecord(**asdict(cut)) for cut in graph.cuts],
            rounds=found,
        )  # fmt: skip


def _parts(graph: Graph) -> list[tuple[int, nn.Module, nn.Module]]:
    """Divide a network where about these shares of its FLOPs have been done."""
    done = list(accumulate((layer.flops for layer in graph.layers), initial=0))
    chosen = {
        min(
            range(1, len(graph.cuts) - 1),
            key=lambda cut: abs(done[graph.cuts[cut].after] - share * done[-1]),
        )
        for share in PARTS
        if len(graph.cuts) > 2
    }
    return [(graph.cuts[cut].after, *split(graph, cut)) for cut in sorted(chosen)]


def _weight_bytes(module: nn.Module) -> int:
    return sum(leaf.numel() * leaf.element_size() for leaf in (*module.parameters(), *module.buffers()))


def _accepted(found: list[Round], batch: int) -> int:
    return sum(each.batch == batch and not each.rejected for each in found)


def _runs(budget_s: float) -> Iterator[int]:
    """Count runs from -2 (two to warm up) while the budget lasts: at least 8, at most 60."""
    gc.collect()
    begun = time.perf_counter()
    run = -2
    while run < 8 or (run < 60 and time.perf_counter() - begun < budget_s):
        yield run
        run += 1
