"""Reading all frames of a video, beside PyAV alone."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from animatediff_webui.media.animation import write_animation
from animatediff_webui.media.readers import read_frames
from benchmarks.measuring import alternate
from benchmarks.options import Options
from benchmarks.pictures import draw_frames, read_back
from benchmarks.results import Result


def run(options: Options) -> Iterator[Result]:
    """One result; the pictures are compared, too."""
    frames = draw_frames(4 if options.toy else 64, 32 if options.toy else 512)
    with tempfile.TemporaryDirectory() as folder:
        (video,) = write_animation(frames, Path(folder) / "source", ["MP4"], fps=Fraction(8))
        path = video.path
        ours, theirs = list(read_frames(path)), read_back(path)
        pairs = zip(ours, theirs, strict=True)
        error = max(np.abs(np.asarray(one, int) - np.asarray(other, int)).max() for one, other in pairs)
        timings = alternate(
            {"ours": lambda: list(read_frames(path)), "PyAV": lambda: _decode(path)}, options.rounds
        )
    figures = {"s": timings["PyAV"].seconds, "ours, s": timings["ours"].seconds}
    case = f"{len(frames)} frames of {frames[0].width}x{frames[0].height}"
    ratio = timings["ours"].seconds / timings["PyAV"].seconds
    yield Result("reading", case, "PyAV", ratio, figures, float(error) / 255)


def _decode(path: Path) -> None:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            frame.to_image()
