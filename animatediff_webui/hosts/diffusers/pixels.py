"""Pictures as large as a clip, and as numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import ImageOps

if TYPE_CHECKING:
    import torch
    from PIL import Image


def fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A picture scaled until it fills `size`, width and height; what is over is cut off evenly."""
    return image if image.size == size else ImageOps.fit(image, size)


def as_rows(image: Image.Image) -> torch.Tensor:
    """A picture as numbers from 0 to 1, `h w c`, without `c` for one in grey."""
    import torch  # here, because a command line that only reads options has no time for it

    # torch publishes no type for arrays.
    rows = torch.from_numpy(np.array(image, dtype=np.float32))  # pyright: ignore[reportUnknownMemberType]
    return rows / 255
