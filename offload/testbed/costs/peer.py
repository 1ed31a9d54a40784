"""The other process: it takes messages as a node does, works, and says when it did."""

import multiprocessing
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue

from offload.entities import OffloadError
from offload.testbed.certificates import Identity
from offload.testbed.channel import Address, Channel, ChannelError, connect, welcome
from offload.testbed.link import Link, Shape
from offload.testbed.message import FRAME, Answer, Ask, Stamp, Stop, head_of

NAME, DEVICE = "edge", "car-0"  # what it calls itself, and who asks
NOTHING, SPIN = "nothing", "spin"  # works that it knows beside networks
START_S, END_S = 120.0, 5.0
SPINS = 30  # in a look: longer than the slice of time after which a core goes to somebody else

Work = Callable[[], object]


class PeerError(OffloadError):
    """A process that cannot begin, or ended before it was told to."""


class Peer:
    """What the measuring process holds of it: where it listens, and the names of its works."""

    def __init__(self, plain: Address, secure: Address, works: Sequence[str], told: str) -> None:
        self.plain = plain
        self.secure = secure
        self.networks = [work for work in works if work not in (NOTHING, SPIN)]
        self.told = told  # what machine it is on
        self.line = Line(connect(plain, None, NAME))

    def spin(self) -> float:
        """Return the seconds that the sentinel's loops take there."""
        stamp = self.line.ask(SPIN)[1]
        return (stamp.done_ns - stamp.begun_ns) * 1e-9


class Line:
    """A connection to it, with a link on the way there."""

    def __init__(self, channel: Channel, shape: Shape | None = None) -> None:
        self.channel = channel
        self.link = Link(channel, shape or Shape())

    def send(self, work: str, body: bytes = b"") -> tuple[int, int]:
        """Ask for a work behind those asked for before; return when, in ns, and the message's bytes."""
        size = size_of(work, body)
        now = time.monotonic_ns()
        self.link.send(_ask(work), body)
        return now, size

    def hear(self) -> Stamp:
        """Wait for the next answer. Raises ChannelError."""
        said, _ = self.channel.receive()
        if not isinstance(said, Answer) or not said.stamps:
            msg = f"{NAME}: no answer with a stamp"
            raise PeerError(msg)
        return said.stamps[0]

    def ask(self, work: str, body: bytes = b"") -> tuple[int, Stamp, int]:
        """Ask for a work and wait; return when it was sent, when it was done, the message's bytes."""
        sent_ns, size = self.send(work, body)
        return sent_ns, self.hear(), size

    def close(self) -> None:
        """End the connection."""
        self.link.close()
        self.channel.close()


def spins() -> float:
    """Return the seconds that the sentinel's loops take here, with all that comes between."""
    from offload.dnn.machine import spin

    return sum(spin() for _ in range(SPINS))


def _ask(work: str) -> Ask:
    """Return what a device with one stop would say."""
    return Ask(1, 1, DEVICE, work, [Stop(NAME, 0, 1)])


def size_of(work: str, body: bytes) -> int:
    """Return the bytes of a message that asks for a work."""
    return FRAME.size + len(head_of(_ask(work))) + len(body)


@contextmanager
def peer(core: int | None, certificates: Path, networks: Sequence[str]) -> Iterator[Peer]:
    """Yield a process on that core that knows these networks; it ends with the block, or with us.

    Raises PeerError.
    """
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(theirs, core, certificates, tuple(networks)), daemon=True
    )
    process.start()
    theirs.close()
    try:
        if not ours.poll(START_S):
            msg = f"the process of {NAME} says nothing for {START_S:g} s"
            raise PeerError(msg)
        fault, *told = ours.recv()
        if fault:
            raise PeerError(fault)
        found = Peer(*told)
        yield found
        found.line.close()
    except EOFError:
        msg = f"the process of {NAME} ended before it began"
        raise PeerError(msg) from None
    finally:
        ours.close()  # which tells it to end
        process.join(END_S)
        process.kill()
        process.join()


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Let this process run on one core meanwhile."""
    before = os.sched_getaffinity(0)
    pin(core)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def pin(core: int | None) -> None:
    """Let this thread, and those it starts, run on one core. Raises PeerError."""
    if core is None:
        return
    try:
        os.sched_setaffinity(0, {core})
    except OSError as error:
        may = ", ".join(map(str, sorted(os.sched_getaffinity(0))))
        msg = f"core {core}: {error.strerror}; this process may run on {may}"
        raise PeerError(msg) from error


def _serve(control: Connection, core: int | None, certificates: Path, networks: Sequence[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it ends it
    try:
        pin(core)
        from offload.dnn import machine
        from offload.testbed.costs.parts import parts

        here = machine.prepare(1)
        works: dict[str, Work] = {NOTHING: lambda: None, SPIN: spins}
        for name in networks:
            works |= parts(name)
    except OffloadError as error:
        control.send((str(error),))
        return
    waiting: SimpleQueue[tuple[Channel, Ask, int]] = SimpleQueue()
    threading.Thread(target=_work, args=(waiting, works), daemon=True).start()
    addresses = []
    for tls in (None, Identity(certificates, NAME).server()):
        listener = socket.create_server(("127.0.0.1", 0))
        addresses.append(listener.getsockname())
        threading.Thread(target=_accept, args=(listener, tls, waiting), daemon=True).start()
    told = f"{here.processor}; Python {here.python}, torch {here.torch}; {here.allocator}"
    control.send(("", *addresses, list(works), told))
    with suppress(EOFError):
        control.recv()  # until whoever started it ends


def _accept(
    listener: socket.socket, tls: ssl.SSLContext | None, waiting: "SimpleQueue[tuple[Channel, Ask, int]]"
) -> None:
    for session in range(1, 2**31):
        sock, _ = listener.accept()
        with suppress(ChannelError):
            channel = welcome(sock, tls, NAME, session, frozenset({DEVICE}))
            threading.Thread(target=_listen, args=(channel, waiting), daemon=True).start()


def _listen(channel: Channel, waiting: "SimpleQueue[tuple[Channel, Ask, int]]") -> None:
    with suppress(OffloadError):
        while True:
            said, _ = channel.receive()
            now = time.monotonic_ns()
            if isinstance(said, Ask):
                waiting.put((channel, said, now))


def _work(waiting: "SimpleQueue[tuple[Channel, Ask, int]]", works: dict[str, Work]) -> None:
    while True:
        channel, ask, received_ns = waiting.get()
        begun_ns = time.monotonic_ns()
        works[ask.variant]()
        stamp = Stamp(NAME, received_ns, begun_ns, time.monotonic_ns())
        with suppress(ChannelError):
            channel.send(Answer(ask.id, ask.attempt, ask.device, stamps=[stamp]))
