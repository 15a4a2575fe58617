"""Motion-compensated frames in between, by ffmpeg's minterpolate filter."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from PIL import Image

from animatediff_webui.media.ffmpeg import ffmpeg_executable, raw_frames, streamed_ffmpeg
from animatediff_webui.media.store import FrameStore

from .models import InterpolationModels

FRAMES_AHEAD = 2
"""That the filter needs past the last one it leads to."""
_SMALLEST_SIDE = 32  # the filter refuses anything smaller


def check_ffmpeg(models: InterpolationModels) -> None:
    """Raise MissingPackageError without ffmpeg, which is all that is needed."""
    ffmpeg_executable()


def compensated_frames(store: FrameStore, factor: int, models: InterpolationModels) -> Iterator[Image.Image]:
    """The frames of `store` with factor - 1 behind each, up to the last but one at least."""
    width, height = store.size
    for data in streamed_ffmpeg(_arguments(store.size, factor), width * height * 3, store.stream()):
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
