"""The embedded model as an animator takes it."""

from __future__ import annotations

from dataclasses import replace

from animatediff_webui.core.errors import UserError
from animatediff_webui.core.plan import build_plan
from animatediff_webui.hosts.diffusers.animator import Animator, PlanBuilder
from animatediff_webui.hosts.diffusers.model_options import NO_MODULE, ModelOptions

from . import files


def model_options() -> ModelOptions:
    """The options that load it. Raises UserError where its files are not there."""
    if not files.is_complete():
        raise UserError(
            f"The embedded model is not in {files.FOLDER}: clone the repository again, whole, or name "
            "another model with --checkpoint."
        )
    return ModelOptions(checkpoint=files.FOLDER, motion_module=files.MOTION_MODULE, title=files.NAME)


def load_animator(*, with_motion: bool = True, build_plan: PlanBuilder = build_plan) -> Animator:
    """An animator with the embedded model; without the motion module, its frames are unrelated pictures."""
    options = model_options() if with_motion else replace(model_options(), motion_module=NO_MODULE)
    return Animator(
        options,
        lora_folders=[files.LORA_FOLDER],
        image_defaults=files.IMAGE_DEFAULTS,
        build_plan=build_plan,
    )
