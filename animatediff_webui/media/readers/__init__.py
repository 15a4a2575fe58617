"""Frames in: videos, animated pictures and folders of frames, read lazily."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from PIL import Image

from animatediff_webui.core.positions import Moment

from .folder import read_folder, read_still
from .local import local_path
from .source import FrameSource, Selection, choose_frames
from .still import read_pictures
from .video import read_video

__all__ = ["FrameSource", "read_frames", "read_picture"]


def read_frames(
    path: Path | str,
    *,
    start: Moment = 0,
    end: Moment | None = None,
    stride: int = 1,
    fps: Fraction | None = None,
) -> FrameSource:
    """The frames from `start` up to `end`, without that one, of a video, an animated GIF, WEBP, APNG or AVIF,
    or a folder of frames in natural order; every `stride`th of them. `start` and `end` are frames or times
    such as "1.5s", which in a folder are counted by `fps`.

    What lasts differently from frame to frame is read at a constant rate: see `timeline`. Only existing
    local files are opened, whatever the text looks like. What a file is, its contents say, not its name.
    Raises UserError.
    """
    selection = Selection(start, end, stride, fps)
    file = local_path(path)
    if file.is_dir():
        return choose_frames(read_folder(file), selection)
    return choose_frames(read_pictures(file) or read_still(file) or read_video(file), selection)


def read_picture(path: Path | str) -> Image.Image:
    """The picture in a file, of a clip the first one, in RGB. Raises UnreadableMediaError."""
    return next(read_frames(path).read([0]))
