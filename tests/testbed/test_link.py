"""Links in user space: when each chunk leaves, by a clock of the test; and what is lost when."""

import itertools
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from offload.testbed import link
from offload.testbed.channel import CHUNK_BYTES, Channel, ChannelError
from offload.testbed.link import Link, Shape
from offload.testbed.message import MOST_BODY_BYTES, MOST_HEAD_BYTES, Answer

RATE = 8e6  # a byte a microsecond
WAIT_S = 10.0


def note(number):
    return Answer(number, 1, "car-0")


class Clock:
    """Time that passes only while a link sleeps; sleeps end `late_s` too late."""

    def __init__(self):
        self.now, self.late_s = 0.0, 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds + self.late_s


class Wire(Channel):
    """A channel that writes down what is written to it, and when."""

    def __init__(self, clock):
        self.peer, self.session, self.sent, self.most_bytes = "edge", 1, 0, MOST_BODY_BYTES
        self.clock = clock
        self.written: list[tuple[float, int]] = []
        self.messages: list[tuple[int, float, int]] = []
        self.lost = self.closed = False

    def send(self, said, body=b"", pace=None):
        size = super().send(said, body, pace)
        self.messages.append((said.id, self.clock.now, size))
        return size

    def _write(self, rest):
        if self.lost:
            msg = "edge: the connection is lost"
            raise ChannelError(msg)
        self.written.append((self.clock.now, len(rest)))

    def close(self):
        self.closed = True


@pytest.fixture
def stage(monkeypatch):
    """A clock, a wire, and a gate behind which links wait before they begin."""
    clock, gate = Clock(), threading.Event()
    monkeypatch.setattr(link, "time", clock)
    monkeypatch.setattr(link, "sleep_exactly", lambda: gate.wait(WAIT_S))
    return SimpleNamespace(clock=clock, wire=Wire(clock), gate=gate)


def play(stage, shape, messages, jitter_s: Iterator[float] | None = None):
    """Send (seconds, bytes), then let the link work; return when each had left whole, and its bytes."""
    sending = Link(stage.wire, shape, jitter_s)
    for number, (at_s, size) in enumerate(messages):
        stage.clock.now = at_s
        sending.send(note(number), bytes(size))
    sending.close()
    stage.clock.now = 0.0
    stage.gate.set()
    sending.thread.join(WAIT_S)
    assert not sending.thread.is_alive()
    assert sending.queued_bytes == 0
    assert [number for number, _, _ in stage.wire.messages] == list(range(len(messages)))
    return [(at_s, size) for _, at_s, size in stage.wire.messages]


def test_a_chunk_leaves_when_the_link_would_have_sent_its_last_bit(stage):
    play(stage, Shape(RATE, 0.005), [(1.0, 3 * CHUNK_BYTES)])
    ends = itertools.accumulate(size for _, size in stage.wire.written)
    assert [at for at, _ in stage.wire.written] == pytest.approx([1.005 + e * 1e-6 for e in ends])
    assert len(stage.wire.written) == 4


def test_without_a_rate_only_the_delay_is_waited_for(stage):
    done = play(stage, Shape(None, 0.02), [(1.0, 10**6), (1.001, 10)])
    assert [at for at, _ in done] == pytest.approx([1.02, 1.021])


def test_the_delay_is_waited_for_once_by_messages_that_follow_each_other(stage):
    done = play(stage, Shape(RATE, 0.5), [(0.0, 10_000)] * 20)
    sizes = itertools.accumulate(size for _, size in done)
    assert [at for at, _ in done] == pytest.approx([0.5 + size * 1e-6 for size in sizes])


def test_a_message_that_comes_while_one_is_within_its_delay_keeps_its_own_time(stage):
    done = play(stage, Shape(RATE, 0.5), [(0.0, 10_000), (0.1, 10_000)])
    assert [at for at, _ in done] == pytest.approx([0.5 + done[0][1] * 1e-6, 0.6 + done[1][1] * 1e-6])


def test_an_idle_link_begins_when_a_message_comes(stage):
    done = play(stage, Shape(RATE), [(0.0, 1000), (3.0, 1000)])
    assert done[1][0] == pytest.approx(3.0 + done[1][1] * 1e-6)


def test_sleeps_that_end_late_do_not_add_up(stage):
    stage.clock.late_s = 0.001
    done = play(stage, Shape(RATE, 0.1), [(0.0, 40 * CHUNK_BYTES)] * 3)
    ideal_s = 0.1 + sum(size for _, size in done) * 1e-6
    assert ideal_s <= done[-1][0] <= ideal_s + 0.00101


