"""Frames between frames: motion-compensated by ffmpeg's minterpolate filter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import islice

from PIL import Image

from .errors import MediaError
from .ffmpeg import raw_frames, streamed_ffmpeg
from .store import FrameStore

METHODS = ("Motion-compensated",)
"""The ways that can be asked for by name."""
# The filter refuses anything smaller, and needs this many frames past the last one it leads to.
_SMALLEST_SIDE = 32
_FRAMES_AHEAD = 2


def check_method(method: str) -> None:
    """Raise MediaError for a way to put frames in between that there is not yet."""
    if method not in ("Off", *METHODS):
        raise MediaError(f"interp is {method!r}, which is not possible yet: use {', '.join(METHODS)}.")


def interpolate(frames: Iterable[Image.Image], factor: int, *, looped: bool = False) -> Iterator[Image.Image]:
    """Each frame is followed by factor - 1 new ones on the way to the next: n frames become n * factor.

    The last frame leads back to the first if `looped`, and else stays. Play the result at factor times the
    rate for the same length, or at the same rate for slow motion. Frames that came in come out unchanged.
    They wait on disk until all are there; where they raise, what came is interpolated before the exception
    goes on. Raises MissingPackageError without ffmpeg.
    """
    if isinstance(factor, bool) or factor < 1:
        raise MediaError(f"The interpolation factor is {factor}, but must be a whole number of 1 or more.")
    return iter(frames) if factor == 1 else _interpolated(frames, factor, looped)


def _interpolated(frames: Iterable[Image.Image], factor: int, looped: bool) -> Iterator[Image.Image]:
    with FrameStore() as store:
        interruption = store.fill(frames)
        num_frames = len(store)
        for ahead in range(_FRAMES_AHEAD if num_frames else 0):
            store.append(store.read(ahead % num_frames if looped else num_frames - 1))
        if num_frames:
            yield from _between(store, num_frames, factor)
    if interruption:
        raise interruption


def _between(store: FrameStore, num_frames: int, factor: int) -> Iterator[Image.Image]:
    width, height = store.size
    chunks = streamed_ffmpeg(_arguments(store.size, factor), width * height * 3, store.stream())
    for data in islice(chunks, num_frames * factor):
        yield Image.frombytes("RGB", (width, height), data)


def _arguments(size: tuple[int, int], factor: int) -> list[str]:
    """One frame a second goes in, so that `factor` a second come out, whatever the clip's rate is.

    The filter knows only YUV. Green, blue and red go in under the names of its three planes, not converted,
    so that nothing is rounded; motion is looked for in green, which is most of the luminance.
    """
    width, height = size
    filters = (
        f"pad={max(width, _SMALLEST_SIDE)}:{max(height, _SMALLEST_SIDE)},format=gbrp,"
        "extractplanes=r+g+b[r][g][b];[g][b][r]mergeplanes=0x001020:yuv444p,"
        f"minterpolate=fps={factor}:mi_mode=mci:mc_mode=aobmc:me_mode=bidir:vsbmc=1,"
        "extractplanes=y+u+v[y][u][v];[y][u][v]mergeplanes=0x001020:gbrp,"
        f"crop={width}:{height}:0:0"
    )
    output = ["-pix_fmt", "rgb24", "-f", "rawvideo", "pipe:1"]
    return [*raw_frames(size, Fraction(1)), "-vf", filters, *output]
