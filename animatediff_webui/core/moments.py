"""A place in a clip: the number of a frame, or a time such as "1.5s"."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import TypeAlias

from .errors import ParameterError

Moment: TypeAlias = "int | str"
"""A frame, counted from 0, or seconds as a text that ends in s."""

MAX_FRAME_NUMBER = 10**15
"""Of no clip; numbers of any length would take time to read."""
_SECONDS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?|\.\d{1,9})\s*s")
_FRAME = re.compile(r"\d{1,15}")


def parse_moment(text: str) -> Moment | None:
    """The moment that `text` names, or None where it names none."""
    stripped = text.strip().lower()
    if _FRAME.fullmatch(stripped):
        return int(stripped)
    seconds = _SECONDS.fullmatch(stripped)
    return f"{seconds[1]}s" if seconds else None


def frame_at(moment: Moment, fps: Fraction | None, name: str) -> int:
    """The first frame that begins at `moment` or later, in a clip of `fps` (None: it has no rate).

    Raises ParameterError, naming the parameter `name`, for a time in a clip without a rate.
    """
    if isinstance(moment, int):
        return moment
    if fps is None:
        raise ParameterError(
            f"{name} is {moment}, but a folder has no rate to count seconds by: give a frame, or set fps."
        )
    return math.ceil(Fraction(moment.removesuffix("s")) * fps)
