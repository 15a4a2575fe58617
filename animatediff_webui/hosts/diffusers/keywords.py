"""Values that callers give by name: what is meant by them, and by names that are nearly right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from numbers import Integral, Real


def plain_number(value: object) -> object:
    """A number of another library, such as numpy's, as Python's own; everything else as it is."""
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


def nearest(name: str, names: Iterable[str]) -> str:
    """For a message: the name that may have been meant, or nothing."""
    found = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {found[0]}?)" if found else ""
