"""The animator of this door: the engine's, which without a checkpoint takes the embedded model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from animatediff_webui.hosts.diffusers import animator
from animatediff_webui.hosts.diffusers.checkpoint import ModelOptions
from animatediff_webui.hosts.diffusers.loras import ChosenLora
from demo_model import files
from demo_model.loading import model_options


class Animator(animator.Animator):
    """A checkpoint with a motion module, loaded once, for any number of clips.

    Keywords are those of `ModelOptions`; without `checkpoint` it is the embedded model.
    """

    def __init__(
        self,
        options: ModelOptions | None = None,
        *,
        loras: Sequence[ChosenLora] = (),
        lora_folders: Sequence[Path] = (),
        **keywords: Any,  # the fields of ModelOptions
    ) -> None:
        said = {name: value for name, value in keywords.items() if value is not None}
        is_embedded = options is None and "checkpoint" not in said
        if options is None:
            options = replace(model_options(), **said) if is_embedded else ModelOptions(**said)
        super().__init__(
            options,
            loras=loras,
            lora_folders=(*lora_folders, files.LORA_FOLDER),
            image_defaults=files.IMAGE_DEFAULTS if is_embedded else None,
        )
