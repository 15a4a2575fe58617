"""The names of the outputs: AnimateDiff/{yyyy-mm-dd}/{sequence}-{seed}[-{request id}]."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from filelock import FileLock, Timeout

from animatediff_webui.core.file_names import REQUEST_ID

from .errors import MediaError
from .temporary import remove, writable_folder

_NUMBERED = re.compile(r"(\d{5,})-")
_CLAIM = re.compile(r"\.(\d{5,})\.claim")
_UNFINISHED = re.compile(r"\.(\d{5,})-.*\.part")
_SECONDS_TO_LOCK = 60
"""A claim this young may not have been locked yet by the run that has just made it."""


@contextmanager
def reserved_stem(
    folder: Path, seed: int, request_id: str = "", *, day: date | None = None
) -> Generator[Path, None, None]:
    """The path of an output without its suffix, below `folder`; its sequence number is this block's alone.

    The number stays taken as long as a file of that number exists, and, without one, until the block ends.
    What runs that died have left there is removed. Raises MediaError for a request id that could not be part
    of a file name, and where nothing can be written.
    """
    _check_request_id(request_id)
    subfolder = _output_folder(folder, day)
    _sweep(subfolder)
    sequence, claim = _claim(subfolder)
    try:
        with _held(claim):
            yield subfolder / "-".join((f"{sequence:05}", str(int(seed)), *filter(None, (request_id,))))
    finally:
        claim.unlink(missing_ok=True)


def check_output(folder: Path, request_id: str = "") -> None:
    """MediaError where `reserved_stem` would raise one: to be asked before sampling."""
    _check_request_id(request_id)
    _output_folder(folder)


def _output_folder(folder: Path, day: date | None = None) -> Path:
    """Where outputs below `folder` go, made if need be. Raises MediaError where nothing can be written."""
    return writable_folder(folder / "AnimateDiff" / f"{day or date.today():%Y-%m-%d}")


def _check_request_id(request_id: str) -> None:
    """MediaError unless it may be part of a file name."""
    if not re.fullmatch(REQUEST_ID, request_id):
        raise MediaError(
            f"request_id is {request_id!r}, but may only be up to 64 of A-Z a-z 0-9 . _ - : choose another."
        )


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


@contextmanager
def _held(claim: Path) -> Generator[None, None, None]:
    """Inside, the claim is locked, as long as this process lives: others see that it is no leftover."""
    try:
        with FileLock(claim):
            yield
    except NotImplementedError:  # a file system without locks: then nobody can tell, and nobody sweeps
        yield


def _sweep(place: Path) -> None:
    """Remove claims of runs that died, and what these had not finished writing."""
    now = time.time()
    for name in os.listdir(place):
        match = _CLAIM.fullmatch(name)
        if match and _is_abandoned(place / name, now):
            (place / name).unlink(missing_ok=True)
    claimed = {match[1] for name in os.listdir(place) if (match := _CLAIM.fullmatch(name))}
    for name in os.listdir(place):
        match = _UNFINISHED.fullmatch(name)
        if match and match[1] not in claimed:
            remove(place / name)


def _is_abandoned(claim: Path, now: float) -> bool:
    """Whether a claim is older than it takes to lock it, and nobody holds it."""
    try:
        if now - claim.stat().st_mtime < _SECONDS_TO_LOCK:
            return False
        with FileLock(claim, timeout=0):
            return True
    except (Timeout, OSError, NotImplementedError):
        return False
