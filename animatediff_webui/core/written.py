"""What parameters hold that is written in a small language of its own."""

from __future__ import annotations

from decimal import Decimal
from typing import TypeVar

T = TypeVar("T", bound="Written")
NUMBER = r"(?:[0-9]{1,9}(?:\.[0-9]*)?|\.[0-9]+)"
"""As people write one, which is never below 0."""


class Written:
    """A value with a text for people, `str()`, and a JSON form, of which both read back as the same."""

    @property
    def json(self) -> object:
        """As JSON has it."""
        return str(self)

    def public(self: T) -> T:
        """It without what never goes into an infotext: pictures and paths."""
        return self


def written(number: float) -> str:
    """A number as people write it, which reads back as the same."""
    short = f"{number:g}"
    return short if "e" not in short and float(short) == number else format(Decimal(repr(number)), "f")
