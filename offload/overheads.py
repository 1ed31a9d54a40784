"""The nouns about what comes on top: of a message's way over a link, and of work, beside its profile."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Sizes = TypeVar("Sizes", float, "npt.NDArray[np.float64]")


@dataclass(frozen=True, slots=True)
class Toll:
    """What a message costs to cross a link, beyond the link's rate and delay: copying, framing, ciphers.

    It is larger there by `message_bytes` and by `bytes_per_byte` of itself, and arrives `s_per_byte`
    later for each of its own bytes. The first of those who cross must wait until a handshake is over.
    What it takes whatever its size, `message_s`, is a part of the link's delay.
    """

    s_per_byte: float = 0.0
    message_bytes: float = 0.0
    bytes_per_byte: float = 0.0
    handshake_s: float = 0.0
    message_s: float = 0.0

    def size(self, payload_bytes: Sizes) -> Sizes:
        """Return the bytes that cross the link for a message of so many."""
        return payload_bytes + (self.message_bytes + self.bytes_per_byte * payload_bytes)

    def per_byte_s(self, byte_s: float) -> float:
        """Return the seconds for each byte of a message, on a link that takes `byte_s` for a byte."""
        return byte_s * (1.0 + self.bytes_per_byte) + self.s_per_byte

    def seconds(self, payload_bytes: Sizes, byte_s: float) -> Sizes:
        """Return the seconds of a message that nobody hinders, on such a link, without its delay."""
        return payload_bytes * self.per_byte_s(byte_s) + self.message_bytes * byte_s


FREE = Toll()


@dataclass(frozen=True, slots=True)
class AfterIdle:
    """How much longer work takes at first: begun after a gap g, 1 + slower (1 - exp(-g / within)) times.

    Clocks, caches and pages of memory cool down while nothing is done.
    """

    slower: float
    within_s: float

    def times(self, gap_s: float) -> float:
        """Return how many times as long work takes that begins after such a gap."""
        return 1.0 - self.slower * math.expm1(-gap_s / self.within_s)


@dataclass(frozen=True, slots=True)
class Machine:
    """Groups of devices and nodes, by name, that are processes of one machine and slow each other down.

    Work that begins while another of them computes takes 1 + `slower` times as long.
    """

    slower: float
    of: tuple[str, ...]
