"""Which of several ways is the quickest on this machine: each is timed some times, then one is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

Way = TypeVar("Way", int, str)

TIMINGS = 3
"""Of each way. The quickest counts, because others use the machine, too."""


class Trial(Generic[Way]):
    """What the ways of doing one thing took, in seconds of whatever unit of work the caller has."""

    def __init__(self, ways: Sequence[Way]) -> None:
        self.seconds: dict[Way, list[float]] = {way: [] for way in ways}

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to find out."""
        return len(self.seconds) == 1 or all(len(each) >= TIMINGS for each in self.seconds.values())

    def choose(self) -> Way:
        """The way to take next: the least timed one, or the quickest once all were timed."""
        least = min(self.seconds, key=lambda way: len(self.seconds[way]))
        if len(self.seconds[least]) < TIMINGS:
            return least
        return min(self.seconds, key=lambda way: min(self.seconds[way]))

    def note(self, way: Way, seconds: float) -> None:
        """Remember a timing, if it is still asked for."""
        if len(self.seconds[way]) < TIMINGS:
            self.seconds[way].append(seconds)

    def leave_out(self, way: Way) -> None:
        """Never choose this way again; one has to be left."""
        del self.seconds[way]
