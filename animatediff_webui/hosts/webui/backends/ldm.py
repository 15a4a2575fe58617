"""AUTOMATIC1111's WebUI, where a checkpoint is a LatentDiffusion, or for SDXL a DiffusionEngine."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from modules import devices, sd_models, sd_unet, shared
from torch import nn

from animatediff_webui.core.errors import UserError
from animatediff_webui.hosts.webui.host_types import ModelCall, SdModel
from animatediff_webui.hosts.webui.patches import replaced, wrapped
from animatediff_webui.hosts.webui.placement import on_device
from motion_module.schedules import BetaSchedule, alphas_cumprod

if TYPE_CHECKING:
    from motion_module.placeable import Placeable

# SD1.x keeps these beside alphas_cumprod, and some samplers read them.
_SQUARE_ROOTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "sqrt_alphas_cumprod": lambda alphas: alphas.sqrt(),
    "sqrt_one_minus_alphas_cumprod": lambda alphas: (1 - alphas).sqrt(),
}


def adapt(model: object) -> LdmBackend | None:
    """The adapter, if it is a model of this kind. Raises UserError where its UNet cannot be animated."""
    unet = getattr(getattr(model, "model", None), "diffusion_model", None)
    if not isinstance(unet, nn.Module) or not hasattr(model, "apply_model"):
        return None
    if sd_unet.current_unet is not None:
        raise UserError(
            "The UNet is replaced by an optimised one, which cannot animate: set Settings -> SD Unet to None."
        )
    return LdmBackend(cast("SdModel", model))


@dataclass(frozen=True)
class LdmBackend:
    """The host's samplers call `apply_model(x, t, cond)`, and read `alphas_cumprod` when they are made."""

    model: SdModel

    @property
    def unet(self) -> nn.Module:
        return self.model.model.diffusion_model

    @property
    def empty_prompt(self) -> torch.Tensor:
        return self.model.cond_stage_model_empty_prompt[0]

    @property
    def last_alpha_cumprod(self) -> float:
        return self.model.alphas_cumprod[-1].item()

    @property
    def alternates_parts(self) -> bool:
        return True

    def wrapped_call(self, wrap: Callable[[ModelCall], ModelCall]) -> AbstractContextManager[None]:
        return wrapped(self.model, "apply_model", wrap)

    def scheduled(self, schedule: BetaSchedule) -> AbstractContextManager[None]:
        overrides = getattr(sd_models, "apply_alpha_schedule_override", None)
        return replaced_schedule(self.model, schedule, overrides)

    def placed(self, module: Placeable, *, keep: bool) -> AbstractContextManager[None]:
        layer_by_layer = bool(
            getattr(self.model, "lowvram", False) and getattr(shared.cmd_opts, "lowvram", False)
        )
        return on_device(module, devices.device, layer_by_layer=layer_by_layer, keep=keep)

    def estimated(self, share: float) -> AbstractContextManager[None]:
        return nullcontext()


@contextmanager
def replaced_schedule(
    model: SdModel, schedule: BetaSchedule, apply_overrides: Callable[[SdModel], None] | None = None
) -> Generator[None, None, None]:
    """Inside, samplers made for `model` follow `schedule`.

    `apply_overrides` is the host's function that puts the user's own changes ("zero terminal SNR",
    downcast alphas) on top of `alphas_cumprod_original`; hosts before 1.8 have neither.
    """
    # A new tensor each time: loading a checkpoint's weights writes into the model's buffers.
    alphas = alphas_cumprod(schedule).to(model.alphas_cumprod)
    with ExitStack() as stack:
        stack.enter_context(replaced(model, "alphas_cumprod", alphas))
        for name, derive in _SQUARE_ROOTS.items():
            root = getattr(model, name, None)
            if isinstance(root, torch.Tensor):
                stack.enter_context(replaced(model, name, derive(alphas).to(root)))
        original = getattr(model, "alphas_cumprod_original", None)
        if isinstance(original, torch.Tensor):
            stack.enter_context(replaced(model, "alphas_cumprod_original", alphas.clone().to(original)))
            if apply_overrides is not None:
                apply_overrides(model)
        yield
