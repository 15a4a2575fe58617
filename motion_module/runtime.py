"""What the layers of a module share while they run."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from torch import Tensor

from motion_module.errors import MotionModuleError
from motion_module.pieces import Pieces


@dataclass(eq=False)
class Runtime:
    """What all layers of a module share; each has its own, so two are never equal.

    num_frames: of a clip, None while the module does not run; frame_indices: which frames of the animation
    those are; pieces: how much of it goes through a layer at once.
    """

    num_frames: int | None = None
    frame_indices: tuple[int, ...] = ()
    pieces: Pieces = field(default_factory=Pieces)

    @contextmanager
    def frames(self, num_frames: int, indices: tuple[int, ...]) -> Generator[None]:
        """Inside, a batch's rows are `(b f)` with f = num_frames, of which `indices` are the frames."""
        previous = self.num_frames, self.frame_indices
        self.num_frames, self.frame_indices = num_frames, indices
        try:
            yield
        finally:
            self.num_frames, self.frame_indices = previous

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
