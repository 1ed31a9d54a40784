"""Codecs: what crosses a cut as a few bytes that describe themselves, and back."""

import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from offload.dnn import wire
from offload.dnn.pixels import Pixels
from offload.dnn.wire import CodecError

# A message: magic, packing, bytes of the body once unpacked; the body: how many tensors, and each.
_HEAD = struct.Struct("<4sBQ")
_MAGIC = b"ofl1"
_PACKINGS = ("", "zstd", "lz4")
_MOST_TENSORS = 255
LIMIT_BYTES = 2**28

_LZ4_FOLD = 255  # a byte tells how long a match is, and so makes at most as many
_ROOM_BYTES = 65_536  # made for a body before any of it has been unpacked
_WINDOW_BYTES = 2**23  # as much as RFC 8878 asks every zstd decoder to support; level 1 takes less

_NAME = re.compile(r"(?:(raw|fp16|uint8|uint8-channel|png)|(jpeg|webp)-([1-9]\d?|100))(?:\+(zstd|lz4))?")


@dataclass(frozen=True, slots=True)
class Codec:
    """A way to write tensors: a form for their values, and a compressor for the bytes of that.

    The forms: raw; fp16, where values beyond its range become its largest; uint8, 256 even steps from
    the least to the greatest value of each item of the batch; uint8-channel, the same for each of its
    channels; for images whose `pixels` are known, png, jpeg and webp. The compressors: zstd (level 1)
    and lz4. Only floating point has a form other than raw: a quantised tensor keeps its 8 bits, scale
    and zero point under any.
    """

    form: str
    quality: int | None = None
    packing: str = ""
    pixels: Pixels | None = None

    @property
    def name(self) -> str:
        """What `named` calls it: `uint8+zstd`, `jpeg-75`."""
        quality = "" if self.quality is None else f"-{self.quality}"
        return f"{self.form}{quality}{self.packing and '+' + self.packing}"

    @property
    def exact(self) -> bool:
        """Whether every tensor comes back as it was."""
        return self.form == "raw"

    @property
    def for_images(self) -> bool:
        """Whether it is meant for the input of a network."""
        return self.form in wire.PICTURES

    def suits(self, tensors: Sequence[Tensor]) -> bool:
        """Tell whether its form does anything to these tensors."""
        if self.for_images:
            return all(wire.is_image(each, self.pixels) for each in tensors)
        return self.form == "raw" or any(each.is_floating_point() for each in tensors)

    def encode(self, tensors: Sequence[Tensor]) -> bytes:
        """Return a message that holds these tensors.

        Raises CodecError for values that are not finite (uint8), for what is no image (png, jpeg,
        webp) and for types that it does not know.
        """
        if len(tensors) > _MOST_TENSORS:
            msg = f"{len(tensors)} tensors; at most {_MOST_TENSORS} go into one message"
            raise CodecError(msg)
        parts = [bytes([len(tensors)])]
        for tensor in tensors:
            parts += wire.write(tensor, self.form, self.quality, self.pixels)
        body = b"".join(parts)
        head = _HEAD.pack(_MAGIC, _PACKINGS.index(self.packing), len(body))
        return head + _pack(body, self.packing)


def named(name: str, pixels: Pixels | None = None) -> Codec:
    """Return the codec of a name like raw, fp16+zstd, uint8-channel+lz4, jpeg-75. Raises CodecError."""
    found = _NAME.fullmatch(name)
    if not found:
        msg = (
            f'"{name}": no codec of that name; write raw, fp16, uint8, uint8-channel, png, jpeg-75 or'
            " webp-80 (a quality from 1 to 100), with +zstd or +lz4 if you like"
        )
        raise CodecError(msg)
    form, picture, quality, packing = found.groups()
    return Codec(form or picture, int(quality) if quality else None, packing or "", pixels)


def decode(message: bytes | bytearray | memoryview, limit: int = LIMIT_BYTES) -> tuple[Tensor, ...]:
    """Return the tensors of a message, whatever codec wrote it; they hold at most `limit` bytes.

    Raises CodecError for bytes that no codec wrote, and for tensors beyond the limit before it makes
    room for them.
    """
    view = memoryview(message)
    if len(view) < _HEAD.size or view[:4] != _MAGIC or view[4] >= len(_PACKINGS):
        msg = "no message of a codec: it does not begin like one"
        raise CodecError(msg)
    _, packing, size = _HEAD.unpack_from(view)
    if size > limit:
        msg = f"a message of {size} bytes; the limit is {limit}"
        raise CodecError(msg)
    reader = wire.Reader(memoryview(_unpack(view[_HEAD.size :], _PACKINGS[packing], size)), limit)
    tensors = tuple(wire.read(reader) for _ in range(reader.take(1)[0]))
    if reader.body:
        msg = f"{len(reader.body)} bytes after the last tensor"
        raise CodecError(msg)
    return tensors


def _pack(body: bytes, packing: str) -> bytes:
    try:
        if packing == "zstd":
            import zstandard

            return zstandard.ZstdCompressor(level=1, write_content_size=False).compress(body)
        if packing == "lz4":
            import lz4.block

            return bytes(lz4.block.compress(body, store_size=False))
    except ImportError as error:
        raise _missing(packing, error) from error
    return body


def _unpack(packed: memoryview, packing: str, size: int) -> bytes | memoryview:
    """Return the body, which must have exactly `size` bytes. Raises CodecError."""
    body: bytes | memoryview = packed
    try:
        if packing == "zstd":
            import zstandard

            # A frame that gives a size would be given that room; ours give none.
            if zstandard.frame_content_size(packed) != -1:
                msg = "its frame gives a size"
                raise ValueError(msg)  # noqa: TRY301 - told like what the compressor itself finds
            unpack = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES)
            with unpack.stream_reader(packed, read_across_frames=True) as stream:
                body = _filled(stream.readinto, size)
        elif packing == "lz4":
            import lz4.block

            if size > _LZ4_FOLD * len(packed):
                msg = f"{len(packed)} bytes, said to hold {size}"
                raise ValueError(msg)  # noqa: TRY301 - as above
            body = lz4.block.decompress(packed, uncompressed_size=size)
    except ImportError as error:
        raise _missing(packing, error) from error
    except Exception as error:  # each compressor has errors of its own
        msg = f"no {packing} that can be unpacked: {error}"
        raise CodecError(msg) from error
    if len(body) != size:
        more = " or more" if len(body) > size else ""
        msg = f"a message of {len(body)} bytes{more}, said to have {size}"
        raise CodecError(msg)
    return body


def _filled(read: Callable[[memoryview], int], size: int) -> memoryview:
    """Read all there is, or one byte more than `size`; the room for it grows as it comes."""
    body, have = bytearray(min(size + 1, _ROOM_BYTES)), 0
    while have <= size:
        if have == len(body):
            body.extend(bytes(min(have, size + 1 - have)))
        with memoryview(body) as view:
            got = read(view[have:])
        if not got:
            break
        have += got
    return memoryview(body)[:have]


def _missing(package: str, error: ImportError) -> CodecError:
    return CodecError(f'{package} is not installed: pip install "offload[zoo]" ({error})')
