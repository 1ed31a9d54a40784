"""What a node does not take from a device that may connect: it is refused, and the node serves on."""

import threading
from collections.abc import Iterator
from multiprocessing import Pipe
from pathlib import Path

import pytest
import torch

from offload.dnn.codec import named
from offload.entities import Hardware, Node
from offload.networks import Figure
from offload.testbed import networks, node
from offload.testbed.certificates import Identity, init
from offload.testbed.channel import Channel, ChannelError, connect
from offload.testbed.message import MOST_BODY_BYTES, Answer, Ask, Echo, Said, State, Stop
from offload.testbed.node import NodeSpec, Server
from offload.testbed.parts import Key

VARIANT = "fashion-cnn:fp32"
GOOD = named("raw").encode([torch.zeros(1, 1, 28, 28)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("testbed")
    init(made, ["edge"], ["cam-0", "cam-1"])
    networks.export(made, [("fashion-cnn", "fp32")])
    return made


class Served:
    """A node that runs in a thread of this process, and a whole network for it."""

    def __init__(self, folder: Path) -> None:
        ours, theirs = Pipe()
        watt = Figure(1.0, "assumed", "a test")
        here = Node("edge", "edge", Hardware("x", "cpu", watt, watt, 1e9), 1, (0.0, 0.0), 3600.0)
        self.last = node.process.parts(folder).cuts(VARIANT) - 1
        parts = (Key(VARIANT, 0, self.last),)
        spec = NodeSpec(here, folder, 1, None, 0, {}, frozenset(), {}, most_bytes=2**16, parts=parts)
        self.server = Server(spec, theirs)
        self.pipes = ours, theirs
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        assert ours.poll(60.0)
        _, self.address = ours.recv()

    def close(self) -> None:
        self.pipes[0].send(("stop", None))
        self.thread.join(30.0)
        assert not self.thread.is_alive()
        for each in self.pipes:
            each.close()


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Served]:
    made = Served(folder)
    yield made
    made.close()


def guest(folder: Path, served: Served, name: str = "cam-0") -> Channel:
    return connect(served.address, Identity(folder, name).client(), "edge")


def ask(last: int = 7, **changes: object) -> Ask:
    given = {
        "id": 1,
        "attempt": 1,
        "device": "cam-0",
        "variant": VARIANT,
        "stops": [Stop("edge", 0, last)],
    }
    return Ask(**{**given, **changes})  # type: ignore[arg-type]


def answer(with_: Channel) -> Answer:
    while True:
        said, _ = with_.receive()
        if isinstance(said, Answer):
            return said


def answer_to(with_: Channel, said: Said, body: bytes) -> Answer:
    with_.send(said, body)  # it may be ended by then
    return answer(with_)


REFUSED = {
    "no-such-network": (ask(variant="resnet50:fp32"), GOOD),
    "a-file": (ask(variant="/etc/passwd.pt2:fp32"), GOOD),
    "code": (ask(variant="os:system"), GOOD),
    "no-such-part": (ask(stops=[Stop("edge", 5, 2)]), GOOD),
    "no-tensor": (ask(), b"\x80\x04N."),
    "nothing": (ask(), b""),
    "another-tensor": (ask(), named("raw").encode([torch.zeros(1, 3, 28, 28)])),
    "quantised-noise": (ask(), GOOD[:20] + bytes(10)),
    "too-much": (ask(), named("uint8+zstd").encode([torch.zeros(1, 1, 4000, 4000)])),
    "all-padding": (ask(pad=len(GOOD)), GOOD),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_computed_is_answered_so(folder: Path, served: Served, name: str) -> None:
    with_ = guest(folder, served)
    asked, body = REFUSED[name]
    with_.send(asked, body)
    assert answer(with_).cause == "malformed"
    with_.send(ask(served.last), GOOD)
    assert answer(with_).cause == ""
    with_.close()


ENDING = {
    "too-long": (ask(), bytes(2**16 + 1), "65537 bytes; at most 16384 and 65536 are taken"),
    "another's-name": (ask(device="cam-1"), GOOD, "in the name of another"),
    "more-padding": (ask(pad=len(GOOD) + 1), GOOD, "more padding than bytes"),
    "a-report": (State("edge", 1, 0.0), b"", "what only nodes say"),
    "an-answer": (Answer(1, 1, "cam-0"), b"", "what only nodes say"),
}


@pytest.mark.parametrize("name", ENDING)
def test_what_no_device_says_ends_its_channel(
    folder: Path, served: Served, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    bad, other = guest(folder, served), guest(folder, served, "cam-1")
    said, body, told = ENDING[name]
    with pytest.raises(ChannelError):
        answer_to(bad, said, body)
    other.send(Echo(3, 10))
    assert other.receive()[0].number == 3
    assert told in caplog.text
    bad.close()
    other.close()


def test_one_that_asks_for_more_than_it_takes_is_left(
    folder: Path, served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    with_ = guest(folder, served)
    for number in range(10):
        with_.send(Echo(number, MOST_BODY_BYTES))
    with pytest.raises(ChannelError):
        answer(with_)
    assert "asks for more than it takes" in caplog.text
    with_.close()


def test_parts_that_are_asked_for_do_not_fill_the_memory(
    folder: Path, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node, "MOST_PARTS", len(served.server.known) + 2)
    with_ = guest(folder, served)
    made = [served.last - each for each in range(1, 5)]
    causes = []
    for last in made:
        with_.send(ask(last), GOOD)
        causes.append(answer(with_).cause)
    assert causes == ["", "", "malformed", "malformed"]
    with_.send(ask(served.last), GOOD)
    assert answer(with_).cause == ""
    with_.close()
