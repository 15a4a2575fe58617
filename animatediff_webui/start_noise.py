"""The noise that a clip starts from, in every host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .core.noise import mixed_noise

if TYPE_CHECKING:
    import torch

    from motion_module.control import FrameValues

    from .core.plan import Plan


def start_noise(plan: Plan, seed: int, weights: FrameValues | None, own: torch.Tensor) -> torch.Tensor:
    """The noise `f c h w` that the plan's frames start from, of each one's own.

    `weights` say how much that of the plan's order counts, None where it does alone.
    """
    order = plan.noise_order(seed)
    if weights is None:
        return own[list(order)]
    height, width = own.shape[2:]
    return mixed_noise(own, order, weights.over(height, width, own)[:, None])
