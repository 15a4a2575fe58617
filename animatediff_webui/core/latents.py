"""img2img: how much of the first and the last picture each frame's latent starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from .parameters import InitImage


def init_alphas(num_frames: int, power: float, scale: float) -> torch.Tensor:
    """max(0, 1 - i^power / scale) for each frame i: `(f)`."""
    frames = torch.arange(num_frames, dtype=torch.float64)
    return (1 - frames.pow(power) / scale).clamp_min(0).float()


def init_and_last_alphas(
    num_frames: int, power: float, scale: float, last_power: float, last_scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The shares `(f)` of the first and of the last picture, together at most 1.

    Frame 0 is all first picture, the last frame all last picture (a clip of one frame is the first).
    """
    init = init_alphas(num_frames, power, scale)
    last = init_alphas(num_frames, last_power, last_scale).flip(0)
    total = (init + last).clamp_min(1)
    init, last = init / total, last / total
    init[-1], last[-1] = 0, 1
    init[0], last[0] = 1, 0
    return init, last


def blend_latents(
    noise: torch.Tensor,
    init: torch.Tensor,
    alphas: torch.Tensor,
    last: torch.Tensor | None = None,
    last_alphas: torch.Tensor | None = None,
) -> torch.Tensor:
    """init * alpha + last * last_alpha + noise * (1 - alpha - last_alpha), per frame: `f c h w`.

    `init` and `last` are one latent `(c h w)` for all frames, or one per frame.
    """
    weight = _per_frame(alphas, noise)
    blended = init * weight
    rest = 1 - weight
    if last is not None and last_alphas is not None:
        last_weight = _per_frame(last_alphas, noise)
        blended = blended + last * last_weight
        rest = rest - last_weight
    return blended + noise * rest


def blended_init(
    init: torch.Tensor, noise: torch.Tensor, settings: InitImage, last: torch.Tensor | None = None
) -> torch.Tensor:
    """img2img's latents: the first picture's share falls, and the last one's rises, over the frames.

    `init` and `last` are one latent for all frames, or one per frame; `noise` is `f c h w`.
    """
    num_frames = len(noise)
    if last is None:
        return blend_latents(noise, init, init_alphas(num_frames, settings.power, settings.scale))
    alphas, last_alphas = init_and_last_alphas(
        num_frames, settings.power, settings.scale, settings.last_power, settings.last_scale
    )
    return blend_latents(noise, init, alphas, last, last_alphas)


def _per_frame(alphas: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
    return alphas.to(latents).reshape(-1, *[1] * (latents.ndim - 1))
