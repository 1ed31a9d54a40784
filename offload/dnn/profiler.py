"""Measures profiles: variants timed in rounds that lie minutes apart."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from torch import nn

from offload.dnn import machine, runtimes, zoo
from offload.dnn.eager import Eager
from offload.dnn.profiles import AccuracyRecord, CutRecord, LayerRecord, ProfileFile, Round
from offload.dnn.rounds import Diary
from offload.entities import OffloadError

Runtime = Literal["eager", "onnxruntime", "compile"]


class BusyMachineError(OffloadError):
    """A machine that was too busy for its times to be trusted."""


class TooLargeError(OffloadError):
    """A batch that does not fit into memory."""


class Session:
    """The measuring of some variants on this machine, in one runtime.

    What is finished is kept in `folder`, and the same measurement goes on from there.
    """

    def __init__(
        self,
        hardware: str,
        batches: tuple[int, ...],
        folder: Path,
        threads: int = 1,
        runtime: Runtime = "eager",
        budget_s: float = 4.0,
    ) -> None:
        self.hardware = hardware
        self.batches = tuple(sorted({1, *batches}))
        self.folder = folder
        self.runtime: Runtime = runtime
        self.budget_s = budget_s
        self.machine = machine.prepare(threads)
        self.fastest_spin_s = min(machine.spin() for _ in range(50))

    def measure(
        self,
        targets: Sequence[tuple[zoo.Network, str]],
        rounds: int,
        pause_s: float,
        say: Callable[[str], None] = lambda _: None,
    ) -> Iterator[ProfileFile]:
        """Yield the profile of each variant once it has `rounds` accepted rounds at every batch size.

        A round begins `pause_s` after the one before it began, or when that is done. Raises
        BusyMachineError if after three times as many rounds the machine was still too busy for some,
        and TooLargeError.
        """
        waiting = [_Target(self, *target) for target in targets]
        for number in range(1, 3 * rounds + 1):
            begun = time.monotonic()
            for target in tuple(waiting):
                for done in target.round(rounds):
                    say(
                        f"{target.label}, batch {done.batch}, round {number}:"
                        f" {done.end_to_end_s * 1e3:.2f} ms, layers sum to {done.residual:+.1%}"
                        + (f"; rejected: {done.rejected}" if done.rejected else "")
                    )
                if target.has(rounds):
                    yield target.file()
                    target.diary.close()
                    waiting.remove(target)
            if not waiting:
                return
            time.sleep(max(0.0, pause_s - (time.monotonic() - begun)))
        names = ", ".join(target.label for target in waiting)
        msg = (
            f"this machine was too busy for {names} in {3 * rounds} rounds; when it is idle, the same"
            " command goes on"
        )
        raise BusyMachineError(msg)


class _Target:
    """A variant under measurement: its subjects, a batch size each, and the rounds so far."""

    def __init__(self, session: Session, network: zoo.Network, form: str) -> None:
        self.session, self.network, self.form = session, network, form
        other = "" if session.runtime == "eager" else f"-{session.runtime}"
        self.variant = form + other
        self.label = f"{network.name}:{self.variant}"
        self.subjects = self._subjects()
        self.layers = [LayerRecord(**asdict(layer)) for layer in self.subjects[0].layers]
        name = f".{network.name}.{self.variant}.{session.hardware}.rounds"
        self.diary = Diary(session.folder / name, session.machine, self.layers)

    def round(self, rounds: int) -> Iterator[Round]:
        """Measure another round at each batch size that still wants one."""
        for subject in self.subjects:
            if self._accepted(subject.batch) < rounds:
                done = subject.round(self.session.budget_s, self.session.fastest_spin_s)
                self.diary.add(done)
                yield done

    def has(self, rounds: int) -> bool:
        """Tell whether there are enough rounds."""
        return all(self._accepted(subject.batch) >= rounds for subject in self.subjects)

    def file(self) -> ProfileFile:
        """Put rounds and what they were measured on into a profile."""
        network, subject = self.network, self.subjects[0]
        accuracy = network.accuracies.get(self.form)
        return ProfileFile(
            format=1,
            model=network.name,
            variant=self.variant,
            precision=zoo.precision(self.form),
            task=network.task,
            input_shape=list(network.input_shape),
            weights=network.weights,
            accuracy=accuracy and AccuracyRecord(
                value=accuracy.value, known=accuracy.known, source=accuracy.source
            ),
            hardware=self.session.hardware,
            known="measured",
            runtime=runtimes.version(self.session.runtime),
            machine=self.session.machine,
            exits=list(subject.exits) if isinstance(subject, Eager) else [],
            layers=self.layers,
            cuts=[CutRecord(**asdict(cut)) for cut in subject.cuts],
            rounds=self.diary.rounds,
        )  # fmt: skip

    def _subjects(self) -> list[runtimes.Subject]:
        network, session = self.network, self.session
        if session.runtime != "eager":
            return [
                runtimes.subject(session.runtime, network, self.form, batch, session.machine.threads)
                for batch in session.batches
            ]
        module, threads = zoo.variant(network, self.form), session.machine.threads
        first = Eager(self.label, module, network.example(1), threads)
        for batch in session.batches[1:]:
            needs = batch * (first.cuts[-1].before_bytes - _weight_bytes(module))
            free = machine.free_memory_bytes()
            if needs > free:
                msg = (
                    f"{self.label}: a batch of {batch} needs about {needs / 1e9:.1f} GB and"
                    f" {free / 1e9:.1f} GB are free; choose a smaller --batch"
                )
                raise TooLargeError(msg)
        return [
            first,
            *(Eager(self.label, module, network.example(b), threads) for b in session.batches[1:]),
        ]

    def _accepted(self, batch: int) -> int:
        return sum(each.batch == batch and not each.rejected for each in self.diary.rounds)


def _weight_bytes(module: nn.Module) -> int:
    return sum(leaf.numel() * leaf.element_size() for leaf in (*module.parameters(), *module.buffers()))
