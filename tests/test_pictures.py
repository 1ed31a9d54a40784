"""Images from IDX files and folders: what is read, how it is divided, and what is refused."""

import gzip
import struct
from pathlib import Path

import pytest
import torch
from PIL import Image

from offload.dnn import pictures
from offload.dnn.pictures import PictureError

IMAGES, LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def idx(*shape: int, content: bytes | None = None, magic: int | None = None) -> bytes:
    """An IDX file of these dimensions; its bytes count up from 0 to 9 unless given."""
    size = 1
    for each in shape:
        size *= each
    head = struct.pack(f">{1 + len(shape)}I", magic or 0x800 + len(shape), *shape)
    return head + (bytes(i % 10 for i in range(size)) if content is None else content)


def packed(data: bytes) -> bytes:
    """Pack without the time, which would be another in every process that collects the tests."""
    return gzip.compress(data, mtime=0)


def put(folder: Path, part: str, images: int) -> None:
    (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(images, 4, 4))
    (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(images)))


@pytest.fixture
def mini(tmp_path: Path) -> Path:
    """A folder like Fashion-MNIST's: 120 training images, 20 test images of 4x4 pixels."""
    put(tmp_path, "train", 120)
    put(tmp_path, "t10k", 20)
    return tmp_path


def test_the_shipped_slice() -> None:
    found = pictures.test_slice()
    assert found.raw.shape == (2000, 1, 28, 28)
    assert found.raw.dtype == torch.uint8
    assert found.labels[:6].tolist() == [9, 2, 1, 1, 6, 1]  # as the whole test set begins
    assert found.labels.bincount().min() > 180
    # Whoever names this slice in a file of answers means these very images.
    assert found.name == "Fashion-MNIST test slice, 2000 images, 6c27b25a3b94"


def test_inputs_are_normalised_as_in_training() -> None:
    found = pictures.test_slice()
    inputs = found.inputs()
    assert inputs.dtype == torch.float32
    assert abs(float(inputs.mean())) < 0.02
    assert abs(float(inputs.std()) - 1) < 0.02
    assert torch.equal(inputs[3:5], found.inputs(slice(3, 5)))
    black = torch.zeros(1, 3, 1, 1, dtype=torch.uint8)
    assert pictures.normalised(black).flatten().tolist() == pytest.approx(
        [-2.1179, -2.0357, -1.8044], 1e-4
    )


def test_idx_files_are_read_and_divided(mini: Path) -> None:
    split = pictures.fashion_mnist(mini)
    assert [len(part) for part in (split.train, split.validation, split.test)] == [110, 10, 20]
    assert split.test.raw[1, 0, 0].tolist() == [6, 7, 8, 9]
    assert split.test.labels.tolist() == [*range(10)] * 2
    again = pictures.fashion_mnist(mini)
    assert torch.equal(split.validation.labels, again.validation.labels)


def test_some_images_of_some_classes(mini: Path) -> None:
    test = pictures.fashion_mnist(mini).test
    found = test.only((7, 3))
    assert found.classes == ("sneaker", "dress")
    assert found.labels.tolist() == [1, 0, 1, 0]
    assert torch.equal(found.raw[1], test.raw[7])
    assert found.first(1).labels.tolist() == [0, 1]
    assert found.digest != test.digest


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (IMAGES, idx(20, 4, 4, magic=0x801), "no IDX file of bytes in 3 dimensions: .* 00000801"),
        (IMAGES, b"", "it begins with "),
        (IMAGES, idx(20, 4, 4)[:-1], "only 319 bytes, where 20x4x4 were promised"),
        (IMAGES, idx(20, 4, 4) + b"0", "longer, where 20x4x4 were promised"),
        (IMAGES, idx(10**6, 1000, 1000, content=b""), "says it holds 1000000x1000x1000 bytes"),
        (IMAGES, idx(19, 4, 4), "20 labels for the 19 images"),
        (LABELS + ".gz", packed(idx(20))[:-9], "cannot be read"),
        (LABELS + ".gz", b"no gzip at all", "cannot be read"),
        (LABELS + ".gz", packed(idx(20, content=b"\x0b" * 20)), "labels must be below 10"),
        (LABELS + ".gz", packed(idx(20) + bytes(10**7)), "longer, where 20 were promised"),
    ],
)  # fmt: skip
def test_broken_idx_files_are_refused(mini: Path, name: str, content: bytes, told: str) -> None:
    (mini / name).write_bytes(content)
    with pytest.raises(PictureError, match=told):
        pictures.fashion_mnist(mini)


def test_a_folder_without_idx_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"no train-images-idx3-ubyte\[.gz\] in it"):
        pictures.fashion_mnist(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten red images that are wide, and five blue ones that are high."""
    for name, count, colour, size in (
        ("red", 10, (255, 0, 0), (30, 20)),
        ("blue", 5, (0, 0, 255), (20, 30)),
    ):
        (tmp_path / name).mkdir()
        for number in range(count):
            Image.new("RGB", size, colour).save(tmp_path / name / f"{number}.png")
    (tmp_path / "notes.txt").write_text("no class")
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_a_folder_of_images(folder: Path) -> None:
    split = pictures.folder(folder, (3, 8, 10))
    parts = (split.train, split.validation, split.test)
    assert [part.labels.bincount().tolist() for part in parts] == [[3, 7], [1, 1], [1, 2]]
    assert split.train.classes == ("blue", "red")
    assert split.train.raw.shape == (10, 3, 8, 10)
    assert split.train.raw[0, :, 0, 0].tolist() == [0, 0, 255]
    assert split.train.inputs().shape == (10, 3, 8, 10)
    assert pictures.folder(folder, (1, 4, 4)).test.raw.shape == (3, 1, 4, 4)


def test_no_image_is_in_two_parts(folder: Path) -> None:
    for number in range(10):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / "red" / f"{number}.png")
    split = pictures.folder(folder, (3, 8, 8))
    parts = [
        part.only((1,)).raw[:, 0, 0, 0].tolist() for part in (split.train, split.validation, split.test)
    ]
    assert sorted(number for part in parts for number in part) == [*range(10)]
    again = pictures.folder(folder, (3, 8, 8))
    assert again.test.raw[:, 0, 0, 0].tolist() == split.test.raw[:, 0, 0, 0].tolist()


def test_bad_folders_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="1 or 3 channels"):
        pictures.folder(folder, (4, 8, 8))
    with pytest.raises(PictureError, match="of two or more classes, has 0"):
        pictures.folder(folder / "red", (3, 8, 8))
    with pytest.raises(PictureError, match="has 0"):
        pictures.folder(tmp_path / "nowhere", (3, 8, 8))
    with pytest.raises(PictureError, match="fit in 2e\\+09 bytes; give fewer"):
        pictures.folder(folder, (3, 10_000, 10_000))
    (folder / "red" / "3.png").write_bytes(b"\x89PNG no more")
    with pytest.raises(PictureError, match=r"3\.png: no image that can be read"):
        pictures.folder(folder, (3, 8, 8))
    for number in range(3, 10):
        (folder / "red" / f"{number}.png").unlink()
    (folder / "red" / "2.png").unlink()
    with pytest.raises(PictureError, match="red: 2 images; a class needs at least three"):
        pictures.folder(folder, (3, 8, 8))
