"""Temporary names: a file has its name only when it is complete."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

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
        _remove(temporary)
        raise


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
