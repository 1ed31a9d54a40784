"""Files that nobody but their owner can have written, or read."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from offload.entities import OffloadError

MOST_BYTES = 1_000_000  # of a file that is read whole


@contextmanager
def opened(
    path: Path, wrong: type[OffloadError], instead: str, *, secret: bool = False
) -> Iterator[BufferedReader]:
    """Open a file of this user's, or root's, that others cannot write to, nor read if it is secret.

    Nor may others write to the folder that it lies in; the file itself is no link and no pipe. Raises
    `wrong`, with what to do `instead` where there is none.
    """
    try:
        around = path.parent.stat()
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        msg = f"{path}: {error.strerror}; {instead}"
        raise wrong(msg) from error
    try:
        told = os.fstat(number)
        if not stat.S_ISREG(told.st_mode) or told.st_uid not in {os.geteuid(), 0}:
            msg = f"{path}: no file, or another user's; {instead}"
            raise wrong(msg)
        if told.st_mode & (0o077 if secret else 0o022):
            verb, mode = ("read", "600") if secret else ("write", "644")
            msg = f"{path}: others may {verb} it (mode {told.st_mode & 0o777:o}); chmod {mode} it"
            raise wrong(msg)
        if around.st_uid not in {os.geteuid(), 0} or around.st_mode & 0o022:
            msg = (
                f"{path}: others may write to its folder (mode {around.st_mode & 0o777:o}); chmod 755 it"
            )
            raise wrong(msg)
        with os.fdopen(number, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(number)


def content(path: Path, wrong: type[OffloadError], instead: str, *, secret: bool = False) -> bytes:
    """Return all of such a file, which must be small. Raises `wrong`."""
    with opened(path, wrong, instead, secret=secret) as file:
        found = file.read(MOST_BYTES + 1)
    if len(found) > MOST_BYTES:
        msg = f"{path}: more than {MOST_BYTES} bytes, which no such file has"
        raise wrong(msg)
    return found
