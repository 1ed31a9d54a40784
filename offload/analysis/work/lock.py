"""A results folder is written by one command at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from offload.entities import OffloadError

NAME = ".lock"


class LockedError(OffloadError):
    """A results folder that another process writes to."""


@contextmanager
def locked(folder: Path | None) -> Iterator[None]:
    """Keep a folder for this process, which the system frees even if it is killed.

    Half-written files of one that was killed are removed. None is no folder. Raises LockedError at once
    if another process holds it, OSError if it cannot be written.
    """
    if folder is None:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / NAME)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        msg = f"--out {folder}: another command is writing there; wait for it, or give another folder"
        raise LockedError(msg) from None
    try:
        for aside in folder.rglob(".*.parquet.*"):
            aside.unlink(missing_ok=True)
        yield
    finally:
        lock.release()
