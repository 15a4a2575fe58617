"""How alike a clip's frames are to the picture that it animates: `small`, `loop large`, or `1, 0.9, 0.8`.

The presets are those that PIA was published with, under its numbers 0 to 5 too. A list holds a value for each
frame, and its last one for all frames after it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from .errors import ParameterError, shown
from .written import NUMBER, Written, written

MOST = 100_000
PRESETS: Mapping[str, tuple[float, ...]] = {
    "small": (1, 0.9, 0.85, 0.85, 0.85, 0.8),
    "medium": (1, 0.8, 0.8, 0.8, 0.79, 0.78, 0.75),
    "large": (1, 0.8, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.6, 0.5, 0.5),
    "loop small": (1, 0.9, 0.85, 0.85, 0.85, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.85, 0.85, 0.9, 1),
    "loop medium": (1, 0.8, 0.8, 0.8, 0.79, 0.78, 0.75, 0.75, 0.75, 0.75, 0.75, 0.78, 0.79, 0.8, 0.8, 1),
    "loop large": (1, 0.8, 0.7, 0.7, 0.7, 0.7, 0.6, 0.5, 0.5, 0.6, 0.7, 0.7, 0.7, 0.7, 0.8, 1),
    "style small": (0.5, 0.4, 0.4, 0.4, 0.35, 0.3),
    "style medium": (0.5, 0.4, 0.4, 0.4, 0.35, 0.35, 0.3, 0.25, 0.2),
    "style large": (0.5, 0.2),
}
"""By how much moves; the last three turn the picture into the prompt's style."""
_LOOPED = "loop "
_NUMBERED = list(PRESETS)[:6]
ALLOWED = f'one of {", ".join(PRESETS)}, or a list of numbers from 0 to 1 such as "1, 0.9, 0.85"'


@dataclass(frozen=True)
class Affinity(Written):
    """A preset by its name, or the values themselves."""

    preset: str = ""
    listed: tuple[float, ...] = ()

    def __str__(self) -> str:
        values = ", ".join(map(written, self.listed))
        return self.preset or (f"[{values}]" if len(self.listed) == 1 else values)

    @property
    def json(self) -> object:
        """The preset's name, or a list."""
        return self.preset or list(self.listed)

    def over_frames(self, count: int) -> tuple[float, ...]:
        """The value of each of `count` frames; a loop comes round, however many there are."""
        values = self.listed or PRESETS[self.preset]
        if self.preset.startswith(_LOOPED) and count > 1:
            return tuple(values[round(frame * (len(values) - 1) / (count - 1))] for frame in range(count))
        return tuple(values[min(frame, len(values) - 1)] for frame in range(count))


SMALL = Affinity("small")


def parse_affinity(raw: object, name: str) -> Affinity:
    """The affinity that a text, a number or a list is. Raises ParameterError, which calls it `name`."""
    if isinstance(raw, Affinity):
        return raw
    if isinstance(raw, (list, tuple)):
        return _listed(cast("Sequence[object]", raw), name)
    if isinstance(raw, int) and not isinstance(raw, bool) and 0 <= raw < len(_NUMBERED):
        return Affinity(_NUMBERED[raw])
    if not isinstance(raw, str):
        raise _refused(raw, name)
    text = " ".join(raw.lower().split())
    if text in PRESETS or not text:
        return Affinity(text or SMALL.preset)
    if text in map(str, range(len(_NUMBERED))):
        return Affinity(_NUMBERED[int(text)])
    parts = [part.strip() for part in text.strip("[]").split(",")]
    if not all(re.fullmatch(NUMBER, part) for part in parts):
        raise _refused(raw, name)
    return _listed([float(part) for part in parts], name)


def _listed(values: Sequence[object], name: str) -> Affinity:
    if not 0 < len(values) <= MOST:
        raise _refused(values, name)
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise _refused(values, name)
    return Affinity(listed=tuple(map(float, cast("Sequence[float]", values))))


def _refused(raw: object, name: str) -> ParameterError:
    return ParameterError(f"{name} is {shown(raw)}, but must be {ALLOWED}.")
