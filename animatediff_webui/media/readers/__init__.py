"""Frames in: videos, animated pictures and folders of frames, read lazily."""

from __future__ import annotations

from pathlib import Path

from .folder import read_folder
from .local import local_path
from .source import FrameSource, Selection
from .still import read_pictures
from .video import read_video

__all__ = ["FrameSource", "Selection", "read_frames"]


def read_frames(path: Path | str, *, start: int = 0, end: int | None = None, stride: int = 1) -> FrameSource:
    """The frames `start` to `end` - 1 of a video, an animated GIF, WEBP, APNG or AVIF, or a folder of frames
    in natural order; every `stride`th of them.

    Only existing local files are opened, whatever the text looks like. What a file is, its contents say, not
    its name. Raises UnreadableMediaError.
    """
    selection = Selection(start, end, stride)
    file = local_path(path)
    if file.is_dir():
        return read_folder(file, selection)
    return read_pictures(file, selection) or read_video(file, selection)
