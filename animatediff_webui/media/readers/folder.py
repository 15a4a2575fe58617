"""Pictures that do not move: a folder of frames, and one alone."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from animatediff_webui.media.errors import UnreadableMediaError
from animatediff_webui.media.pillow_avif import avif_available

from .local import check_pixels, natural_order, unreadable
from .source import StoredFrames

_STILL_FORMATS = ("JPEG", "BMP", "TIFF")
_ORIENTATION = 0x112
_ON_THEIR_SIDE = range(5, 9)
"""EXIF's orientations whose width is the height."""


def read_folder(folder: Path) -> StoredFrames:
    """Its pictures in natural order, upright; hidden and other files are passed over.

    Raises UnreadableMediaError where there are none.
    """
    files = natural_order(folder)
    if not files:
        raise UnreadableMediaError(f"{folder} holds no pictures: give a folder of PNG, JPEG or WEBP frames.")
    size = _sizes_agree(files)

    def read(places: Iterable[int]) -> Iterator[Image.Image]:
        return (_read_picture(files[place]) for place in places)

    return StoredFrames(folder, size, len(files), None, read)


def read_still(file: Path) -> StoredFrames | None:
    """The picture in a file of a format that has no animations, or None where it is something else."""
    with unreadable(file):
        try:
            Image.open(file, formats=_STILL_FORMATS).close()
        except UnidentifiedImageError:
            return None

    def read(places: Iterable[int]) -> Iterator[Image.Image]:
        return (_read_picture(file) for _ in places)

    return StoredFrames(file, _upright_size(file), 1, None, read, is_still=True)


def _sizes_agree(files: Sequence[Path]) -> tuple[int, int]:
    """The size of all pictures; raises UnreadableMediaError where one differs. None is decoded."""
    first = _upright_size(files[0])
    for file in files[1:]:
        size = _upright_size(file)
        if size != first:
            raise UnreadableMediaError(
                f"{file} has {size[0]} x {size[1]} pixels, but {files[0].name} has {first[0]} x {first[1]}: "
                "make all frames of the folder one size."
            )
    return first


def _upright_size(file: Path) -> tuple[int, int]:
    with _opened(file) as image:
        width, height = image.size
        return (height, width) if image.getexif().get(_ORIENTATION, 1) in _ON_THEIR_SIDE else (width, height)


def _read_picture(file: Path) -> Image.Image:
    with _opened(file) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


@contextmanager
def _opened(file: Path) -> Generator[Image.Image, None, None]:
    avif_available()
    with unreadable(file):
        image = Image.open(file)
        with image:
            check_pixels(file, image.size)
            yield image
