"""What a message takes beyond its link's rate and delay, in the clear and over mutual TLS."""

import socket
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from offload.testbed.certificates import Identity
from offload.testbed.channel import connect
from offload.testbed.costs import fits
from offload.testbed.costs.blocks import Blocks, Look
from offload.testbed.costs.peer import DEVICE, NAME, NOTHING, Line, Peer, size_of
from offload.testbed.link import Shape

DELAY_S = 0.005  # of the shaped links
SHIPPED_GAP_S = 0.05
CELLS_A_BLOCK = 8
_ACKED = 120  # where in Linux's tcp_info the bytes stand that the peer has acknowledged


@dataclass(frozen=True, slots=True)
class Cell:
    """A kind of message: its body's bytes, what it goes over, and how long nothing went before it."""

    secure: bool
    rate_bps: float | None
    gap_s: float
    size: int

    @property
    def shipped(self) -> bool:
        """Whether the shipped figures are of this kind: shaped, after a gap as in deployment."""
        return self.rate_bps is not None and self.gap_s == SHIPPED_GAP_S


Sample = tuple[int, Cell, float]  # the pass, what was sent, seconds


def cells(*, quick: bool) -> list[Cell]:
    """Return what is sent in a pass.

    Large messages on slow links are left out: they take seconds, and what they cost hides in that.
    """
    small, large = (100, 16_000), (60_000, 250_000, 1_000_000)
    if quick:
        return [
            Cell(secure, rate, SHIPPED_GAP_S, size)
            for secure in (False, True)
            for rate in (None, 100e6)
            for size in (*small, 60_000)
        ]
    found = []
    for secure in (False, True):
        for gap_s in (0.0, 0.01, 0.05, 0.1):
            every = gap_s == SHIPPED_GAP_S
            sizes = (*small, *large, 4_000_000) if every or not secure else ()
            found += [Cell(secure, None, gap_s, size) for size in sizes]
            for rate, most in ((20e6, 2), (100e6, 3)):
                shaped = (*small, 2000, *large[:most]) if every else small
                found += [Cell(secure, rate, gap_s, size) for size in shaped]
    return found


class Hops:
    """The lines to a peer, one for each way to go, and what was measured on them."""

    def __init__(
        self,
        peer: Peer,
        certificates: Path,
        looks: Sequence[Look],
        chance: np.random.Generator,
        *,
        quick: bool,
    ) -> None:
        self.peer = peer
        self.tls = Identity(certificates, DEVICE).client()
        self.chance = chance
        self.cells = cells(quick=quick)
        self.blocks: Blocks[list[Sample]] = Blocks("messages", looks)
        ways = {(cell.secure, cell.rate_bps) for cell in self.cells}
        self.lines = {way: self._line(*way) for way in sorted(ways, key=str)}
        self.handshakes: Blocks[tuple[float, float]] = Blocks("handshakes", looks)

    def _line(self, secure: bool, rate_bps: float | None) -> Line:
        address, tls = (self.peer.secure, self.tls) if secure else (self.peer.plain, None)
        shape = Shape(rate_bps, DELAY_S if rate_bps else 0.0)
        return Line(connect(address, tls, NAME), shape)

    def close(self) -> None:
        """End the connections."""
        for line in self.lines.values():
            line.close()

    def go_once(self, number: int) -> None:
        """Send every kind of message once, in random order; `number` is that of the pass."""
        order = [self.cells[index] for index in self.chance.permutation(len(self.cells))]
        for at in range(0, len(order), CELLS_A_BLOCK):
            self.blocks.measure(partial(self._go, number, order[at : at + CELLS_A_BLOCK]))

    def _go(self, number: int, some: Sequence[Cell]) -> list[Sample]:
        return [(number, each, self._hop(each)) for each in some]

    def _hop(self, cell: Cell) -> float:
        """Return the seconds until the peer's worker had a message, beyond rate and delay."""
        line, body = self.lines[cell.secure, cell.rate_bps], bytes(cell.size)
        shape = line.link.shape
        time.sleep(cell.gap_s)
        sent_ns, stamp, size = line.ask(NOTHING, body)
        sending_s = 8 * size / shape.rate_bps if shape.rate_bps else 0.0
        return (stamp.begun_ns - sent_ns) * 1e-9 - sending_s - shape.delay_s

    def shake_hands(self) -> None:
        """Connect in the clear and over TLS, each until the greeting."""

        def both() -> tuple[float, float]:
            found = []
            for address, tls in ((self.peer.plain, None), (self.peer.secure, self.tls)):
                time.sleep(0.01)
                begun = time.perf_counter()
                channel = connect(address, tls, NAME)
                found.append(time.perf_counter() - begun)
                channel.close()
            return found[0], found[1]

        self.handshakes.measure(both)

    def wire_bytes(self) -> tuple[list[int], list[int]]:
        """Return the bytes of messages of several sizes, and how many more TLS makes of them."""
        plain, secure = (self._line(secure, None) for secure in (False, True))
        sizes, more = [], []
        for body in (100, 1000, 16_000, 20_000, 60_000, 250_000, 1_000_000):
            counted = []
            for line in (plain, secure):
                before = _acknowledged(line.channel.sock)
                size = line.ask(NOTHING, bytes(body))[2]
                counted.append(_acknowledged(line.channel.sock) - before)
            sizes.append(size)
            more.append(counted[1] - counted[0])
        plain.close()
        secure.close()
        return sizes, more


