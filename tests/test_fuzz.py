"""Whatever bytes come: a message, tensors, or an error that says so, with little time and memory.

The tests try about 5 000 inputs, always the same. `OFFLOAD_FUZZ=25 pytest tests/test_fuzz.py` tries 25
times as many, new ones every time, and says how many, for how long and with how much memory.
"""

import os
import resource
import signal
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from types import FrameType

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from offload.dnn import codec
from offload.dnn.codec import CodecError
from offload.dnn.pixels import Pixels
from offload.entities import OffloadError
from offload.testbed import message
from offload.testbed.channel import Channel, ChannelError
from offload.testbed.message import (
    FRAME,
    MAGIC,
    MOST_BODY_BYTES,
    MOST_HEAD_BYTES,
    Answer,
    Ask,
    Hello,
    MessageError,
    Said,
    Stamp,
    State,
    Stop,
    head_of,
    read_head,
    sizes,
)

ROUNDS = int(os.environ.get("OFFLOAD_FUZZ", "1"))
ROOM_BYTES = 64 * 2**20  # of address space above what the process has, at most, for any input
HARD = resource.getrlimit(resource.RLIMIT_AS)[1]
MOST_S = 20.0  # for any input
SESSION = 2**62 + 5

tried: Counter[str] = Counter()
again = pytest.mark.parametrize("rounds", range(ROUNDS))
fuzz = partial(
    settings,
    deadline=None,
    derandomize=ROUNDS == 1,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module", autouse=True)
def bounded(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let no input take long, and undo what `trying` sets; say what was tried."""
    for each in bases():
        codec.decode(each)
    before = resource.getrlimit(resource.RLIMIT_AS)
    first_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    handler = signal.signal(signal.SIGALRM, too_long)
    begun_s = time.monotonic()
    yield
    signal.signal(signal.SIGALRM, handler)
    resource.setrlimit(resource.RLIMIT_AS, before)
    if ROUNDS > 1:
        grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - first_kb
        told = (
            f"{tried.total()} inputs in {time.monotonic() - begun_s:.0f} s, {grown_kb / 1e3:.0f} MB more"
        )
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            print(f"\n{told} at the peak: {dict(tried)}")


def too_long(_number: int, _frame: FrameType | None) -> None:
    msg = f"an input took more than {MOST_S} s"
    raise AssertionError(msg)


def trying(kind: str) -> None:
    """Give the process little more memory than it has, and a time."""
    tried[kind] += 1
    here = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (here + ROOM_BYTES, HARD))
    signal.setitimer(signal.ITIMER_REAL, MOST_S)


def fair(error: BaseException | None) -> None:
    """See that an error is not how too much memory was asked for in vain."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    resource.setrlimit(resource.RLIMIT_AS, (HARD, HARD))
    while error is not None:
        assert not isinstance(error, MemoryError)
        assert "not enough memory" not in str(error)
        error = error.__cause__ or error.__context__


# Inputs

NUMBERS = (
    0, 1, 2, 4, 7, 127, 128, 255, 256, 4096, 16_384, 16_385, 65_535, 2**20, 2**26, 2**26 + 1, 2**28,
    2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1,
)  # fmt: skip
PLACE = st.one_of(st.integers(0, 64), st.integers(0, 5000))
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("byte"), PLACE, st.integers(0, 255)),
        st.tuples(st.sampled_from(["u32", "u64", "be32"]), PLACE, st.sampled_from(NUMBERS)),
        st.tuples(st.sampled_from(["cut", "drop", "twice"]), PLACE, st.integers(0, 64)),
        st.tuples(st.just("insert"), PLACE, st.binary(max_size=12)),
    ),
    max_size=4,
)


