"""What devices and nodes say to each other: bounded, and checked before anything is built from it."""

import struct
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from offload.entities import OffloadError

# A frame: magic, the connection's session, its number in that, bytes of the head and of the body.
FRAME = struct.Struct("<4sQQII")
MAGIC = b"oflm"
MOST_HEAD_BYTES = 16_384
MOST_BODY_BYTES = 2**26

Name = Annotated[str, Meta(min_length=1, max_length=100)]
Cause = Literal["", "late", "malformed", "node-down", "shed"]  # why there is no answer
Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Cut = Annotated[int, Meta(ge=0, lt=100_000)]


class MessageError(OffloadError):
    """Bytes that are no message, or one that must not come now; whoever sent them is not listened to."""


class Stop(Struct, frozen=True):
    """What a node is to compute: from the first cut to the last."""

    node: Name
    first: Cut
    last: Cut


class Stamp(Struct, frozen=True):
    """When a node had a message whole, began with it and was done, in ns of its monotonic clock.

    `batch` is with how many it ran, itself included; 0 where it was only passed on.
    """

    node: Name
    received_ns: Number
    begun_ns: Number
    done_ns: Number
    batch: Annotated[int, Meta(ge=0, le=4096)] = 1


class Hello(Struct, frozen=True, tag=True):
    """What a node says first to who has connected: the session that all messages must name."""

    session: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    node: Name


class Ask(Struct, frozen=True, tag=True):
    """A request on its way: the stops that are left, and in the body what crosses the cut it is at.

    The body is a message of a codec, and `pad` bytes of nothing behind it. `due_ns` is when it is too
    late to begin with it, by the monotonic clock of the device (0: never).
    """

    id: Number
    attempt: Annotated[int, Meta(ge=1, le=1000)]
    device: Name
    variant: Name
    stops: Annotated[list[Stop], Meta(min_length=1, max_length=2)]
    due_ns: Number = 0
    deadline_ns: Number = 0
    priority: Annotated[int, Meta(ge=-1000, le=1000)] = 0
    pad: Number = 0
    stamps: Annotated[list[Stamp], Meta(max_length=16)] = []


class Answer(Struct, frozen=True, tag=True):
    """What became of a request: the network's outputs in the body, or why there are none."""

    id: Number
    attempt: Annotated[int, Meta(ge=1, le=1000)]
    device: Name
    cause: Cause = ""
    stamps: Annotated[list[Stamp], Meta(max_length=16)] = []


class State(Struct, frozen=True, tag=True):
    """How a node is: how long whoever came last would wait for it, when it said so."""

    node: Name
    sent_ns: Number
    backlog_s: Annotated[float, Meta(ge=0.0, lt=1e9)]


Said = Hello | Ask | Answer | State

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[Said] = msgspec.msgpack.Decoder(Said)


def head_of(said: Said) -> bytes:
    """Return a message's head. Raises MessageError for what no one would take."""
    head = _ENCODER.encode(said)
    if len(head) > MOST_HEAD_BYTES:
        msg = f"a head of {len(head)} bytes; at most {MOST_HEAD_BYTES} go into a message"
        raise MessageError(msg)
    return head


def read_head(head: bytes | bytearray | memoryview) -> Said:
    """Return what a head says. Raises MessageError."""
    try:
        return _DECODER.decode(head)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        msg = f"no message: {error}"
        raise MessageError(msg) from error


def sizes(
    frame: bytes | bytearray | memoryview, session: int, number: int, most: int
) -> tuple[int, int]:
    """Return the bytes of head and body that follow a frame's beginning. Raises MessageError.

    It must name this session and be the `number`-th of it: what was sent before is not taken again.
    """
    magic, named, numbered, head, body = FRAME.unpack(frame)
    if magic != MAGIC:
        msg = "no message: it does not begin like one"
    elif named != session:
        msg = "a message of another session: replayed?"
    elif numbered != number:
        msg = f"message {numbered} of its session where {number} is due: replayed?"
    elif not 0 < head <= MOST_HEAD_BYTES or body > most:
        msg = f"a message of {head} and {body} bytes; at most {MOST_HEAD_BYTES} and {most} are taken"
    else:
        return head, body
    raise MessageError(msg)
