"""Where a node listens: each who connects is checked, greeted and served in a thread of its own."""

import secrets
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from offload.entities import OffloadError
from offload.testbed.certificates import Identity
from offload.testbed.channel import Address, Channel, ChannelError, EndedError, welcome
from offload.testbed.log import LOG

LOOPBACK, ANYWHERE = "127.0.0.1", "0.0.0.0"  # noqa: S104 - in a namespace of the testbed's own
MOST = 256  # connections at once
MOST_NEW = 32  # of them not yet greeted
CLOSING_S = 10.0  # which threads have to end in
FULL_S = 0.1  # to wait where the system gives no more sockets


class Door:
    """Listens on a port of this machine until it is closed; `take` serves a channel until that ends.

    With an identity peers must show a certificate and be on the node's list; without, anyone is served.
    Whatever goes wrong with one of them is logged in a line and ends that channel only. Raises
    ChannelError where it cannot listen, CertificateError.
    """

    def __init__(
        self,
        node: str,
        identity: Identity | None,
        take: Callable[[Channel], None],
        port: int = 0,
        host: str = LOOPBACK,
    ) -> None:
        self.node = node
        self.take = take
        self.tls = None if identity is None else identity.server()
        self.allowed = frozenset[str]() if identity is None else identity.allowed()
        self.lock = threading.Lock()
        self.closed = False
        self.threads: set[threading.Thread] = set()
        self.new = 0  # of them that greet
        self.channels: set[Channel] = set()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.sock.bind((host, port))
            self.sock.listen()
            self.sock.setblocking(False)
        except OSError as error:
            self.sock.close()
            msg = f"{node}: cannot listen on port {port}: {error.strerror}"
            raise ChannelError(msg) from error
        self.address: Address = self.sock.getsockname()
        self.end, self.ended = socket.socketpair()  # written to when it is to end
        self.thread = threading.Thread(target=self._listen, name=f"door of {node}", daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Listen no more, end all channels, and wait until their threads have ended."""
        with self.lock:
            self.closed = True
            channels = list(self.channels)
        with suppress(OSError):
            self.end.send(b".")
        for channel in channels:
            channel.close()
        self.thread.join()
        until_s = time.monotonic() + CLOSING_S
        for thread in list(self.threads):
            if thread is not threading.current_thread():
                thread.join(max(0.0, until_s - time.monotonic()))
        for each in (self.sock, self.end, self.ended):
            each.close()

    def _listen(self) -> None:
        poll = select.poll()
        for each in (self.sock, self.ended):
            poll.register(each, select.POLLIN)
        while not self.closed:
            poll.poll()
            try:
                sock, address = self.sock.accept()
            except (BlockingIOError, ConnectionAbortedError):
                continue
            except OSError as error:
                LOG.warning("%s: takes nobody: %s", self.node, error)
                time.sleep(FULL_S)
                continue
            self._begin(sock, f"{address[0]}:{address[1]}")

    def _begin(self, sock: socket.socket, who: str) -> None:
        thread = threading.Thread(target=self._serve, args=(sock, who), name=who, daemon=True)
        with self.lock:
            closed = self.closed
            full = self.new >= MOST_NEW or len(self.threads) >= MOST
            if not (closed or full):
                self.new += 1
                self.threads.add(thread)
        if closed or full:
            if not closed:
                LOG.warning("%s: %s: too many connections", self.node, who)
            sock.close()
            return
        try:
            thread.start()
        except RuntimeError as error:  # the system has no more threads
            LOG.warning("%s: %s: %s", self.node, who, error)
            sock.close()
            with self.lock:
                self.new -= 1
                self.threads.discard(thread)

    def _serve(self, sock: socket.socket, who: str) -> None:
        channel: Channel | None = None
        try:
            channel = self._welcome(sock)
            self.take(channel)
        except EndedError as error:
            LOG.info("%s: %s: %s", self.node, who, error)
        except OffloadError as error:
            LOG.warning("%s: %s: %s", self.node, who, error)
        except Exception as error:  # noqa: BLE001 - one must not end the service for the others
            LOG.warning("%s: %s: %s: %s", self.node, who, type(error).__name__, error)
            LOG.debug("where that happened", exc_info=True)
        finally:
            if channel is not None:
                channel.close()
            with self.lock:
                self.channels.difference_update({channel})
                self.threads.discard(threading.current_thread())

    def _welcome(self, sock: socket.socket) -> Channel:
        session = 1 + secrets.randbelow(2**63 - 1)
        try:
            channel = welcome(sock, self.tls, self.node, session, self.allowed)
        finally:
            with self.lock:
                self.new -= 1
        with self.lock:
            self.channels.add(channel)
            closed = self.closed
        if closed:
            channel.close()
        return channel
