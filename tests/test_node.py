"""What a node does not take from those who may connect: it is refused, and the node serves on."""

import threading
import time
import warnings
from collections.abc import Iterator
from multiprocessing import Pipe
from pathlib import Path

import pytest
import torch
from torch import Tensor

from offload.dnn.codec import named
from offload.entities import Hardware, Node
from offload.networks import Figure
from offload.testbed import link, networks, node, waiting
from offload.testbed.certificates import Identity, init
from offload.testbed.channel import Channel, ChannelError, connect
from offload.testbed.message import Answer, Ask, Said, State, Stop
from offload.testbed.node import NodeSpec, Server
from offload.testbed.parts import Key, PartError
from offload.testbed.waiting import Job, Waiting

VARIANT = "fashion-cnn:fp32"
GOOD = named("raw").encode([torch.zeros(1, 1, 28, 28)])
FELLOWS = ("cloud", "other")
SOON_S = 10.0  # within which something must come
ENDED = "closed|ended|lost"
WATT = Figure(1.0, "assumed", "a test")
EDGE = Node("edge", "edge", Hardware("x", "cpu", WATT, WATT, 1e9), 1, (0.0, 0.0), 3600.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("testbed")
    init(made, ["edge", *FELLOWS], ["cam-0", "cam-1"])
    networks.export(made, [("fashion-cnn", "fp32"), ("fashion-cnn", "int8")])
    return made


class Served:
    """A node that runs in a thread of this process, a whole network for it, and who connects."""

    def __init__(self, folder: Path) -> None:
        ours, theirs = Pipe()
        self.folder = folder
        self.last = node.process.parts(folder).cuts(VARIANT) - 1
        spec = NodeSpec(
            EDGE, folder, 1, None, 0, {}, frozenset(FELLOWS),
            {each: each for each in FELLOWS} | {"far": "cloud"}, 2**16, (Key(VARIANT, 0, self.last),),
        )  # fmt: skip
        self.server = Server(spec, theirs)
        self.pipes = ours, theirs
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        assert ours.poll(60.0)
        _, self.address = ours.recv()
        self.guests: dict[Channel, str] = {}

    def guest(self, name: str = "cam-0") -> Channel:
        """Connect, and be served."""
        made = connect(self.address, Identity(self.folder, name).client(), "edge")
        self.guests[made] = name
        self.serves(made)
        return made

    def serves(self, guest: Channel) -> None:
        """See that a good request is answered, and so that what was said before has been heard."""
        guest.send(ask(self.last, id=99, device=self.guests[guest]), GOOD)
        assert answer(guest)[0].cause == ""

    def leave(self) -> None:
        """Let all guests go."""
        for each in self.guests:
            each.close()
        self.guests.clear()
        until_s = time.monotonic() + 10.0
        while self.server.links:
            assert time.monotonic() < until_s
            time.sleep(0.002)

    def close(self) -> None:
        self.pipes[0].send(("stop", None))
        self.thread.join(30.0)
        assert not self.thread.is_alive()
        for each in self.pipes:
            each.close()


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Served]:
    made = Served(folder)
    yield made
    made.close()


@pytest.fixture
def served(server: Served) -> Iterator[Served]:
    yield server
    server.leave()
    server.server.asked.clear()
    server.server.known = set(server.server.spec.parts)


def ask(last: int = 7, **changes: object) -> Ask:
    given = {
        "id": 1,
        "attempt": 1,
        "device": "cam-0",
        "variant": VARIANT,
        "stops": [Stop("edge", 0, last)],
    }
    return Ask(**{**given, **changes})  # type: ignore[arg-type]


def to(name: str, number: int = 1) -> Ask:
    """Return a request that another node is to compute."""
    return ask(id=number, stops=[Stop(name, 0, 7)])


def answer(with_: Channel) -> tuple[Answer, bytes]:
    while True:
        said, body = with_._message(SOON_S)
        if isinstance(said, Answer):
            return said, bytes(body)


def answer_to(with_: Channel, said: Said, body: bytes) -> Answer:
    with_.send(said, body)  # it may be ended by then
    return answer(with_)[0]


