"""What the layers of a module share while they run."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from motion_module.errors import MotionModuleError
from motion_module.pieces import Pieces

if TYPE_CHECKING:
    from motion_module.control import MotionControl


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
    those are, of a view alone while one is looked at, whose `places` among window_frames are said then;
    control: how strongly the module acts on them; pieces: how much of it goes through a layer at once; rows:
    which rows of a layer's tokens that is; size: that layer's height and width; kept: of the step's first
    window, by attention.
    """

    control: MotionControl
    num_frames: int | None = None
    frame_indices: tuple[int, ...] = ()
    window_frames: tuple[int, ...] = ()
    places: tuple[int, ...] = ()
    pieces: Pieces = field(default_factory=Pieces)
    rows: slice = field(default_factory=lambda: slice(None))
    size: tuple[int, int] = (0, 0)
    kept: dict[object, Kept] = field(default_factory=dict[object, Kept])

    @contextmanager
    def frames(self, num_frames: int, indices: tuple[int, ...], control: MotionControl) -> Generator[None]:
        """Inside, a batch's rows are `(b f)` with f = num_frames, of which `indices` are the frames.

        `control` is of all frames of the animation.
        """
        previous = self.num_frames, self.frame_indices, self.window_frames, self.control
        self.num_frames, self.frame_indices, self.window_frames = num_frames, indices, indices
        self.control = control.of(indices)
        if control.reference is not None and control.reference.is_first:
            self.kept = {}
        try:
            yield
        finally:
            self.num_frames, self.frame_indices, self.window_frames, self.control = previous

    @contextmanager
    def narrowed(self, places: tuple[int, ...]) -> Generator[None]:
        """Inside, the frames are those at these places among them."""
        previous = self.frame_indices, self.places
        self.frame_indices, self.places = tuple(self.window_frames[place] for place in places), places
        try:
            yield
        finally:
            self.frame_indices, self.places = previous

    def count_frames(self, hidden: Tensor) -> int:
        """Frames of a clip, where the batch `(b f) c h w` is a whole number of clips."""
        if self.num_frames is None:
            raise MotionModuleError(
                "How many frames a clip has is unknown: run the UNet inside `with module.frames(n)`."
            )
        if hidden.shape[0] % self.num_frames:
            raise MotionModuleError(
                f"A batch of {hidden.shape[0]} rows is not a whole number of clips of {self.num_frames} "
                "frames: give the UNet all frames of a clip, one clip after the other."
            )
        return self.num_frames
