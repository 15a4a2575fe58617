"""What a writer gets and what it is."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from animatediff_webui.media.options import WriterOptions
from animatediff_webui.media.sound import Sound
from animatediff_webui.media.store import FrameSelection


@dataclass(frozen=True)
class Animation:
    """One animation to write. `loop_count` is how often it plays, 0 is forever; an empty infotext is none.

    `sound` goes into formats that can have any, for as long as the frames last.
    """

    frames: FrameSelection
    fps: Fraction
    loop_count: int
    infotext: str
    sound: Sound | None = None

    @property
    def duration(self) -> Fraction:
        """Seconds that it plays once."""
        return len(self.frames) / self.fps


class Writer(Protocol):
    """A module of this folder: imported when its format is first written."""

    @staticmethod
    def write(animation: Animation, path: Path, options: WriterOptions) -> None:
        """Write `animation` to `path`, a frame at a time. Raises MissingPackageError without its codec."""
        ...
