"""A connection to a peer: messages in order, each whole, over TLS or in the clear."""

import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from offload.entities import OffloadError
from offload.testbed.message import (
    FRAME,
    MAGIC,
    MOST_BODY_BYTES,
    Hello,
    MessageError,
    Said,
    head_of,
    read_head,
    sizes,
)

CHUNK_BYTES = 16_384  # what is written at once: one record of TLS
ROOM_BYTES = 65_536  # made for a message before any of it has come
HELLO_S = 5.0  # within which a peer must have said who it is
STALLED_S = 10.0  # for which a peer may take nothing, or send less than a chunk of what it has begun
UNNAMED = 0  # the session of the message that names it

Address = tuple[str, int]
Pace = Callable[[int], None]


class ChannelError(OffloadError):
    """A connection that cannot be made, or is no more."""


class EndedError(ChannelError):
    """A connection that was closed between two messages, by the peer or here."""


class Channel:
    """A connection over which either side sends messages; one thread may send while another receives.

    Whoever accepted names a session, and every message of either side carries it and its own number, so
    that none is taken twice. It is made by `connect` and `welcome`.
    """

    def __init__(
        self, sock: socket.socket, peer: str, session: int, most_bytes: int = MOST_BODY_BYTES
    ) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.peer = peer
        self.session = session
        self.most_bytes = most_bytes
        self.sent = self.received = 0
        self.lock = threading.Lock()  # two threads must not be in OpenSSL with one connection
        self.inside = 0  # threads that read or write
        self.closed = False

    def send(self, said: Said, body: bytes | memoryview = b"", pace: Pace | None = None) -> int:
        """Send a message; return its bytes.

        `pace` is told, before a chunk is written, how many bytes will have been; it may wait. Raises
        ChannelError; MessageError, before anything is sent, for what no peer would take.
        """
        head = head_of(said)
        if len(body) > MOST_BODY_BYTES:
            msg = f"a message of {len(body)} bytes; at most {MOST_BODY_BYTES} are taken"
            raise MessageError(msg)
        self.sent += 1
        frame = FRAME.pack(MAGIC, self.session, self.sent, len(head), len(body)) + head
        rest, first = memoryview(body), max(0, CHUNK_BYTES - len(frame))
        chunks = [memoryview(frame + rest[:first])]
        chunks += [rest[at : at + CHUNK_BYTES] for at in range(first, len(rest), CHUNK_BYTES)]
        sent = 0
        for chunk in chunks:
            sent += len(chunk)
            if pace is not None:
                pace(sent)
            self._write(chunk)
        return sent

    def receive(self) -> tuple[Said, memoryview]:
        """Return the next message and its body.

        Raises EndedError where the peer has closed, ChannelError; MessageError for what is no message.
        """
        said, body = self._message()
        if isinstance(said, Hello):
            msg = f"{self.peer}: a second greeting"
            raise MessageError(msg)
        return said, body

    def greeting(self) -> Hello:
        """Return what a node says first. Raises ChannelError, MessageError."""
        said, _ = self._message(within_s=HELLO_S)
        if not isinstance(said, Hello):
            msg = f"{self.peer}: does not greet"
            raise MessageError(msg)
        return said

    def close(self) -> None:
        """End it; whoever waits for a message is told."""
        with self.lock:
            self.closed = True
            with suppress(OSError):  # not that of TLS, which would let others go on in the clear
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
            self._release()

    def _release(self) -> None:
        """Close the socket when no thread waits on it: its number might be another's by then."""
        if self.closed and not self.inside:
            self.sock.close()

    def _message(self, within_s: float | None = None) -> tuple[Said, memoryview]:
        frame = self._read(FRAME.size, within_s, begins=True)
        self.received += 1
        head, body = sizes(frame, self.session, self.received, self.most_bytes)
        said = read_head(self._read(head, STALLED_S))
        return said, self._read(body, STALLED_S)

    def _read(self, size: int, within_s: float | None, *, begins: bool = False) -> memoryview:
        """Read so many bytes; each chunk of them must have come within that time.

        Where a message begins, the peer may close instead. What it says that will come takes no memory
        before as much has come.
        """
        whole, have, due = bytearray(min(size, ROOM_BYTES)), 0, CHUNK_BYTES
        until_s = _after(within_s)
        while have < size:
            if have == len(whole):
                whole.extend(bytes(min(have, size - have)))
            got = self._do(self.sock.recv_into, memoryview(whole)[have:], select.POLLIN, until_s)
            if got == 0:
                if begins and not have:
                    msg = f"{self.peer}: has closed the connection"
                    raise EndedError(msg)
                msg = f"{self.peer}: the connection has ended in the middle of a message"
                raise ChannelError(msg)
            have += got
            if begins or have >= due:
                begins, due, until_s = False, have + CHUNK_BYTES, _after(STALLED_S)
        return memoryview(whole)

    def _write(self, rest: memoryview) -> None:
        while rest:
            rest = rest[self._do(self.sock.send, rest, select.POLLOUT, _after(STALLED_S)) :]

    def _do(
        self, act: Callable[[memoryview], int], part: memoryview, event: int, until_s: float | None
    ) -> int:
        """Read or write what can be, once anything can. Raises ChannelError, and then it is closed."""
        with self.lock:
            self.inside += 1
        try:
            while True:
                done, wanted = self._try(act, part, event)  # the same part again: OpenSSL asks for that
                if not wanted:
                    return done
                self._wait(wanted, until_s)
        except ChannelError:
            self.close()
            raise
        finally:
            with self.lock:
                self.inside -= 1
                self._release()

    def _try(self, act: Callable[[memoryview], int], part: memoryview, event: int) -> tuple[int, int]:
        """Return how many bytes were read or written, and what to wait for if none could be."""
        with self.lock:
            if self.closed:
                msg = f"{self.peer}: the connection is closed"
                raise EndedError(msg)
            try:
                return act(part), 0
            except ssl.SSLWantReadError:
                return 0, select.POLLIN
            except ssl.SSLWantWriteError:
                return 0, select.POLLOUT
            except BlockingIOError:
                return 0, event
            except (OSError, ValueError) as error:
                msg = f"{self.peer}: the connection is lost: {error}"
                raise ChannelError(msg) from error

    def _wait(self, wanted: int, until_s: float | None) -> None:
        poll = select.poll()
        poll.register(self.sock, wanted)
        if not poll.poll(None if until_s is None else max(0.0, 1000 * (until_s - time.monotonic()))):
            msg = f"{self.peer}: takes or sends too little in the time that it has"
            raise ChannelError(msg)


