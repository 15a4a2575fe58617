"""AnimateDiff's motion modules: what a file is, what its layers are, where they go, and how they run."""

from __future__ import annotations

from motion_module.camera.cameras import Cameras
from motion_module.camera.injection import camera_merged
from motion_module.camera.loading import build_camera_ctrl, load_camera_ctrl
from motion_module.camera.network import CameraCtrl
from motion_module.control import UNCHANGED, FrameValues, MotionControl, Picture, Reference, View
from motion_module.errors import (
    BrokenMotionModuleError,
    IncompatibleBaseModelError,
    MotionModuleError,
    NotAMotionLoraError,
    NotAMotionModuleError,
    UnreadableFileError,
    WrongKindError,
)
from motion_module.families import FAMILIES
from motion_module.group_norms import video_group_norms
from motion_module.injection import injected
from motion_module.inspection import WeightsFile, check_checkpoint, check_kind, inspect_file
from motion_module.loading import build_motion_module, detect_motion_module, load_motion_module
from motion_module.lora.strengths import motion_loras, unmatched_layers
from motion_module.lora.unets import unet_loras
from motion_module.lora.weights import (
    LowRank,
    MotionLora,
    build_motion_lora,
    detect_motion_lora,
    load_motion_lora,
    peft_state_dict,
)
from motion_module.module import MotionModule
from motion_module.schedules import BetaSchedule, alphas_cumprod, betas
from motion_module.spec import SPARSECTRL, BaseModel, MotionModuleSpec, Site
from motion_module.unets import detect_base_model
from motion_module.weights_files import read_shapes, read_weights
from motion_module.writing import write_motion_module

__all__ = [
    "FAMILIES",
    "SPARSECTRL",
    "UNCHANGED",
    "BaseModel",
    "BetaSchedule",
    "BrokenMotionModuleError",
    "CameraCtrl",
    "Cameras",
    "FrameValues",
    "IncompatibleBaseModelError",
    "LowRank",
    "MotionControl",
    "MotionLora",
    "MotionModule",
    "MotionModuleError",
    "MotionModuleSpec",
    "NotAMotionLoraError",
    "NotAMotionModuleError",
    "Picture",
    "Reference",
    "Site",
    "UnreadableFileError",
    "View",
    "WeightsFile",
    "WrongKindError",
    "alphas_cumprod",
    "betas",
    "build_camera_ctrl",
    "build_motion_lora",
    "build_motion_module",
    "camera_merged",
    "check_checkpoint",
    "check_kind",
    "detect_base_model",
    "detect_motion_lora",
    "detect_motion_module",
    "injected",
    "inspect_file",
    "load_camera_ctrl",
    "load_motion_lora",
    "load_motion_module",
    "motion_loras",
    "peft_state_dict",
    "read_shapes",
    "read_weights",
    "unet_loras",
    "unmatched_layers",
    "video_group_norms",
    "write_motion_module",
]
