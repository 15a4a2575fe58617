"""What a reader gives: a lazy clip whose frames can be read in any order, any number of times."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from PIL import Image

from animatediff_webui.core.moments import frame_at
from animatediff_webui.core.positions import Moment
from animatediff_webui.media.errors import MediaError, UnreadableMediaError

from .timeline import Timeline


@dataclass(frozen=True)
class Selection:
    """Which frames of a clip to read: like a slice, but never from the end; ends may be times ("1.5s").

    `fps` is what times are counted by where the clip has no rate of its own.
    """

    start: Moment = 0
    end: Moment | None = None
    stride: int = 1
    fps: Fraction | None = None

    def __post_init__(self) -> None:
        if isinstance(self.start, int) and self.start < 0:
            raise MediaError(f"start is {self.start}, but must be 0 or more.")
        if self.stride < 1:
            raise MediaError(f"stride is {self.stride}, but must be 1 or more.")

    def of(self, num_frames: int, fps: Fraction | None, path: Path) -> range:
        """The chosen indices of a clip; raises MediaError where there are none, ParameterError for times
        where it has no rate."""
        rate = fps or self.fps
        start = frame_at(self.start, rate, "video_start")
        end = num_frames if self.end is None else frame_at(self.end, rate, "video_end")
        if self.end is not None and end <= start:
            raise MediaError(f"end is {self.end}, but must be above start, which is {self.start}.")
        if start >= num_frames:
            raise UnreadableMediaError(
                f"{path} has {num_frames} frames, so none is left from frame {start}: use a lower start."
            )
        return range(start, min(end, num_frames), self.stride)


@dataclass(frozen=True)
class StoredFrames:
    """A file's or folder's frames as they are stored.

    `timeline` says how they become frames at a constant rate (None: a folder, which has none), `read` gives
    those of some places, each when it is asked for. `sound_offset` is the first frame's time, in seconds, in
    a file that has sound. `ends_early_at`: how many frames of a file are there, where it promises more.
    """

    path: Path
    size: tuple[int, int]
    num_frames: int
    timeline: Timeline | None
    read: Callable[[Iterable[int]], Iterator[Image.Image]]
    sound_offset: Fraction | None = None
    ends_early_at: int | None = None
    is_still: bool = False


@dataclass(frozen=True)
class FrameSource(Sequence[Image.Image]):
    """The chosen frames of a clip, RGB images, each decoded when it is asked for; `size` is the first one's.

    `fps` is that of the chosen frames (a stride of 2 halves it), None for a folder, which has none.
    `indices` are the chosen ones, counted at the clip's constant rate. `is_still`: a file of one picture.
    """

    stored: StoredFrames
    indices: range

    @property
    def path(self) -> Path:
        return self.stored.path

    @property
    def size(self) -> tuple[int, int]:
        return self.stored.size

    @property
    def is_still(self) -> bool:
        return self.stored.is_still

    @property
    def fps(self) -> Fraction | None:
        timeline = self.stored.timeline
        return None if timeline is None else timeline.fps / self.indices.step

    @property
    def is_resampled(self) -> bool:
        """Whether the clip's frames last differently, and are read at a constant rate."""
        return self.stored.timeline is not None and self.stored.timeline.is_resampled

    @property
    def sound_start(self) -> Fraction | None:
        """The second of the file that the first chosen frame is shown at; None where there is no sound."""
        offset, timeline = self.stored.sound_offset, self.stored.timeline
        return None if offset is None or timeline is None else offset + self.indices.start / timeline.fps

    def read(self, frames: Iterable[int]) -> Iterator[Image.Image]:
        """The frames of these numbers, counted among the chosen ones; ascending numbers are quickest."""
        timeline = self.stored.timeline
        indices = (self.indices[frame] for frame in frames)
        if timeline is not None:
            indices = (timeline.stored[index] for index in indices)
        return self.stored.read(indices)

    def __iter__(self) -> Iterator[Image.Image]:
        return self.read(range(len(self.indices)))

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int | slice) -> Image.Image | Sequence[Image.Image]:  # pyright: ignore[reportIncompatibleMethodOverride]
        if isinstance(index, slice):
            return FrameSource(self.stored, self.indices[index])
        return next(self.read([index]))


def choose_frames(stored: StoredFrames, selection: Selection) -> FrameSource:
    """The part of a clip that `selection` names; raises UnreadableMediaError where the file lacks it."""
    timeline, whole = stored.timeline, stored.num_frames
    num_frames = whole if timeline is None else len(timeline.stored)
    fps = None if timeline is None else timeline.fps
    if stored.ends_early_at is not None and _goes_past(selection, fps, stored.ends_early_at):
        raise UnreadableMediaError(
            f"{stored.path} ends early, after {stored.ends_early_at} frames: set the end to "
            f"{stored.ends_early_at} or lower, or get the whole file."
        )
    return FrameSource(stored, selection.of(num_frames, fps, stored.path))


def _goes_past(selection: Selection, fps: Fraction | None, num_frames: int) -> bool:
    return selection.end is None or frame_at(selection.end, fps, "video_end") > num_frames
