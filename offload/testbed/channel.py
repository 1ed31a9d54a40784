"""A connection to a peer: messages in order, each whole, over TLS or in the clear."""

import select
import socket
import ssl
import threading
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
HELLO_S = 5.0  # within which a peer must have said who it is
STALLED_S = 10.0  # for which a peer may take nothing, or leave a message unfinished
UNNAMED = 0  # the session of the message that names it

Address = tuple[str, int]
Pace = Callable[[int], None]


class ChannelError(OffloadError):
    """A connection that cannot be made, or is no more."""


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

    def send(self, said: Said, body: bytes | memoryview = b"", pace: Pace | None = None) -> int:
        """Send a message; return its bytes.

        `pace` is told, before a chunk is written, how many bytes will have been; it may wait. Raises
        ChannelError.
        """
        head = head_of(said)
        self.sent += 1
        frame = FRAME.pack(MAGIC, self.session, self.sent, len(head), len(body)) + head
        first = max(0, CHUNK_BYTES - len(frame))
        rest, sent = memoryview(body), 0
        chunks = [memoryview(frame + bytes(rest[:first]))]
        chunks += [rest[at : at + CHUNK_BYTES] for at in range(first, len(rest), CHUNK_BYTES)]
        for chunk in chunks:
            sent += len(chunk)
            if pace is not None:
                pace(sent)
            self._write(chunk)
        return sent

    def receive(self) -> tuple[Said, memoryview]:
        """Return the next message and its body. Raises ChannelError; MessageError for what is none."""
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
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def _message(self, within_s: float | None = None) -> tuple[Said, memoryview]:
        frame = self._read(FRAME.size, within_s)
        self.received += 1
        head, body = sizes(frame, self.session, self.received, self.most_bytes)
        said = read_head(self._read(head, STALLED_S))
        return said, self._read(body, STALLED_S)

    def _read(self, size: int, within_s: float | None) -> memoryview:
        """Read so many bytes; only their beginning may be long in coming."""
        whole = memoryview(bytearray(size))
        rest = whole
        while rest:
            got = self._do(self.sock.recv_into, rest, select.POLLIN, within_s)
            if got == 0:
                msg = f"{self.peer}: the connection has ended"
                raise ChannelError(msg)
            rest, within_s = rest[got:], STALLED_S
        return whole

    def _write(self, rest: memoryview) -> None:
        while rest:
            rest = rest[self._do(self.sock.send, rest, select.POLLOUT, STALLED_S) :]

    def _do(
        self, act: Callable[[memoryview], int], part: memoryview, event: int, within_s: float | None
    ) -> int:
        """Read or write what can be, once anything can. Raises ChannelError."""
        try:
            while True:
                with self.lock:
                    try:
                        return act(part)
                    except ssl.SSLWantReadError:
                        wait = select.POLLIN
                    except ssl.SSLWantWriteError:
                        wait = select.POLLOUT
                    except BlockingIOError:
                        wait = event
                poll = select.poll()
                poll.register(self.sock, wait)
                if not poll.poll(None if within_s is None else 1000 * within_s):
                    msg = f"{self.peer}: nothing goes on for {within_s:g} s"
                    raise ChannelError(msg)
        except (OSError, ValueError) as error:
            msg = f"{self.peer}: the connection is lost: {error}"
            raise ChannelError(msg) from error


def connect(address: Address, tls: ssl.SSLContext | None, peer: str) -> Channel:
    """Connect to a node and hear its greeting. Raises ChannelError, MessageError.

    With `tls` it must show a certificate for the name `peer`.
    """
    try:
        sock = socket.create_connection(address, HELLO_S)
        if tls is not None:
            sock = tls.wrap_socket(sock, server_hostname=peer)
    except (OSError, ValueError) as error:
        msg = f"{peer} at {address[0]}:{address[1]}: {error}"
        raise ChannelError(msg) from error
    channel = Channel(sock, peer, UNNAMED)
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


def welcome(sock: socket.socket, tls: ssl.SSLContext | None, node: str, session: int) -> Channel:
    """Greet who has connected to a node. Raises ChannelError.

    With `tls` the peer is the name in its certificate, else "" until it says so.
    """
    peer = "someone"
    try:
        sock.settimeout(HELLO_S)
        if tls is not None:
            sock = tls.wrap_socket(sock, server_side=True)
            peer = name_in(sock.getpeercert())
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
