"""Labelled images: Fashion-MNIST's files, the shipped slice of it, and folders of one's own."""

import gzip
import hashlib
import math
import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np
import torch

from offload.dnn.pixels import MODES
from offload.entities import OffloadError
from offload.shipped import DATA

if TYPE_CHECKING:
    from PIL import Image

DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # where its package dataset-fashion-mnist puts it
FASHION = "Fashion-MNIST"
SLICE = DATA / "fashion-mnist"
CLASSES = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
    "ankle boot",
)  # fmt: skip
MAX_BYTES = 2_000_000_000  # of pixels held at once
MAX_PIXELS = 50_000_000  # of one file
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif")

# Mean and deviation of a channel, from 0 to 1: of Fashion-MNIST's training images, and of ImageNet's, on
# which colour networks are usually trained.
NORMAL = {
    1: ((0.2860,), (0.3530,)),
    3: ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


class PictureError(OffloadError):
    """Images or labels that cannot be used; the message names the file or folder and what is wrong."""


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Images and what they show.

    `raw` is uint8 of shape (images, channels, rows, columns), `labels` int64 of shape (images,), numbers
    into `classes`.
    """

    name: str
    raw: torch.Tensor
    labels: torch.Tensor
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def inputs(self, which: slice | torch.Tensor = slice(None)) -> torch.Tensor:
        """Return images as float32, normalised as networks take them."""
        return normalised(self.raw[which])

    def take(self, which: slice | torch.Tensor) -> "Pictures":
        """Return some of the images."""
        return replace(self, raw=self.raw[which], labels=self.labels[which])

    def only(self, classes: tuple[int, ...]) -> "Pictures":
        """Return the images of some classes, which are numbered anew in this order."""
        wanted = torch.tensor(classes)
        found = (self.labels[:, None] == wanted).nonzero()
        names = tuple(self.classes[each] for each in classes)
        return replace(self, raw=self.raw[found[:, 0]], labels=found[:, 1], classes=names)

    def first(self, each: int) -> "Pictures":
        """Return the first images of each class, so many or all there are."""
        found = [(self.labels == label).nonzero()[:each, 0] for label in range(len(self.classes))]
        return self.take(torch.cat(found))

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that change with any pixel or label."""
        found = hashlib.blake2b(self.raw.numpy().tobytes(), digest_size=6)
        found.update(self.labels.numpy().tobytes())
        return found.hexdigest()


def normalised(raw: torch.Tensor) -> torch.Tensor:
    """Turn uint8 images (images, channels, rows, columns) into what networks take. Linear, so exact."""
    mean, deviation = (torch.tensor(each).view(-1, 1, 1) for each in NORMAL[raw.shape[1]])
    return (raw.float() / 255 - mean) / deviation


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Images to train on, to choose by, and to test on at the very end; no image is in two of them."""

    train: Pictures
    validation: Pictures
    test: Pictures


def test_slice() -> Pictures:
    """Return the shipped images: the first 2 000 of Fashion-MNIST's 10 000 test images, in order."""
    found = _idx_pair(SLICE, "t10k-2000")
    return replace(found, name=f"{FASHION} test slice, {len(found)} images, {found.digest}")


def fashion_mnist(folder: Path) -> Split:
    """Read Fashion-MNIST from its IDX files; a twelfth (5 000) of the training images validate.

    Which ones is fixed, whatever the seed of the training. Raises PictureError.
    """
    train, test = _idx_pair(folder, "train"), _idx_pair(folder, "t10k")
    if len(train) < 12:
        msg = f"{folder}: {len(train)} training images; at least 12 are needed"
        raise PictureError(msg)
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(train)))
    held_out = len(train) // 12
    return Split(train.take(order[held_out:]), train.take(order[:held_out]), test)


