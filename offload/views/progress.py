"""How far long work is: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

    from offload.analysis.compare import Advance

LINE_EVERY_S = 5.0


@contextmanager
def progress(what: str, total: int, every_s: float = LINE_EVERY_S) -> Iterator["Advance"]:
    """Yield what to call with a name after each of `total` pieces; all goes to stderr.

    Its `within` may be told how far a piece is in simulated time. Where there is no terminal, a line is
    written at most `every_s`, and after the last piece.
    """
    if not sys.stderr.isatty():
        yield _Lines(what, total, every_s)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    text, bar, left = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    columns = (text, bar, MofNCompleteColumn(), left) if total > 1 else (text, bar, left)
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        yield _Bar(what, total, shown)


class _Bar:
    def __init__(self, what: str, total: int, shown: "Progress") -> None:
        self._what, self._shown, self._done = what, shown, 0
        self._task = shown.add_task(what, total=total)

    def __call__(self, name: str, /) -> None:
        self._done += 1
        self._show(0.0, name)

    def within(self, name: str, of_s: float, now_s: float, /) -> None:
        self._show(min(1.0, now_s / of_s), f"{name}, {_seconds(of_s, now_s)}")

    def _show(self, more: float, told: str) -> None:
        done, told = self._done + more, f"{self._what} {told}"
        self._shown.update(self._task, completed=done, description=told)


class _Lines:
    def __init__(self, what: str, total: int, every_s: float) -> None:
        self._what, self._total, self._every_s, self._done = what, total, every_s, 0
        self._said_s = time.monotonic()

    def __call__(self, name: str, /) -> None:
        self._done += 1
        self._say(name, at_once=self._done == self._total)

    def within(self, name: str, of_s: float, now_s: float, /) -> None:
        self._say(f"{name}, {_seconds(of_s, now_s)}")

    def _say(self, told: str, *, at_once: bool = False) -> None:
        now_s = time.monotonic()
        if at_once or now_s - self._said_s >= self._every_s:
            self._said_s = now_s
            line = f"{self._what}: {self._done} of {self._total}: {told}"
            print(line, file=sys.stderr, flush=True)  # noqa: T201


def _seconds(of_s: float, now_s: float) -> str:
    """Write how much of a world's time has passed; what is under way at its end goes on after that."""
    return f"{min(now_s, of_s):.{0 if of_s >= 100 else 1}f} of {of_s:g} s simulated"
