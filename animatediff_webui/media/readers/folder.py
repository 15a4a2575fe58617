"""A folder of frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageOps

from animatediff_webui.media.errors import UnreadableMediaError
from animatediff_webui.media.pillow_avif import avif_available

from .local import check_pixels, natural_order, unreadable
from .source import FrameSource, Selection


def read_folder(folder: Path, selection: Selection) -> FrameSource:
    """Its pictures in natural order, upright; hidden and other files are passed over."""
    files = natural_order(folder)
    if not files:
        raise UnreadableMediaError(f"{folder} holds no pictures: give a folder of PNG, JPEG or WEBP frames.")
    chosen = [files[index] for index in selection.of(len(files), folder)]

    def frames() -> Iterator[Image.Image]:
        return (_read_picture(file) for file in chosen)

    return FrameSource(folder, None, _read_picture(chosen[0]).size, None, frames, lambda: len(chosen))


def _read_picture(file: Path) -> Image.Image:
    avif_available()
    with unreadable(file):
        image = Image.open(file)
        with image:
            check_pixels(file, image.size)
            return ImageOps.exif_transpose(image).convert("RGB")
