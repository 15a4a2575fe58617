"""Videos, by PyAV: an index of their frames by reading packets, and any frame by its time."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

from PIL import Image

from animatediff_webui.media.errors import MissingPackageError, UnreadableMediaError
from animatediff_webui.media.ffmpeg import DEMUXERS, local_url

from .local import check_pixels
from .source import StoredFrames
from .timeline import build_timeline

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

    VideoPacket: TypeAlias = Packet[VideoStream]

_MICROSECOND = Fraction(1, 10**6)
_HIDES_FRAMES = frozenset({"vp8"})
"""Codecs with packets that show nothing: their frames are known by decoding only."""
_EARLY = Fraction(1, 2)
"""A file is cut where its pictures end this many seconds before they should."""


@dataclass(frozen=True)
class _Index:
    """Where a video's frames are, in units of `tick` seconds.

    `starts` are the frames' times, ascending, `keyframes` those that decoding can begin at (none where only
    decoding from the beginning gives the frames in order: then times count frames). `promised` is how many
    frames the file says it has, None where it does not.
    """

    starts: Sequence[int]
    end: int
    tick: Fraction
    rates: tuple[Fraction, ...]
    keyframes: Sequence[int]
    promised: int | None


def read_video(path: Path) -> StoredFrames:
    """The frames of the first picture stream; subtitles are passed over, and sound but for where it begins.

    Damaged frames are passed over, as players do: the one before stays. Raises UnreadableMediaError.
    """
    with _opened(path) as (container, stream):
        check_pixels(path, (stream.width, stream.height))
        first = next(_decoded(container, stream), None)
        if first is None:
            raise UnreadableMediaError(f"{path} holds no picture that can be decoded: save it again.")
        size = _upright(first).size
        has_sound, begin = bool(container.streams.audio), container.start_time or 0
    index = _read_index(path)
    offset = index.starts[0] * index.tick - begin * _MICROSECOND if index.keyframes else Fraction(0)
    there = len(index.starts)
    return StoredFrames(
        path,
        size,
        there,
        build_timeline(index.starts, index.end, index.tick, index.rates),
        lambda places: _read(path, index, places),
        sound_offset=max(Fraction(0), offset) if has_sound else None,
        ends_early_at=there if index.promised is not None and index.promised > there else None,
    )


def _read(path: Path, index: _Index, places: Iterable[int]) -> Iterator[Image.Image]:
    with ExitStack() as stack:
        player = _Player(path, index, stack)
        for place in places:
            yield _upright(player.shown_at(place))


class _Player:
    """A video that is decoded no further than to the frame that was asked for."""

    def __init__(self, path: Path, index: _Index, stack: ExitStack) -> None:
        """The file is open until `stack` is closed."""
        self._path, self._index, self._stack = path, index, stack
        self._begin()

    def shown_at(self, place: int) -> VideoFrame:
        """The frame that is shown when the one of this place is due."""
        time = self._index.starts[place]
        if self._must_seek(time):
            self._go_to(time)
        while self._next is not None and self._next_time <= time:
            self._advance()
        return self._frame

    def _must_seek(self, time: int) -> bool:
        """Whether `time` has gone by, or there is a later place to decode from."""
        if time < self._time:
            return True
        keyframes = self._index.keyframes
        return bisect_right(keyframes, time) > bisect_right(keyframes, max(self._time, self._next_time))

    def _go_to(self, time: int) -> None:
        """Go on from the last place before `time` that decoding can begin at."""
        if self._index.keyframes:
            self._container.seek(time, stream=self._stream)
            self._take_frames()
        if not self._index.keyframes or self._time > time:  # or the file's own index is wrong
            self._begin()

    def _begin(self) -> None:
        self._stack.close()
        self._container, self._stream = self._stack.enter_context(_opened(self._path))
        self._take_frames()

    def _take_frames(self) -> None:
        self._frames = enumerate(_decoded(self._container, self._stream))
        self._next_time, self._next = self._following()
        if self._next is None:
            raise UnreadableMediaError(
                f"{self._path} can no longer be decoded: do not change it while it is read."
            )
        self._advance()

    def _advance(self) -> None:
        assert self._next is not None  # asked for only where there is one
        self._time, self._frame = self._next_time, self._next
        self._next_time, self._next = self._following()

    def _following(self) -> tuple[int, VideoFrame | None]:
        """The next frame and its time; at the end, the last time."""
        number, frame = next(self._frames, (0, None))
        if frame is None:
            return self._index.starts[-1], None
        return (frame.pts or 0) if self._index.keyframes else number, frame


def _read_index(path: Path) -> _Index:
    with _opened(path) as (container, stream):
        tick = stream.time_base or Fraction(1)
        rates = tuple(rate for rate in (stream.guessed_rate, stream.average_rate) if rate)
        hides_frames = stream.codec_context.name in _HIDES_FRAMES
        packets = _Packets(container.demux(stream))
        starts = array("q", sorted(packets.shown))
        promised = _promised_frames(container, stream, starts, packets)
    if packets.are_timed and not hides_frames and not _repeats(starts):
        last = starts[-1] - starts[-2] if len(starts) > 1 else 0
        end = max(packets.end, starts[-1] + (last if packets.end <= starts[-1] else 0))
        return _Index(starts, end, tick, rates, packets.keyframes, promised)
    return _index_by_decoding(path, tick, rates, packets.keyframes)


class _Packets:
    """What a stream's packets say: times of shown frames and of keyframes, and when the last one is over."""

    def __init__(self, packets: Iterator[VideoPacket]) -> None:
        self.shown, self.keyframes = array("q"), array("q")
        self.end, self.number, self.are_timed = 0, 0, True
        for packet in _whole(packets):
            self.number += 1
            if packet.pts is None:
                self.are_timed = False
                continue
            if packet.is_keyframe:
                self.keyframes.append(packet.pts)
            if not packet.is_discard:
                self.shown.append(packet.pts)
                self.end = max(self.end, packet.pts + (packet.duration or 0))
        self.are_timed = self.are_timed and bool(self.shown) and bool(self.keyframes)
        self.keyframes = array("q", sorted(self.keyframes))


