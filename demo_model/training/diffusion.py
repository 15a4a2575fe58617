"""The two noise schedules, noising and the v target (Salimans and Ho, arXiv 2202.00512)."""

from __future__ import annotations

from collections.abc import Callable

import torch

NUM_TIMESTEPS = 1000


def alphas_cumprod(schedule: str) -> torch.Tensor:
    """Cumulative alphas (1000,) of Stable Diffusion's "scaled_linear" or AnimateDiff's "linear" betas."""
    if schedule == "scaled_linear":
        betas = torch.linspace(0.00085**0.5, 0.012**0.5, NUM_TIMESTEPS, dtype=torch.float64) ** 2
    else:
        betas = torch.linspace(0.00085, 0.012, NUM_TIMESTEPS, dtype=torch.float64)
    return (1 - betas).cumprod(0).float()


def add_noise(
    clean: torch.Tensor, noise: torch.Tensor, kept: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Noisy latents and their v target, for `kept` = cumulative alpha, one a row; all (b, ...)."""
    kept = kept.view(-1, *[1] * (clean.ndim - 1))
    signal, spread = kept.sqrt(), (1 - kept).sqrt()
    return signal * clean + spread * noise, signal * noise - spread * clean


def half_precision() -> torch.autocast:
    """Inside, products and convolutions run in bfloat16, which halves a step's time on CPUs that know it."""
    return torch.autocast("cpu", torch.bfloat16)


def v_loss(
    clean: torch.Tensor,
    kept: torch.Tensor,
    predict: Callable[[torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """The mean squared error of what `predict` makes of noisy `clean` (b ... c h w), as a v.

    The noise of a channel is shifted as a whole, too: without, plain dark or light pictures come out grey.
    """
    batch, channels = clean.shape[0], clean.shape[-3]
    noise = torch.randn_like(clean)
    noise += 0.1 * torch.randn(batch, *[1] * (clean.ndim - 4), channels, 1, 1)
    noisy, target = add_noise(clean, noise, kept)
    with half_precision():
        predicted = predict(noisy)
    return (predicted.float() - target).square().mean()
