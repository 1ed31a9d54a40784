"""How far long work is: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LINE_EVERY_S = 5.0


@contextmanager
def progress(what: str, total: int, every_s: float = LINE_EVERY_S) -> Iterator[Callable[[str], None]]:
    """Yield a function to call with a name after each of `total` pieces; all goes to stderr.

    Where there is no terminal, a line is written at most `every_s`, and after the last piece.
    """
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=total)
            yield lambda name: bar.update(task, advance=1, description=f"{what} {name}")
        return
    done, said_s = 0, time.monotonic()

    def advance(name: str) -> None:
        nonlocal done, said_s
        done += 1
        if done == total or time.monotonic() - said_s >= every_s:
            said_s = time.monotonic()
            print(f"{what}: {done} of {total}: {name}", file=sys.stderr, flush=True)  # noqa: T201

    yield advance
