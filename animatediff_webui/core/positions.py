"""Where something stands in a clip, as people write it: a frame, a share of the clip, or a time."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

Moment: TypeAlias = "int | str"
"""Where a part of a clip begins or ends: a frame, counted from 0, or a time such as "1.5s"."""

MAX_FRAME_NUMBER = 10**9
"""Of no clip; numbers of any length would take time to read."""

# Each run of blanks can be matched in one way alone: a text may be as long as its sender likes, and must not
# take time by the square of that.
POSITION = r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,9}(?=\s*[%s]))?)(?:\s*(?P<unit>[%s]))?"
"""A frame (8), a share of the clip (50%: 100% is the last frame), or a time (1.5s)."""


@dataclass(frozen=True)
class Position:
    """A position as written."""

    text: str
    number: Fraction
    unit: str

    def index(self, count: int, per_second: float | Fraction) -> int:
        """The frame of a clip of `count`, counted from 0, that it means; halves round up."""
        number = self.number
        if self.unit == "%":
            number = number * (count - 1) / 100
        elif self.unit == "s":
            number = number * Fraction(per_second)
        return nearest_frame(number)


def read_position(text: str) -> Position | None:
    """The position that a text is, None where it is none."""
    match = re.fullmatch(POSITION, text)
    return match and Position(text, Fraction(match["number"]), match["unit"] or "")


def read_moment(text: str) -> Moment | None:
    """The moment that a text is, None where it is none."""
    position = read_position(text.strip().lower())
    if position is None or position.unit == "%":
        return None
    return "".join(position.text.split()) if position.unit else int(position.number)


def nearest_frame(number: Fraction) -> int:
    """Halves round up."""
    return math.floor(number + Fraction(1, 2))


def named(text: str, index: int, what: str = "frame") -> str:
    """A position for a message, with the index that it means where that is not what was written."""
    return str(index) if text == str(index) else f"{text} ({what} {index})"
