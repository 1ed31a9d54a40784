"""The log: what peers wrote stays within a line, and fills no disk."""

import logging
from collections.abc import Iterator
from io import StringIO

import pytest

from offload.testbed import log
from offload.testbed.log import Lines


class Clock:
    """Time that a test sets."""

    now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(log, "time", made)
    return made


@pytest.fixture
def written(clock: Clock) -> Iterator[StringIO]:
    handler = logging.StreamHandler(StringIO())
    handler.addFilter(Lines())
    log.LOG.addHandler(handler)
    yield handler.stream
    log.LOG.removeHandler(handler)


def test_what_peers_wrote_forges_no_line(written: StringIO) -> None:
    log.LOG.warning("%s: %s", "car-0", "one\nedge: all is well\x1b[31m\u202e" + "x" * 10_000)
    (line,) = written.getvalue().splitlines()
    assert line.startswith("car-0: one?edge: all is well?[31m?xxx")
    assert len(line) == log.MOST_LETTERS


def test_lines_are_not_too_many_and_those_left_out_are_counted(written: StringIO, clock: Clock) -> None:
    for number in range(1000):
        log.LOG.warning("line %d", number)
    assert len(written.getvalue().splitlines()) == log.MOST_LINES
    clock.now_s += log.WITHIN_S
    for text in ("later", "last"):
        log.LOG.warning(text)
    told = written.getvalue().splitlines()[log.MOST_LINES :]
    assert told == [f"later (and {1000 - log.MOST_LINES} lines that are not shown)", "last"]