def folder(path: Path, input_shape: tuple[int, ...]) -> Split:
    """Read a folder with a subfolder of images for each class, cut and resized to fit a network.

    Of each class, in an order that only the files' names decide, a fifth is for testing and a tenth for
    validation, at least one each. Raises PictureError.
    """
    if len(input_shape) != 3 or input_shape[0] not in NORMAL:
        msg = f"{path}: pictures are for networks that take 1 or 3 channels, not {input_shape}"
        raise PictureError(msg)
    files = {
        each.name: sorted((f for f in each.iterdir() if f.suffix.lower() in SUFFIXES), key=_shuffled)
        for each in sorted(path.iterdir() if path.is_dir() else ())
        if each.is_dir()
    }
    files = {name: found for name, found in files.items() if found}
    if len(files) < 2:
        msg = f"{path}: needs a subfolder of images for each of two or more classes, has {len(files)}"
        raise PictureError(msg)
    for name, found in files.items():
        if len(found) < 3:
            msg = f"{path / name}: {len(found)} images; a class needs at least three"
            raise PictureError(msg)
    count = sum(map(len, files.values()))
    if count * math.prod(input_shape) > MAX_BYTES:
        msg = f"{path}: {count} images are more than fit in {MAX_BYTES:.0e} bytes; give fewer"
        raise PictureError(msg)
    parts: tuple[list[tuple[Path, int]], ...] = ([], [], [])
    for label, found in enumerate(files.values()):
        test, validation = max(1, len(found) // 5), max(1, len(found) // 10)
        for number, file in enumerate(found):
            part = 2 if number < test else 1 if number < test + validation else 0
            parts[part].append((file, label))
    return Split(*(_read(path, part, tuple(files), input_shape) for part in parts))


def unlabelled(path: Path, input_shape: tuple[int, ...]) -> Pictures:
    """Read all images in a folder and below, cut and resized to fit a network, whatever they show.

    Every label is 0. Raises PictureError.
    """
    if len(input_shape) != 3 or input_shape[0] not in NORMAL:
        msg = f"{path}: pictures are for networks that take 1 or 3 channels, not {input_shape}"
        raise PictureError(msg)
    files = sorted(each for each in path.rglob("*") if each.suffix.lower() in SUFFIXES)
    if not files:
        msg = f"{path}: no images in it; give a folder of {', '.join(SUFFIXES)} files"
        raise PictureError(msg)
    if len(files) * math.prod(input_shape) > MAX_BYTES:
        msg = f"{path}: {len(files)} images are more than fit in {MAX_BYTES:.0e} bytes; give fewer"
        raise PictureError(msg)
    found = _read(path, [(file, 0) for file in files], (), input_shape)
    return replace(found, name=f"{path.name}, {len(files)} images, {found.digest}")


def _shuffled(file: Path) -> bytes:
    return hashlib.blake2b(f"{file.parent.name}/{file.name}".encode()).digest()


def _read(
    path: Path, part: list[tuple[Path, int]], classes: tuple[str, ...], shape: tuple[int, ...]
) -> Pictures:
    raw = torch.stack([image(file, shape) for file, _ in part])
    return Pictures(path.name, raw, torch.tensor([label for _, label in part]), classes)


def image(file: Path, shape: tuple[int, ...], border: float = 0.0) -> torch.Tensor:
    """Read one image as uint8 (channels, rows, columns), upright, cut and resized as `fitted` does.

    Raises PictureError.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        msg = f'reading images needs pillow: pip install "offload[zoo]" ({error})'
        raise PictureError(msg) from error
    try:
        with Image.open(file) as found:
            if found.width * found.height > MAX_PIXELS:
                msg = f"{found.width}x{found.height} pixels, more than {MAX_PIXELS:.0e}"
                raise ValueError(msg)  # noqa: TRY301 - told like what Pillow itself finds
            return fitted(ImageOps.exif_transpose(found), shape, border)
    except Exception as error:  # Pillow raises whatever its readers raise
        msg = f"{file}: no image that can be read: {error}"
        raise PictureError(msg) from error


def fitted(image: "Image.Image", shape: tuple[int, ...], border: float = 0.0) -> torch.Tensor:
    """Return the middle of an image in the right proportions as uint8 (channels, rows, columns).

    `border` is the share of its height and width that is cut off on each side before.
    """
    from PIL import ImageOps

    channels, rows, columns = shape
    right = ImageOps.fit(image.convert(MODES[channels]), (columns, rows), bleed=border)
    return torch.from_numpy(np.array(right)).view(rows, columns, channels).permute(2, 0, 1)


def _idx_pair(folder: Path, part: str) -> Pictures:
    images_path, images = _idx(folder, f"{part}-images-idx3-ubyte", 3)
    labels_path, labels = _idx(folder, f"{part}-labels-idx1-ubyte", 1)
    if len(images) != len(labels):
        msg = f"{labels_path}: {len(labels)} labels for the {len(images)} images of {images_path.name}"
        raise PictureError(msg)
    if len(labels) == 0 or labels.max() >= len(CLASSES):
        msg = f"{labels_path}: labels must be below {len(CLASSES)}, and at least one"
        raise PictureError(msg)
    raw = torch.from_numpy(images).unsqueeze(1)
    return Pictures(FASHION, raw, torch.from_numpy(labels).long(), CLASSES)


def _idx(folder: Path, name: str, dimensions: int) -> tuple[Path, np.ndarray]:
    """Read one IDX file of bytes, gzipped or not, of as many dimensions."""
    path = next((p for p in (folder / f"{name}.gz", folder / name) if p.is_file()), None)
    if path is None:
        msg = f"{folder}: no {name}[.gz] in it; give the folder of Fashion-MNIST's IDX files"
        raise PictureError(msg)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return path, _idx_array(path, cast("BinaryIO", file), dimensions)
    except (OSError, EOFError, zlib.error) as error:
        msg = f"{path}: cannot be read: {error}"
        raise PictureError(msg) from error


def _idx_array(path: Path, file: BinaryIO, dimensions: int) -> np.ndarray:
    """Read what the header promises and no byte more, whatever a compressed file would unfold to."""
    head = file.read(4 + 4 * dimensions)
    if len(head) < 4 + 4 * dimensions or head[:4] != bytes((0, 0, 8, dimensions)):
        msg = f"{path}: no IDX file of bytes in {dimensions} dimensions: it begins with {head[:4].hex()}"
        raise PictureError(msg)
    shape = struct.unpack(f">{dimensions}I", head[4:])
    size = math.prod(shape)
    if size > MAX_BYTES:
        msg = (
            f"{path}: says it holds {'x'.join(map(str, shape))} bytes; at most {MAX_BYTES:.0e} are read"
        )
        raise PictureError(msg)
    content = bytearray()
    while len(content) <= size and (piece := file.read(min(1 << 20, size + 1 - len(content)))):
        content += piece
    if len(content) != size:
        told = "longer" if len(content) > size else f"only {len(content)} bytes"
        msg = f"{path}: {told}, where {'x'.join(map(str, shape))} were promised; fetch it again"
        raise PictureError(msg)
    return np.frombuffer(content, np.uint8).reshape(shape)
