"""A file of rows that grows while a world runs, and is whole or absent."""

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from offload.analysis.files import writing
from offload.analysis.rows import SCHEMA, write
from offload.simulation.flow import CHUNK


class Growing:
    """Takes rows a chunk at a time; they lie beside the file until it is finished and has its name.

    Each chunk is a row group. What lies beside it is gone when the context ends, however that is; what a
    process that was killed on this machine has left goes when the same file is begun again. Raises
    OSError where there is no room.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.parts: list[Path] = []
        self.last: pl.DataFrame | None = None  # a file of one chunk is written at once

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        _clear(self.path)
        return self

    def add(self, frame: pl.DataFrame) -> None:
        """Add rows behind those that are there."""
        if self.last is not None:
            self._lay_aside(self.last)
        self.last = frame

    def finish(self, told: Mapping[str, str]) -> None:
        """Give the file its name, with what it says of itself."""
        last = SCHEMA.to_frame() if self.last is None else self.last
        if not self.parts:
            write(last, self.path, told)
            return
        self._lay_aside(last)
        with writing(self.path) as aside:
            pl.scan_parquet(self.parts).sink_parquet(aside, metadata=dict(told), row_group_size=CHUNK)
            aside.replace(self.path)

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        for part in self.parts:
            part.unlink(missing_ok=True)

    def _lay_aside(self, frame: pl.DataFrame) -> None:
        with writing(self.path) as aside:
            part = aside.with_name(f"{aside.name}.{len(self.parts)}")
            self.parts.append(part)
            # It is read but once, soon, so it may be larger.
            frame.write_parquet(part, compression="lz4", statistics=False)


def _clear(path: Path) -> None:
    """Remove what lies beside a file from processes of this machine that live no more."""
    prefix = f".{path.name}.{platform.node()}."
    for aside in path.parent.glob(prefix + "*"):
        owner = aside.name.removeprefix(prefix).split(".")[0]
        if owner.isdecimal() and not _lives(int(owner)):
            aside.unlink(missing_ok=True)


def _lives(process: int) -> bool:
    if os.name != "posix":  # where asking would be a signal
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True
