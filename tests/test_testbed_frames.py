"""Frames for the testbed: from folders, made from the seed, and what networks make of them."""

import io
import logging
from pathlib import Path

import pytest
import torch
from PIL import Image

from offload.dnn import pictures, zoo
from offload.dnn.network import Input, Network
from offload.dnn.pictures import PictureError
from offload.dnn.pixels import to_file
from offload.testbed import frames as module
from offload.testbed.frames import frames, to_input

SHAPE = (3, 32, 48)


def plain(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (60, 40)) -> Path:
    """Write an image of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images of which the second is broken, in another order than they were written."""
    plain(tmp_path / "c" / "last.png", (0, 0, 200))
    plain(tmp_path / "a.png", (200, 0, 0))
    (tmp_path / "b.jpg").write_bytes(b"no image")
    (tmp_path / "notes.txt").write_text("none either", encoding="utf-8")
    return tmp_path


def test_a_folder_is_shown_in_order_again_and_again(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = frames(str(folder), SHAPE, 1)
    assert found.period == 3
    with caplog.at_level(logging.WARNING, "offload.testbed"):
        pairs = [(found.frame(number), found.name(number)) for number in range(7)]
    assert [name for _, name in pairs] == [
        "a.png", "c/last.png", "c/last.png", "a.png", "c/last.png", "c/last.png", "a.png",
    ]  # fmt: skip
    assert all(each.shape == SHAPE and each.dtype == torch.uint8 for each, _ in pairs)
    assert [each[:, 0, 0].tolist() for each, _ in pairs[:2]] == [[200, 0, 0], [0, 0, 200]]
    (told,) = caplog.records  # once, though it came up twice
    assert "b.jpg: no image that can be read" in told.getMessage()


def test_frames_do_not_depend_on_the_order_in_which_they_are_asked_for(folder: Path) -> None:
    one, other = (frames(str(folder), SHAPE, 1) for _ in range(2))
    forward = [one.frame(number) for number in range(5)]
    backward = [other.frame(number) for number in reversed(range(5))]
    assert all(torch.equal(a, b) for a, b in zip(forward, reversed(backward), strict=True))


def test_one_image_is_a_source_too(tmp_path: Path) -> None:
    found = frames(str(plain(tmp_path / "one.png", (1, 2, 3))), SHAPE, 1)
    assert (found.period, found.name(5)) == (1, "one.png")


def test_a_picture_is_cut_as_networks_of_imagenet_expect(tmp_path: Path) -> None:
    """Its short side is 256/224 of what is shown, and the middle is."""
    image = Image.new("RGB", (512 + 100, 512), (255, 0, 0))
    image.paste((0, 255, 0), (50 + 32, 32, 50 + 32 + 448, 32 + 448))
    image.save(tmp_path / "x.png")
    shown = frames(str(tmp_path), (3, 224, 224), 1).frame(0)
    assert (shown[1, 1:-1, 1:-1] == 255).all()  # the green part, and no more than that
    (wider := image.copy()).paste((0, 0, 255), (50 + 32, 32, 50 + 36, 36))
    wider.save(tmp_path / "x.png")
    assert frames(str(tmp_path), (3, 224, 224), 1).frame(0)[2, 0, 0] > 200  # its very corner


def test_a_grey_picture_is_shown_to_its_edge(tmp_path: Path) -> None:
    image = Image.new("L", (28, 28))
    image.putpixel((0, 0), 255)
    image.save(tmp_path / "x.png")
    shown = frames(str(tmp_path), (1, 28, 28), 1).frame(0)
    assert shown.shape == (1, 28, 28)
    assert (int(shown[0, 0, 0]), int(shown.sum())) == (255, 255)


def test_a_picture_is_turned_as_the_camera_was_held(tmp_path: Path) -> None:
    image = Image.new("RGB", (60, 40), (255, 0, 0))
    image.paste((0, 0, 255), (30, 0, 60, 40))  # right: below, once it is turned
    tags = Image.Exif()
    tags[0x0112] = 6  # turn it a quarter to the right
    image.save(tmp_path / "x.jpg", exif=tags)
    shown = frames(str(tmp_path), (3, 32, 32), 1).frame(0)
    assert shown[0, 2].min() > 200  # red above
    assert shown[2, -3].min() > 200


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_pictures_of_any_kind_of_colour(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (40, 40)).save(tmp_path / ("x.jpg" if mode == "CMYK" else "x.png"))
    for shape in [(1, 8, 8), (3, 8, 8)]:
        assert frames(str(tmp_path), shape, 1).frame(0).shape == shape


def test_what_cannot_be_shown_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PictureError, match="nowhere: no such folder or file"):
        frames(str(tmp_path / "nowhere"), SHAPE, 1)
    with pytest.raises(PictureError, match=r"no images in it; give a folder of \.png"):
        frames(str(tmp_path), SHAPE, 1)
    with pytest.raises(PictureError, match=r"camera:x: write \"camera\", or \"camera:1\""):
        frames("camera:x", SHAPE, 1)
    with pytest.raises(PictureError, match=r"not \(128,\); without them, noise is drawn"):
        frames(str(tmp_path), (128,), 1)
    with pytest.raises(PictureError, match=r"of shape \(1, 28, 28\); the network takes \(3, 32, 48\)"):
        frames("fashion-mnist", SHAPE, 1)
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(30))
    with pytest.raises(PictureError, match=r"a\.png: no image that can be read"):
        frames(str(tmp_path), SHAPE, 1)
    plain(tmp_path / "a.png", (1, 1, 1), (200, 200))
    monkeypatch.setattr(pictures, "MAX_PIXELS", 10_000)
    with pytest.raises(PictureError, match=r"a\.png: no image .*: 200x200 pixels, more than 1e\+04"):
        frames(str(tmp_path), SHAPE, 1)
    plain(tmp_path / "b.png", (1, 1, 1))
    monkeypatch.setattr(module, "MOST_FILES", 1)
    with pytest.raises(PictureError, match="more than 1 images; give fewer"):
        frames(str(tmp_path), SHAPE, 1)


