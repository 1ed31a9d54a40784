"""One attempt at a replication, in whichever process: what it came to, or why it came to nothing."""

import os
import pickle
import re
import sys
import traceback
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import polars as pl

from offload.analysis.measures import Summary
from offload.analysis.work.replication import During, Replication
from offload.entities import OffloadError

_OS_ERROR = re.compile(r"\(os error (\d+)\)")  # how polars tells what the system refused


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a replication came to nothing: what its policy, or anything else, raised."""

    error: Exception

    def __str__(self) -> str:
        if isinstance(self.error, OffloadError):
            return str(self.error)
        return f"{type(self.error).__name__}: {self.error}"


# Each replication with what it came to, in the order in which they end.
Ending = Generator[tuple[Replication, Summary | Failure], None, None]


class KilledError(OffloadError):
    """A replication whose process was killed each time that it was tried."""


def attempt(
    replication: Replication, paths: Sequence[str] = (), during: During | None = None
) -> Summary | Failure:
    """Run a replication in this process, which looks for users' policies in `paths` too.

    Raises OSError: a full disk is no fault of this replication, and would meet the next as well.
    """
    # A process that was started earlier may not know where the user's policies lie.
    sys.path.extend(path for path in paths if path not in sys.path)
    try:
        return replication.run(during)
    except BaseException as error:
        if refused := _refused(error, replication):
            raise refused from None
        if isinstance(error, SystemExit):
            who = f"policy {replication.choice.label}, replication {replication.number}"
            return Failure(OffloadError(f"{who}: something called sys.exit({error.code!r})"))
        if not isinstance(error, Exception):
            raise
        return Failure(_portable(error))


def killed(replication: Replication) -> Failure:
    """Return what to say of a replication that was killed each time."""
    who = f"policy {replication.choice.label}, replication {replication.number}"
    return Failure(
        KilledError(
            f"{who}: its process was killed, and again when it was tried once more; perhaps it ran out"
            " of memory: a shorter duration, or fewer processes at once, need less"
        )
    )


def absolute_paths() -> tuple[str, ...]:
    """Return where this process looks for modules, as others that start elsewhere can."""
    return tuple(map(os.path.abspath, sys.path))


def _refused(error: BaseException, replication: Replication) -> OSError | None:
    """Return the error of the system behind an error, if there is one, with a number and a name."""
    if isinstance(error, OSError) and error.errno is not None:
        return error
    if isinstance(error, OSError | pl.exceptions.PolarsError):
        number = _OS_ERROR.search(str(error))
        if number:
            return OSError(int(number[1]), os.strerror(int(number[1])), str(replication.rows_path))
    return None


def _portable(error: Exception) -> Exception:
    """Return an error that another process can read; a fault of ours tells where it arose."""
    if isinstance(error, OffloadError):
        return error
    trace = traceback.format_exc()
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - its own
    except Exception:  # noqa: BLE001 - whatever its class raises
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(trace)
    return error
