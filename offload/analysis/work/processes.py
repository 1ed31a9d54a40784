"""Processes of this machine that run replications, and what happens when one is killed."""

import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from joblib.externals.loky import ProcessPoolExecutor

from offload.analysis.measures import Summary
from offload.analysis.work.attempt import Ending, Failure, absolute_paths, attempt, killed
from offload.analysis.work.replication import During, Replication

# Each process has a core of its own, as with joblib.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Processes:
    """So many processes; with one, all is done in this process.

    Each has an executor of its own: one that is killed takes no other's work with it, and it is known
    whose work it was. That is tried once more, in a new process.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._idle: list[Any] = []  # loky has no types

    def run(self, work: Sequence[Replication], during: During | None = None, /) -> Ending:
        """Run replications, and return each with what it came to as it ends. Raises OSError.

        With one process `during` is told how far it is.
        """
        if self._count == 1:
            yield from ((each, attempt(each, during=during)) for each in work)
            return
        waiting = deque((each, False) for each in work)  # and whether it was killed before
        busy: dict[Future[Summary | Failure], tuple[Any, Replication, bool]] = {}
        try:
            while waiting or busy:
                while waiting and len(busy) < self._count:
                    self._start(*waiting.popleft(), busy)
                done, _ = wait(busy, return_when=FIRST_COMPLETED)
                for future in done:
                    process, each, before = busy.pop(future)
                    try:
                        found = future.result()
                    except BrokenProcessPool:
                        _sweep_up(each)
                        if not before:
                            waiting.appendleft((each, True))
                            continue
                        found = killed(each)
                    else:
                        self._idle.append(process)
                    yield each, found
        finally:  # only if interrupted, or nobody wants the rest, is anyone busy
            for process, each, _ in busy.values():
                process.shutdown(kill_workers=True)
                _sweep_up(each)

    def close(self) -> None:
        """End the processes."""
        while self._idle:
            self._idle.pop().shutdown(kill_workers=True)

    def _start(
        self, each: Replication, before: bool, busy: dict[Future[Any], tuple[Any, Replication, bool]]
    ) -> None:
        """Give a replication to an idle process, or to a new one."""
        with deaf():
            while self._idle:
                process = self._idle.pop()
                try:
                    future = process.submit(attempt, each, absolute_paths())
                except BrokenProcessPool:  # killed while it had nothing to do
                    continue
                busy[future] = process, each, before
                return
            process = ProcessPoolExecutor(1, env=_ONE_THREAD)
            busy[process.submit(attempt, each, absolute_paths())] = process, each, before


def _sweep_up(replication: Replication) -> None:
    """Remove what a process of ours that was killed left half-written."""
    if replication.rows_path is not None:
        for aside in replication.rows_path.parent.glob(".*.parquet.*"):
            aside.unlink(missing_ok=True)


@contextmanager
def deaf() -> Iterator[None]:
    """Let the processes that are started here not hear Ctrl-C: it is this one's to end them.

    A signal that is blocked stays so in what a process starts. Ignored here it would be lost, and runs
    that are short spend much of their time here: one that comes meanwhile is heard afterwards.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    came: list[int] = []  # by way of a thread that does not block it
    usual = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    heard = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, heard)
        signal.signal(signal.SIGINT, usual)
        if came:
            signal.raise_signal(signal.SIGINT)
