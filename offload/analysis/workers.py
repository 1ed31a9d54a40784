"""Who does the work: processes of this machine."""

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import joblib

from offload.analysis.measures import Summary
from offload.analysis.replication import Replication


def run_all(work: Sequence[Replication], jobs: int = 1) -> Iterator[tuple[Replication, Summary]]:
    """Run replications on so many processes, and return each with what it came to as it ends.

    Raises PolicyError.
    """
    calls = [joblib.delayed(_run)(each, tuple(sys.path)) for each in work]
    with _workers_deaf():
        done = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")(calls)
    try:
        yield from done
    except BaseException:  # the other processes were killed, perhaps while they were writing
        for folder in {each.out for each in work if each.out is not None}:
            for aside in folder.rglob(".*.parquet.*"):
                aside.unlink(missing_ok=True)
        raise


def _run(replication: Replication, paths: tuple[str, ...]) -> tuple[Replication, Summary]:
    """Run a replication in whichever process this is."""
    # A process that was started earlier may not know where the user's policies lie.
    sys.path.extend(path for path in paths if path not in sys.path)
    return replication, replication.run()


@contextmanager
def _workers_deaf() -> Iterator[None]:
    """Let the processes that are started here ignore Ctrl-C: it is this one's to end them.

    An ignored signal stays ignored in what a process starts.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    usual = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
