"""The source's sound beside new pictures."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from .ffmpeg import video_input


@dataclass(frozen=True)
class Sound:
    """The sound of `path` from `start`, in seconds, on."""

    path: Path
    start: Fraction

    def input_for(self, duration: Fraction) -> list[str]:
        """ffmpeg's options to read the sound of `duration` seconds."""
        cut = ["-ss", f"{float(self.start):.6f}", "-t", f"{float(duration):.6f}"]
        return [*cut, "-vn", "-sn", "-dn", *video_input(self.path)]


# A sound that begins later than the pictures is led in by silence, gaps are filled: it stays with them.
IN_STEP = ("-af", "aresample=async=1:first_pts=0")