def test_damaged_images_never_stop_a_run(tmp_path: Path) -> None:
    """Whatever bytes are changed or missing: another picture is shown in its place."""
    generator = torch.Generator().manual_seed(3)
    picture = torch.randint(256, (3, 30, 30), generator=generator, dtype=torch.uint8)
    plain(tmp_path / "z.png", (9, 9, 9))
    for form in ("png", "jpeg", "gif", "webp", "bmp"):
        whole = to_file(picture, form, None)
        for number in range(25):
            where, value = torch.randint(len(whole), (2,), generator=generator).tolist()
            content = bytearray(whole)
            content[where] ^= 1 + value % 255
            (tmp_path / f"{form}-{number}.{form}").write_bytes(content[: value if number % 2 else None])
    found = frames(str(tmp_path), SHAPE, 1)
    assert isinstance(found, module.Folder)
    assert all(found.frame(number).shape == SHAPE for number in range(found.period))
    assert len(found.broken) > 30


@pytest.mark.parametrize("shape", [(3, 224, 224), (3, 299, 299), (3, 96, 160), (1, 28, 28)])
def test_made_pictures_depend_on_the_seed_only(shape: tuple[int, ...]) -> None:
    one, same, other = (frames("", shape, seed) for seed in (5, 5, 6))
    assert one.period == 16
    assert one.name(17) == "made 1"
    assert one.frame(3).shape == shape
    assert all(torch.equal(one.frame(number), same.frame(number + 16)) for number in range(16))
    assert not any(torch.equal(one.frame(number), other.frame(number)) for number in range(15))


def test_made_pictures_are_as_large_as_photographs() -> None:
    found = frames("", (3, 224, 224), 0)
    sizes = [len(to_file(found.frame(number), "jpeg", 90)) for number in range(16)]
    assert 15_000 < min(sizes) < max(sizes) < 60_000
    assert len(set(sizes)) > 10


def test_made_pictures_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert frames("", (3, 1, 1), 0).period == 16
    monkeypatch.setattr(module, "MADE_BYTES", 40_000)
    assert frames("", (3, 64, 64), 0).period == 3
    assert frames("", (3, 640, 64), 0).period == 1


def test_the_shipped_images_are_named_after_what_they_show() -> None:
    found = frames("fashion-mnist", (1, 28, 28), 1)
    assert (found.period, found.name(0), found.name(2001)) == (2000, "0 ankle boot", "1 pullover")
    assert torch.equal(found.frame(3), pictures.test_slice().raw[3])


@pytest.mark.parametrize("name", zoo.NAMED)
def test_every_named_network_has_an_input(name: str) -> None:
    network = zoo.network(name)
    shown = frames("", network.input_shape, 1)
    given, expected = to_input(shown.frame(1), network), network.example(1)
    assert [(each.shape, each.dtype) for each in given] == [
        (each.shape, each.dtype) for each in expected
    ]
    is_image = len(network.input_shape) == 3
    assert torch.equal(given[0], expected[0]) != is_image
    if is_image:
        assert torch.equal(given[0], pictures.normalised(shown.frame(1)[None]))


def test_networks_that_take_more_or_other_than_an_image_get_their_example() -> None:
    image, frame = (3, 8, 8), torch.zeros(3, 8, 8, dtype=torch.uint8)
    half = Network("half", None, (Input(image, torch.bfloat16),), "", "")
    assert to_input(frame, half)[0].dtype == torch.bfloat16
    for inputs in [
        (Input(image), Input((4,))),
        (Input(image, torch.int64, below=5),),
        (Input((3, 9, 8)),),
    ]:
        network = Network("other", None, inputs, "", "")
        given = zip(to_input(frame, network), network.example(1), strict=True)
        assert all(torch.equal(one, other) for one, other in given)


def test_pillow_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain(tmp_path / "a.png", (1, 1, 1))
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(PictureError, match=r'pip install "offload\[zoo\]"'):
        frames(str(tmp_path), SHAPE, 1)


def test_a_frame_survives_as_png() -> None:
    """What networks are given are pixels as an image file holds them."""
    frame = frames("", SHAPE, 1).frame(0)
    file = Image.open(io.BytesIO(to_file(frame, "png", None)))
    assert file.size == (48, 32)
