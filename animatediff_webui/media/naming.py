"""The names of the outputs: AnimateDiff/{yyyy-mm-dd}/{sequence}-{seed}[-{request id}]."""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from .errors import MediaError

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{0,64}")
_NUMBERED = re.compile(r"(\d{5,})-")


@contextmanager
def reserved_stem(
    folder: Path, seed: int, request_id: str = "", *, day: date | None = None
) -> Generator[Path, None, None]:
    """The path of an output without its suffix, below `folder`; its sequence number is this block's alone.

    The number stays taken as long as a file of that number exists, and, without one, until the block ends.
    Raises MediaError for a request id that could not be part of a file name.
    """
    if not _REQUEST_ID.fullmatch(request_id):
        raise MediaError(
            f"request_id is {request_id!r}, but may only be up to 64 of A-Z a-z 0-9 . _ - : choose another."
        )
    place = folder / "AnimateDiff" / f"{day or date.today():%Y-%m-%d}"
    place.mkdir(parents=True, exist_ok=True)
    sequence, claim = _claim(place)
    try:
        yield place / "-".join((f"{sequence:05}", str(int(seed)), *filter(None, (request_id,))))
    finally:
        claim.unlink(missing_ok=True)


def _claim(place: Path) -> tuple[int, Path]:
    """The next free number and the file that says it is taken.

    Looked for again once claimed: another process may have written its files, and given its claim back,
    between our look and our claim.
    """
    sequence = max(_taken(place), default=0)
    while True:
        sequence += 1
        claim = place / f".{sequence:05}.claim"
        try:
            claim.touch(exist_ok=False)
        except FileExistsError:
            continue
        if sequence not in _taken(place):
            return sequence, claim
        claim.unlink()


def _taken(place: Path) -> set[int]:
    return {int(match[1]) for name in os.listdir(place) if (match := _NUMBERED.match(name))}
