"""Masks: a picture for all frames of a clip, or a folder or video with one for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from .errors import UnreadableMediaError
from .readers import read_frames
from .readers.folder import read_picture
from .readers.local import ANIMATED, is_picture, local_path

LARGEST_SIDE = 512
"""Masks are kept no larger: the layers they act on are an eighth of the picture, and less."""


def read_mask(
    source: str | Image.Image, num_frames: int, find: Callable[[str], Path] = local_path
) -> npt.NDArray[np.float32]:
    """Grey levels `f h w` from 0 to 1 of a mask's source; f is 1 where one is for all `num_frames`.

    Of a longer source, the first ones count. `find` gives the file or folder of a path, and may refuse it.
    Raises UnreadableMediaError, also where there are fewer than frames.
    """
    pictures = [each.convert("L") for each in islice(_pictures(source, find), num_frames)]
    if 1 < len(pictures) < num_frames:
        raise UnreadableMediaError(
            f"{source} holds {len(pictures)} masks, but the clip has {num_frames} frames: give one for each, "
            "or one for all."
        )
    size = _bounded(pictures[0].size)
    grey = [np.asarray(picture.resize(size, Image.Resampling.BOX), dtype=np.float32) for picture in pictures]
    return np.divide(np.stack(grey), 255, dtype=np.float32)


def _pictures(source: str | Image.Image, find: Callable[[str], Path]) -> Iterator[Image.Image]:
    """A still picture, or what `read_frames` reads, which are not all of the kinds that pictures are of."""
    if isinstance(source, Image.Image):
        return iter([source])
    file = find(source)
    is_still = is_picture(file) and file.suffix.lower() not in ANIMATED
    return iter([read_picture(file)] if is_still else read_frames(file))


def _bounded(size: tuple[int, int]) -> tuple[int, int]:
    share = min(1.0, LARGEST_SIDE / max(size))
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))
