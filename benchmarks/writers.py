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
from animatediff_webui.media.options import WriterOptions
from benchmarks.measuring import alternate
from benchmarks.options import Options
from benchmarks.pictures import draw_frames, mean_ssim, read_back
from benchmarks.results import Result

FPS = 8
CASES = {
    "GIF": ("GIF", WriterOptions()),
    "GIF without dithering, as imageio's is": ("GIF", WriterOptions(gif_dither="none")),
    "MP4": ("MP4", WriterOptions()),
    "MP4 with CRF 22, which is as large as imageio's": ("MP4", WriterOptions(mp4_crf=22)),
}
# Any: imageio's types allow neither its own writers' arguments nor arrays.
PACE: dict[str, Any] = {"GIF": {"duration": 1000 / FPS}, "MP4": {"fps": FPS}}
"""All that imageio is told: a GIF's milliseconds a frame, a video's frames a second."""


def run(options: Options) -> Iterator[Result]:
    """One result a format and quality."""
    frames = draw_frames(2 if options.toy else 16, 32 if options.toy else 512)
    for case, (name, quality) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            figures = _compare(frames, name, quality, Path(folder), options.rounds)
        case = f"{case}, {len(frames)} frames of {frames[0].width}x{frames[0].height}"
        yield Result("writers", case, "imageio", figures["ours, CPU s"] / figures["CPU s"], figures)


def _compare(
    frames: Sequence[Image.Image], name: str, quality: WriterOptions, folder: Path, rounds: int
) -> dict[str, float]:
    stem = folder / "ours"
    ours, theirs = folder / f"ours.{name.lower()}", folder / f"theirs.{name.lower()}"
    arrays: list[Any] = [np.asarray(frame) for frame in frames]
    timings = alternate(
        {
            "ours": lambda: write_animation(frames, stem, [name], fps=Fraction(FPS), options=quality),
            "imageio": lambda: imageio.mimsave(theirs, arrays, **PACE[name]),
        },
        rounds,
    )
    return {
        "CPU s": timings["imageio"].cpu_seconds,
        "ours, CPU s": timings["ours"].cpu_seconds,
        "size ratio": ours.stat().st_size / theirs.stat().st_size,
        "SSIM": mean_ssim(frames, read_back(theirs)),
        "ours, SSIM": mean_ssim(frames, read_back(ours)),
    }
