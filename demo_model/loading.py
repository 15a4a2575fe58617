"""The embedded model as an animator takes it."""

from __future__ import annotations

from dataclasses import replace

from animatediff_webui.core.plan import build_plan
from animatediff_webui.hosts.diffusers.animator import Animator, PlanBuilder
from animatediff_webui.hosts.diffusers.model_options import NO_MODULE

from . import files
from .options import model_options


def load_animator(*, with_motion: bool = True, build_plan: PlanBuilder = build_plan) -> Animator:
    """An animator with the embedded model; without the motion module, its frames are unrelated pictures."""
    options = model_options() if with_motion else replace(model_options(), motion_module=NO_MODULE)
    return Animator(
        options,
        lora_folders=[files.LORA_FOLDER],
        network_folder=files.FOLDER,
        image_defaults=files.IMAGE_DEFAULTS,
        build_plan=build_plan,
    )
