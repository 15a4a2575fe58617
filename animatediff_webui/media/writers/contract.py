"""What a writer gets and what it is."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from animatediff_webui.media.options import WriterOptions
from animatediff_webui.media.store import FrameSelection


@dataclass(frozen=True)
class Animation:
    """One animation to write. `loop_count` is how often it plays, 0 is forever; an empty infotext is none."""

    frames: FrameSelection
    fps: Fraction
    loop_count: int
    infotext: str


class Writer(Protocol):
    """A module of this folder: imported when its format is first written."""

    @staticmethod
    def write(animation: Animation, path: Path, options: WriterOptions) -> None:
        """Write `animation` to `path`, a frame at a time. Raises MissingPackageError without its codec."""
        ...
