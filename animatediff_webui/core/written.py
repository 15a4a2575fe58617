"""What parameters hold that is written in a small language of its own."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T", bound="Written")


class Written:
    """A value with a text for people, `str()`, and a JSON form, of which both read back as the same."""

    @property
    def json(self) -> object:
        """As JSON has it."""
        return str(self)

    def public(self: T) -> T:
        """It without what never goes into an infotext: pictures and paths."""
        return self
