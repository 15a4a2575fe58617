"""Videos, by PyAV: every frame as it is stored, none repeated, none dropped."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from PIL import Image

from animatediff_webui.media.errors import MissingPackageError, UnreadableMediaError
from animatediff_webui.media.ffmpeg import local_url

from .local import DEMUXERS, check_pixels
from .source import FrameSource, Selection

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream


def read_video(path: Path, selection: Selection) -> FrameSource:
    """The frames of the first picture stream; sound and subtitles are passed over."""
    with _opened(path) as (container, stream):
        check_pixels(path, (stream.width, stream.height))
        first = next(_decoded(container, stream), None)
        if first is None:
            raise UnreadableMediaError(f"{path} holds no picture that can be decoded: save it again.")
        size = _upright(first).size
    rate = _read_rate(path)

    @cache
    def count() -> int:
        return len(selection.of(_count(path, selection.end), path))

    return FrameSource(path, rate / selection.stride, size, None, lambda: _frames(path, selection), count)


def _frames(path: Path, selection: Selection) -> Iterator[Image.Image]:
    """The selected frames; decoding stops after the last of them."""
    start, end, stride = selection.start, selection.end, selection.stride
    with _opened(path) as (container, stream):
        for index, frame in enumerate(_decoded(container, stream)):
            if end is not None and index >= end:
                return
            if index >= start and (index - start) % stride == 0:
                yield _upright(frame)


def _count(path: Path, end: int | None) -> int:
    """The number of decoded frames, up to `end`."""
    with _opened(path) as (container, stream):
        number = 0
        for _ in _decoded(container, stream):
            number += 1
            if number == end:
                break
        return number


def _read_rate(path: Path) -> Fraction:
    """The promised rate if the packets' times agree to a frame, else (a varying rate) their mean."""
    with _opened(path) as (container, stream):
        nominal = stream.guessed_rate or stream.average_rate or Fraction(1)
        tick = stream.time_base or Fraction(1)
        packets = [packet for packet in container.demux(stream) if packet.size]
        times = sorted((packet.pts, packet.duration or 0) for packet in packets if packet.pts is not None)
    if not times or len(times) < len(packets):  # some formats give no times, such as MPEG program streams
        return nominal
    length = (times[-1][0] + times[-1][1] - times[0][0]) * tick
    if length <= 0 or abs(len(times) - nominal * length) <= 1:
        return nominal
    return len(times) / length


@contextmanager
def _opened(path: Path) -> Generator[tuple[InputContainer, VideoStream], None, None]:
    """The file and its first picture stream. Raises UnreadableMediaError where it is no video."""
    try:
        import av
        from av.error import FFmpegError
    except ImportError as error:
        raise MissingPackageError(
            f"Reading {path.name} needs the package av, which is not installed: run `pip install av`."
        ) from error
    whitelists = {"protocol_whitelist": "file", "format_whitelist": DEMUXERS}
    try:
        container = av.open(local_url(path), options=whitelists)
    except (FFmpegError, ValueError) as error:
        raise UnreadableMediaError(f"{path} is not a video that can be read: {error}") from error
    with container:
        if not container.streams.video:
            raise UnreadableMediaError(f"{path} is not a video that can be read: it holds no pictures.")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        yield container, stream


def _decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """All frames that can be decoded: damaged ones are passed over, as players do."""
    from av.error import FFmpegError

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                return
            yield from packet.decode()
        except FFmpegError:
            continue


def _upright(frame: VideoFrame) -> Image.Image:
    """A frame as it is shown: turned where the file says so."""
    image = cast("Image.Image", frame.to_image())  # pyright: ignore[reportUnknownMemberType]: half typed
    rotation: int = getattr(frame, "rotation", 0)
    return image.rotate(rotation, expand=True) if rotation else image