def changed(given_: bytes, changes: Sequence[tuple[str, int, int | bytes]]) -> bytes:
    """Return the bytes with each change at its place."""
    found = bytearray(given_)
    for kind, at, value in changes:
        place = at % (len(found) + 1)
        if isinstance(value, bytes):
            found[place:place] = value
        elif kind == "byte":
            found[place : place + 1] = bytes([value])
        elif kind == "u32":
            found[place : place + 4] = struct.pack("<I", value % 2**32)
        elif kind == "be32":
            found[place : place + 4] = struct.pack(">I", value % 2**32)
        elif kind == "u64":
            found[place : place + 8] = struct.pack("<Q", value)
        elif kind == "cut":
            del found[place:]
        elif kind == "drop":
            del found[place : place + value]
        else:
            found[place:place] = found[place : place + value]
    return bytes(found)


@cache
def bases() -> tuple[bytes, ...]:
    """Return good messages of all codecs."""
    generator = torch.Generator().manual_seed(1)
    pixels = {1: Pixels((0.3,), (0.4,)), 3: Pixels((0.5, 0.4, 0.3), (0.2, 0.2, 0.2))}
    images = {size: torch.rand(2, size, 9, 12, generator=generator) for size in pixels}
    values = [
        images[3], images[3].to(memory_format=torch.channels_last),
        torch.rand(2, 5, generator=generator), torch.rand(7, generator=generator).half(),
        torch.tensor(1.0), torch.arange(6).view(2, 3),
        torch.zeros(0, 4, 4, 4), torch.ones(3, dtype=torch.bool), images[1].bfloat16(),
        images[1].double(),
    ]  # fmt: skip
    quantised = codec.decode(
        # one as it lies in a message: qint8, of 2 x 3, scale 0.5, zero point 3
        b"ofl1\0" + struct.pack("<Q", 1 + 4 + 8 + 12 + 6) + b"\1\0\x0b\0\2"
        + struct.pack("<2Idi", 2, 3, 0.5, 3) + bytes(range(6))
    )  # fmt: skip
    made = []
    for packing in ("", "+zstd", "+lz4"):
        for form in ("raw", "fp16", "uint8", "uint8-channel"):
            each = codec.named(form + packing)
            made += [each.encode(values[:2]), each.encode(values[2:6]), each.encode(values[6:])]
        made.append(codec.named("raw" + packing).encode(quantised))
        for form in ("png", "jpeg-75", "webp-50"):
            for channels in (1, 3) if form != "webp-50" else (3,):
                made.append(codec.named(form + packing, pixels[channels]).encode([images[channels]]))
    return tuple(made)


@cache
def bodies() -> tuple[bytes, ...]:
    """Return what those messages hold, unpacked."""
    return tuple(each[13:] for each in bases() if each[4] == 0)


def packed(body: bytes, packing: int, size: int | None) -> bytes:
    """Return a message of a body, whatever it is, that says it has a size."""
    head = struct.pack("<4sBQ", b"ofl1", packing, len(body) if size is None else size)
    return head + codec._pack(body, codec._PACKINGS[packing])


STAMP = Stamp("cabinet", 1, 2, 3)
SAID: tuple[Said, ...] = (
    Hello(SESSION, "cabinet"), State("cabinet", 5, 0.25),
    Answer(1, 1, "car-0", "late", [STAMP] * 3),
    Ask(
        1, 1, "car-0", "resnet50:int8", [Stop("cabinet", 0, 7), Stop("region", 7, 9)],
        9, 9, 1, 5, [STAMP],
    ),
)  # fmt: skip
HEADS = tuple(map(head_of, SAID))


# What is done with them


@again
@fuzz(max_examples=1500)
@given(st.one_of(st.binary(max_size=60), st.builds(changed, st.sampled_from(HEADS), CHANGES)))
def test_a_head_is_a_message_or_refused(rounds: int, head: bytes) -> None:
    trying("heads")
    try:
        said = read_head(head)
    except MessageError as error:
        fair(error)
        return
    fair(None)
    assert read_head(head_of(said)) == said
    for name in ("node", "device", "variant"):
        assert 0 < len(getattr(said, name, "x")) <= 100


