"""Files and folders that users name: whether they are there, and what is in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from animatediff_webui.core.errors import UserError, shown
from animatediff_webui.media.errors import MediaError

from .keywords import address_start, as_path


def existing(path: Path, what: str) -> Path:
    """`path`, a file or folder. UserError, which calls it `what`, where it is not there or out of reach."""
    try:
        path.stat()
        is_known = path.is_file() or path.is_dir()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UserError(
            f"The {what} {shown_path(path)} cannot be opened ({reason}): check the path."
        ) from error
    check_encodable(path, what)
    if not is_known:  # a pipe would be waited for without end
        raise UserError(f"The {what} {shown_path(path)} is neither a file nor a folder: check the path.")
    return path


def check_encodable(path: Path, what: str) -> None:
    """UserError for a path of letters that the system's locale has not, which libraries cannot open."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError(
            f"The {what} {shown_path(path)} has letters that this system's language settings do not know: "
            "set PYTHONUTF8=1, or use a path of plain letters."
        ) from error


def read_output(folder: object, what: str) -> Path:
    """A folder to write to, which errors call `what`. Raises MediaError for what is none."""
    place = as_path(folder)
    if place is None:
        raise MediaError(f"{what} is {shown(folder)}, but must be a path.")
    if not str(folder).strip():
        raise MediaError(f"{what} is empty, but must be a path: name a folder, or leave it out.")
    if address := address_start(str(folder)):
        raise MediaError(f"{what} begins with {address!r}, but must be a folder on this computer.")
    return place


def read_json(path: Path) -> Mapping[str, object]:
    """An object from a file of diffusers' layout. UserError where it is missing or something else."""
    try:
        content: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"{shown_path(path)} is missing or damaged ({one_line(error)}): get the complete folder."
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"{shown_path(path)} holds no settings: get the complete folder.")
    return cast("Mapping[str, object]", content)


def shown_path(path: Path) -> str:
    """A path for a message: cut, and without bytes that are no text."""
    text = str(path).encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= 200 else f"{text[:100]}...{text[-97:]}"


def one_line(error: BaseException) -> str:
    """What a library says of an error, as part of a sentence."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."
