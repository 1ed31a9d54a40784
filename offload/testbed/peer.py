"""A node that one stays connected to: whenever the connection is lost, it is made again."""

import ssl
import threading
from collections.abc import Callable, Iterator

from offload.entities import OffloadError
from offload.testbed.channel import Address, Channel, EndedError, connect
from offload.testbed.link import Late, Link, Shape
from offload.testbed.log import LOG
from offload.testbed.message import Said

AGAIN_S = 0.1  # between two connections, or tries to make one


class Peer:
    """A connection to a node over a shaped link, made again when it is lost.

    `heard(said, body)` is told what the node says, `lost()` that what was under way will not be
    answered; both in the thread of this peer.
    """

    def __init__(
        self,
        name: str,
        address: Address,
        tls: ssl.SSLContext | None,
        shape: Shape,
        jitter_s: Iterator[float] | None,
        heard: Callable[[Said, memoryview], None],
        lost: Callable[[], None],
    ) -> None:
        self.name, self.address, self.tls = name, address, tls
        self.shape, self.jitter_s = shape, jitter_s
        self.heard, self.lost = heard, lost
        self.link: Link | None = None
        self.why = ""  # it is not connected
        self.stopped = threading.Event()
        self.met = threading.Event()
        threading.Thread(target=self._work, name=f"from {name}", daemon=True).start()

    @property
    def up(self) -> bool:
        """Whether it is connected, for all one knows."""
        return self.link is not None

    @property
    def queued_bytes(self) -> int:
        """What waits to be sent."""
        link = self.link
        return 0 if link is None else link.queued_bytes

    def send(self, said: Said, body: bytes | memoryview = b"", late: Late | None = None) -> bool:
        """Send a message; tell whether there was a connection."""
        link = self.link
        if link is None:
            return False
        link.send(said, body, late)
        return True

    def close(self) -> None:
        """End the connection, and make no other."""
        self.stopped.set()
        link = self.link
        if link is not None:
            link.channel.close()

    def _work(self) -> None:
        told = ""
        while not self.stopped.is_set():
            try:
                channel = connect(self.address, self.tls, self.name)
            except OffloadError as error:
                self.why = str(error)
                if self.why != told:  # once, for as long as it stays so
                    LOG.warning("%s", error)
                told = self.why
            else:
                told = ""
                self._listen(channel)
            self.stopped.wait(AGAIN_S)  # also where it came about, and ended at once

    def _listen(self, channel: Channel) -> None:
        link = None
        try:
            self.link = link = Link(channel, self.shape, self.jitter_s)
            self.met.set()
            while True:
                self.heard(*channel.receive())
        except EndedError as error:
            LOG.info("%s", error)
        except OffloadError as error:
            if not self.stopped.is_set():
                LOG.warning("%s", error)
        except Exception as error:  # noqa: BLE001 - one message must not keep others from coming
            LOG.warning("%s: %s: %s", self.name, type(error).__name__, error)
        finally:
            self.link = None
            self.met.clear()
            if link is not None:
                link.close()
            channel.close()
            self.lost()
