"""Frames of videos and cameras: in order, in a circle, and what is refused."""

import logging
import random
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from types import SimpleNamespace

import av
import numpy as np
import pytest

from offload.dnn.pictures import PictureError
from offload.testbed import video
from offload.testbed.frames import frames

SHAPE = (3, 32, 32)


def filmed(path: Path, count: int = 10, size: tuple[int, int] = (64, 48), codec: str = "mpeg4") -> Path:
    """Write a video that gets brighter from frame to frame, ten frames a second."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(count):
            grey = np.full((size[1], size[0], 3), 20 * number, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(grey)))
        file.mux(stream.encode())
    return path


def brightness(found: object, number: int) -> int:
    """Return which of the frames it is, as its brightness tells."""
    return round(float(found.frame(number).float().mean()) / 20)


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "mpeg4"), ("mkv", "libx264"), ("avi", "ffv1")])
def test_a_video_is_shown_in_order_and_again(tmp_path: Path, suffix: str, codec: str) -> None:
    found = frames(str(filmed(tmp_path / f"x.{suffix}", codec=codec)), SHAPE, 1)
    assert found.period is None  # nobody has counted yet
    assert found.frame(0).shape == SHAPE
    assert [brightness(found, number) for number in range(13)] == [*range(10), 0, 1, 2]
    assert found.period == 10
    assert [brightness(found, number) for number in (2, 1, 47, 25, 25)] == [2, 1, 7, 5, 5]


def test_a_frame_is_named_after_its_time(tmp_path: Path) -> None:
    found = frames(str(filmed(tmp_path / "road.mp4")), SHAPE, 1)
    assert [found.name(number) for number in (0, 3, 13)] == [
        "road.mp4 0.00 s", "road.mp4 0.30 s", "road.mp4 0.30 s",
    ]  # fmt: skip


def test_frames_that_were_shown_are_named_without_reading_them_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = frames(str(filmed(tmp_path / "x.mp4")), SHAPE, 1)
    shown = [brightness(found, number) for number in range(5)]
    monkeypatch.setattr(av, "open", None)
    assert [found.name(number) for number in (1, 4)] == ["x.mp4 0.10 s", "x.mp4 0.40 s"]
    shown += [brightness(found, number) for number in range(5, 10)]
    assert shown == [*range(10)]


def test_a_video_may_be_shown_to_several_threads(tmp_path: Path) -> None:
    found = frames(str(filmed(tmp_path / "x.mp4")), SHAPE, 1)
    with ThreadPoolExecutor(4) as pool:
        shown = list(pool.map(lambda number: brightness(found, number), [*range(30)] * 3))
    assert shown == [number % 10 for number in range(30)] * 3


def test_a_video_is_turned_as_the_camera_was_held(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        picture = np.zeros((48, 64, 3), np.uint8)
        picture[:, 32:] = 255  # right: below, once it is turned a quarter to the right
        file.mux([*stream.encode(av.VideoFrame.from_ndarray(picture)), *stream.encode()])
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40  # ISO 14496-12, 8.3.2: after the track's volume
    one = (1 << 16).to_bytes(4, "big")
    minus, zero = (-(1 << 16)).to_bytes(4, "big", signed=True), bytes(4)
    content[matrix : matrix + 20] = zero + one + zero + minus + zero
    path.write_bytes(content)
    shown = frames(str(path), SHAPE, 1).frame(0).float().mean(0)
    assert shown[:12].max() < 60
    assert shown[20:].min() > 200


def test_a_truncated_video_goes_on_with_what_it_has(tmp_path: Path) -> None:
    whole = filmed(tmp_path / "x.ts", 12, codec="libx264").read_bytes()
    path = tmp_path / "cut.ts"
    path.write_bytes(whole[: len(whole) // 2])
    found = frames(str(path), SHAPE, 1)
    shown = [brightness(found, number) for number in range(25)]
    assert found.period is not None
    assert 2 < found.period < 12
    assert shown == [number % found.period for number in range(25)]


def test_a_video_that_breaks_in_the_middle_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = video._frames

    def breaks(name: str, container: object) -> Iterator[av.VideoFrame]:
        for _, each in zip(range(4), real(name, container), strict=False):
            yield each
        raise av.error.InvalidDataError(1, "broken")

    monkeypatch.setattr(video, "_frames", breaks)
    found = frames(str(filmed(tmp_path / "x.mp4")), SHAPE, 1)
    with caplog.at_level(logging.WARNING, "offload.testbed"):
        assert [brightness(found, number) for number in range(10)] == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    (told,) = caplog.records
    assert "broken after 4 frames" in told.getMessage()


def test_what_is_no_video_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.mp4").write_bytes(bytes(range(256)) * 20)
    with pytest.raises(PictureError, match=r"x\.mp4: no video that can be read"):
        frames(str(tmp_path / "x.mp4"), SHAPE, 1)
    (tmp_path / "x.mp4").write_bytes(b"")
    with pytest.raises(PictureError, match=r"x\.mp4: no video that can be read"):
        frames(str(tmp_path / "x.mp4"), SHAPE, 1)
    whole = filmed(tmp_path / "head.mp4").read_bytes()
    (tmp_path / "head.mp4").write_bytes(whole[: len(whole) // 2])  # its index stands at the end
    with pytest.raises(PictureError, match=r"head\.mp4: no video in it: .* its end is missing"):
        frames(str(tmp_path / "head.mp4"), SHAPE, 1)
    with av.open(str(tmp_path / "sound.mp4"), "w") as file:
        stream = file.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        sound.sample_rate = 8000
        file.mux([*stream.encode(sound), *stream.encode()])
    with pytest.raises(PictureError, match=r"sound\.mp4: no video in it"):
        frames(str(tmp_path / "sound.mp4"), SHAPE, 1)
    monkeypatch.setattr(video, "MAX_PIXELS", 1000)
    with pytest.raises(PictureError, match="64x48 pixels"):
        frames(str(filmed(tmp_path / "large.mp4")), SHAPE, 1)


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", "libx264"), ("mkv", "mpeg4"), ("avi", "ffv1")])
def test_damaged_videos_are_shown_or_refused(tmp_path: Path, suffix: str, codec: str) -> None:
    """Whatever bytes are changed or missing."""
    whole = filmed(tmp_path / f"x.{suffix}", codec=codec).read_bytes()
    dice = random.Random(suffix)
    path = tmp_path / f"damaged.{suffix}"
    shown, told = 0, []
    for number in range(60):
        content = bytearray(whole)
        for _ in range(1 + number % 20):
            content[dice.randrange(len(content))] = dice.randrange(256)
        path.write_bytes(content[: dice.randrange(len(content)) if number % 4 == 0 else None])
        try:
            found = frames(str(path), SHAPE, 1)
            assert all(found.frame(number).shape == SHAPE for number in range(15))
            shown += 1
        except PictureError as error:
            told.append(str(error))
    assert all(each.startswith(f"{path}: no ") for each in told)
    assert 5 < shown < 60


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        ("m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"),
        ("ffconcat", "ffconcat version 1.0\nfile {}\n"),
    ],
)
def test_a_playlist_opens_no_other_file(tmp_path: Path, suffix: str, text: str) -> None:
    filmed(tmp_path / "x.ts")
    path = tmp_path / f"list.{suffix}"
    path.write_text(text.format("x.ts"), encoding="utf-8")
    with av.open(str(path)) as file:  # PyAV would
        assert next(file.decode(video=0)).width == 64
    with pytest.raises(PictureError, match="no video that can be read"):
        frames(str(path), SHAPE, 1)


def test_pyav_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = filmed(tmp_path / "x.mp4")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(PictureError, match=r'pip install "offload\[testbed\]"'):
        frames(str(path), SHAPE, 1)


def test_where_there_is_no_camera() -> None:
    with pytest.raises(PictureError, match="camera:63: no camera here: there is no /dev/video63"):
        frames("camera:63", SHAPE, 1)


def test_a_camera_shows_a_new_frame_for_each_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its driver is played by a video file: this tests what is done with what it gives."""
    path = filmed(tmp_path / "x.mp4", 3)
    opened = []

    def driver(_device: object, **options: str) -> object:
        opened.append(options)
        return real(str(path))

    real = av.open
    monkeypatch.setattr(av, "open", driver)
    monkeypatch.setattr(video, "Path", lambda device: SimpleNamespace(
        exists=lambda: True, name=device[5:]
    ))  # fmt: skip
    found = frames("camera:7", SHAPE, 1)
    assert not opened  # before a frame is wanted
    assert [brightness(found, number) for number in (0, 0, 1, 7)] == [0, 0, 1, 2]
    assert (found.period, found.name(7)) == (None, "video7 frame 7")
    assert opened == [{"format": "v4l2"}]
    for _ in range(2):
        with pytest.raises(PictureError, match="the camera gives no more pictures"):
            found.frame(8)


def test_a_camera_that_is_none_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video.Camera, "__init__", lambda self, *_: None)
    found = video.Camera("camera", SHAPE)
    found.device, found.number, found.left = tmp_path / "none", None, found._live()
    found.lock = Lock()
    with pytest.raises(PictureError, match="none: the camera gives no pictures"):
        found.frame(0)
