"""Images: 8-bit pixels made into a network's input and back, read from a folder, written as pictures."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from offload.entities import OffloadError

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}
_MOST_PIXELS = 2**26
MODES = {1: "L", 3: "RGB"}


class PictureError(OffloadError):
    """A picture, or a folder of them, that cannot be used."""


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


IMAGENET = Pixels((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def read_folder(folder: Path, input_shape: Sequence[int]) -> tuple[list[str], Tensor]:
    """Return the names and the pixels, (pictures, channels, height, width), of a folder's pictures.

    Each is scaled until it covers the height and width of the input, then cut to them about its middle.
    Raises PictureError.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        msg = f"{folder}: no pictures there; give a folder of {', '.join(sorted(SUFFIXES))} files"
        raise PictureError(msg)
    if len(input_shape) != 3 or input_shape[0] not in MODES:
        msg = f"{folder}: pictures are no input of shape {tuple(input_shape)}"
        raise PictureError(msg)
    names = [path.relative_to(folder).as_posix() for path in paths]
    return names, torch.cat([_read(path, input_shape) for path in paths])


def _read(path: Path, input_shape: Sequence[int]) -> Tensor:
    from PIL import Image, ImageOps

    channels, height, width = input_shape
    try:
        with Image.open(path) as image:
            if image.width * image.height > _MOST_PIXELS:
                msg = f"{image.width} x {image.height} pixels; at most {_MOST_PIXELS} are read"
                raise ValueError(msg)  # noqa: TRY301 - told with the path, like all that Pillow raises
            fitted = ImageOps.fit(image.convert(MODES[channels]), (width, height))
    except Exception as error:  # Pillow raises whatever its many readers raise
        msg = f"{path}: no picture that can be read: {error}"
        raise PictureError(msg) from error
    return _to_tensor(np.asarray(fitted))


def encode(pixels: Tensor, form: str, quality: int | None) -> bytes:
    """Write pixels, (channels, height, width), as a png, jpeg or webp file."""
    from PIL import Image

    array = pixels.permute(1, 2, 0).numpy()
    image = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
    file = io.BytesIO()
    image.save(file, form, **({} if quality is None else {"quality": quality}))
    return file.getvalue()


def decode(file: bytes, form: str, shape: Sequence[int]) -> Tensor:
    """Return the pixels, (1, channels, height, width), of a file of that form and shape.

    Raises PictureError for anything else, before its pixels are read.
    """
    from PIL import Image

    channels, height, width = shape
    try:
        image = Image.open(io.BytesIO(file), formats=(form,))
        if image.size != (width, height):
            msg = f"{image.size[0]} x {image.size[1]} pixels, said to be {width} x {height}"
            raise ValueError(msg)  # noqa: TRY301 - as above
        return _to_tensor(np.asarray(image.convert(MODES[channels])))
    except Exception as error:
        msg = f"no {form} file that can be read: {error}"
        raise PictureError(msg) from error


def _to_tensor(array: np.ndarray) -> Tensor:
    pixels = torch.from_numpy(array.copy())
    return pixels.permute(2, 0, 1)[None] if pixels.dim() == 3 else pixels[None, None]
