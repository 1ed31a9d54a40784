"""Pixels: how a network's input is made of them and found again, and files of them."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from offload.entities import OffloadError

MODES = {1: "L", 3: "RGB"}  # Pillow's names for images of as many channels

# A jpeg may go over the whole image again and again, a dozen bytes each time. A progressive one is
# usually in 6 to 10 such scans.
_SCAN, _MOST_SCANS = b"\xff\xda", 100


class PixelsError(OffloadError):
    """A file that holds no image, or not the one that it should."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """How a network's input is made of 8-bit pixels: (pixel / 255 - mean) / deviation, by channel."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def to_input(self, pixels: Tensor) -> Tensor:
        """Return the input that 8-bit pixels of shape (batch, channels, height, width) make."""
        mean, deviation = self._by_channel()
        return (pixels.to(torch.float32) / 255 - mean) / deviation

    def from_input(self, images: Tensor) -> Tensor:
        """Return the 8-bit pixels, of the same shape, that come nearest to an input."""
        mean, deviation = self._by_channel()
        return ((images * deviation + mean) * 255).round_().clamp_(0, 255).to(torch.uint8)

    def _by_channel(self) -> tuple[Tensor, Tensor]:
        mean, deviation = (torch.tensor(each).view(-1, 1, 1) for each in (self.mean, self.deviation))
        return mean, deviation


def to_file(pixels: Tensor, form: str, quality: int | None) -> bytes:
    """Write pixels, (channels, height, width), as a png, jpeg or webp file. Raises PixelsError."""
    try:
        from PIL import Image
    except ImportError as error:
        raise _missing(error) from error
    array = pixels.permute(1, 2, 0).contiguous().numpy()
    image = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
    file = io.BytesIO()
    image.save(file, form, **({} if quality is None else {"quality": quality}))
    return file.getvalue()


def from_file(file: bytes, form: str, shape: Sequence[int]) -> Tensor:
    """Return the pixels, (1, channels, height, width), of a file of that form and shape.

    Raises PixelsError for anything else, before it makes room for the pixels.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise _missing(error) from error
    channels, height, width = shape
    try:
        image = Image.open(io.BytesIO(file), formats=(form,))
        if image.size != (width, height):
            msg = f"{image.size[0]} x {image.size[1]} pixels, said to be {width} x {height}"
            raise ValueError(msg)  # noqa: TRY301 - told like what Pillow itself finds
        if form == "jpeg" and file.count(_SCAN) > _MOST_SCANS:
            msg = f"more than {_MOST_SCANS} scans"
            raise ValueError(msg)  # noqa: TRY301 - as above
        array = np.array(image.convert(MODES[channels]))
    except Exception as error:  # Pillow raises whatever its readers raise
        msg = f"no {form} file that can be read: {error}"
        raise PixelsError(msg) from error
    return torch.from_numpy(array).view(1, height, width, channels).permute(0, 3, 1, 2)


def _missing(error: ImportError) -> PixelsError:
    return PixelsError(f'pillow is not installed: pip install "offload[zoo]" ({error})')
