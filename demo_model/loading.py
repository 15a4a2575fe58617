"""The embedded model as an animator takes it."""

from __future__ import annotations

from dataclasses import replace

from animatediff_webui.core.errors import UserError
from animatediff_webui.hosts.diffusers.animator import Animator
from animatediff_webui.hosts.diffusers.checkpoint import ModelOptions

from . import files


def model_options() -> ModelOptions:
    """The options that load it. Raises UserError where its files are not there."""
    if not files.is_complete():
        raise UserError(
            f"The embedded model is not in {files.FOLDER}: clone the repository again, whole, or name "
            "another model with --checkpoint."
        )
    return ModelOptions(checkpoint=files.FOLDER, motion_module=files.MOTION_MODULE, title=files.NAME)


def load_animator(*, with_motion: bool = True, kind: type[Animator] = Animator) -> Animator:
    """An animator with the embedded model; without the motion module, its frames are unrelated pictures."""
    options = model_options() if with_motion else replace(model_options(), motion_module="none")
    return kind(options, lora_folders=[files.LORA_FOLDER], image_defaults=files.IMAGE_DEFAULTS)
