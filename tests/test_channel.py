"""A channel: both directions at once, what is left half done, and what ends it."""

import random
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from offload.testbed import channel
from offload.testbed.certificates import Identity, init
from offload.testbed.channel import Channel, ChannelError, EndedError, connect, welcome
from offload.testbed.link import Link, Shape
from offload.testbed.message import FRAME, MAGIC, MOST_BODY_BYTES, Answer, Hello, MessageError, head_of

SESSION = 77


def note(number: int) -> Answer:
    """Return something to say."""
    return Answer(number, 1, "device")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("testbed")
    init(made, ["node"], ["device"])
    return made


def between(server: ssl.SSLContext | None, client: ssl.SSLContext | None) -> tuple[Channel, Channel]:
    """Return the two ends of a channel."""
    made: list[Channel] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            made.append(welcome(listening.accept()[0], server, "node", SESSION, frozenset({"device"})))

        thread = threading.Thread(target=accept)
        thread.start()
        made.append(connect(listening.getsockname(), client, "node"))
        thread.join()
    there, here = sorted(made, key=lambda each: each.peer == "node")
    return here, there


@pytest.fixture(params=["tls", "plain"])
def ends(request: pytest.FixtureRequest, folder: Path) -> Iterator[tuple[Channel, Channel]]:
    secure = request.param == "tls"
    made = between(
        Identity(folder, "node").server() if secure else None,
        Identity(folder, "device").client() if secure else None,
    )
    yield made
    for each in made:
        each.close()


def test_both_sides_send_and_receive_at_once_through_buffers_that_are_full(
    ends: tuple[Channel, Channel],
) -> None:
    # Small buffers: nearly every write is left half done and tried again while the other thread reads.
    # (To receive, not too small: the kernel then waits for a window that is worth a packet of loopback.)
    for each in ends:
        for which, size in ((socket.SO_SNDBUF, 4096), (socket.SO_RCVBUF, 65_536)):
            each.sock.setsockopt(socket.SOL_SOCKET, which, size)
    edge, chance = channel.CHUNK_BYTES - FRAME.size - len(head_of(note(1))), random.Random(1)
    sizes = [chance.choice((0, 1, edge - 1, edge, edge + 1, 100_000, 700_000)) for _ in range(40)]
    assert len({*sizes}) == 7
    bodies = [random.Random(size).randbytes(size) for size in sizes]
    failed: list[str] = []

    def sends(end: Channel) -> None:
        for number, body in enumerate(bodies):
            end.send(note(number), memoryview(body))

    def receives(end: Channel) -> None:
        for number, body in enumerate(bodies):
            said, got = end.receive()
            if said != note(number) or got != body:
                failed.append(f"{end.peer}: {number}")

    threads = [threading.Thread(target=act, args=(each,)) for each in ends for act in (sends, receives)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)
    assert not any(thread.is_alive() for thread in threads)
    assert not failed
    assert [each.received for each in ends] == [40, 40]


def test_to_close_tells_those_who_wait_here_and_there(ends: tuple[Channel, Channel]) -> None:
    told: list[type] = []

    def waits(end: Channel) -> None:
        try:
            end.receive()
        except ChannelError as error:
            told.append(type(error))

    threads = [threading.Thread(target=waits, args=(each,)) for each in ends]
    for thread in threads:
        thread.start()
    while any(each.inside == 0 for each in ends):
        time.sleep(0.001)
    ends[0].close()
    for thread in threads:
        thread.join(10.0)
    assert told == [EndedError, EndedError]
    assert ends[0].sock.fileno() == -1
    with pytest.raises(EndedError, match="is closed"):
        ends[0].send(note(1))
    ends[0].close()


def reads(raw: socket.socket, seen: bytearray) -> None:
    while part := raw.recv(65_536):
        seen.extend(part)


def sends(here: Channel, body: bytes) -> None:
    with suppress(ChannelError):
        while True:
            here.send(note(1), body)


