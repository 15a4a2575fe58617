"""Forge: a backend of its own, whose one schedule is the model's `predictor`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import torch
from modules import shared
from torch import nn

from animatediff_webui.hosts.webui.host_types import Cond
from animatediff_webui.hosts.webui.patches import replaced
from motion_module.schedules import BetaSchedule, alphas_cumprod

from .patchers import (
    ForgeModel,
    Patched,
    RealModel,
    holds_unet_with,
    noise_levels,
    replaced_sigmas,
)

if TYPE_CHECKING:
    from motion_module.placeable import Placeable


class Prediction(Protocol):
    """Between timesteps and noise levels, lowest first."""

    sigmas: torch.Tensor


class KModel(RealModel, Protocol):
    """The UNet with its prediction."""

    predictor: Prediction
    computation_dtype: torch.dtype


class DiffusionEngine(ForgeModel, Protocol):
    """A checkpoint."""

    def get_learned_conditioning(self, prompt: list[str]) -> Cond: ...


def adapt(model: object) -> ForgeBackend | None:
    """The adapter, if it is a model of this kind.

    Raises IncompatibleBaseModelError where its UNet cannot be animated.
    """
    if not holds_unet_with(model, "predictor"):
        return None
    from backend import memory_management

    return ForgeBackend(cast("DiffusionEngine", model), memory_management)


@dataclass(frozen=True)
class ForgeBackend(Patched):
    """Samplers read the schedule live."""

    model: DiffusionEngine

    @property
    def empty_prompt(self) -> torch.Tensor:
        encoded = self.model.get_learned_conditioning([""])
        return (encoded["crossattn"] if isinstance(encoded, dict) else encoded)[0]

    @property
    def last_alpha_cumprod(self) -> float:
        return 1 / (1 + self._kmodel.predictor.sigmas[-1].item() ** 2)

    @contextmanager
    def placed(self, module: Placeable, *, keep: bool) -> Generator[None, None, None]:
        """In the dtype that the UNet computes in: it may be stored in fewer bits."""
        module.to(self._kmodel.computation_dtype)
        with super().placed(module, keep=keep):
            yield

    @contextmanager
    def scheduled(self, schedule: BetaSchedule) -> Generator[None, None, None]:
        """With the user's zero terminal SNR on top."""
        alphas = alphas_cumprod(schedule)
        sigmas = noise_levels(alphas)
        if self._has_zero_terminal_snr:
            from backend.modules import k_prediction

            sigmas = k_prediction.rescale_zero_terminal_snr_sigmas(sigmas)
        predictor = cast("nn.Module", self._kmodel.predictor)
        # Samplers of the DDIM kind leave theirs on the checkpoint.
        with replaced(self.model, "alphas_cumprod", alphas), replaced_sigmas(predictor, sigmas):
            yield

    @property
    def _kmodel(self) -> KModel:
        return cast("KModel", self.real)

    @property
    def _has_zero_terminal_snr(self) -> bool:
        is_set = getattr(shared.opts, "sd_noise_schedule", "Default") == "Zero Terminal SNR"
        return is_set or bool(getattr(getattr(self.model, "model_config", None), "ztsnr", False))
