"""How one tensor lies in a message: what it is, what its form needs, its values; little-endian."""

import math
import struct
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from offload.dnn.pixels import MODES, Pixels, PixelsError, from_file, to_file
from offload.entities import OffloadError

FORMS = ("raw", "fp16", "uint8", "uint8-channel", "png", "jpeg", "webp")
PICTURES = FORMS[4:]
_DTYPES = (
    torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.uint8, torch.int8, torch.int16,
    torch.int32, torch.int64, torch.bool, torch.quint8, torch.qint8,
)  # fmt: skip
_PLAIN = {torch.quint8: torch.uint8, torch.qint8: torch.int8, torch.bool: torch.uint8}
_MOST_DIMENSIONS = 8
_MOST_NUMBERS = 2**48
_FP16_MOST = 65504.0

_FACTS = struct.Struct("<4B")  # form, dtype, channels last, dimensions
_SCALE = struct.Struct("<di")
_LENGTH = struct.Struct("<I")


class CodecError(OffloadError):
    """Tensors that a codec cannot write, bytes that it cannot read, or a codec that nobody knows."""


@dataclass(slots=True)
class Reader:
    """Takes a message from its beginning; `room` is how many bytes tensors may still hold."""

    body: memoryview
    room: int

    def take(self, size: int) -> memoryview:
        """Return the next bytes. Raises CodecError where fewer are left."""
        if size > len(self.body):
            msg = f"a message that ends {size - len(self.body)} bytes too early"
            raise CodecError(msg)
        taken, self.body = self.body[:size], self.body[size:]
        return taken

    def values(self, dtype: torch.dtype, shape: Sequence[int]) -> Tensor:
        """Copy the values that a shape holds, so that they are aligned and may be written to."""
        taken = self.take(math.prod(shape) * dtype.itemsize)
        copied = torch.empty(len(taken), dtype=torch.uint8)
        copied.numpy()[:] = np.frombuffer(taken, np.uint8)
        return copied.view(dtype).view(tuple(shape))


def write(tensor: Tensor, form: str, quality: int | None, pixels: Pixels | None) -> list[bytes]:
    """Write a tensor; in raw form unless it is of floating point. Raises CodecError."""
    if tensor.dtype not in _DTYPES or tensor.dim() > _MOST_DIMENSIONS:
        msg = f"cannot write a tensor of {tensor.dtype} in {tensor.dim()} dimensions"
        raise CodecError(msg)
    if not (tensor.is_floating_point() and tensor.numel()):
        form = "raw"
    last = _channels_last(tensor)
    facts = _FACTS.pack(FORMS.index(form), _DTYPES.index(tensor.dtype), last, tensor.dim())
    head = facts + struct.pack(f"<{tensor.dim()}I", *tensor.shape)
    if form in PICTURES:
        return [head, *_to_pictures(tensor, form, quality, pixels)]
    if tensor.is_quantized:
        if tensor.qscheme() != torch.per_tensor_affine:
            msg = f"cannot write a tensor quantised by {tensor.qscheme()}"
            raise CodecError(msg)
        head += _SCALE.pack(tensor.q_scale(), tensor.q_zero_point())
        tensor = tensor.int_repr()
    dense = tensor.permute(0, 2, 3, 1) if last else tensor.contiguous()
    if form == "raw":
        return [head, _bytes(dense)]
    if form == "fp16":
        return [head, _bytes(dense.clamp(-_FP16_MOST, _FP16_MOST).to(torch.float16))]
    rows = dense.to(torch.float32).reshape(_rows(form, dense.shape, last))
    least = rows.amin(1, keepdim=True)
    step = (rows.amax(1, keepdim=True) - least) / 255
    if not step.isfinite().all():
        msg = f"{form}: values that are not finite, or too far apart for even steps"
        raise CodecError(msg)
    levels = (rows - least).div_(step.where(step > 0, 1)).round_().to(torch.uint8)
    return [head, _bytes(least), _bytes(step), _bytes(levels)]


