"""What a plan has to know of the videos and folders that a clip is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from .errors import ParameterError


@dataclass(frozen=True)
class SourceInfo:
    """The chosen part of one source.

    `name` is what sentences call it, such as "the video". `num_frames` None: one picture, which serves every
    frame. `fps` is its rate (None: it has none), `notes` are sentences for the user.
    """

    name: str
    num_frames: int | None
    fps: Fraction | None = None
    has_sound: bool = False
    notes: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """What it is, in a line."""
        if self.num_frames is None:
            return f"{self.name}: one picture"
        rate = "" if self.fps is None else f" at {float(self.fps):g} fps"
        return f"{self.name}: {self.num_frames} frames{rate}{', with sound' if self.has_sound else ''}"


def shortest_source(sources: Sequence[SourceInfo]) -> SourceInfo | None:
    """The one with the fewest frames, None where none counts any. ParameterError where it has none."""
    counted = [source for source in sources if source.num_frames is not None]
    if not counted:
        return None
    shortest = min(counted, key=lambda source: source.num_frames or 0)
    if not shortest.num_frames:
        raise ParameterError(f"There are no frames in {shortest.name}: choose another video or folder.")
    return shortest


def source_rate(sources: Sequence[SourceInfo]) -> Fraction | None:
    """The rate of the first source that has one."""
    return next((source.fps for source in sources if source.fps is not None), None)


def length_notes(sources: Sequence[SourceInfo]) -> list[str]:
    """What to tell the user where sources are of different lengths."""
    shortest = shortest_source(sources)
    if shortest is None:
        return []
    longer = [source for source in sources if (source.num_frames or 0) > (shortest.num_frames or 0)]
    return [
        f"There are {source.num_frames} frames in {source.name}, but {shortest.num_frames} in "
        f"{shortest.name}: the first {shortest.num_frames} are used."
        for source in longer
    ]
