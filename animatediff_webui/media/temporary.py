"""Temporary names: a file has its name only when it is complete."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from .errors import MediaError


@contextmanager
def completed(path: Path) -> Generator[Path, None, None]:
    """A free name beside `path`, for a file or a folder; it becomes `path` at the end, or is removed.

    A file of that name is replaced, a folder is not.
    """
    if path.is_dir():
        raise MediaError(f"{path} is a folder that exists already: choose another name, or remove it.")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:  # an interrupted write leaves nothing behind either
        remove(temporary)
        raise


def writable_folder(folder: Path) -> Path:
    """`folder`, made if need be. Raises MediaError where no file can be made in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    # ValueError: a name with a NUL character, or one that the file system's encoding cannot say.
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise MediaError(
            f"Nothing can be written to {_shown(folder)} ({reason}): choose another output folder."
        ) from error


def written_picture(picture: Image.Image, path: Path) -> Path:
    """`path`, where the picture now is, as PNG. Raises MediaError where it cannot be written."""
    try:
        with completed(path) as temporary:
            picture.save(temporary, "PNG")
    except OSError as error:
        raise MediaError(
            f"{_shown(path)} cannot be written ({error.strerror or error}): make room there, or choose "
            "another output folder."
        ) from error
    return path


def remove(path: Path) -> None:
    """Remove a file, or a folder with what is in it, if it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _shown(path: Path) -> str:
    """A path for a message: cut, and without bytes that are no text."""
    text = str(path).encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= 200 else f"{text[:100]}...{text[-97:]}"
