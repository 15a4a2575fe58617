"""Where a request's paths may lead: into folders that the host names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .errors import UnreadableMediaError
from .readers.local import local_path


def allowed_path(path: Path | str, folders: Iterable[Path | str]) -> Path:
    """`path`, absolute and with its links followed, if it is there and lies in one of `folders`.

    Raises UnreadableMediaError, which names the folders and says the same of files that are not there and of
    those that may not be read: so nobody can ask which files a machine has.
    """
    places = [Path(folder).resolve() for folder in folders]
    try:
        found = local_path(path).resolve()
        is_allowed = any(found.is_relative_to(place) for place in places)
    except UnreadableMediaError:
        found, is_allowed = Path(), False
    if not is_allowed:
        listed = ", ".join(map(str, places)) or "none"
        raise UnreadableMediaError(
            f"{str(path)[:200]} is no file or folder in those that may be read ({listed}): put it into one "
            "of them."
        )
    return found