def _acknowledged(sock: socket.socket) -> int:
    """Return how many bytes the peer has acknowledged (Linux: TCP_INFO).

    An answer carries the acknowledgement of what it answers.
    """
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKED + 8)
    return int(struct.unpack_from("=Q", info, _ACKED)[0])


def table(kinds: Sequence[Cell], blocks: Iterable[list[Sample]]) -> fits.Floats:
    """Return samples[pass, cell]; NaN for what was set aside. Passes with nothing are left out."""
    place = {cell: number for number, cell in enumerate(kinds)}
    rows: dict[int, fits.Floats] = {}
    for number, cell, seconds in (sample for block in blocks for sample in block):
        rows.setdefault(number, np.full(len(kinds), np.nan))[place[cell]] = seconds
    return np.array(list(rows.values()))


def overhead() -> int:
    """Return how many bytes a message has beside its body: more on the way back, with its stamps."""
    return size_of(NOTHING, b"")


def is_of(way: tuple[bool, float | None, float]) -> Callable[[Cell], bool]:
    """Return what tells whether a message is secure or not, of that rate, after that gap."""
    return lambda cell: (cell.secure, cell.rate_bps, cell.gap_s) == way


def hop_of(kinds: Sequence[Cell], wanted: Callable[[Cell], bool], medians: fits.Floats) -> fits.Floats:
    """Return message_s and per_byte_s of the messages that are wanted."""
    sizes, seconds = _of(kinds, wanted, medians)
    return np.array(fits.line(sizes, seconds))


def security_of(
    kinds: Sequence[Cell], wanted: Callable[[Cell], bool], medians: fits.Floats
) -> fits.Floats:
    """Return message_s and per_byte_s that TLS adds to the messages that are wanted."""
    sizes, plain = _of(kinds, lambda cell: wanted(cell) and not cell.secure, medians)
    same = {(cell.rate_bps, cell.gap_s, cell.size) for cell in kinds if wanted(cell) and not cell.secure}
    _, secure = _of(
        kinds,
        lambda cell: cell.secure and (cell.rate_bps, cell.gap_s, cell.size) in same,
        medians,
    )
    return np.array(fits.line(sizes, secure - plain))


def _of(
    kinds: Sequence[Cell], wanted: Callable[[Cell], bool], medians: fits.Floats
) -> tuple[fits.Floats, fits.Floats]:
    chosen = [number for number, cell in enumerate(kinds) if wanted(cell)]
    return np.array([float(kinds[number].size) for number in chosen]), medians[chosen]


def told(kinds: Sequence[Cell], samples: fits.Floats) -> list[dict[str, Any]]:
    """Return each kind of message with the quantiles of its seconds and the number of its runs."""
    found = []
    for cell, column in zip(kinds, samples.T, strict=True):
        seconds = column[np.isfinite(column)]
        low, median, high = np.percentile(seconds, [5, 50, 95]).tolist()
        found.append(
            asdict(cell)
            | {
                "median_s": median,
                "p5_s": low,
                "p95_s": high,
                "mean_s": float(seconds.mean()),
                "runs": len(seconds),
            }
        )
    return found
