"""Values that callers give by name: what is meant by them, and by names that are nearly right."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import cast

_ADDRESS = re.compile(r"(?:https?|ftp|file|s3|hf):/+")


def plain_number(value: object) -> object:
    """A number of another library, such as numpy's, as Python's own; everything else as it is."""
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


def nearest(name: str, names: Iterable[str]) -> str:
    """For a message: the name that may have been meant, or nothing."""
    matches = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {matches[0]}?)" if matches else ""


def as_path(value: object) -> Path | None:
    """A text or a path as a path; None for what is neither."""
    if isinstance(value, str):
        return Path(value)
    text: object = os.fspath(cast("os.PathLike[str]", value)) if isinstance(value, os.PathLike) else None
    return Path(text) if isinstance(text, str) else None


def address_start(text: str) -> str:
    """What a text begins with that makes it an address rather than a path; empty for a path."""
    match = _ADDRESS.match(text)
    return match[0] if match else ""


def as_list(value: object) -> Sequence[object] | None:
    """What is in a list, or in what can be gone through like one; None for a text and for what is none."""
    if isinstance(value, (str, bytes, os.PathLike)) or not isinstance(value, Iterable):
        return None
    return tuple(cast("Iterable[object]", value))
