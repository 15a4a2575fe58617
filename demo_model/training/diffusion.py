"""The two noise schedules, noising and the v target (Salimans and Ho, arXiv 2202.00512)."""

from __future__ import annotations

from collections.abc import Callable

import torch

from motion_module import schedules
from motion_module.schedules import BetaSchedule

NUM_TIMESTEPS = 1000
SCHEDULES = {"scaled_linear": BetaSchedule.SCALED_LINEAR, "linear": BetaSchedule.LINEAR}
"""By the names that diffusers has for them."""


def alphas_cumprod(schedule: str) -> torch.Tensor:
    """Cumulative alphas (1000,) of Stable Diffusion's "scaled_linear" or AnimateDiff's "linear" betas."""
    return schedules.alphas_cumprod(SCHEDULES[schedule], NUM_TIMESTEPS)


def add_noise(
    clean: torch.Tensor, noise: torch.Tensor, alpha_cumprod: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Noisy latents and their v target, for `alpha_cumprod` (b,), one a row; all others (b, ...)."""
    alpha = alpha_cumprod.view(-1, *[1] * (clean.ndim - 1))
    sqrt_alpha, sqrt_one_minus_alpha = alpha.sqrt(), (1 - alpha).sqrt()
    noisy = sqrt_alpha * clean + sqrt_one_minus_alpha * noise
    return noisy, sqrt_alpha * noise - sqrt_one_minus_alpha * clean


def half_precision() -> torch.autocast:
    """Inside, products and convolutions run in bfloat16, which halves a step's time on CPUs that know it."""
    return torch.autocast("cpu", torch.bfloat16)


def v_loss(
    clean: torch.Tensor,
    alpha_cumprod: torch.Tensor,
    predict: Callable[[torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """The mean squared error of what `predict` makes of noisy `clean` (b ... c h w), as a v.

    The noise of a channel is shifted as a whole, too: without, plain dark or light pictures come out grey.
    """
    batch, channels = clean.shape[0], clean.shape[-3]
    noise = torch.randn_like(clean)
    noise += 0.1 * torch.randn(batch, *[1] * (clean.ndim - 4), channels, 1, 1)
    noisy, target = add_noise(clean, noise, alpha_cumprod)
    with half_precision():
        predicted = predict(noisy)
    return (predicted.float() - target).square().mean()