def test_jitter_is_each_message_s_own_and_never_turns_the_order_round(stage):
    jitter_s = iter([0.3, 0.0, 0.0])
    done = play(stage, Shape(RATE, 0.1), [(0.0, 1000), (0.01, 1000), (2.0, 1000)], jitter_s)
    first, second, third = (at for at, _ in done)
    assert first == pytest.approx(0.4 + done[0][1] * 1e-6)
    assert second == first  # due before, it follows at once
    assert third == pytest.approx(2.1 + done[2][1] * 1e-6)


def test_jitter_delays_what_follows_but_leaves_the_rate_alone(stage):
    jitter_s = itertools.chain([0.2], itertools.repeat(0.0))
    done = play(stage, Shape(RATE), [(0.0, 100_000)] * 5, jitter_s)
    assert done[-1][0] == pytest.approx(sum(size for _, size in done) * 1e-6)


def test_a_lost_channel_ends_the_thread_and_what_waits_is_lost(stage):
    stage.wire.lost = True
    sending = Link(stage.wire, Shape(RATE))
    for number in range(3):
        sending.send(note(number), bytes(1000))
    stage.gate.set()
    sending.thread.join(WAIT_S)
    assert not sending.thread.is_alive()
    assert stage.wire.closed
    sending.send(note(3), bytes(1000))
    assert sending.queued_bytes == 0
    assert sending.waiting.qsize() == 2  # nothing was added to what was there


def test_a_message_that_is_none_ends_the_link_instead_of_its_thread_alone(stage):
    sending = Link(stage.wire, Shape())
    stage.gate.set()
    sending.send(Answer(1, 1, "x" * MOST_HEAD_BYTES))
    sending.thread.join(WAIT_S)
    assert not sending.thread.is_alive()
    assert stage.wire.closed


def test_a_closed_link_sends_what_waits_and_takes_no_more(stage):
    sending = Link(stage.wire, Shape(RATE))
    sending.send(note(0), bytes(10))
    sending.close()
    sending.send(note(1), bytes(10))
    assert sending.queued_bytes == 10
    stage.gate.set()
    sending.thread.join(WAIT_S)
    assert [number for number, _, _ in stage.wire.messages] == [0]
    assert not stage.wire.closed


def test_queued_bytes_are_those_not_sent_yet_whoever_sends(stage):
    sending = Link(stage.wire, Shape())
    threads = [
        threading.Thread(target=lambda: [sending.send(note(0), bytes(7)) for _ in range(2000)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert sending.queued_bytes == 4 * 2000 * 7
    sending.close()
    stage.gate.set()
    sending.thread.join(WAIT_S)
    assert sending.queued_bytes == 0
    assert len(stage.wire.messages) == 8000


def test_what_is_being_sent_is_queued_until_it_is(stage):
    sending = Link(stage.wire, Shape(RATE))
    seen = []
    stage.wire._write = lambda rest: seen.append(sending.queued_bytes)
    sending.send(note(0), bytes(CHUNK_BYTES))
    sending.close()
    stage.gate.set()
    sending.thread.join(WAIT_S)
    assert seen == [CHUNK_BYTES] * 2
    assert sending.queued_bytes == 0


def test_what_is_late_when_its_turn_comes_is_not_sent(stage):
    sending, told = Link(stage.wire, Shape(RATE)), []
    for number, late_s in enumerate([1.0, 0.05, 0.15, 0.05]):
        sending.send(note(number), bytes(100_000), (late_s, lambda n=number: told.append(n)))
    sending.close()
    stage.gate.set()
    sending.thread.join(WAIT_S)
    assert [number for number, _, _ in stage.wire.messages] == [0, 2]  # the second begins at 0.1
    assert told == [1, 3]
    assert sending.queued_bytes == 0


def test_a_link_is_full_by_bytes_or_by_messages(stage, monkeypatch):
    monkeypatch.setattr(link, "MOST_MESSAGES", 3)
    monkeypatch.setattr(link, "MOST_BYTES", 1000)
    for size, most in ((0, 3), (400, 2)):
        sending = Link(stage.wire, Shape())
        for number in range(most):
            sending.send(note(number), bytes(size))
        assert not sending.full
        sending.send(note(most), bytes(size))
        assert sending.full
        sending.close()
    stage.gate.set()


def test_why_a_link_has_ended_is_told(stage, caplog):
    stage.wire.lost = True
    sending = Link(stage.wire, Shape())
    stage.gate.set()
    sending.send(note(1))
    sending.thread.join(WAIT_S)
    assert [each.getMessage() for each in caplog.records] == ["edge: the connection is lost"]
