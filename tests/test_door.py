"""A node's door: whom it lets in, what it refuses and tells of, and that it serves on."""

import errno
import logging
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from offload.testbed import channel, door
from offload.testbed.authority import Authority
from offload.testbed.certificates import Identity, init
from offload.testbed.channel import Channel, ChannelError, connect
from offload.testbed.door import Door
from offload.testbed.message import (
    FRAME,
    MAGIC,
    MOST_BODY_BYTES,
    MOST_HEAD_BYTES,
    Answer,
    Hello,
    MessageError,
    Said,
    State,
    head_of,
)

NODE = "cabinet"


def note(number: int) -> Answer:
    """Return something to say."""
    return Answer(number, 1, "car-0")


NOTE = head_of(note(1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("testbed")
    init(made, [NODE, "region"], ["car-0"])
    return made


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let peers that stall be given up soon."""
    monkeypatch.setattr(channel, "HELLO_S", 0.3)
    monkeypatch.setattr(channel, "STALLED_S", 0.3)


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert not set(threading.enumerate()) - before


def echo(with_: Channel) -> None:
    while True:
        said, body = with_.receive()
        with_.send(said, body)


def receive_all(with_: Channel) -> None:
    while True:
        with_.receive()


def drip(with_: Channel, said: bytes) -> None:
    for byte in said:
        with_._write(memoryview(bytes([byte])))
        time.sleep(0.03)


def flood(with_: Channel) -> None:
    body = bytes(2**22)
    for number in range(100):
        with_.send(note(number), body)


def wait_for(true: Callable[[], object]) -> None:
    until_s = time.monotonic() + 10.0
    while not true():
        assert time.monotonic() < until_s
        time.sleep(0.002)


@pytest.fixture(params=["tls", "plain"])
def identity(request: pytest.FixtureRequest, folder: Path) -> Identity | None:
    return Identity(folder, NODE) if request.param == "tls" else None


class Guest:
    """A door that echoes, and those who come to it."""

    def __init__(
        self, folder: Path, identity: Identity | None, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.folder, self.secure, self.caplog = folder, identity is not None, caplog
        self.door = Door(NODE, identity, echo)

    def connect(self) -> Channel:
        tls = Identity(self.folder, "car-0").client() if self.secure else None
        return connect(self.door.address, tls, NODE)

    def is_served(self) -> bool:
        """Tell whether a good client is."""
        with_ = self.connect()
        try:
            with_.send(note(7), b"body")
            said, body = with_.receive()
            return said == note(7) and body == b"body"
        finally:
            with_.close()

    def told(self) -> list[str]:
        """Return the lines of what was refused."""
        return [each.getMessage() for each in self.caplog.records if each.levelno >= logging.WARNING]

    def refuses(self, told: str) -> None:
        """See that one line was written which says this, and that a good client is served."""
        wait_for(self.told)
        assert self.is_served()
        assert len(self.told()) == 1
        assert told in self.told()[0]
        assert len(self.told()[0].splitlines()) == 1


@pytest.fixture
def guest(folder: Path, identity: Identity | None, caplog: pytest.LogCaptureFixture) -> Iterator[Guest]:
    caplog.set_level(logging.INFO, "offload.testbed")
    made = Guest(folder, identity, caplog)
    yield made
    made.door.close()


@pytest.fixture
def secure(folder: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Guest]:
    made = Guest(folder, Identity(folder, NODE), caplog)
    yield made
    made.door.close()


def test_many_are_served_at_once_and_large_messages_come_whole(guest: Guest) -> None:
    each = [guest.connect() for _ in range(5)]
    body = bytes(range(256)) * 4096

    def sends(with_: Channel) -> None:
        for size in (0, 1, 16_383, 70_000, len(body)):
            with_.send(note(size), memoryview(body)[:size])

    threads = [threading.Thread(target=sends, args=(one,)) for one in each]
    for thread in threads:
        thread.start()
    for one in each:
        for size in (0, 1, 16_383, 70_000, len(body)):
            said, got = one.receive()
            assert said == note(size)
            assert got == body[:size]
    for thread in threads:
        thread.join()
    assert len({one.session for one in each}) == 5
    for one in each:
        one.close()
    wait_for(lambda: not guest.door.threads)
    assert not guest.told()
    lines = [each.getMessage() for each in guest.caplog.records]
    peer = "car-0" if guest.secure else "someone"
    assert len(lines) == 5
    assert all(line.endswith(f": {peer}: has closed the connection") for line in lines)


def test_a_door_that_closes_ends_its_channels_and_its_threads(guest: Guest) -> None:
    waits = guest.connect()
    guest.door.close()
    with pytest.raises(ChannelError):
        waits.receive()
    waits.close()
    with pytest.raises(ChannelError):
        guest.connect()
    port = guest.door.address[1]
    again = Door(NODE, None, echo, port)  # it is free again
    with pytest.raises(ChannelError, match=f"^cabinet: cannot listen on port {port}: Address"):
        Door(NODE, None, echo, port)
    again.close()


def test_a_door_may_be_closed_from_within(folder: Path) -> None:
    doors: list[Door] = []
    ended = threading.Event()

    def take(with_: Channel) -> None:
        doors[0].close()
        ended.set()

    doors.append(Door(NODE, None, take))
    one = connect(doors[0].address, None, NODE)
    assert ended.wait(10.0)
    with pytest.raises(ChannelError):
        one.receive()
    one.close()
    wait_for(lambda: not doors[0].threads)


def test_whatever_goes_wrong_in_serving_one_ends_only_that(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def take(with_: Channel) -> None:
        said, _ = with_.receive()
        if said == note(1):
            msg = "a bug in serving"
            raise RuntimeError(msg)
        with_.send(said)

    made = Door(NODE, None, take)
    spoils, waits = connect(made.address, None, NODE), connect(made.address, None, NODE)
    spoils.send(note(1))
    with pytest.raises(ChannelError):
        spoils.receive()
    waits.send(note(2))
    assert waits.receive()[0] == note(2)
    for each in (spoils, waits):
        each.close()
    made.close()
    (line,) = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert line.endswith("RuntimeError: a bug in serving")


def test_only_so_many_come_in(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "MOST", 2)
    made = Door(NODE, None, echo)
    each = [connect(made.address, None, NODE) for _ in range(2)]
    with pytest.raises(ChannelError):
        connect(made.address, None, NODE)
    assert "too many connections" in caplog.text
    each.pop().close()
    wait_for(lambda: len(made.threads) < 2)
    each.append(connect(made.address, None, NODE))
    made.close()
    for one in each:
        one.close()


def test_those_who_never_greet_keep_the_place_of_few(
    secure: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "MOST_NEW", 2)
    idle = [socket.create_connection(secure.door.address) for _ in range(3)]
    wait_for(lambda: "too many connections" in secure.caplog.text)
    wait_for(lambda: not secure.door.new)  # they were given up
    assert secure.is_served()
    assert len(secure.told()) == 3
    assert sum("timed out" in line for line in secure.told()) == 2
    for each in idle:
        each.close()


# Who does not come in


def client(
    folder: Path, authority: Authority, name: str | None, begins: datetime | None = None
) -> ssl.SSLContext:
    """Return how one connects who trusts the node, with a certificate of an authority's or none."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.load_verify_locations(folder / "certificates" / "authority.pem")
    if name is not None:
        pair = folder / "pair.pem"
        pair.write_bytes(b"".join(authority.issue(name, 10, listens=False, begins=begins)))
        tls.load_cert_chain(pair)
    return tls


ago = datetime.now(UTC) - timedelta(days=20)
STRANGERS: dict[str, tuple[bool, str | None, datetime | None, str]] = {
    "none": (True, None, None, "peer did not return a certificate"),
    "another-authority": (False, "car-0", None, "certificate verify failed"),
    "expired": (True, "car-0", ago, "certificate has expired"),
    "not-yet": (True, "car-0", datetime.now(UTC) + timedelta(days=1), "not yet valid"),
    "not-allowed": (True, "car-1", None, "car-1: not among those who may connect to cabinet"),
    "itself": (True, "cabinet", None, "cabinet: not among those who may connect to cabinet"),
}


@pytest.mark.parametrize("who", STRANGERS)
def test_strangers_are_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    own, other = Authority.new(30, datetime.now(UTC) - timedelta(days=25)), Authority.new(30)
    monkeypatch.setattr(Authority, "new", lambda days: own)
    init(tmp_path, [NODE], ["car-0"], days=3)
    ours, name, begins, told = STRANGERS[who]
    guest = Guest(tmp_path, Identity(tmp_path, NODE), caplog)
    with pytest.raises(ChannelError):
        connect(guest.door.address, client(tmp_path, own if ours else other, name, begins), NODE)
    guest.refuses(told)
    guest.door.close()


def test_a_node_that_is_another_gets_no_client(secure: Guest, folder: Path) -> None:
    with pytest.raises(ChannelError, match=r"region at 127\.0\.0\.1.*certificate verify failed"):
        connect(secure.door.address, Identity(folder, "car-0").client(), "region")
    secure.refuses("certificate")


def test_a_certificate_that_is_no_node_s_serves_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Authority.new(30)
    monkeypatch.setattr(Authority, "new", lambda days: own)
    init(tmp_path, [NODE], ["car-0"], days=3)
    false = Identity(tmp_path, NODE)
    for path, content in zip(
        (false.certificate, false.key), own.issue(NODE, 3, listens=False), strict=True
    ):
        path.write_bytes(content)
    made = Door(NODE, false, echo)
    with pytest.raises(ChannelError, match="purpose"):
        connect(made.address, Identity(tmp_path, "car-0").client(), NODE)
    made.close()


def test_who_speaks_no_tls_is_refused(secure: Guest) -> None:
    with socket.create_connection(secure.door.address) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        secure.refuses("SSL")


def test_an_older_tls_is_refused(secure: Guest, folder: Path) -> None:
    tls = Identity(folder, "car-0").client()
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ChannelError):
        connect(secure.door.address, tls, NODE)
    secure.refuses("nsupported protocol")


# What is not taken from those who did


def frame(
    with_: Channel,
    *,
    magic: bytes = MAGIC,
    session: int = 0,
    number: int = 0,
    head: bytes = NOTE,
    body: bytes = b"",
    sizes: tuple[int, int] | None = None,
) -> bytes:
    """Return a frame with something wrong."""
    told = sizes or (len(head), len(body))
    return FRAME.pack(magic, session or with_.session, number or with_.sent + 1, *told) + head + body


def raw(said: Said, **changes: object) -> bytes:
    """Return a head with something in it that no one checks who writes it."""
    return msgspec.msgpack.encode({"type": type(said).__name__, **msgspec.to_builtins(said), **changes})


WRONG: dict[str, tuple[Callable[[Channel], bytes], str]] = {
    "replayed": (lambda c: frame(c) + frame(c), "message 1 of its session where 2 is due: replayed?"),
    "skipped": (lambda c: frame(c, number=2), "message 2 of its session where 1 is due: replayed?"),
    "other-session": (lambda c: frame(c, session=c.session ^ 1), "of another session: replayed?"),
    "no-magic": (lambda c: frame(c, magic=b"oflx"), "does not begin like one"),
    "no-head": (lambda c: frame(c, head=b""), "a message of 0 and 0 bytes"),
    "large-head": (
        lambda c: frame(c, sizes=(MOST_HEAD_BYTES + 1, 0)), f"at most {MOST_HEAD_BYTES} and"
    ),
    "large-body": (
        lambda c: frame(c, sizes=(len(NOTE), MOST_BODY_BYTES + 1)), f"and {MOST_BODY_BYTES} are taken"
    ),
    "largest": (lambda c: frame(c, sizes=(2**32 - 1, 2**32 - 1)), "a message of 4294967295 and 42949"),
    "no-message": (lambda c: frame(c, head=b"\xc1\xc1"), "no message: "),
    "nested": (lambda c: frame(c, head=b"\x91" * 5000), "no message: "),
    "odd-cause": (lambda c: frame(c, head=raw(note(1), cause="\x1b[31mlate\n")), "no message: "),
    "no-number": (lambda c: frame(c, head=raw(State("x", 1, 0.0), backlog_s=math.nan)), "no message: "),
    "greets": (lambda c: frame(c, head=head_of(Hello(1, "x"))), "a second greeting"),
    "stops-short": (lambda c: frame(c, body=b"12345678")[:-4], "too little in the time that it has"),
    "stops-in-frame": (lambda c: frame(c)[:9], "too little in the time that it has"),
    "stops-in-head": (lambda c: frame(c)[:-1], "too little in the time that it has"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_message_ends_the_channel(guest: Guest, name: str) -> None:
    make, told = WRONG[name]
    with_ = guest.connect()
    with_._write(memoryview(make(with_)))
    guest.refuses(told)
    with pytest.raises(ChannelError):
        receive_all(with_)
    with_.close()


def test_a_message_that_is_cut_off_is_told_of(guest: Guest) -> None:
    with_ = guest.connect()
    with_._write(memoryview(frame(with_, body=b"12345678")[:-4]))
    with_.close()
    guest.refuses("the connection has ended in the middle of a message")


def test_a_recorded_connection_cannot_be_played_again(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    guest = Guest(folder, None, caplog)
    recorded = guest.connect()
    said = frame(recorded)
    recorded._write(memoryview(said))
    assert recorded.receive()[0] == note(1)
    recorded.close()
    again = guest.connect()
    again._write(memoryview(said))
    guest.refuses("a message of another session: replayed?")
    again.close()
    guest.door.close()


@pytest.mark.parametrize("part", [slice(FRAME.size), slice(None)], ids=["frame", "whole"])
def test_a_drip_is_no_progress(guest: Guest, part: slice) -> None:
    with_ = guest.connect()
    with pytest.raises(ChannelError):  # a byte each tenth of the time it has: it never stalls
        drip(with_, frame(with_, body=bytes(100))[part])
    guest.refuses("too little in the time that it has")
    with_.close()


def test_one_that_never_reads_does_not_keep_its_thread(guest: Guest) -> None:
    with_ = guest.connect()
    with pytest.raises(ChannelError):
        flood(with_)
    with_.close()
    wait_for(lambda: not guest.door.threads)
    assert guest.is_served()
    assert guest.told()


@pytest.mark.parametrize("bytes_", [0, 1, 50, 200])
def test_a_handshake_that_stalls_is_given_up(secure: Guest, folder: Path, bytes_: int) -> None:
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = Identity(folder, "car-0").client().wrap_bio(into, out, server_hostname=NODE)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    with socket.create_connection(secure.door.address) as sock:
        sock.sendall(out.read()[:bytes_])
        secure.refuses("timed out")


def test_a_handshake_that_is_left_is_told_of(secure: Guest, folder: Path) -> None:
    with socket.create_connection(secure.door.address) as sock:
        sock.sendall(b"\x16\x03\x01")
    secure.refuses("someone: ")


def test_what_nobody_would_take_is_not_sent(guest: Guest) -> None:
    with_ = guest.connect()
    with pytest.raises(MessageError, match="at most 67108864"):
        with_.send(note(1), bytes(MOST_BODY_BYTES + 1))
    with_.send(note(2))
    assert with_.receive()[0] == note(2)
    with_.close()


class Full:
    """A socket for which the system has no more, once."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.full = True

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        if self.full:
            self.full = False
            raise OSError(errno.EMFILE, "Too many open files")
        return self.sock.accept()

    def close(self) -> None:
        self.sock.close()


def test_sockets_that_run_out_end_nothing(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "FULL_S", 0.01)
    guest = Guest(folder, None, caplog)
    guest.door.sock = Full(guest.door.sock)  # type: ignore[assignment]
    assert guest.is_served()
    guest.refuses("takes nobody: [Errno 24] Too many open files")
    guest.door.close()


def test_threads_that_run_out_end_nothing(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(self: threading.Thread) -> None:
        msg = "can't start new thread"
        raise RuntimeError(msg)

    guest = Guest(folder, None, caplog)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_more)
        with pytest.raises(ChannelError):
            guest.connect()
    guest.refuses("can't start new thread")
    assert not guest.door.new
    guest.door.close()
