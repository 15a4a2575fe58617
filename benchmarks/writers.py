"""GIF and MP4, beside what imageio writes by default: time, size, and how true the frames are."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
from PIL import Image

from animatediff_webui.media.animation import write_animation
from benchmarks.measuring import alternate
from benchmarks.options import Options
from benchmarks.pictures import draw_frames, mean_ssim, read_back
from benchmarks.results import Result

FPS = 8
FORMATS = ("GIF", "MP4")
# Any: imageio's types allow neither its own writers' arguments nor arrays.
PACE: dict[str, Any] = {"GIF": {"duration": 1000 / FPS}, "MP4": {"fps": FPS}}
"""All that imageio is told: a GIF's milliseconds a frame, a video's frames a second."""


def run(options: Options) -> Iterator[Result]:
    """One result a format."""
    frames = draw_frames(2 if options.toy else 16, 32 if options.toy else 512)
    for name in FORMATS:
        with tempfile.TemporaryDirectory() as folder:
            yield _compare(frames, name, Path(folder), options.rounds)


def _compare(frames: Sequence[Image.Image], name: str, folder: Path, rounds: int) -> Result:
    ours, theirs = folder / f"ours.{name.lower()}", folder / f"theirs.{name.lower()}"
    arrays: list[Any] = [np.asarray(frame) for frame in frames]
    timings = alternate(
        {
            "ours": lambda: write_animation(frames, ours.with_suffix(""), [name], fps=Fraction(FPS)),
            "imageio": lambda: imageio.mimsave(theirs, arrays, **PACE[name]),
        },
        rounds,
    )
    figures = {
        "s": timings["imageio"].seconds,
        "ours, s": timings["ours"].seconds,
        "size ratio": ours.stat().st_size / theirs.stat().st_size,
        "SSIM": mean_ssim(frames, read_back(theirs)),
        "ours, SSIM": mean_ssim(frames, read_back(ours)),
    }
    case = f"{name}, {len(frames)} frames of {frames[0].width}x{frames[0].height}"
    ratio = timings["ours"].seconds / timings["imageio"].seconds
    return Result("writers", case, "imageio", ratio, figures)
