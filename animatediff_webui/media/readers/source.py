"""What a reader gives: a lazy clip that can be read any number of times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from PIL import Image

from animatediff_webui.media.errors import MediaError, UnreadableMediaError


@dataclass(frozen=True)
class Selection:
    """Which frames of a clip to read: like a slice, but never from the end."""

    start: int = 0
    end: int | None = None
    stride: int = 1

    def __post_init__(self) -> None:
        if self.start < 0:
            raise MediaError(f"start is {self.start}, but must be 0 or more.")
        if self.stride < 1:
            raise MediaError(f"stride is {self.stride}, but must be 1 or more.")
        if self.end is not None and self.end <= self.start:
            raise MediaError(f"end is {self.end}, but must be above start, which is {self.start}.")

    def of(self, num_frames: int, path: Path) -> range:
        """The chosen indices of a clip of `num_frames`; raises UnreadableMediaError where it has none."""
        indices = range(num_frames)[self.start : self.end : self.stride]
        if not indices:
            raise UnreadableMediaError(
                f"{path} has {num_frames} frames, so none is left from frame {self.start}: use a lower start."
            )
        return indices


@dataclass(frozen=True)
class FrameSource:
    """Iterating gives RGB images, each decoded when it is asked for; again starts over.

    `fps` is that of the chosen frames (a stride of 2 halves it) and the mean where frames last differently;
    None for a folder, which has none. `durations` holds each chosen frame's seconds where the file gives
    every frame its own. `size` is the first frame's. The length of a video is counted by decoding it once.
    """

    path: Path
    fps: Fraction | None
    size: tuple[int, int]
    durations: tuple[Fraction, ...] | None
    frames: Callable[[], Iterator[Image.Image]]
    count: Callable[[], int]

    def __iter__(self) -> Iterator[Image.Image]:
        return self.frames()

    def __len__(self) -> int:
        return self.count()
