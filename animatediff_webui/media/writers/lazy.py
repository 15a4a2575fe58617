"""Frames as Pillow's WEBP and AVIF encoders take them one at a time: as one file of many frames."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from animatediff_webui.media.store import FrameSelection

from . import apng


@contextmanager
def as_one_image(frames: FrameSelection, folder: Path) -> Generator[Image.Image, None, None]:
    """An open image of all `frames`. The encoders want lists of whole images, but seek through a file's
    frames; so the frames become a temporary APNG in `folder`, without loss.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        apng.write_frames(file, frames, [(1, 1)] * len(frames), compression=1)
        file.seek(0)
        image = Image.open(file, formats=["PNG"])
        with image:
            yield image