def _after(within_s: float | None) -> float | None:
    return None if within_s is None else time.monotonic() + within_s


def connect(address: Address, tls: ssl.SSLContext | None, peer: str) -> Channel:
    """Connect to a node and hear its greeting. Raises ChannelError, MessageError.

    With `tls` it must show a certificate for the name `peer`.
    """
    sock = None
    try:
        sock = socket.create_connection(address, HELLO_S)
        if tls is not None:
            sock = tls.wrap_socket(sock, server_hostname=peer)
        channel = Channel(sock, peer, UNNAMED)
    except (OSError, ValueError) as error:
        if sock is not None:
            sock.close()
        msg = f"{peer} at {address[0]}:{address[1]}: {error}"
        raise ChannelError(msg) from error
    try:
        said = channel.greeting()
        if said.node != peer:
            msg = f"{peer}: greets as {said.node}"
            raise MessageError(msg)
    except OffloadError:
        channel.close()
        raise
    channel.session, channel.received = said.session, 0
    return channel


def welcome(
    sock: socket.socket,
    tls: ssl.SSLContext | None,
    node: str,
    session: int,
    allowed: frozenset[str] = frozenset(),
) -> Channel:
    """Greet who has connected to a node, or refuse and close. Raises ChannelError.

    With `tls` the peer is the name in its certificate, which must be one of the `allowed`; without, it
    is anyone, and "someone" until it says who.
    """
    peer = "someone"
    try:
        sock.settimeout(HELLO_S)
        if tls is not None:
            sock = tls.wrap_socket(sock, server_side=True)
            peer = name_in(sock.getpeercert())
            if peer not in allowed:
                msg = f"not among those who may connect to {node}"
                raise ValueError(msg)  # noqa: TRY301 - told like what TLS finds
        channel = Channel(sock, peer, UNNAMED)
        channel.send(Hello(session, node))
    except (OSError, ValueError, ChannelError) as error:
        sock.close()
        msg = f"{peer}: {error}"
        raise ChannelError(msg) from error
    channel.session, channel.sent = session, 0
    return channel


def name_in(certificate: object) -> str:
    """Return the common name of a peer's certificate; empty if it has none."""
    if isinstance(certificate, dict):
        for part in certificate.get("subject", ()):
            for key, value in part:
                if key == "commonName":
                    return str(value)
    return ""
