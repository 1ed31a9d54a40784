"""A node that one stays connected to, whatever comes of it."""

import logging
import socket
import threading
import time
from collections.abc import Callable

import pytest

from offload.testbed import peer
from offload.testbed.channel import Channel
from offload.testbed.door import Door
from offload.testbed.link import Shape
from offload.testbed.message import Said, State
from offload.testbed.peer import Peer

NODE = "cabinet"


def wait_for(true: Callable[[], object]) -> None:
    until_s = time.monotonic() + 10.0
    while not true():
        assert time.monotonic() < until_s
        time.sleep(0.002)


def test_what_goes_wrong_in_hearing_one_message_does_not_end_what_comes_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    came: list[Said] = []
    lost: list[int] = []
    done = threading.Event()

    def tell(with_: Channel) -> None:
        with_.send(State(NODE, len(came), 0.0))
        done.wait(10.0)

    def heard(said: Said, body: memoryview) -> None:
        came.append(said)
        if len(came) == 1:
            msg = "a bug"
            raise LookupError(msg)

    door = Door(NODE, None, tell)
    one = Peer(NODE, door.address, None, Shape(), None, heard, lambda: lost.append(len(came)))
    wait_for(lambda: len(came) == 2)
    assert lost == [1]
    assert "cabinet: LookupError: a bug" in caplog.text
    done.set()
    one.close()
    door.close()


def test_one_that_ends_each_connection_at_once_is_not_asked_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peer, "AGAIN_S", 0.05)
    times_s: list[float] = []
    door = Door(NODE, None, lambda _: times_s.append(time.monotonic()))
    one = Peer(NODE, door.address, None, Shape(), None, lambda *_: None, lambda: None)
    wait_for(lambda: len(times_s) > 4)
    one.close()
    door.close()
    assert times_s[4] - times_s[0] > 4 * 0.05


def test_why_nobody_can_be_reached_is_told_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "AGAIN_S", 0.001)
    tries: list[object] = []
    connect = peer.connect
    monkeypatch.setattr(peer, "connect", lambda *given: (tries.append(given), connect(*given))[1])
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()
    one = Peer(NODE, address, None, Shape(), None, lambda *_: None, lambda: None)
    wait_for(lambda: len(tries) > 5)
    one.close()
    (line,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert "refused" in line.getMessage()
