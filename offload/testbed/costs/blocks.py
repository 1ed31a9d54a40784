"""Blocks of measurements between two looks at a fixed loop, which tells when others were at work."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np

from offload.dnn.machine import SLOW_SPIN
from offload.entities import OffloadError

T = TypeVar("T")

Look = Callable[[], float]


class TooBusyError(OffloadError):
    """A machine on which others were at work during nearly all of the measuring."""


class Blocks(Generic[T]):
    """What was measured block by block, and how long the loop took around each in every process.

    A block is set aside if the loop was slower than at its fastest by more than `machine.SLOW_SPIN` in
    any process, before or after; what was measured in it has no say in that.
    """

    def __init__(self, what: str, looks: Sequence[Look]) -> None:
        self.what = what
        self.looks = looks
        self.spins_s: list[list[float]] = []
        self.values: list[T] = []

    def measure(self, act: Callable[[], T]) -> None:
        """Measure a block."""
        before = [look() for look in self.looks]
        self.values.append(act())
        after = [look() for look in self.looks]
        self.spins_s.append([max(pair) for pair in zip(before, after, strict=True)])

    def kept(self) -> list[T]:
        """Return the blocks that count. Raises TooBusyError if those are fewer than a third."""
        spins_s = np.array(self.spins_s)
        calm = (spins_s <= SLOW_SPIN * spins_s.min(0)).all(1)
        if 3 * calm.sum() < len(calm):
            msg = (
                f"{self.what}: others were at work in {len(calm) - calm.sum()} of {len(calm)} blocks;"
                " measure again when nothing else runs"
            )
            raise TooBusyError(msg)
        return [value for value, counts in zip(self.values, calm, strict=True) if counts]

    def excluded(self) -> float:
        """Return the share of blocks that were set aside."""
        return 1 - len(self.kept()) / len(self.values)
