"""Paths that may be opened: existing local files and folders, and nothing that only looks like one."""

from __future__ import annotations

import re
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from animatediff_webui.core.file_names import natural_key
from animatediff_webui.core.image import DAMAGES, MAX_PIXELS
from animatediff_webui.media.errors import MediaError, UnreadableMediaError

ANIMATED = (".gif", ".webp", ".png", ".avif")
"""Endings of pictures that may move."""
_PICTURES = (*ANIMATED, ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


def local_path(path: Path | str) -> Path:
    """`path`, absolute, if it is an existing file or folder of this machine; else UnreadableMediaError."""
    text = str(path)
    if "\0" in text or re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", text) or text.startswith(("\\\\", "//")):
        raise UnreadableMediaError(f"{text!r} is an address, not a local file: give a path on this machine.")
    if ".." in re.split(r"[/\\]", text):
        raise UnreadableMediaError(f"{text} holds '..': give the path without it.")
    file = Path(text).absolute()
    try:
        is_there = file.is_file() or file.is_dir()
    except OSError as error:  # names that are too long, folders that may not be looked into
        raise UnreadableMediaError(
            f"{text[:80]} cannot be opened ({error.strerror}): check the path."
        ) from error
    if not is_there:
        raise UnreadableMediaError(f"{text} is not an existing file or folder: check the path.")
    return file


def check_pixels(path: Path, size: tuple[int, int]) -> None:
    """UnreadableMediaError for pictures that would fill the memory."""
    if size[0] * size[1] > MAX_PIXELS:
        raise UnreadableMediaError(
            f"{path} has {size[0]} x {size[1]} pixels, but at most {MAX_PIXELS // 10**6} million are read: "
            "make it smaller."
        )


@contextmanager
def unreadable(path: Path) -> Generator[None, None, None]:
    """What Pillow raises for damaged pictures, as one UnreadableMediaError."""
    try:
        with warnings.catch_warnings():  # sizes are checked by us, for all kinds of files alike
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            yield
    except MediaError:
        raise
    except DAMAGES as error:
        raise UnreadableMediaError(f"{path} is a damaged picture ({error}): save it again.") from error


def natural_order(folder: Path) -> list[Path]:
    """The pictures of a folder, numbers compared as numbers: 2.png comes before 10.png."""
    pictures = filter(is_picture, folder.iterdir())
    return sorted(pictures, key=lambda file: natural_key(file.name))


def is_picture(file: Path) -> bool:
    """Whether its name is a picture's, and it is no hidden one."""
    return file.suffix.lower() in _PICTURES and not file.name.startswith(".") and file.is_file()
