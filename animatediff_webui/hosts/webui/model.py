"""The host's model while a clip is being sampled."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from animatediff_webui.core.windows import Window
from animatediff_webui.deep_cache import DeepCache
from animatediff_webui.shared_prompts import prompts_shared
from motion_module.lora.unets import unet_loras
from motion_module.schedules import BetaSchedule

from .backends.adapter import Backend
from .controlnet.sparsectrl import framed_encoders
from .loras import ActiveLora
from .windows import WindowedCall

if TYPE_CHECKING:
    from animatediff_webui.motion_control import Ensemble


@dataclass(frozen=True)
class Animation:
    """What makes a model animate; the motion modules' weights stay where the UNet's are if `keep_on_gpu`.
    `cache` says which of the UNet's layers are computed."""

    ensemble: Ensemble
    loras: Sequence[ActiveLora]
    schedule: BetaSchedule
    keep_on_gpu: bool
    cache: DeepCache


@contextmanager
def animated_model(backend: Backend, animation: Animation, call: WindowedCall) -> Generator[None, None, None]:
    """Inside, the model animates: every call of it goes window by window through the motion modules.

    Raises MotionModuleError where module and checkpoint do not fit.
    """
    loras = [(each.lora, each.strength) for each in animation.loras]
    with ExitStack() as stack:
        for part in animation.ensemble.parts:
            stack.enter_context(backend.placed(part, keep=animation.keep_on_gpu))
        stack.enter_context(backend.estimated(call.share))
        stack.enter_context(unet_loras(backend.unet, loras))
        stack.enter_context(animation.ensemble.injected(backend.unet, loras))
        stack.enter_context(prompts_shared(backend.unet))
        stack.enter_context(animation.cache.used(backend.unet, animation.ensemble.motion_modules))
        stack.enter_context(backend.scheduled(animation.schedule))
        stack.enter_context(backend.wrapped_call(call.around))
        yield


@contextmanager
def framed_layers(ensemble: Ensemble, window: Window, share: float) -> Generator[None, None, None]:
    """Inside, the temporal layers know which frames of the clip they see: ours and ControlNet's.

    `share` is how much of sampling is done.
    """
    with ensemble.frames(window, share), framed_encoders(window):
        yield
