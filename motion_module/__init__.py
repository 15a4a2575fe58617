"""AnimateDiff's motion modules: what a file is, what its layers are, where they go, and how they run."""

from __future__ import annotations

from motion_module.errors import (
    BrokenMotionModuleError,
    IncompatibleBaseModelError,
    MotionModuleError,
    NotAMotionModuleError,
)
from motion_module.injection import injected
from motion_module.module import MotionModule
from motion_module.schedules import BetaSchedule, alphas_cumprod, betas
from motion_module.spec import BaseModel, MotionModuleSpec, Site
from motion_module.unets import detect_base_model

__all__ = [
    "BaseModel",
    "BetaSchedule",
    "BrokenMotionModuleError",
    "IncompatibleBaseModelError",
    "MotionModule",
    "MotionModuleError",
    "MotionModuleSpec",
    "NotAMotionModuleError",
    "Site",
    "alphas_cumprod",
    "betas",
    "detect_base_model",
    "injected",
]
