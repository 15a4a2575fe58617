"""The temporal layers of SparseCtrl's encoders, which sd-webui-controlnet builds of what is here.

It imports `scripts.animatediff_mm`, which passes these names on; they are the ones that it asks for.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from enum import Enum
from weakref import WeakSet

from animatediff_webui.core.windows import Window
from motion_module.control import UNCHANGED
from motion_module.module import MotionModule
from motion_module.runtime import Runtime
from motion_module.spec import SPARSECTRL


class MotionModuleType(Enum):
    """The kinds of motion modules there are, by the names ControlNet may use; it builds the last one."""

    AnimateDiffV1 = "AnimateDiff V1"
    AnimateDiffV2 = "AnimateDiff V2"
    AnimateDiffV3 = "AnimateDiff V3"
    AnimateDiffXL = "AnimateDiff SDXL"
    AnimateLCM = "AnimateLCM"
    HotShotXL = "HotShot-XL"
    SparseCtrl = "SparseCtrl"


class MotionWrapper(MotionModule):
    """A SparseCtrl encoder's temporal layers, `down_blocks[I].motion_modules[J]`, with one attention each."""

    def __init__(self, mm_name: str, mm_hash: str, mm_type: MotionModuleType) -> None:
        if mm_type is not MotionModuleType.SparseCtrl:
            raise ValueError(
                f"Expected MotionModuleType.SparseCtrl, found {mm_type}: load others by AnimateDiff."
            )
        super().__init__(SPARSECTRL, mm_name)
        self.runtime.num_frames = 1  # where no clip is made, each picture is one of its own
        _encoder_runtimes.add(self.runtime)


_encoder_runtimes: WeakSet[Runtime] = WeakSet()
"""Of ControlNet's encoders: it keeps the layers, which know their runtime, and drops the wrapper."""


@contextmanager
def framed_encoders(window: Window) -> Generator[None, None, None]:
    """Inside, the encoders that ControlNet holds know which frames they see."""
    with ExitStack() as stack:
        for runtime in list(_encoder_runtimes):
            stack.enter_context(runtime.frames(window.length, window.frames, UNCHANGED))
        yield
