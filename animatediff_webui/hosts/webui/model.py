"""The host's model while a clip is being sampled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from modules import devices, sd_models, sd_unet, shared

from animatediff_webui.core.errors import UserError
from animatediff_webui.core.windows import Window
from motion_module import BetaSchedule, MotionModule, injected, motion_loras, unet_loras, video_group_norms

from .controlnet import framed_encoders
from .loras import ActiveLora
from .motion_modules import on_device
from .patches import replaced_schedule, wrapped
from .windows import WindowedModel


@contextmanager
def animated_model(
    sd_model: Any,
    module: MotionModule,
    loras: Mapping[str, ActiveLora],
    schedule: BetaSchedule,
    *,
    num_frames: int,
    windows: Callable[[], Sequence[Window]],
    parts: Callable[[], int],
    between: Callable[[int, int], None],
    keep_on_gpu: bool,
) -> Iterator[None]:
    """Inside, `sd_model` animates: every call of `apply_model` goes window by window through the module.

    Raises MotionModuleError where module and checkpoint do not fit. (Any: the host's model.)
    """
    unet = _unet_of(sd_model)
    layer_by_layer = bool(getattr(sd_model, "lowvram", False)) and bool(
        getattr(shared.cmd_opts, "lowvram", False)
    )
    with ExitStack() as stack:
        stack.enter_context(
            on_device(module, devices.device, layer_by_layer=layer_by_layer, keep=keep_on_gpu)
        )
        stack.enter_context(motion_loras(module, [(each.lora, each.strength) for each in loras.values()]))
        stack.enter_context(unet_loras(unet, [(each.lora, each.strength) for each in loras.values()]))
        stack.enter_context(injected(unet, module))
        stack.enter_context(video_group_norms(unet, module))
        overrides = getattr(sd_models, "apply_alpha_schedule_override", None)
        stack.enter_context(replaced_schedule(sd_model, schedule, overrides))
        model = WindowedModel(
            sd_model.apply_model,
            num_frames,
            windows,
            parts=parts,
            between=between,
            framed=lambda window: _framed(module, window),
        )
        stack.enter_context(wrapped(sd_model, "apply_model", model))
        yield


@contextmanager
def _framed(module: MotionModule, window: Window) -> Iterator[None]:
    with module.frames(len(window.frames), window.frames), framed_encoders(len(window.frames)):
        yield


def _unet_of(sd_model: Any) -> Any:
    if hasattr(sd_model, "forge_objects"):
        raise UserError(
            "This is Forge or reForge, which samples in a way that AnimateDiff does not know yet: use "
            "AUTOMATIC1111's WebUI, 1.6.1 to 1.10.1."
        )
    if sd_unet.current_unet is not None:
        raise UserError(
            "The UNet is replaced by an optimised one, which cannot animate: set Settings -> SD Unet to None."
        )
    unet = getattr(getattr(sd_model, "model", None), "diffusion_model", None)
    if unet is None:
        raise UserError("No checkpoint is loaded: choose an SD1.5 or SDXL checkpoint.")
    return unet
