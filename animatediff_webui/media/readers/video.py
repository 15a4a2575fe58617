"""Videos, by ffmpeg: every frame as it is stored, none repeated, none dropped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path

from PIL import Image

from animatediff_webui.media.errors import FfmpegError, UnreadableMediaError
from animatediff_webui.media.ffmpeg import frame_for_frame, run_ffmpeg, streamed_ffmpeg

from .local import video_input
from .source import FrameSource, Selection

MAX_PIXELS = 64 * 10**6
# How ffmpeg prints the time of a packet that has none, as most in MPEG program streams.
_NO_TIME = -(2**63)
_FIRST_STREAM = ("-map", "0:v:0")


def read_video(path: Path, selection: Selection) -> FrameSource:
    """The frames of the first picture stream; sound and subtitles are passed over."""
    size, rate = _probe(path)
    if size[0] * size[1] > MAX_PIXELS:
        raise UnreadableMediaError(
            f"{path} has {size[0]} x {size[1]} pixels, but at most {MAX_PIXELS // 10**6} million are read: "
            "make it smaller."
        )

    def frames() -> Iterator[Image.Image]:
        return _frames(path, size, selection)

    @cache
    def count() -> int:
        return len(selection.of(_count(path, selection.end), path))

    return FrameSource(path, rate / selection.stride, size, None, frames, count)


def _probe(path: Path) -> tuple[tuple[int, int], Fraction]:
    """Size (as shown: turned where the file says so) and rate.

    imageio-ffmpeg brings no ffprobe, so two outputs answer: a table of all packets with their times, and a
    filter that describes the first frame and the rate that the container promises.
    """
    packets = ["-map", "0:v:0", "-c", "copy", "-f", "framecrc", "pipe:1"]
    first = ["-map", "0:v:0", "-frames:v", "1", "-vf", "showinfo", "-f", "null", "-"]
    try:
        done = run_ffmpeg([*video_input(path), *packets, *first])
    except FfmpegError as error:
        raise UnreadableMediaError(f"{path} is not a video that can be read: {error}") from error
    size = re.search(r"\bpts_time:.* s:(\d+)x(\d+) ", done.log)
    promised = re.search(r"frame_rate: (\d+)/(\d+)", done.log)
    if size is None:
        raise UnreadableMediaError(f"{path} holds no picture that can be decoded: save it again.")
    nominal = Fraction(int(promised[1]), int(promised[2])) if promised and int(promised[2]) else Fraction(0)
    return (int(size[1]), int(size[2])), _rate(done.output.decode("ascii", "replace"), nominal)


def _rate(table: str, nominal: Fraction) -> Fraction:
    """The promised rate if the packets' times agree to a frame, else (a varying rate) their mean."""
    ticks = re.search(r"^#tb 0: (\d+)/(\d+)", table, re.MULTILINE)
    rows = re.findall(r"^0, *-?\d+, *(-?\d+), *(\d+),", table, re.MULTILINE)
    times = sorted((int(shown), int(duration)) for shown, duration in rows)
    if not times or not ticks or times[0][0] == _NO_TIME:
        return nominal or Fraction(1)
    length = (times[-1][0] + times[-1][1] - times[0][0]) * Fraction(int(ticks[1]), int(ticks[2]))
    if length <= 0 or (nominal and abs(len(times) - nominal * length) <= 1):
        return nominal or Fraction(1)
    return len(times) / length


def _frames(path: Path, size: tuple[int, int], selection: Selection) -> Iterator[Image.Image]:
    """The selected frames; decoding stops after the last of them."""
    start, end, stride = selection.start, selection.end, selection.stride
    chosen = f"select='gte(n,{start})*not(mod(n-{start},{stride}))'"
    limit = [] if end is None else ["-frames:v", str(len(range(start, end, stride)))]
    output = ["-pix_fmt", "rgb24", "-f", "rawvideo", "pipe:1"]
    arguments = [*video_input(path), *_FIRST_STREAM, *frame_for_frame(), "-vf", chosen, *limit, *output]
    for data in streamed_ffmpeg(arguments, size[0] * size[1] * 3):
        yield Image.frombytes("RGB", size, data)


def _count(path: Path, end: int | None) -> int:
    """The number of decoded frames, up to `end`: one byte comes out for each."""
    limit = [] if end is None else ["-frames:v", str(end)]
    tiny = ["-vf", "scale=2:2:flags=neighbor,crop=1:1,format=gray", "-f", "rawvideo", "pipe:1"]
    return len(run_ffmpeg([*video_input(path), *_FIRST_STREAM, *frame_for_frame(), *limit, *tiny]).output)
