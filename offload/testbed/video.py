"""Frames of a video file or a camera, by PyAV."""

import logging
from array import array
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from torch import Tensor

from offload.dnn.pictures import MAX_PIXELS, PictureError, fitted

if TYPE_CHECKING:
    from av import VideoFrame

LOG = logging.getLogger("offload.testbed")
# What a file may be; not a playlist, which would name other files and addresses to open.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,ogg,flv,asf,gif,ivf,nut,h264,hevc,"
    "mjpeg,m4v,yuv4mpegpipe"
)
OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}


class Video:
    """The frames of a video file in order, and again from the beginning when it is through.

    A file that ends in the middle goes on with its beginning, and that is logged once. Raises
    PictureError for one that is no video.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], border: float = 0.0) -> None:
        self.path, self.shape, self.border = path, shape, border
        self.period: int | None = None
        self.times_s = array("d")  # of the frames that were seen: who names one need not decode it again
        self.number = -1  # of the frame at hand
        self.left = self._decoded()
        self.lock = Lock()
        self.frame(0)

    def frame(self, number: int) -> Tensor:
        """Return a frame, decoding what lies between the last one and it."""
        with self.lock:
            return _fitted(self.path, self._go_to(number), self.shape, self.border)

    def name(self, number: int) -> str:
        """Return the file's name, and the frame's time in it."""
        with self.lock:
            if number >= len(self.times_s):
                self._go_to(number)
            time_s = self.times_s[number if self.period is None else number % self.period]
        return f"{self.path.name} {time_s:.2f} s"

    def _go_to(self, number: int) -> "VideoFrame":
        if self.period is not None:
            number %= self.period
        if number < self.number:
            self.left, self.number = self._decoded(), -1
        while self.number < number:
            found = next(self.left, None)
            if found is not None:
                self.at_hand = found
                self.number += 1
                if self.number == len(self.times_s):
                    self.times_s.append(found.time or 0.0)
                continue
            if self.number < 0:
                msg = f"{self.path}: no picture in it that can be decoded"
                raise PictureError(msg)
            self.period = self.number + 1
            return self._go_to(number)
        return self.at_hand

    def _decoded(self) -> Iterator["VideoFrame"]:
        """Yield the frames of the file from its beginning as far as they can be decoded."""
        av = _pyav()
        try:
            with av.open(f"file:{self.path}", options=OPTIONS, metadata_errors="replace") as file:
                yield from _frames(str(self.path), file)
        except (av.FFmpegError, ValueError) as error:
            if self.number < 0:
                msg = f"{self.path}: no video that can be read: {_why(error)}"
                raise PictureError(msg) from error
            msg = "%s: broken after %d frames (%s); it begins again there"
            LOG.warning(msg, self.path, self.number + 1, _why(error))


class Camera:
    """What a camera shows: the next frame each time that another number is asked for.

    Where a camera gives more frames than are asked for, the driver keeps a few, so what is shown may be
    as old as these. The camera is opened for the first frame. Raises PictureError where there is none.
    """

    period = None

    def __init__(self, where: str, shape: tuple[int, ...], border: float = 0.0) -> None:
        word, _, number = where.partition(":")
        if word != "camera" or not (number or "0").isdecimal():
            msg = f'{where}: write "camera", or "camera:1" for another than the first'
            raise PictureError(msg)
        self.device = Path(f"/dev/video{int(number or 0)}")
        if not self.device.exists():
            msg = f"{where}: no camera here: there is no {self.device} (Linux shows cameras there)"
            raise PictureError(msg)
        _pyav()
        self.shape, self.border = shape, border
        self.number: int | None = None
        self.left = self._live()
        self.lock = Lock()

    def frame(self, number: int) -> Tensor:
        """Return what the camera shows."""
        with self.lock:
            if number != self.number:
                found = next(self.left, None)
                if found is None:
                    msg = f"{self.device}: the camera gives no more pictures"
                    raise PictureError(msg)
                self.at_hand, self.number = found, number
            return _fitted(self.device, self.at_hand, self.shape, self.border)

    def name(self, number: int) -> str:
        """Return the camera and the frame's number; it is no file, and shows it only once."""
        return f"{self.device.name} frame {number}"

    def _live(self) -> Iterator["VideoFrame"]:
        av = _pyav()
        try:
            with av.open(str(self.device), format="v4l2") as camera:
                yield from _frames(str(self.device), camera)
        except (av.FFmpegError, ValueError) as error:
            msg = f"{self.device}: the camera gives no pictures: {_why(error)}"
            raise PictureError(msg) from error


def _frames(name: str, container: Any) -> Iterator["VideoFrame"]:  # noqa: ANN401 - of PyAV
    """Yield the pictures of a container, decoded in this thread. Raises PictureError for huge ones."""
    stream = next(iter(container.streams.video), None)
    if stream is None or stream.codec_context is None:
        msg = f"{name}: no video in it: only sound, or of a kind unknown here, or its end is missing"
        raise PictureError(msg)
    decoder = stream.codec_context
    decoder.thread_type, decoder.thread_count = "NONE", 1
    if decoder.width * decoder.height > MAX_PIXELS:
        msg = f"{name}: {decoder.width}x{decoder.height} pixels, more than {MAX_PIXELS:.0e}"
        raise PictureError(msg)
    yield from container.decode(stream)


def _fitted(path: Path, frame: "VideoFrame", shape: tuple[int, ...], border: float) -> Tensor:
    if frame.width * frame.height > MAX_PIXELS:  # it may change in the middle of a video
        msg = f"{path}: {frame.width}x{frame.height} pixels, more than {MAX_PIXELS:.0e}"
        raise PictureError(msg)
    image = frame.to_image()  # type: ignore[no-untyped-call]  # PyAV leaves its options untyped
    return fitted(image.rotate(frame.rotation, expand=True) if frame.rotation else image, shape, border)


def _why(error: Exception) -> str:
    """Return what PyAV says, without its numbers."""
    return getattr(error, "strerror", None) or str(error)


def _pyav() -> Any:  # noqa: ANN401 - a module
    try:
        import av
    except ImportError as error:
        msg = f'videos and cameras need PyAV: pip install "offload[testbed]" ({error})'
        raise PictureError(msg) from error
    return av
