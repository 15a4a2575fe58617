"""Pictures that callers give: as such, as files, or as base64; and how they become as large as the clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import ImageOps

from animatediff_webui.core.fields import Field, Kind
from animatediff_webui.core.received import is_received_file
from animatediff_webui.media.readers import read_picture

from .keywords import as_path

if TYPE_CHECKING:
    import torch
    from PIL import Image


def read_picture_value(field: Field, value: object) -> object:
    """`value`; where `field` takes a picture, and it is a path, the picture in that file.

    Raises UnreadableMediaError.
    """
    if field.kind is not Kind.IMAGE:
        return value
    path = as_path(value)
    if path is None or (isinstance(value, str) and (not value or is_received_file(value))):
        return value
    return read_picture(path)


def fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A picture scaled until it fills `size`, width and height; what is over is cut off evenly."""
    return image if image.size == size else ImageOps.fit(image, size)


def as_rows(image: Image.Image) -> torch.Tensor:
    """A picture as numbers from 0 to 1, `h w c`, without `c` for one in grey."""
    import torch  # here, because a command line that only reads options has no time for it

    # torch publishes no type for arrays.
    rows = torch.from_numpy(np.array(image, dtype=np.float32))  # pyright: ignore[reportUnknownMemberType]
    return rows / 255
