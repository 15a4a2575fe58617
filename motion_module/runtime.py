"""What all layers of a motion module share while it runs: the frames of a clip, and how attention is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from motion_module.errors import MotionModuleError

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
AttentionName = Literal["sdpa", "xformers"]

MAX_ATTENTION_BATCH = 65_535
"""CUDA's limit on a grid's second and third axes, which attention kernels map the batch to."""
GPU_MEMORY_BUDGET = 512 * 2**20
CPU_MEMORY_BUDGET = 32 * 2**20
"""The fastest on CPUs, as measured: larger chunks miss the caches, smaller ones cost calls."""
WIDTHS_PER_TOKEN = 20
"""A token is widest in the feed-forward: 8C projected, 4C gate, 4C product, and what is added to."""


def attend_sdpa(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """`r f n e` three times to `r f n e`; 4-D, because PyTorch's fast kernels refuse 3-D."""
    query, key, value = (rearrange(heads, "r f n e -> r n f e") for heads in (query, key, value))
    return rearrange(F.scaled_dot_product_attention(query, key, value), "r n f e -> r f n e")


def load_attention(name: AttentionName) -> Attend:
    """The attention function of that name; MotionModuleError where its package is missing."""
    if name == "sdpa":
        return attend_sdpa
    try:
        # Optional, and not installed where types are checked: pyright cannot know it.
        from xformers.ops import memory_efficient_attention  # pyright: ignore
    except ImportError as error:
        raise MotionModuleError(
            "Attention by xformers was asked for, but it is not installed: install it, or choose sdpa."
        ) from error
    return memory_efficient_attention  # pyright: ignore[reportUnknownVariableType]


@dataclass
class Runtime:
    """frame_indices: which frames of the animation a clip's are; memory_budget: bytes, None by device."""

    num_frames: int | None = None
    frame_indices: tuple[int, ...] = ()
    memory_budget: int | None = None
    attend: Attend = attend_sdpa

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

    def rows_at_once(self, tokens: Tensor) -> int:
        """How many rows of `r f c` fit the memory budget and the attention kernels."""
        bytes_per_row = tokens[0].numel() * tokens.element_size() * WIDTHS_PER_TOKEN
        default = CPU_MEMORY_BUDGET if tokens.device.type == "cpu" else GPU_MEMORY_BUDGET
        budget = default if self.memory_budget is None else self.memory_budget
        return max(1, min(MAX_ATTENTION_BATCH, budget // bytes_per_row))
