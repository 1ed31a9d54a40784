"""What the processes of a testbed have in common: core, log, networks, and how they take orders."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from statistics import mean
from typing import Any

import torch
from torch import Tensor, nn

from offload.dnn import machine, zoo
from offload.entities import OffloadError
from offload.streams import Streams
from offload.testbed import networks
from offload.testbed.link import sleep_exactly
from offload.testbed.log import LOG, Lines
from offload.testbed.namespaces import enter
from offload.testbed.parts import Parts

SPINS = 150


def begin(core: int | None, log: Path | None, space: Path | None) -> None:
    """Set a process up: one thread for torch, a core, a log, a network; Ctrl-C is for its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if space is not None:
        enter(space)
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    machine.prepare(1)
    torch.set_num_interop_threads(1)
    sleep_exactly()
    handler: logging.Handler = logging.StreamHandler() if log is None else logging.FileHandler(log)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    handler.addFilter(Lines())
    LOG.addHandler(handler)
    LOG.propagate = False


def tell_failure(control: Connection, run: Callable[[], None]) -> None:
    """Run a process; what a user can mend is told to the other end of the pipe."""
    try:
        run()
    except (OffloadError, OSError) as error:
        with suppress(OSError):  # nobody may be left to be told
            control.send(("failed", str(error)))


def parts(folder: Path) -> Parts:
    """Return the parts of the networks whose files lie in a testbed's folder."""

    @cache
    def network(label: str) -> zoo.Network:
        return zoo.network(label.partition(":")[0])

    def build(label: str) -> nn.Module:
        model, _, form = label.partition(":")
        return networks.load(folder, model, form)

    def example(label: str, batch: int) -> tuple[Tensor, ...]:
        return network(label).example(batch)

    return Parts(build, example)


def jitter(mean_s: float, seed: int, stream: str) -> Iterator[float] | None:
    """Return exponential delays of this mean from a stream of their own, or None if there are none."""
    if not mean_s:
        return None
    generator = Streams(seed, 0).generator("testbed", "jitter", stream)

    def draws() -> Iterator[float]:
        while True:
            yield from generator.exponential(mean_s, 32).tolist()

    return draws()


def spin(_given: Any = None) -> float:  # noqa: ANN401 - asked for without anything
    """Return the mean seconds of a fixed loop over some milliseconds.

    The mean: who shares the core by slices of time shows in few of the loops.
    """
    return mean(machine.spin() for _ in range(SPINS))


def obey(control: Connection, orders: Mapping[str, Callable[[Any], Any]]) -> None:
    """Answer what the other end of a pipe orders, one after the other, until it says stop or is gone.

    That is heard in the midst of an order, too. What goes wrong is told as an answer.
    """
    todo: SimpleQueue[tuple[str, Any]] = SimpleQueue()
    thread(lambda: _answer(control, orders, todo), "orders")
    try:
        while (order := control.recv())[0] != "stop":
            todo.put(order)
    except (EOFError, OSError):
        return


def _answer(
    control: Connection, orders: Mapping[str, Callable[[Any], Any]], todo: SimpleQueue[tuple[str, Any]]
) -> None:
    while True:
        order, given = todo.get()
        try:
            told: tuple[str, Any] = order, orders[order](given)
        except OffloadError as error:
            told = "failed", str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, who ordered waits
            LOG.exception("%s", order)
            told = "failed", f"{order}: {type(error).__name__}: {error}"
        with suppress(OSError):
            control.send(told)


def thread(target: Callable[[], None], name: str) -> threading.Thread:
    """Start a thread that does not outlive its process."""
    found = threading.Thread(target=target, name=name, daemon=True)
    found.start()
    return found
