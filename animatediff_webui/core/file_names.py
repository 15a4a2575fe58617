"""Names of files: the order that people expect of them, and what a request may add to them."""

from __future__ import annotations

import re

REQUEST_ID = r"[A-Za-z0-9._-]{0,64}"
"""The pattern of what may become the end of a file's name."""
_DIGITS = re.compile(r"([0-9]+)")


def natural_key(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """For sorting: numbers by value (v2 before v10) and before letters, letters in any case.

    Names that are then equal (1.png, 01.png) go by their spelling.
    """
    parts = [
        (0, int(piece), "") if piece.isdecimal() else (1, 0, piece)
        for piece in _DIGITS.split(name.casefold())
    ]
    return parts, name
