"""Which kind of checkpoint the host has chosen."""

from __future__ import annotations

from pathlib import Path

from modules import sd_models, shared
from torch import nn

from motion_module.errors import MotionModuleError
from motion_module.spec import BaseModel
from motion_module.unets import detect_base_model

from .module_info import checkpoint_base_model


def chosen_base_model(title: str = "") -> BaseModel | None:
    """The image model of the checkpoint with this title, of the one in Settings, or None where unknown.

    Its file is asked before the loaded model: after a change, the page is ahead of loading.
    """
    name = title or shared.opts.sd_model_checkpoint or ""
    match = sd_models.get_closet_checkpoint_match(name) if name else None
    base_model = checkpoint_base_model(Path(match.filename)) if match is not None else None
    return base_model or _loaded_base_model()


def _loaded_base_model() -> BaseModel | None:
    """Of the model in memory; nothing is loaded to find out."""
    model = sd_models.model_data.sd_model
    unet = getattr(getattr(model, "model", None), "diffusion_model", None)
    if not isinstance(unet, nn.Module):
        return None
    try:
        return detect_base_model(unet)
    except MotionModuleError:
        return None
