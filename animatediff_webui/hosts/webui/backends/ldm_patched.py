"""reForge and Forge Classic: the shell of an ldm model, and behind it ComfyUI's code, patched.

The schedule is in two places: samplers are made from the shell's, and the model turns noise levels back into
timesteps by its own.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import torch
from modules import sd_models
from torch import nn

from animatediff_webui.hosts.webui.host_types import SdModel
from motion_module.schedules import BetaSchedule

from .ldm import replaced_schedule
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


class BaseModel(RealModel, Protocol):
    """The UNet with its schedule; `manual_cast_dtype` is set where it computes in a dtype of its own."""

    model_sampling: nn.Module
    manual_cast_dtype: torch.dtype | None

    def get_dtype(self) -> torch.dtype: ...


class Shell(ForgeModel, SdModel, Protocol):
    """A checkpoint."""


def adapt(model: object) -> LdmPatchedBackend | None:
    """The adapter, if it is a model of this kind.

    Raises IncompatibleBaseModelError where its UNet cannot be animated.
    """
    if not holds_unet_with(model, "model_sampling"):
        return None
    from ldm_patched.modules import model_management

    return LdmPatchedBackend(cast("Shell", model), model_management)


@dataclass(frozen=True)
class LdmPatchedBackend(Patched):
    """Samplers follow the schedule that the checkpoint has when they are made."""

    model: Shell

    @property
    def empty_prompt(self) -> torch.Tensor:
        return self.model.cond_stage_model_empty_prompt[0]

    @property
    def last_alpha_cumprod(self) -> float:
        return self.model.alphas_cumprod[-1].item()

    @contextmanager
    def placed(self, module: Placeable, *, keep: bool) -> Generator[None, None, None]:
        """In the dtype that the UNet computes in: it may be stored in fewer bits."""
        module.to(self._base.manual_cast_dtype or self._base.get_dtype())
        with super().placed(module, keep=keep):
            yield

    @contextmanager
    def scheduled(self, schedule: BetaSchedule) -> Generator[None, None, None]:
        """With the user's changes of it on top."""
        with replaced_schedule(self.model, schedule, _find_overrides()):
            sigmas = noise_levels(self.model.alphas_cumprod.float())
            with replaced_sigmas(self._base.model_sampling, sigmas):
                yield

    @property
    def _base(self) -> BaseModel:
        return cast("BaseModel", self.real)


def _find_overrides() -> Callable[[SdModel], None] | None:
    """The host's function for the user's own changes of the schedule, which has moved between the forks."""
    for module in (sd_models, importlib.import_module("modules_forge.forge_loader")):
        function = getattr(module, "apply_alpha_schedule_override", None)
        if function is not None:
            return function
    return None
