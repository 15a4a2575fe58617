"""The clip without its noise, as a prediction of the model implies it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch

from .pipelines import Scheduler


@dataclass(frozen=True)
class Denoiser:
    """What turns a prediction into a clean clip, with guidance (Ho & Salimans, arXiv 2207.12598).

    `prediction_type` is the scheduler's, `alphas_cumprod` are its cumulative alphas by timestep.
    """

    prediction_type: str
    alphas_cumprod: tuple[float, ...]
    num_frames: int
    cfg_scale: float

    def denoise(self, sample: torch.Tensor, prediction: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
        """The clip `f c h w` for a call's rows `(g f) c h w`, the negative prompt's first.

        Every sampler scales what the UNet sees to sqrt(a) x + sqrt(1 - a) noise, so one formula serves all.
        """
        alpha = self.alphas_cumprod[min(round(float(timestep)), len(self.alphas_cumprod) - 1)]
        sqrt_alpha, sqrt_one_minus_alpha = alpha**0.5, (1 - alpha) ** 0.5
        if len(prediction) > self.num_frames:
            negative, positive = prediction[: self.num_frames], prediction[self.num_frames :]
            prediction = negative + self.cfg_scale * (positive - negative)
        if self.prediction_type == "sample":
            return prediction
        if self.prediction_type == "v_prediction":
            return sqrt_alpha * sample[: self.num_frames] - sqrt_one_minus_alpha * prediction
        return (sample[: self.num_frames] - sqrt_one_minus_alpha * prediction) / sqrt_alpha


def build_denoiser(scheduler: Scheduler, num_frames: int, cfg_scale: float) -> Denoiser:
    """The denoiser that fits a scheduler."""
    kind = cast("str", scheduler.config.get("prediction_type", "epsilon"))
    alphas = tuple(map(float, scheduler.alphas_cumprod))
    return Denoiser(kind, alphas, num_frames, cfg_scale)
