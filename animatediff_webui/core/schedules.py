"""Numbers that change over frames or steps, as prompts travel: `0: 1.0, 50%: 1.4 hold, 3s: 0.8`.

An entry is a position, a colon and a number; entries are separated by commas or lines and ascend. Between two
of them the value goes from one to the other, evenly, or at the pace that the first one names behind its
number (a name of `EASINGS`). Before the first entry its value holds, and after the last one that one's.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction

from .easings import EASINGS
from .errors import ScheduleError, shown, shown_text
from .positions import POSITION, Position, named, read_position
from .written import NUMBER, Written, written

_LINEAR = "linear"
_ENTRY = re.compile(rf"(?P<position>{POSITION})\s*:\s*(?P<value>{NUMBER})(?P<easing>.*)", re.DOTALL)
_BEGINNING = re.compile(rf"\s*{POSITION}\s*:")


@dataclass(frozen=True)
class ScheduledValue:
    """From where on a value counts, and the pace from there to the next one."""

    position: Position
    value: float
    easing: str = _LINEAR

    def __str__(self) -> str:
        pace = "" if self.easing == _LINEAR else f" {self.easing}"
        return f"{self.position.text}: {written(self.value)}{pace}"


@dataclass(frozen=True)
class Schedule(Written):
    """Values at positions, in order; `str()` reads back as the same."""

    entries: tuple[ScheduledValue, ...]

    def __str__(self) -> str:
        return ", ".join(map(str, self.entries))

    def values(
        self, count: int, per_second: float | Fraction | None = None, what: str = "frame"
    ) -> tuple[float, ...]:
        """The value at each of `count` frames (or steps, where there are no seconds: None).

        `what` they are is for messages. Raises ScheduleError where positions are out of order or too large.
        """
        places: list[int] = []
        for entry in self.entries:
            place = self._place(entry.position, count, per_second, what)
            if places and place <= places[-1]:
                raise ScheduleError(
                    f"{named(entry.position.text, place, what)} does not come after {what} {places[-1]}: "
                    "sort the entries, one each"
                )
            places.append(place)
        return tuple(self._value_at(index, places) for index in range(count))

    def _place(self, position: Position, count: int, per_second: float | Fraction | None, what: str) -> int:
        if position.unit == "s" and per_second is None:
            raise ScheduleError(f"{position.text} is a time, but {what}s have none: use a {what} or a share")
        index = position.index(count, per_second or 1)
        if index >= count:
            raise ScheduleError(
                f"{named(position.text, index, what)} is past the last {what} ({count - 1}): use 0 to "
                f"{count - 1}"
            )
        return index

    def _value_at(self, index: int, places: list[int]) -> float:
        before = bisect_right(places, index) - 1
        if before in (-1, len(places) - 1):
            return self.entries[max(before, 0)].value
        left, right = self.entries[before], self.entries[before + 1]
        way = (index - places[before]) / (places[before + 1] - places[before])
        eased = EASINGS[left.easing](way)
        return left.value * (1 - eased) + right.value * eased


def looks_like_schedule(text: str) -> bool:
    """Whether a text begins as a schedule does."""
    return _BEGINNING.match(text) is not None


def parse_schedule(text: str) -> Schedule:
    """The schedule that a text is. Raises ScheduleError, whose words follow the text's own."""
    parts = (entry.strip() for entry in re.split(r"[,\n]", text))
    entries = tuple(_parse_entry(part) for part in parts if part)
    if not entries:
        raise ScheduleError('it has no entries: write one such as "0: 1, 50%: 0.4"')
    return Schedule(entries)


def _parse_entry(text: str) -> ScheduledValue:
    match = _ENTRY.fullmatch(text)
    position = read_position(match["position"]) if match else None
    if match is None or position is None:
        raise ScheduleError(
            f"{shown(text)} is no entry: write a frame, a share or a time, a colon and a number, such as "
            '"8: 0.5"'
        )
    easing = " ".join(match["easing"].split()) or _LINEAR
    if easing not in EASINGS:
        raise ScheduleError(f"{shown_text(easing)} is no pace: use {', '.join(EASINGS)}")
    return ScheduledValue(position, float(match["value"]), easing)
