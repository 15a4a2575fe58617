"""reForge and Forge Classic: the shell of an ldm model, and behind it ComfyUI's code, patched.

The schedule is in two places: samplers are made from the shell's, and the model turns noise levels back into
timesteps by its own.
"""

# pyright: basic
# The forks' own modules have no types that could be checked.

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from modules import sd_models
from torch import nn

from animatediff_webui.hosts.webui.host_types import SdModel
from motion_module import BetaSchedule

from .ldm import replaced_schedule
from .patchers import (
    ForgeModel,
    Memory,
    Patched,
    RealModel,
    check_unet,
    compute_dtype,
    find_real_model,
    noise_levels,
    replaced_sigmas,
)


class BaseModel(RealModel, Protocol):
    """The UNet with its schedule; `manual_cast_dtype` where it computes in another dtype than it is stored."""

    model_sampling: nn.Module
    manual_cast_dtype: torch.dtype | None

    def get_dtype(self) -> torch.dtype: ...


class Shell(ForgeModel, SdModel, Protocol):
    """A checkpoint."""


def adapt(model: object) -> LdmPatchedBackend | None:
    """The adapter, if it is a model of this kind. Raises MotionModuleError where its UNet cannot be animated."""
    real = find_real_model(model)
    if real is None or not hasattr(real, "model_sampling"):
        return None
    check_unet(real)
    from ldm_patched.modules import model_management

    return LdmPatchedBackend(cast("Shell", model), cast("Memory", model_management))


@dataclass(frozen=True)
class LdmPatchedBackend(Patched):
    """Samplers follow the schedule that the checkpoint has when they are made."""

    model: Shell

    @property
    def dtype(self) -> torch.dtype | None:
        """What the UNet computes in."""
        return compute_dtype(self._base.manual_cast_dtype, self._base.get_dtype())

    @property
    def empty_prompt(self) -> torch.Tensor:
        return self.model.cond_stage_model_empty_prompt[0]

    @property
    def last_alpha_cumprod(self) -> float:
        return self.model.alphas_cumprod[-1].item()

    @contextmanager
    def scheduled(self, schedule: BetaSchedule) -> Iterator[None]:
        """Inside, samplers follow `schedule`, with the user's changes of it on top."""
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
