"""What the layers of a module share while they run."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from motion_module.errors import MotionModuleError

if TYPE_CHECKING:
    from motion_module.backends import AttentionBackends
    from motion_module.control import MotionControl
    from motion_module.pieces import Pieces


MOST_REFERENCES = 4
"""Frames of a window that others see; all of them would take gigabytes at the sizes that people use."""


@dataclass(eq=False)
class Kept:
    """Keys and values `f r c` of a window's frames in one attention, in the pieces that they came in."""

    keys: list[Tensor] = field(default_factory=list[Tensor])
    values: list[Tensor] = field(default_factory=list[Tensor])

    def add(self, keys: Tensor, values: Tensor) -> None:
        """Keep some of the frames, evenly spaced, in these rows."""
        count = min(len(keys), MOST_REFERENCES)
        frames = [index * len(keys) // count for index in range(count)]
        self.keys.append(keys[frames])
        self.values.append(values[frames])

    def of(self, rows: slice) -> tuple[Tensor, Tensor]:
        """Those of some rows, which may come in other pieces."""
        self.keys, self.values = [torch.cat(self.keys, dim=1)], [torch.cat(self.values, dim=1)]
        return self.keys[0][:, rows], self.values[0][:, rows]


@dataclass(eq=False)
class Runtime:
    """What all layers of a module share; each has its own, so two are never equal.

    num_frames: of a clip, None while the module does not run; frame_indices: which frames of the animation
    those are, of one clip or of several, one after the other, which a batch has any number of times, and of a
    view alone while one is looked at: then `places` are the view's in each clip. window_length and
    window_frames: what those two are without a view. control: how strongly the module acts on them; pieces:
    how much of it goes through a layer at once; attention: what does it; rows: which rows of a layer's tokens
    a piece is; clips: which of the batch's clips those are of; size: that layer's height and width; kept: of
    the step's first window, by attention.
    """

    control: MotionControl
    pieces: Pieces
    attention: AttentionBackends
    num_frames: int | None = None
    frame_indices: tuple[int, ...] = ()
    window_length: int = 0
    window_frames: tuple[int, ...] = ()
    places: tuple[int, ...] = ()
    rows: slice = field(default_factory=lambda: slice(None))
    size: tuple[int, int] = (0, 0)
    clips: range = range(1)
    kept: dict[object, Kept] = field(default_factory=dict[object, Kept])

    @contextmanager
    def frames(self, num_frames: int, indices: tuple[int, ...], control: MotionControl) -> Generator[None]:
        """Inside, a batch's rows are `(b f)` with f = num_frames; `indices` are the frames of its clips.

        `control` is of all frames of the animation.
        """
        previous = self.num_frames, self.frame_indices, self.control
        window = self.window_length, self.window_frames
        self.num_frames, self.frame_indices, self.control = num_frames, indices, control.of(indices)
        self.window_length, self.window_frames = num_frames, indices
        if control.reference is not None and control.reference.is_first:
            self.kept = {}
        try:
            yield
        finally:
            self.num_frames, self.frame_indices, self.control = previous
            self.window_length, self.window_frames = window

    @contextmanager
    def narrowed(self, places: tuple[int, ...]) -> Generator[None]:
        """Inside, the frames of each clip are those at these places among them."""
        previous = self.num_frames, self.frame_indices, self.places
        narrowed: list[int] = []
        for clip in self.clip_indices():
            narrowed += [clip[place] for place in places]
        self.num_frames, self.frame_indices, self.places = len(places), tuple(narrowed), places
        try:
            yield
        finally:
            self.num_frames, self.frame_indices, self.places = previous

    def clip_indices(self) -> list[tuple[int, ...]]:
        """`frame_indices`, clip by clip."""
        length = self.num_frames or len(self.frame_indices)
        starts = range(0, len(self.frame_indices), length)
        return [self.frame_indices[start : start + length] for start in starts]

    def clips_among(self, count: int) -> list[int]:
        """Which of so many clips, one after the other, those are that go through a layer now."""
        return [clip % count for clip in self.clips]

    def count_frames(self, hidden: Tensor) -> int:
        """Frames of a clip, where the batch `(b f) c h w` is a whole number of clips."""
        if self.num_frames is None:
            raise MotionModuleError(
                "How many frames a clip has is unknown: run the UNet inside `with module.frames(n)`."
            )
        known = max(self.num_frames, len(self.frame_indices))
        if hidden.shape[0] % known:
            raise MotionModuleError(
                f"A batch of {hidden.shape[0]} rows is not a whole number of clips of {known} "
                "frames: give the UNet all frames of a clip, one clip after the other."
            )
        return self.num_frames
