"""Where a testbed's pictures come from: files, a video, a camera, or numbers drawn from the seed."""

import logging
import math
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from offload.dnn import pictures
from offload.dnn.network import Network
from offload.dnn.pictures import NORMAL, SUFFIXES, PictureError
from offload.streams import Streams
from offload.testbed.video import Camera, Video

LOG = logging.getLogger("offload.testbed")
MADE = 16  # pictures are made before the first request, and then shown again and again
MADE_BYTES = 200_000_000  # of them at most, but for one
MOST_FILES = 1_000_000
SLICE = "fashion-mnist"  # what the images are called that come with the package
# ImageNet's networks are tested on the middle 224 of an image's 256 rows (as torchvision's published
# accuracies are); Fashion-MNIST has its objects up to the edge.
BORDERS = {1: 0.0, 3: (1 - 224 / 256) / 2}


class Frames(Protocol):
    """Pictures by number, 0 and up, as uint8 (channels, rows, columns).

    After `period` of them they repeat; it is None where nobody knows (yet). Any number may be asked for
    at any time by any thread, but a video is only read forward: going back reads it from its beginning.
    To name a frame that was shown costs nothing.
    """

    @property
    def period(self) -> int | None:
        """After how many frames they repeat."""

    def frame(self, number: int) -> Tensor:
        """Return a frame. Raises PictureError."""

    def name(self, number: int) -> str:
        """Return what to call a frame: the file it is from, or its time in a video."""


def frames(where: str, input_shape: tuple[int, ...], seed: int) -> Frames:
    """Return the frames that `where` names, in the shape of a network's input.

    A folder of images or one image, a video file, "camera" or "camera:1", "fashion-mnist" for the test
    images that come with the package, or "" for pictures made from the seed. A network that takes no
    image has only the last, and they are empty. Raises PictureError for what cannot be had.
    """
    is_image = len(input_shape) == 3 and input_shape[0] in NORMAL
    if not where:
        return _made(input_shape, seed) if is_image else Stills(torch.zeros(1, 0, dtype=torch.uint8))
    if not is_image:
        msg = (
            f"{where}: pictures are for networks that take 1 or 3 channels, not {input_shape};"
            " without them, noise is drawn"
        )
        raise PictureError(msg)
    border = BORDERS[input_shape[0]]
    if where == SLICE:
        return _slice(input_shape)
    if where.partition(":")[0] == "camera":
        return Camera(where, input_shape, border)
    path = Path(where)
    if path.is_dir():
        return Folder(path, _files(path), input_shape)
    if not path.is_file():
        msg = f"{where}: no such folder or file; give a folder of images, a video, or camera"
        raise PictureError(msg)
    if path.suffix.lower() in SUFFIXES:
        return Folder(path.parent, [path], input_shape)
    return Video(path, input_shape, border)


def to_input(frame: Tensor, network: Network) -> tuple[Tensor, ...]:
    """Return what a network takes, for a batch of one.

    That is the frame, normalised, where it takes one image of that shape; for every other network its
    example, whatever the frame. Raises UnknownNetworkError where it does not take a batch of one.
    """
    first, *others = network.inputs
    is_image = frame.dim() == 3 and tuple(frame.shape) == first.shape
    if others or not is_image or not first.dtype.is_floating_point or network.batch not in (None, 1):
        return network.example(1)
    return (pictures.normalised(frame[None]).to(first.dtype),)


@dataclass(frozen=True, slots=True, eq=False)
class Stills:
    """Pictures that lie ready: `raw` is uint8 of shape (frames, channels, rows, columns)."""

    raw: Tensor
    names: tuple[str, ...] = ("drawn",)

    @property
    def period(self) -> int:
        """How many there are."""
        return len(self.raw)

    def frame(self, number: int) -> Tensor:
        """Return a picture."""
        return self.raw[number % len(self.raw)]

    def name(self, number: int) -> str:
        """Return what it is called."""
        return self.names[number % len(self.raw)]


@dataclass(slots=True, eq=False)
class Folder:
    """Image files in order, read when they are asked for.

    In the place of one that cannot be read comes the next that can, and that is logged once. Raises
    PictureError where there is none.
    """

    path: Path
    files: list[Path]
    shape: tuple[int, ...]
    broken: dict[Path, PictureError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.frame(0)

    @property
    def period(self) -> int:
        """How many files there are."""
        return len(self.files)

    def frame(self, number: int) -> Tensor:
        """Read an image."""
        while (file := self._file(number)) is not None:
            try:
                return pictures.image(file, self.shape, BORDERS[self.shape[0]])
            except PictureError as error:
                LOG.warning("%s; the next one is taken", error)
                self.broken[file] = error
        raise next(iter(self.broken.values()))

    def name(self, number: int) -> str:
        """Return the path within the folder of what was shown, or will be if it can be read."""
        return str((self._file(number) or self.files[0]).relative_to(self.path))

    def _file(self, number: int) -> Path | None:
        """Return the first file from there on that is not known to be broken."""
        turned = (self.files[(number + step) % self.period] for step in range(self.period))
        return next((file for file in turned if file not in self.broken), None)


def _files(path: Path) -> list[Path]:
    """Return the images in a folder and below, in order."""
    found = (each for each in path.rglob("*") if each.suffix.lower() in SUFFIXES and each.is_file())
    files = sorted(islice(found, MOST_FILES + 1))
    if not files:
        msg = f"{path}: no images in it; give a folder of {', '.join(SUFFIXES)} files"
    elif len(files) > MOST_FILES:
        msg = f"{path}: more than {MOST_FILES:,} images; give fewer"
    else:
        return files
    raise PictureError(msg)


def _slice(shape: tuple[int, ...]) -> Stills:
    """Return the shipped test images of Fashion-MNIST, with what they show."""
    found = pictures.test_slice()
    if shape != found.raw.shape[1:]:
        msg = f"{SLICE}: its images are of shape {tuple(found.raw.shape[1:])}; the network takes {shape}"
        raise PictureError(msg)
    shown = (found.classes[label] for label in found.labels.tolist())
    return Stills(found.raw, tuple(f"{number} {name}" for number, name in enumerate(shown)))


def _made(shape: tuple[int, ...], seed: int) -> Stills:
    """Return pictures made by chance whose files are as large as those of photographs.

    Their amplitudes fall with the spatial frequency as in natural scenes (Field, J. Opt. Soc. Am. A 4,
    1987: as its power -1, here -0.9 to -1.3), and their channels have most of that in common. As JPEG of
    quality 90 they take 20 to 40 kB at 224 pixels.
    """
    count = min(MADE, max(1, MADE_BYTES // math.prod(shape)))
    chance = Streams(seed, 0).generator("frames")
    raw = torch.stack([_scene(shape, chance) for _ in range(count)])
    return Stills(raw, tuple(f"made {number}" for number in range(count)))


def _scene(shape: tuple[int, ...], chance: np.random.Generator) -> Tensor:
    channels, rows, columns = shape
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns))
    frequency[0, 0] = np.inf  # no part of a scene is constant: the mean is set below
    fall = frequency ** -chance.uniform(0.9, 1.3)
    made = []
    for _ in range(1 + channels):  # the first is what the channels share
        noise = chance.standard_normal((rows, columns))
        plane = np.fft.irfft2(np.fft.rfft2(noise) * fall, s=(rows, columns))
        made.append(plane / max(plane.std(), 1e-12))
    scene = 128 + 50 * made[0] + 12 * np.stack(made[1:])
    return torch.from_numpy(scene.round().clip(0, 255).astype(np.uint8))
