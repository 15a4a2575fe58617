"""The source's sound beside new pictures."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path


@dataclass(frozen=True)
class Sound:
    """The sound of `path` from `start`, in seconds, on."""

    path: Path
    start: Fraction
