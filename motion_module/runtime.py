"""What the layers of a module share while they run."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch import Tensor

from motion_module.errors import MotionModuleError
from motion_module.pieces import Pieces

if TYPE_CHECKING:
    from motion_module.control import MotionControl


@dataclass(eq=False)
class Runtime:
    """What all layers of a module share; each has its own, so two are never equal.

    num_frames: of a clip, None while the module does not run; frame_indices: which frames of the animation
    those are; control: how strongly the module acts on them; pieces: how much of it goes through a layer at
    once.
    """

    control: MotionControl
    num_frames: int | None = None
    frame_indices: tuple[int, ...] = ()
    pieces: Pieces = field(default_factory=Pieces)

    @contextmanager
    def frames(self, num_frames: int, indices: tuple[int, ...], control: MotionControl) -> Generator[None]:
        """Inside, a batch's rows are `(b f)` with f = num_frames, of which `indices` are the frames.

        `control` is of all frames of the animation.
        """
        previous = self.num_frames, self.frame_indices, self.control
        self.num_frames, self.frame_indices, self.control = num_frames, indices, control.of(indices)
        try:
            yield
        finally:
            self.num_frames, self.frame_indices, self.control = previous

    @contextmanager
    def narrowed(self, places: tuple[int, ...]) -> Generator[None]:
        """Inside, the frames are those at these places among them."""
        previous = self.frame_indices
        self.frame_indices = tuple(previous[place] for place in places)
        try:
            yield
        finally:
            self.frame_indices = previous

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
