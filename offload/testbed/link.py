"""A link between two processes, shaped in user space: a rate, a delay, and a jitter by chance."""

import ctypes
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import SimpleQueue

from offload.entities import OffloadError
from offload.testbed.channel import Channel, EndedError
from offload.testbed.log import LOG
from offload.testbed.message import Said

_PR_SET_TIMERSLACK = 29
MOST_MESSAGES, MOST_BYTES = 20_000, 2**28  # that wait until a link is full

Late = tuple[float, Callable[[], None]]  # after when it is not sent any more, and who is told


@dataclass(frozen=True, slots=True)
class Shape:
    """How a direction of a link is shaped: bits a second (None: as it comes), and seconds of delay."""

    rate_bps: float | None = None
    delay_s: float = 0.0


class Link:
    """Sends messages over a channel in order, each byte no sooner than a link of that shape would.

    A bucket of one chunk, filled at the rate: a chunk is written when the link would have sent the last
    of it, plus the delay and the jitter of its message. Times are absolute, so that a chunk that is late
    does not delay the next; and a message with less jitter than the one before follows it at once.
    `jitter_s` must not end. `send` returns at once; a message that is `late` when its turn comes is not
    sent.
    """

    def __init__(self, channel: Channel, shape: Shape, jitter_s: Iterator[float] | None = None) -> None:
        self.channel = channel
        self.shape = shape
        self.jitter_s = jitter_s
        self.waiting: SimpleQueue[tuple[float, Said, bytes | memoryview, Late | None] | None] = (
            SimpleQueue()
        )
        self.free_s = 0.0
        self.queued_bytes = 0  # of bodies that are not sent yet, the one being sent included
        self.open = True
        self.lock = threading.Lock()  # whoever sends, and the thread, change these two
        self.thread = threading.Thread(target=self._work, name=f"to {channel.peer}", daemon=True)
        self.thread.start()

    @property
    def full(self) -> bool:
        """Whether so much waits that nobody should send more."""
        return self.queued_bytes > MOST_BYTES or self.waiting.qsize() > MOST_MESSAGES

    def send(self, said: Said, body: bytes | memoryview = b"", late: Late | None = None) -> None:
        """Send a message behind those before it; it is lost if the channel is, or the link closed."""
        with self.lock:
            if self.open:
                self.queued_bytes += len(body)
                self.waiting.put((time.monotonic(), said, body, late))

    def close(self) -> None:
        """Take no more messages; those that wait are still sent. The channel stays open."""
        with self.lock:
            self.open = False
            self.waiting.put(None)

    def _work(self) -> None:
        sleep_exactly()
        while (item := self.waiting.get()) is not None:
            came_s, said, body, late = item
            if late is not None and max(came_s, self.free_s) > late[0]:
                with self.lock:
                    self.queued_bytes -= len(body)
                late[1]()
                continue
            try:
                self._send(came_s, said, body)
            except OffloadError as error:  # it is lost, or a message that no one would take
                if not isinstance(error, EndedError):  # whoever receives is told of that
                    LOG.warning("%s", error)
                self._end()
                return
            with self.lock:
                self.queued_bytes -= len(body)

    def _end(self) -> None:
        """Lose what waits and what may come: whoever receives from the channel is told."""
        with self.lock:
            self.open, self.queued_bytes = False, 0
        self.channel.close()

    def _send(self, came_s: float, said: Said, body: bytes | memoryview) -> None:
        rate_bps, begins_s = self.shape.rate_bps, max(came_s, self.free_s)
        later_s = self.shape.delay_s + (next(self.jitter_s) if self.jitter_s is not None else 0.0)

        def pace(end: int) -> None:
            until(begins_s + (8 * end / rate_bps if rate_bps else 0.0) + later_s)

        size = self.channel.send(said, body, pace)
        self.free_s = begins_s + (8 * size / rate_bps if rate_bps else 0.0)


def until(at_s: float) -> None:
    """Sleep until a time of the monotonic clock."""
    left_s = at_s - time.monotonic()
    if left_s > 0.0:
        time.sleep(left_s)


def sleep_exactly() -> None:
    """Let this thread's sleeps end within microseconds; where that cannot be asked for, they do not."""
    try:
        ctypes.CDLL("libc.so.6").prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    except (OSError, AttributeError):
        return
