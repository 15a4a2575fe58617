"""How the layers run: the frames of a clip, which all share, how much at once, and attention."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from motion_module.errors import MotionModuleError

MAX_ATTENTION_BATCH = 65_535
"""CUDA's limit on a grid's second and third axes, which attention kernels map the batch to."""
GPU_MEMORY_BUDGET = 512 * 2**20
CPU_MEMORY_BUDGET = 32 * 2**20
"""The fastest on CPUs, as measured: larger chunks miss the caches, smaller ones cost calls."""
WIDTHS_PER_TOKEN = 20
"""A token is widest in the feed-forward: 8C projected, 4C gate, 4C product, and what is added to."""


def attend(query: Tensor, key: Tensor, value: Tensor, num_heads: int) -> Tensor:
    """Dot-product attention over the frames of `r f (n e)`; 4-D, because the fast kernels refuse 3-D."""
    query = rearrange(query, "r f (n e) -> r n f e", n=num_heads)
    key = rearrange(key, "r f (n e) -> r n f e", n=num_heads)
    value = rearrange(value, "r f (n e) -> r n f e", n=num_heads)
    return rearrange(F.scaled_dot_product_attention(query, key, value), "r n f e -> r f (n e)")


@dataclass(eq=False)
class Runtime:
    """What all layers of a module share; each has its own, so two are never equal.

    num_frames: of a clip, None while the module does not run; frame_indices: which frames of the animation
    those are.
    """

    num_frames: int | None = None
    frame_indices: tuple[int, ...] = ()

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


def rows_at_once(tokens: Tensor) -> int:
    """How many rows of `r f c` fit the memory budget and the attention kernels."""
    bytes_per_row = tokens[0].numel() * tokens.element_size() * WIDTHS_PER_TOKEN
    budget = CPU_MEMORY_BUDGET if tokens.device.type == "cpu" else GPU_MEMORY_BUDGET
    return max(1, min(MAX_ATTENTION_BATCH, budget // bytes_per_row))
