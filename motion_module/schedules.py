"""The noise schedules that motion modules were trained with."""

from __future__ import annotations

from enum import Enum

import torch
from torch import Tensor


class BetaSchedule(Enum):
    """How beta grows from 0.00085 over the timesteps; the sampler's sigmas must be made from it."""

    LINEAR = "linear"
    """Evenly spaced up to 0.012 (ComfyUI calls it "sqrt_linear")."""
    SCALED_LINEAR = "scaled-linear"
    """Stable Diffusion's own: evenly spaced in sqrt(beta) up to 0.012 (ComfyUI calls it "linear")."""
    SCALED_LINEAR_SDXL = "scaled-linear to 0.020"
    """AnimateDiff-SDXL's: evenly spaced in sqrt(beta) up to 0.020."""


def betas(schedule: BetaSchedule, num_timesteps: int = 1000) -> Tensor:
    """The variances added at each timestep, (num_timesteps,) in float64."""
    last = 0.020 if schedule is BetaSchedule.SCALED_LINEAR_SDXL else 0.012
    if schedule is BetaSchedule.LINEAR:
        return torch.linspace(0.00085, last, num_timesteps, dtype=torch.float64)
    return torch.linspace(0.00085**0.5, last**0.5, num_timesteps, dtype=torch.float64) ** 2


def alphas_cumprod(schedule: BetaSchedule, num_timesteps: int = 1000) -> Tensor:
    """The signal's variance that is left at each timestep, (num_timesteps,) in float32, as hosts keep it."""
    return (1 - betas(schedule, num_timesteps)).cumprod(0).float()