REFUSED = {
    "no-such-network": (ask(variant="resnet50:fp32"), GOOD),
    "a-file": (ask(variant="/etc/passwd.pt2:fp32"), GOOD),
    "code": (ask(variant="os:system"), GOOD),
    "no-such-part": (ask(stops=[Stop("edge", 5, 2)]), GOOD),
    "beyond-its-end": (ask(99_999), GOOD),
    "no-tensor": (ask(), b"\x80\x04N."),
    "nothing": (ask(), b""),
    "another-tensor": (ask(), named("raw").encode([torch.zeros(1, 3, 28, 28)])),
    "quantised-noise": (ask(), GOOD[:20] + bytes(10)),
    "too-much": (ask(), named("uint8+zstd").encode([torch.zeros(1, 1, 4000, 4000)])),
    "all-padding": (ask(pad=len(GOOD)), GOOD),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_computed_is_answered_so(served: Served, name: str) -> None:
    with_ = served.guest()
    asked, body = REFUSED[name]
    assert answer_to(with_, asked, body).cause == "malformed"
    served.serves(with_)


ENDING = {
    "too-long": (ask(), bytes(2**16 + 1), "65537 bytes; at most 16384 and 65536 are taken"),
    "another's-name": (ask(device="cam-1"), GOOD, "in the name of another"),
    "more-padding": (ask(pad=len(GOOD) + 1), GOOD, "more padding than bytes"),
    "a-report": (State("edge", 1, 0.0), b"", "what only nodes say"),
    "an-answer": (Answer(1, 1, "cam-0"), b"", "what only nodes say"),
}


@pytest.mark.parametrize("name", ENDING)
def test_what_no_device_says_ends_its_channel(
    served: Served, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    bad, other = served.guest(), served.guest("cam-1")
    said, body, told = ENDING[name]
    with pytest.raises(ChannelError, match=ENDED):
        answer_to(bad, said, body)
    served.serves(other)
    assert told in caplog.text


def test_whoever_comes_again_ends_the_connection_before(served: Served) -> None:
    before, other = served.guest(), served.guest("cam-1")
    for _ in range(3):
        again = served.guest()
        with pytest.raises(ChannelError, match=ENDED):
            answer(before)
        before = again
    served.serves(again)
    served.serves(other)


def filled(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let too much wait for one who has connected."""
    monkeypatch.setattr(link.Link, "full", property(lambda self: self.channel.peer == name))


def test_one_that_asks_for_more_than_it_takes_is_left(
    served: Served, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    lazy, other = served.guest(), served.guest("cam-1")
    filled(monkeypatch, "cam-0")
    with pytest.raises(ChannelError, match=ENDED):
        answer_to(lazy, ask(served.last), GOOD)
    served.serves(other)
    assert "asks for more than it takes" in caplog.text


def test_what_a_neighbour_does_not_take_in_time_is_shed(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, cloud = served.guest(), served.guest("cloud")
    device.send(to("cloud", 1), GOOD)
    assert cloud._message(SOON_S)[1] == GOOD
    filled(monkeypatch, "cloud")
    assert answer_to(device, to("cloud", 2), GOOD).cause == "shed"
    cloud.close()
    assert answer(device)[0].cause == "node-down"
    assert answer_to(device, to("cloud", 3), GOOD).cause == "node-down"


def test_no_reports_wait_for_one_who_takes_nothing(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    lazy, other, cloud = (served.guest(name) for name in ("cam-0", "cam-1", "cloud"))
    filled(monkeypatch, "cam-0")
    cloud.send(State("cloud", 1, 0.5))
    assert other._message(SOON_S)[0] == State("cloud", 1, 0.5)
    monkeypatch.undo()
    lazy.send(ask(variant="none"))
    assert isinstance(lazy._message(SOON_S)[0], Answer)


def test_only_the_node_that_was_asked_answers(served: Served) -> None:
    device, cloud, other = (served.guest(name) for name in ("cam-0", "cloud", "other"))
    device.send(to("far"), GOOD)
    said, body = cloud._message(SOON_S)
    assert isinstance(said, Ask)
    assert body == GOOD
    other.send(Answer(1, 1, "cam-0"), b"forged")
    served.serves(other)
    cloud.send(Answer(1, 1, "cam-0"), b"right")
    assert answer(device)[1] == b"right"


def test_no_one_draws_the_answers_to_others_by_asking_in_their_name(served: Served) -> None:
    device, cloud, other = (served.guest(name) for name in ("cam-0", "cloud", "other"))
    device.send(to("cloud"), GOOD)
    cloud._message(SOON_S)
    assert answer_to(other, to("cloud"), GOOD).cause == "malformed"
    cloud.send(Answer(1, 1, "cam-0"), b"right")
    assert answer(device)[1] == b"right"


def test_reports_on_a_node_come_from_it_or_by_the_way_to_it(served: Served) -> None:
    device, cloud, other = (served.guest(name) for name in ("cam-0", "cloud", "other"))
    for name in ("cloud", "far", "edge", "cam-0", "nobody"):
        other.send(State(name, 1, 1e6))
    other.send(State("other", 2, 0.5))
    served.serves(other)
    for name in ("cloud", "far"):
        cloud.send(State(name, 3, 0.25))
    served.serves(cloud)
    heard = [device._message(SOON_S)[0] for _ in range(3)]
    assert heard == [State("other", 2, 0.5), State("cloud", 3, 0.25), State("far", 3, 0.25)]


def test_parts_that_are_asked_for_do_not_fill_the_memory(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node, "MOST_ASKED", 2)
    monkeypatch.setattr(node, "MOST_PARTS", 3)
    one, two = served.guest(), served.guest("cam-1")

    def causes(with_: Channel, device: str, parts: list[tuple[int, int]]) -> list[str]:
        asks = [ask(device=device, stops=[Stop("edge", *each)]) for each in parts]
        return [answer_to(with_, each, GOOD).cause for each in asks]

    none = [(5, 5), (5, 2), (0, served.last + 1), (0, 99_999)]
    ends = [(0, served.last - each) for each in range(1, 6)]
    assert causes(one, "cam-0", none * 3) == ["malformed"] * 12  # what there is not takes no place
    assert causes(one, "cam-0", ends[:3]) == ["", "", "malformed"]
    assert causes(two, "cam-1", ends[2:4]) == ["", "malformed"]
    assert causes(one, "cam-0", ends[:3]) == ["", "", ""]  # whoever asked for it first
    served.serves(one)


def test_whatever_a_message_does_to_torch_the_node_serves_on(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_ = served.guest()
    for name in ("run", "decode"):
        with monkeypatch.context() as patched:
            patched.setattr(served.server.parts, name, lambda *_: [].index(1))
            assert answer_to(with_, ask(served.last), GOOD).cause == "malformed"
        served.serves(with_)


def message(like: Tensor, scale: float, zero: int) -> memoryview:
    with warnings.catch_warnings():  # deprecated, and nothing in its place
        warnings.simplefilter("ignore")
        made = torch._make_per_tensor_quantized_tensor(like.int_repr(), scale, zero)
    return memoryview(named("raw").encode([made]))


def test_a_quantised_tensor_has_the_steps_of_the_part_that_takes_it(folder: Path) -> None:
    # A batch has the steps of its first: another's would spoil the answers to all in it.
    parts = node.process.parts(folder)
    last = parts.cuts("fashion-cnn:int8") - 1
    keys = [Key("fashion-cnn:int8", first, last) for first in range(1, last)]
    key = next(each for each in keys if parts._part(each, 1).example[0].is_quantized)
    (taken,) = parts._part(key, 1).example
    scale, zero = taken.q_scale(), taken.q_zero_point()
    assert torch.equal(parts.decode(key, message(taken, scale, zero))[0], taken)
    for wrong in (message(taken, 2 * scale, zero), message(taken, scale, zero + 1)):
        with pytest.raises(PartError, match="takes other tensors than"):
            parts.decode(key, wrong)


def test_only_so_many_wait_however_little_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MOST_JOBS", 2)
    queue, one = Waiting(EDGE), Job(ask(), memoryview(b""), None, 0)  # type: ignore[arg-type]
    assert [queue.put(one) for _ in range(3)] == [True, True, False]
    queue.take()
    assert queue.put(one)