def test_to_close_in_the_middle_of_sending_shows_nothing_in_the_clear(folder: Path) -> None:
    for _ in range(20):
        here, there = between(Identity(folder, "node").server(), Identity(folder, "device").client())
        seen = bytearray()
        raw = socket.socket(fileno=socket.dup(there.sock.fileno()))
        raw.setblocking(True)
        threads = [
            threading.Thread(target=reads, args=(raw, seen)),
            threading.Thread(target=sends, args=(here, b"in the clear" * 2000)),
        ]
        for thread in threads:
            thread.start()
        while len(seen) < 100_000:
            time.sleep(0.0005)
        here.close()
        for thread in threads:
            thread.join(10.0)
            assert not thread.is_alive()
        for each in (there, raw):
            each.close()
        assert b"in the clear" not in seen


def test_what_fails_half_way_is_not_gone_on_with(
    ends: tuple[Channel, Channel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "STALLED_S", 0.05)
    here, there = ends
    with pytest.raises(ChannelError, match="too little in the time"):
        here.send(note(1), bytes(2**26))  # nobody reads
    with pytest.raises(EndedError):
        here.send(note(2))
    with pytest.raises(ChannelError, match="in the middle of a message"):
        there.receive()


def test_a_pace_is_told_of_every_byte_before_it_goes(ends: tuple[Channel, Channel]) -> None:
    here, there = ends
    told: list[int] = []
    size = here.send(note(1), bytes(50_000), told.append)
    assert told == sorted(told)
    assert told[-1] == size
    assert all(
        after - before <= channel.CHUNK_BYTES for before, after in zip([0, *told], told, strict=False)
    )
    assert len(there.receive()[1]) == 50_000


def test_sizes_that_only_are_said_take_no_memory(
    ends: tuple[Channel, Channel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "STALLED_S", 0.05)
    here, there = ends
    head = head_of(note(1))
    said = FRAME.pack(MAGIC, SESSION, 1, len(head), MOST_BODY_BYTES) + head + b"begun"
    here._write(memoryview(said))
    tracemalloc.start()
    try:
        with pytest.raises(ChannelError, match="too little in the time"):
            there.receive()
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


class Node:
    """A port at which one says first what it is told to."""

    def __init__(self, said: bytes) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self._serve, args=(said,))
        self.thread.start()

    def _serve(self, said: bytes) -> None:
        with self.listening, self.listening.accept()[0] as sock:
            sock.sendall(said)
            sock.settimeout(5.0)
            sock.recv(1)


def greeting(said: Hello | Answer, session: int = 0) -> bytes:
    head = head_of(said)
    return FRAME.pack(MAGIC, session, 1, len(head), 0) + head


@pytest.mark.parametrize(
    ("said", "kind", "told"),
    [
        (greeting(Hello(1, "other")), MessageError, "node: greets as other"),
        (greeting(note(1)), MessageError, "node: does not greet"),
        (greeting(Hello(1, "node"), 5), MessageError, "of another session"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", MessageError, "does not begin like one"),
        (b"", ChannelError, "too little in the time"),
    ],
)
def test_a_node_that_greets_wrongly_is_left(
    said: bytes, kind: type[Exception], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "HELLO_S", 0.05)
    node = Node(said)
    with pytest.raises(kind, match=told):
        connect(node.listening.getsockname(), None, "node")
    node.thread.join(10.0)
    assert not node.thread.is_alive()


def test_where_nobody_listens_is_told(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()
    with pytest.raises(ChannelError, match=r"node at 127\.0\.0\.1:.* refused"):
        connect(address, None, "node")
    with pytest.raises(ChannelError, match=r"node at 127\.0\.0\.1:.* refused"):
        connect(address, Identity(folder, "device").client(), "node")


def test_a_link_that_is_given_what_nobody_takes_ends_its_channel(ends: tuple[Channel, Channel]) -> None:
    here, there = ends
    link = Link(here, Shape())
    link.send(note(1), b"body")
    assert there.receive()[1] == b"body"
    link.send(note(2), bytes(MOST_BODY_BYTES + 1))
    link.thread.join(10.0)
    assert not link.thread.is_alive()
    assert link.queued_bytes == 0
    with pytest.raises(EndedError):
        there.receive()