@again
@fuzz(max_examples=500)
@given(
    st.one_of(
        st.binary(min_size=FRAME.size, max_size=FRAME.size),
        st.builds(
            FRAME.pack, st.just(MAGIC), st.sampled_from([SESSION, 0, 2**64 - 1]),
            st.sampled_from([1, 2, 0]), st.integers(0, 2**32 - 1) | st.integers(0, 20_000),
            st.integers(0, 2**32 - 1),
        ),
    ),
)  # fmt: skip
def test_sizes_are_bounded_or_refused(rounds: int, frame: bytes) -> None:
    trying("frames")
    try:
        head, body = sizes(frame, SESSION, 1, MOST_BODY_BYTES)
    except MessageError as error:
        fair(error)
        return
    fair(None)
    assert frame[:20] == FRAME.pack(MAGIC, SESSION, 1, 0, 0)[:20]
    assert 0 < head <= MOST_HEAD_BYTES
    assert 0 <= body <= MOST_BODY_BYTES


class Pair(socket.socket):
    """A socket that has no TCP to set."""

    def setsockopt(self, *_: object) -> None:
        pass


def framed(parts: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Return good frames, one after the other."""
    return b"".join(
        FRAME.pack(MAGIC, SESSION, number, len(head), len(body)) + head + body
        for number, (head, body) in enumerate(parts, 1)
    )


STREAMS = st.lists(
    st.tuples(st.sampled_from(HEADS), st.binary(max_size=40)), min_size=1, max_size=3
).map(framed)


@again
@fuzz(max_examples=700)
@given(st.one_of(st.binary(max_size=100), st.builds(changed, STREAMS, CHANGES)))
def test_a_channel_gives_messages_until_it_refuses(rounds: int, stream: bytes) -> None:
    trying("streams")
    there, here = socket.socketpair()
    with there:
        there.sendall(stream)
    channel = Channel(Pair(fileno=here.detach()), "fuzz", SESSION)
    got = 0
    error: OffloadError | None = None
    try:
        while error is None:
            try:
                said, body = channel.receive()
                got += FRAME.size + len(body)
                assert not isinstance(said, Hello)
            except (ChannelError, MessageError) as refused:
                error = refused
    finally:
        channel.close()
    fair(error)
    assert got <= len(stream)


def described(form: int, dtype: int, last: int, shape: Sequence[int], rest: bytes) -> bytes:
    """Return a body of one tensor that is said to be so."""
    facts = struct.pack("<5B", 1, form, dtype, last, len(shape))
    return facts + struct.pack(f"<{len(shape)}I", *shape) + rest


SIZES = st.one_of(st.integers(0, 3), st.sampled_from([each for each in NUMBERS if each < 2**32]))
DESCRIBED = st.builds(
    described, st.integers(0, 8), st.integers(0, 13), st.integers(0, 2), st.lists(SIZES, max_size=9),
    st.binary(max_size=20) | st.just(struct.pack("<di", 0.5, 3) + bytes(64)),
)  # fmt: skip
MESSAGES = st.one_of(
    st.builds(packed, DESCRIBED, st.sampled_from([0, 0, 1, 2]), st.none()),
    st.binary(max_size=80),
    st.binary(max_size=80).map(lambda rest: b"ofl1" + rest),
    st.builds(changed, st.deferred(lambda: st.sampled_from(bases())), CHANGES),
    st.builds(
        packed,
        st.builds(changed, st.deferred(lambda: st.sampled_from(bodies())), CHANGES),
        st.sampled_from([0, 1, 2]),
        st.none() | st.sampled_from(NUMBERS),
    ),
)


@again
@fuzz(max_examples=2500)
@given(MESSAGES, st.sampled_from([2**28, 2**28, 2**16, 600, 0]))
def test_a_codec_gives_tensors_within_the_limit_or_refuses(rounds: int, said: bytes, limit: int) -> None:
    trying("codec messages")
    try:
        tensors = codec.decode(said, limit)
    except CodecError as error:
        fair(error)
        return
    fair(None)
    assert sum(each.numel() * each.element_size() for each in tensors) <= limit
    for each in tensors:
        (each.int_repr() if each.is_quantized else each).sum()  # its memory is its own


def test_a_good_message_is_good_after_all_of_them() -> None:
    for each in bases():
        assert codec.decode(each)
    for head, said in zip(HEADS, SAID, strict=True):
        assert message.read_head(head) == said