def read(reader: Reader) -> Tensor:
    """Read one tensor. Raises CodecError."""
    form_, dtype_, last, dimensions = _FACTS.unpack(reader.take(_FACTS.size))
    if form_ >= len(FORMS) or dtype_ >= len(_DTYPES) or last > 1 or dimensions > _MOST_DIMENSIONS:
        msg = "a tensor of unknown form, type, layout or dimensions"
        raise CodecError(msg)
    form, dtype = FORMS[form_], _DTYPES[dtype_]
    shape: tuple[int, ...] = struct.unpack(f"<{dimensions}I", reader.take(4 * dimensions))
    count: int = math.prod(shape)
    reader.room -= count * dtype.itemsize
    # An empty tensor takes no room whatever its other sizes, but torch must be able to multiply these.
    if reader.room < 0 or math.prod(max(1, size) for size in shape) > _MOST_NUMBERS:
        msg = f"a tensor of shape {shape}: beyond the limit"
        raise CodecError(msg)
    if ((last or form in PICTURES) and dimensions != 4) or (
        form != "raw" and not (dtype.is_floating_point and count)
    ):
        msg = f"a tensor of {dtype} and shape {shape} has no such form or layout"
        raise CodecError(msg)
    if form in PICTURES:
        return _from_pictures(reader, form, shape).to(dtype)
    dense = (shape[0], shape[2], shape[3], shape[1]) if last else shape
    if form == "raw":
        made = _from_raw(reader, dtype, dense)
    elif form == "fp16":
        made = reader.values(torch.float16, dense).to(dtype)
    else:
        rows = _rows(form, dense, bool(last))
        least, step = (reader.values(torch.float32, (rows[0], 1, *rows[2:])) for _ in range(2))
        levels = reader.values(torch.uint8, rows).to(torch.float32)
        made = levels.mul_(step).add_(least).to(dtype).view(dense)
    return made.permute(0, 3, 1, 2) if last else made


def is_image(tensor: Tensor, pixels: Pixels | None) -> bool:
    """Tell whether a tensor is a batch of images that such pixels make."""
    if pixels is None or not tensor.is_floating_point() or tensor.dim() != 4:
        return False
    return tensor.shape[1] == len(pixels.mean)


def _channels_last(tensor: Tensor) -> bool:
    """Whether an image's channels lie next to each other in memory, as int8 kernels like it."""
    if tensor.dim() != 4:
        return False
    _, channels, height, width = tensor.shape
    return tensor.stride() == (height * width * channels, 1, width * channels, channels)


def _rows(form: str, dense: Sequence[int], last: bool) -> tuple[int, ...]:
    """Return a shape for dense values along whose dimension 1 lie those that share a scale.

    Those of an item of the batch; or of one of its channels, which are the last of three dimensions and
    the second of more. With two dimensions a channel would be one value: the item then, too.
    """
    items, rest = (dense[0], dense[1:]) if len(dense) > 1 else (1, dense)
    if form == "uint8" or len(dense) < 3:
        return (items, math.prod(rest))
    if last or len(dense) == 3:
        return (items, math.prod(rest[:-1]), rest[-1])
    return (items * rest[0], math.prod(rest[1:]))


def _from_raw(reader: Reader, dtype: torch.dtype, dense: Sequence[int]) -> Tensor:
    if dtype not in {torch.quint8, torch.qint8}:
        return reader.values(_PLAIN.get(dtype, dtype), dense).to(dtype)
    scale, zero = _SCALE.unpack(reader.take(_SCALE.size))
    whole = torch.iinfo(_PLAIN[dtype])
    if not (0 < scale < math.inf and whole.min <= zero <= whole.max):
        msg = f"a quantised tensor of scale {scale} and zero point {zero}"
        raise CodecError(msg)
    values = reader.values(_PLAIN[dtype], dense)
    with warnings.catch_warnings():  # deprecated, and nothing in its place
        warnings.simplefilter("ignore")
        return torch._make_per_tensor_quantized_tensor(values, scale, zero)  # noqa: SLF001 - the only way


def _to_pictures(tensor: Tensor, form: str, quality: int | None, pixels: Pixels | None) -> list[bytes]:
    """Write how pixels become the input, then each image of the batch as a file."""
    if pixels is None or not is_image(tensor, pixels):
        msg = f"{form}: a tensor of shape {tuple(tensor.shape)} is no image of known pixels"
        raise CodecError(msg)
    numbers = (*pixels.mean, *pixels.deviation)
    parts = [struct.pack(f"<{len(numbers)}d", *numbers)]
    for image in pixels.from_input(tensor):
        file = to_file(image, form, quality)
        parts += [_LENGTH.pack(len(file)), file]
    return parts


def _from_pictures(reader: Reader, form: str, shape: Sequence[int]) -> Tensor:
    batch, channels = shape[:2]
    if channels not in MODES:
        msg = f"{form}: images of {channels} channels"
        raise CodecError(msg)
    numbers = struct.unpack(f"<{2 * channels}d", reader.take(16 * channels))
    images = []
    for _ in range(batch):
        (length,) = _LENGTH.unpack(reader.take(_LENGTH.size))
        try:
            images.append(from_file(bytes(reader.take(length)), form, shape[1:]))
        except PixelsError as error:
            raise CodecError(str(error)) from error
    return Pixels(numbers[:channels], numbers[channels:]).to_input(torch.cat(images))


def _bytes(dense: Tensor) -> bytes:
    return dense.reshape(-1).view(torch.uint8).numpy().tobytes()