def _whole(packets: Iterator[VideoPacket]) -> Iterator[VideoPacket]:
    """Those with something in them, up to where the file is damaged or ends."""
    from av.error import FFmpegError

    while True:
        try:
            packet = next(packets, None)
        except FFmpegError:
            return
        if packet is None:
            return
        if packet.size and not packet.is_corrupt:
            yield packet


def _promised_frames(
    container: InputContainer, stream: VideoStream, starts: Sequence[int], packets: _Packets
) -> int | None:
    """How many frames a file says it has, where it says more than there are."""
    if stream.frames > packets.number:
        return stream.frames
    rate = stream.average_rate or stream.guessed_rate
    if not starts or not rate or container.duration is None or container.streams.audio:
        return None
    begin = (container.start_time or 0) * _MICROSECOND
    missing = begin + container.duration * _MICROSECOND - packets.end * (stream.time_base or 1)
    return len(starts) + int(missing * rate) if missing > _EARLY else None


def _index_by_decoding(
    path: Path, tick: Fraction, rates: tuple[Fraction, ...], keyframes: Sequence[int]
) -> _Index:
    """The same for files whose packets do not tell: frames' own times, or without these their numbers."""
    with _opened(path) as (container, stream):
        times = [(frame.pts, frame.duration) for frame in _decoded(container, stream)]
    starts = [start for start, _ in times if start is not None]
    if len(starts) == len(times) and keyframes and not _repeats(starts) and starts == sorted(starts):
        return _Index(starts, starts[-1] + (times[-1][1] or 0), tick, rates, keyframes, None)
    rate = rates[0] if rates else Fraction(1)
    return _Index(range(len(times)), len(times), 1 / rate, (rate,), (), None)


def _repeats(starts: Sequence[int]) -> bool:
    return any(left >= right for left, right in pairwise(starts))


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
        # The whole text repeats the path, with a number that says nothing.
        reason = (getattr(error, "strerror", None) or str(error)).rstrip(".")
        raise UnreadableMediaError(
            f"{path} is not a video that can be read ({reason}): choose another file."
        ) from error
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
