"""The host's model while a clip is being sampled."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from animatediff_webui.core.windows import Window
from motion_module.group_norms import video_group_norms
from motion_module.injection import injected
from motion_module.lora.strengths import motion_loras
from motion_module.lora.unets import unet_loras
from motion_module.module import MotionModule
from motion_module.schedules import BetaSchedule

from .backends.adapter import Backend
from .controlnet.sparsectrl import framed_encoders
from .loras import ActiveLora
from .windows import WindowedCall


@dataclass(frozen=True)
class Animation:
    """What makes a model animate; the motion module's weights stay where the UNet's are if `keep_on_gpu`."""

    module: MotionModule
    loras: Sequence[ActiveLora]
    schedule: BetaSchedule
    keep_on_gpu: bool


@contextmanager
def animated_model(backend: Backend, animation: Animation, call: WindowedCall) -> Generator[None, None, None]:
    """Inside, the model animates: every call of it goes window by window through the motion module.

    Raises MotionModuleError where module and checkpoint do not fit.
    """
    module = animation.module
    loras = [(each.lora, each.strength) for each in animation.loras]
    with ExitStack() as stack:
        stack.enter_context(backend.placed(module, keep=animation.keep_on_gpu))
        stack.enter_context(backend.estimated(call.share))
        stack.enter_context(motion_loras(module, loras))
        stack.enter_context(unet_loras(backend.unet, loras))
        stack.enter_context(injected(backend.unet, module))
        stack.enter_context(video_group_norms(backend.unet, module))
        stack.enter_context(backend.scheduled(animation.schedule))
        stack.enter_context(backend.wrapped_call(call.around))
        yield


@contextmanager
def framed_layers(module: MotionModule, window: Window) -> Generator[None, None, None]:
    """Inside, the temporal layers know which frames of the clip they see: ours and ControlNet's."""
    with module.frames(len(window.frames), window.frames), framed_encoders(window):
        yield
